"""Executed functions: what was called with what, and what came of it. Runs in the user's process.

Every name is imported when it is first used.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from testd.tracing.decorator import traced
    from testd.tracing.execution import Execution, execute, record_roots
    from testd.tracing.mocks import MockError, Mocks
    from testd.tracing.options import Options
    from testd.tracing.registry import armed
    from testd.tracing.sending import connect
    from testd.tracing.sinks import install

__all__ = [
    "Execution",
    "MockError",
    "Mocks",
    "Options",
    "armed",
    "connect",
    "execute",
    "install",
    "record_roots",
    "traced",
]

_MODULES = {
    "Execution": "execution",
    "MockError": "mocks",
    "Mocks": "mocks",
    "Options": "options",
    "armed": "registry",
    "connect": "sending",
    "execute": "execution",
    "install": "sinks",
    "record_roots": "execution",
    "traced": "decorator",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"testd.tracing has no {name!r}; it has {', '.join(__all__)}")
    import importlib

    value = getattr(importlib.import_module("testd.tracing." + _MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> "list[str]":
    return sorted({*globals(), *__all__})
