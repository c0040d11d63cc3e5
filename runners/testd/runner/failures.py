"""An exception as data: what kind of failure it is, its frames, and the text that Python would print.

Runs in the worker, when a test has failed; standard library only. `traceback` and `linecache` are imported on the
first failure, or earlier by a suite that wants them in its stem. Frames of testd itself, of the import system and of
the framework that called the test are left out; so are those that set `__tracebackhide__`.
"""

from __future__ import annotations

import os
import sys

from testd.runner.capture import clean, shorten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType, TracebackType
    from typing import Any

__all__ = ["MESSAGE_LIMIT", "TEXT_LIMIT", "classify", "describe", "detail", "frame_at", "frames_of", "summarize"]

TEXT_LIMIT = 64 * 1024  #: bytes of a traceback's text
MESSAGE_LIMIT = 500  #: bytes of the line that says what happened
FRAME_LIMIT = 100  #: frames as data; from a deeper stack the outermost and the innermost halves

_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_ASSERTIONS = _OWN + "assertions" + os.sep
_STANDARD_LIBRARY = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_IMPORT_SYSTEM = _STANDARD_LIBRARY + "importlib" + os.sep
_RUNNING = tuple(_STANDARD_LIBRARY + name + os.sep for name in ("asyncio", "unittest"))
_FRAMEWORKS = tuple(os.sep + name + os.sep for name in ("_pytest", "pluggy", "pytest_asyncio", "anyio"))
_REWRITING = os.path.join(os.sep + "_pytest", "assertion", "rewrite.py")  # imports test files in pytest's stead
_INSTALLED = (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep)


def detail(**overrides: Any) -> dict[str, Any]:
    """Return a `Detail` as the protocol has it: every key, in its order."""
    made: dict[str, Any] = {
        "phase": "", "kind": None, "message": "", "text": "", "frames": [], "sections": [], "leaks": [], "stacks": "",
        "document": "",
    }
    for key, value in overrides.items():
        if key not in made:
            raise TypeError("detail has no key {!r}; it has {}".format(key, ", ".join(made)))
        made[key] = value
    return made


def describe(exc: BaseException, *, root: str, test_file: str, phase: str = "call") -> dict[str, Any]:
    """Return the `Detail` of an exception that ended a phase of a test.

    `root` is the workspace; frames in it have paths relative to it. `test_file` is absolute or relative to `root`.
    """
    frames = frames_of(exc, root)
    return detail(
        phase=phase,
        kind=classify(exc, frames, root, test_file),
        message=summarize(exc),
        text=_text(exc),
        frames=frames,
    )


def classify(exc: BaseException, frames: list[dict[str, Any]], root: str, test_file: str) -> str:
    """Return the `FailureKind` of an exception: what it is, or else whose code raised it.

    assertion, syntax (a file does not compile), import; then test, project or library by the innermost frame that has
    a file. Of an exception group, the kind that its exceptions have in common, otherwise that of the first.
    """
    exc = _first_of_group(exc)
    if isinstance(exc, AssertionError) or _is_pytest_failure(exc):
        return "assertion"
    if isinstance(exc, SyntaxError) and exc.filename and not exc.filename.startswith("<"):
        return "syntax"
    if isinstance(exc, ImportError):
        return "import"
    for frame in reversed(frames):
        if not frame["file"].startswith("<"):
            return _owner(frame["file"], root, test_file)
    return "library"


def summarize(exc: BaseException) -> str:
    """Return one line: the exception's type and the first line of what it says."""
    kind = type(exc)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__", "exceptions"):
        name = f"{kind.__module__}.{name}"
    try:
        lines = str(exc).strip().splitlines()
    except Exception:  # (user code's __str__)
        lines = ["<its text could not be made>"]
    said = lines[0].strip() if lines else ""
    return shorten(f"{name}: {said}", MESSAGE_LIMIT).replace("\n", " ") if said else name


def frames_of(exc: BaseException, root: str) -> list[dict[str, Any]]:
    """Return an exception's frames, outermost first: file (relative inside `root`), line, function, source."""
    shown = [pair for pair, keep in _marked(exc.__traceback__) if keep]
    if len(shown) > FRAME_LIMIT:
        shown = shown[: FRAME_LIMIT // 2] + shown[-FRAME_LIMIT // 2 :]
    frames = [frame_at(frame.f_code.co_filename, line, frame.f_code.co_name, None, root) for frame, line in shown]
    if isinstance(exc, SyntaxError) and exc.filename and not exc.filename.startswith("<"):
        frames.append(frame_at(exc.filename, exc.lineno or 0, "<module>", exc.text, root))
    return frames


def frame_at(path: str, line: int, function: str, source: str | None, root: str) -> dict[str, Any]:
    if source is None:
        import linecache

        source = linecache.getline(path, line)
    return {
        "file": clean(_relative(path, root)), "line": line, "function": clean(function),
        "source": shorten(source.strip(), 400),
    }


def _marked(tb: TracebackType | None) -> list[tuple[tuple[FrameType, int], bool]]:
    """Return every frame with its line, and whether a reader should see it. If none is left, all are to be seen."""
    pairs = [(frame, line) for frame, line in _walk(tb)]
    keep = [not _is_machinery(frame) for frame, _ in pairs]
    for index, (frame, _) in enumerate(pairs):  # who called the test
        if not _is_caller(frame):
            break
        keep[index] = False
    for index in range(len(pairs) - 1, -1, -1):  # an assertion of ours that failed
        if not pairs[index][0].f_code.co_filename.startswith(_ASSERTIONS):
            break
        keep[index] = False
    if not any(keep):
        keep = [not _is_caller(frame) for frame, _ in pairs]
    return list(zip(pairs, keep))


def _walk(tb: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while tb is not None:
        yield tb.tb_frame, tb.tb_lineno or tb.tb_frame.f_lineno
        tb = tb.tb_next


def _is_caller(frame: FrameType) -> bool:
    path = frame.f_code.co_filename
    if path.startswith((_OWN, _IMPORT_SYSTEM, "<frozen ")):
        return True
    return any(part in path for part in _FRAMEWORKS) or path.startswith(_RUNNING)


def _is_machinery(frame: FrameType) -> bool:
    path = frame.f_code.co_filename
    if path.startswith(("<frozen importlib", _IMPORT_SYSTEM)) or path.endswith(_REWRITING):
        return True
    hide = frame.f_locals.get("__tracebackhide__", False) if "__tracebackhide__" in frame.f_code.co_varnames else False
    return hide is True


def _text(exc: BaseException) -> str:
    """Return what Python prints for the exception, its causes and its group, without the frames that are left out."""
    import traceback

    try:
        printed = traceback.TracebackException(type(exc), exc, exc.__traceback__)
        _trim(printed, exc, set())
        return shorten("".join(printed.format()).rstrip("\n"), TEXT_LIMIT)
    except Exception as problem:  # (user code's exception classes take part in the printing)
        return f"{summarize(exc)}\n(its traceback could not be printed: {summarize(problem)})"


def _trim(printed: Any, exc: BaseException | None, seen: set[int]) -> None:
    """Take the frames that are left out from a `TracebackException`, and from all that hang on it."""
    import traceback

    pending: list[tuple[Any, BaseException | None]] = [(printed, exc)]
    while pending:
        printed, exc = pending.pop()
        if printed is None or exc is None or id(printed) in seen:
            continue
        seen.add(id(printed))
        marked = _marked(exc.__traceback__)
        if len(marked) == len(printed.stack):
            shown = [entry for entry, (_, keep) in zip(printed.stack, marked) if keep]
            printed.stack = traceback.StackSummary.from_list(shown)
        pending.append((printed.__cause__, exc.__cause__))
        pending.append((printed.__context__, exc.__context__))
        pending.extend(zip(getattr(printed, "exceptions", None) or (), getattr(exc, "exceptions", None) or ()))


def _first_of_group(exc: BaseException) -> BaseException:
    group: Any = getattr(sys.modules["builtins"], "BaseExceptionGroup", None)
    innermost: Any = exc
    while group is not None and isinstance(innermost, group):
        innermost = innermost.exceptions[0]
    found: BaseException = innermost
    return found


def _is_pytest_failure(exc: BaseException) -> bool:
    kind = getattr(sys.modules.get("_pytest.outcomes"), "Failed", None)
    return kind is not None and isinstance(exc, kind)


def _owner(path: str, root: str, test_file: str) -> str:
    """Return whose code a file is: test, project or library."""
    path, root = os.path.join(root, path), os.path.abspath(root)
    if path == os.path.join(root, test_file):
        return "test"
    if any(part in path for part in _INSTALLED):
        return "project" if _is_installed_copy(path, root) else "library"
    inside = _relative(path, root)
    if inside == path or path.startswith(_STANDARD_LIBRARY):
        return "library"
    *folders, name = inside.split("/")
    if any(folder.startswith(".") for folder in folders):
        return "library"  # .venv, .tox, .nox
    stem = name[:-3] if name.endswith(".py") else name
    if stem == "conftest" or stem.startswith("test_") or stem.endswith("_test") or {"tests", "test"} & set(folders):
        return "test"
    return "project"


def _is_installed_copy(path: str, root: str) -> bool:
    """Whether a file in site-packages belongs to the project itself, installed for its tests."""
    for part in _INSTALLED:
        name = path.rpartition(part)[2].split(os.sep)[0]
        if part in path and any(os.path.exists(os.path.join(root, folder, name)) for folder in ("src", "", "lib")):
            return True
    return False


def _relative(path: str, root: str) -> str:
    """Return the path relative to `root`, with forward slashes, if it is inside; else unchanged."""
    inside = os.path.join(os.path.abspath(root), "")
    return path[len(inside):].replace(os.sep, "/") if path.startswith(inside) else path
