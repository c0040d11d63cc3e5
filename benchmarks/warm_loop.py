"""The floor of watch mode, measured: one interpreter that stays, and has pytest and all tests loaded.

    python benchmarks/warm_loop.py          in a suite's folder, by its interpreter

Each line on standard input is `{"file": …, "tests": […]}`: the file has changed. The module and every module of the
project that has something of it are loaded again, the tests are run by pytest in this process, and `{"code": …}` is
printed. It is a floor, not a tool: what a reload does not reach (caches, subclasses, registries) stays as it was.

Runs in the environment of a suite; standard library and pytest only.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

__all__ = ["main"]


def main() -> None:
    """Collect everything once, then answer."""
    root = f"{Path.cwd()}{os.sep}"
    sys.path.insert(0, root.rstrip(os.sep))
    _run(["--collect-only"])
    print(json.dumps({"code": 0}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        for name in _stale(asked["file"], root):
            del sys.modules[name]
        print(json.dumps({"code": _run(asked["tests"])}), flush=True)


def _run(arguments: list[str]) -> int:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return int(pytest.main(["-q", "-p", "no:cacheprovider", *arguments]))


def _stale(file: str, root: str) -> set[str]:
    """Return the names of a changed module and of those of the project that hold something of it, at any distance."""
    own = {
        name: module
        for name, module in list(sys.modules.items())
        if (getattr(module, "__file__", None) or "").startswith(root)
    }
    stale = {name for name, module in own.items() if module.__file__ == file}
    while True:
        more = {name for name, module in own.items() if name not in stale and _holds(module, stale)}
        if not more:
            return stale
        stale |= more


def _holds(module: ModuleType, names: set[str]) -> bool:
    for value in list(vars(module).values()):
        origin = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        if isinstance(origin, str) and origin in names:
            return True
    return False


if __name__ == "__main__":
    main()
