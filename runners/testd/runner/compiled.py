"""Compiled code that only seems to be that of its source. Runs in stems and workers.

The interpreter, and pytest for what it rewrites, take compiled code for fresh when source and code agree in size and in
the second of the last change. Who edits a file twice within a second, without changing its size, gets the first text
for ever. Both files have finer times: code written before its source's last change was made of something else.
"""

import contextlib
import marshal
import os
import sys
from importlib.util import MAGIC_NUMBER, cache_from_source
from types import CodeType
from typing import Any, Iterable, List, Optional

__all__ = ["caches_of", "drop_stale", "drop_stale_of", "keep"]


def caches_of(source: str) -> "List[str]":
    """Return where the interpreter, and this pytest if it is loaded, keep the compiled code of a source file."""
    cached = cache_from_source(source)
    version = getattr(sys.modules.get("pytest"), "__version__", None)
    return [cached, f"{cached[: -len('.pyc')]}-pytest-{version}.pyc"] if version else [cached]


def drop_stale(name: str, path: "Optional[Iterable[Any]]", root: str) -> None:
    """Remove compiled code that is older than the source file below `root` from which a module is to be loaded.

    `path` is where the module is looked for, None for `sys.path`; `root` ends with a slash. What is installed there is
    left alone. Called for each module that is imported: no objects.
    """
    last = name.rpartition(".")[2]
    for entry in sys.path if path is None else path:
        if not isinstance(entry, str):
            continue
        folder = (entry if entry[:1] == "/" else os.path.abspath(entry)) + "/"
        if folder.startswith(root) and "-packages/" not in folder:
            drop_stale_of(f"{folder}{last}.py")
            drop_stale_of(f"{folder}{last}/__init__.py")


def drop_stale_of(source: str) -> None:
    """Remove compiled code of this one source file that is older than it."""
    with contextlib.suppress(OSError, NotImplementedError):  # nothing there, not ours to remove, no caches at all
        changed = os.stat(source).st_mtime_ns
        for cached in caches_of(source):
            with contextlib.suppress(OSError):
                if os.stat(cached).st_mtime_ns <= changed:
                    os.unlink(cached)


def keep(source: str, code: CodeType, mtime_ns: int, size: int) -> None:
    """Keep the compiled code of a source file, with the time and size that it had, where the next import looks for it.

    In the format of PEP 552. Where that cannot be written the import compiles it again.
    """
    if sys.dont_write_bytecode:
        return
    numbers = (0, mtime_ns // 10**9, size)  # flags: the source's time and size tell whether it is fresh
    head = MAGIC_NUMBER + b"".join((number & 0xFFFFFFFF).to_bytes(4, "little") for number in numbers)
    with contextlib.suppress(OSError, NotImplementedError, ValueError):
        cached = cache_from_source(source)
        draft = f"{cached}.{os.getpid()}"
        os.makedirs(os.path.dirname(cached), exist_ok=True)
        try:
            with open(draft, "wb") as file:
                file.write(head + marshal.dumps(code))
            os.replace(draft, cached)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(draft)
