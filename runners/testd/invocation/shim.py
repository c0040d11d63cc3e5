"""Makes the API importable under the names that users' functions know, and puts it into their modules.

Runs in stems and workers; standard library only.
"""

from __future__ import annotations

import inspect
import sys
import types

from testd.invocation import api

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["inject", "install"]

#: Modules that have the API. `FaaSr_py` is the public system's own package, `testd.workflows.functions` is ours.
_NAMES = ("FaaSr_py.client.py_client_stubs", "testd.workflows.functions")


def install() -> None:
    """Make the modules importable. Where the real package is installed, its functions are ours here all the same."""
    for name in _NAMES:
        parts = name.split(".")
        for depth in range(1, len(parts)):
            _package(".".join(parts[:depth]))
        module = _module(name)
        for function in api.__all__:
            setattr(module, function, getattr(api, function))
        module.__dict__["__all__"] = list(api.__all__)


def inject(function: Any) -> None:
    """Give a function's module the API under its usual names, unless it has something of the name itself."""
    for found in (function, inspect.unwrap(function)):
        space: dict[str, Any] = getattr(found, "__globals__", {})
        for name in api.__all__:
            space.setdefault(name, getattr(api, name))


def _package(name: str) -> None:
    if name == "testd":
        return
    module = _module(name)
    if not hasattr(module, "__path__"):
        module.__path__ = []


def _module(name: str) -> types.ModuleType:
    module = sys.modules.get(name)
    if module is None:
        module = sys.modules[name] = types.ModuleType(name, "The API of a workflow's functions.")
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, module)
    return module
