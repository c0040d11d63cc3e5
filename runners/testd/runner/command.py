"""A forked process becomes the one that a caller would have started: `pytest ARGUMENTS`, from its first line on.

Runs in a process that a stem forked for a command. What the stem has loaded stays loaded; all that the interpreter
makes at its start (streams, `sys.path`, `sys.argv`, `__main__`, signals) is made anew, from what the caller has, and of
testd nothing is left that user code could see.
"""

import contextlib
import functools
import importlib.machinery
import io
import os
import resource
import signal
import sys
import threading
import types
from typing import Any, Callable, Dict, List, Optional

from testd.runner import garbage
from testd.runner.leaving import Leaver

__all__ = ["Command", "Departure", "obstacle", "plainly"]


class Departure(Exception):
    """Leave the stem's loop, and everything below it: the process is a command's now."""

    def __init__(self, command: "Command") -> None:
        """Take along what to go on with."""
        super().__init__()
        self.command = command


class Command:
    """One command, in its own process."""

    def __init__(self, order: "Dict[str, Any]", stdio: "List[int]") -> None:
        """Take the order, a `StartCommand`, and the caller's descriptors 0 to 2."""
        self._order = order
        self._caller: Dict[str, Any] = order["caller"]
        self._stdio = stdio
        self._leaver = Leaver()

    def enter(self) -> None:
        """Take over what a process has from whoever starts it. Raises OSError, ValueError where that cannot be."""
        for number, fd in enumerate(self._stdio):
            os.dup2(fd, number)
            os.close(fd)
        for number in self._caller["closed"]:
            os.close(number)
        os.chdir(self._caller["cwd"])
        os.umask(self._caller["umask"])
        self._take_environment()
        self._take_limits()
        self._take_signals()
        self._open_streams()
        self._take_path()

    def _take_environment(self) -> None:
        wanted = self._caller["environment"]
        for name in [name for name in os.environ if name not in wanted]:
            del os.environ[name]
        for name, value in wanted.items():
            if os.environ.get(name) != value:
                os.environ[name] = value

    def _take_limits(self) -> None:
        for number, soft, hard in self._caller["limits"]:
            if resource.getrlimit(number) != (soft, hard):
                resource.setrlimit(number, (soft, hard))
        more = self._caller["nice"] - os.nice(0)
        if more > 0:
            os.nice(more)
        if self._caller["processors"] and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, self._caller["processors"])

    def _take_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        for number in self._caller["ignored"]:
            signal.signal(number, signal.SIG_IGN)

    def _open_streams(self) -> None:
        """Make `sys.stdin`, `sys.stdout` and `sys.stderr` as the interpreter does."""
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            stream = None if number in self._caller["closed"] else _stream(number, name, getattr(sys, f"__{name}__"))
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
        threading.main_thread()._stderr = sys.stderr  # type: ignore[attr-defined]  # where it says what went wrong last

    def _take_path(self) -> None:
        """Give user code the `sys.path` of a new interpreter, whose folders have not been looked into yet."""
        bundle = os.path.dirname(os.path.dirname(sys.modules["testd"].__file__ or ""))
        rest = [entry for entry in sys.path[1:] if entry != bundle]
        program = self._order["program"]
        first = os.path.dirname(os.path.realpath(program)) if program else os.getcwd()
        sys.path[:] = rest if getattr(sys.flags, "safe_path", False) else [first, *rest]
        sys.path_importer_cache.clear()

    def run(self) -> None:
        """Execute the program, as the interpreter does that was started with it. Raises what it raises: SystemExit."""
        program = self._order["program"]
        main = types.ModuleType("__main__")
        main.__dict__.update(__builtins__=sys.modules["builtins"], __annotations__={})
        sys.modules["__main__"] = main
        sys.argv[:] = [program or "-m", *self._order["arguments"]]
        if hasattr(sys, "orig_argv"):
            sys.orig_argv[:] = [*([sys.executable] if program else []), *plainly(self._order)]
        execute = _script(program, main) if program else _module
        self._prepare()
        _vanish()
        try:
            execute()
        except SystemExit as end:
            self._leaver.leave(end.code)
            raise
        except BaseException:
            garbage.release()  # what is frozen is not cleared away when the interpreter ends
            sys.excepthook = _without_ours(sys.excepthook)
            raise

    def _prepare(self) -> None:
        """Do what comes before the program's first line."""
        garbage.uninstall()
        self._tell(self._order["how"])

    def _tell(self, how: str) -> None:
        """Say how warm this is, where the caller wants to know."""
        if self._order["verbose"] and 2 not in self._caller["closed"]:
            with contextlib.suppress(OSError):
                os.write(2, f"testd: warm: {how}\n".encode("utf-8", "backslashreplace"))


def _module() -> None:
    import runpy

    runpy._run_module_as_main("pytest")  # type: ignore[attr-defined]


def _script(program: str, main: types.ModuleType) -> "Callable[[], None]":
    """Return what executes a script as the main module."""
    loader = importlib.machinery.SourceFileLoader("__main__", program)
    main.__dict__.update(__file__=program, __cached__=None, __loader__=loader)
    with open(program, "rb") as file:
        code = compile(file.read(), program, "exec", dont_inherit=True)
    return functools.partial(exec, code, main.__dict__)


def _without_ours(hook: "Callable[..., Any]") -> "Callable[..., Any]":
    """Return what shows an exception that nobody has caught as the program's own."""

    def show(kind: Any, error: BaseException, trace: "Optional[types.TracebackType]") -> None:
        while trace is not None and trace.tb_frame.f_code is not Command.run.__code__:
            trace = trace.tb_next
        ours = trace.tb_next if trace is not None else None
        hook(kind, error.with_traceback(ours), ours)

    return show


def obstacle(order: "Dict[str, Any]") -> str:
    """Return why a process that is forked here cannot have what the caller has, nothing where it can."""
    caller = order["caller"]
    for number, _, hard in caller["limits"]:
        ours = resource.getrlimit(number)[1]
        if ours not in (hard, resource.RLIM_INFINITY) and (hard == resource.RLIM_INFINITY or hard > ours):
            return "a limit of the daemon is lower than the caller's: see `ulimit -H`"
    if caller["nice"] < os.nice(0):
        return f"the daemon stands back for others by {os.nice(0)}, and the caller by {caller['nice']}"
    if not os.access(caller["cwd"], os.X_OK):
        return f"the daemon cannot enter {caller['cwd']}"
    return ""


def plainly(order: "Dict[str, Any]") -> "List[str]":
    """Return the command line that does the same without anything warm."""
    program = order["program"]
    return [*([program] if program else [sys.executable, "-m", "pytest"]), *order["arguments"]]


def _stream(number: int, name: str, like: Any) -> Any:
    """Return a standard stream on a descriptor; what the environment says of it is the same for one that was there."""
    writes = number > 0
    unbuffered = writes and bool(getattr(sys.flags, "unbuffered", False))
    buffer: Any = open(number, "wb" if writes else "rb", 0 if unbuffered else -1, closefd=False)  # noqa: SIM115
    raw = buffer if unbuffered else buffer.raw
    raw.name = f"<{name}>"
    stream = io.TextIOWrapper(
        buffer, like.encoding, like.errors, newline="\n",
        line_buffering=not unbuffered and (number == 2 or raw.isatty()), write_through=unbuffered,
    )  # fmt: skip
    with contextlib.suppress(AttributeError):
        stream.mode = "w" if writes else "r"  # type: ignore[misc]
    return stream


def _vanish() -> None:
    """Take testd out of sight: its modules, and its finder of imports."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not type(finder).__module__.startswith("testd.")]
    for name in [name for name in sys.modules if name == "testd" or name.startswith("testd.")]:
        del sys.modules[name]
