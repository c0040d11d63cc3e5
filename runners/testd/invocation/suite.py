"""The suite of a workflow's functions: each function of a folder is an item, and one invocation of it is a job.

Runs in stems and workers; standard library only. The interface is the one of every suite (docs/architecture.md). A
path is `FOLDER::FUNCTION`, the folder absolute or relative to the workspace; `+FOLDER` is one of installed packages,
which come first, and `=REQUIREMENT` is to be installed here. A function whose name ends in `@R` is in R, `&FOLDER` is a
library of R's packages, and `?PACKAGE` one that is to be installed here.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import tempfile
from time import perf_counter  # a reference: functions may replace the attribute

from testd.invocation import session as sessions
from testd.invocation import shim
from testd.invocation.errors import RError
from testd.invocation.finding import Finder, Found, NotFound
from testd.invocation.returning import BadReturn, truth
from testd.invocation.session import Session
from testd.runner import failures
from testd.runner.capture import flush, shorten
from testd.runner.settings import Collection, SuiteFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from testd.runner.settings import Settings, WorkerSettings

    Report = Callable[[str, float, "dict[str, Any] | None"], None]

__all__ = ["FunctionsSuite"]

_R = "@R"
_MARKS = "+=&?"  # what begins with one is no function
_getpid = os.getpid  # a reference: functions may replace the attribute
_getrusage = resource.getrusage


class Failed(Exception):
    """A function is to fail, and this is why."""


class FunctionsSuite:
    """Imports what defines the functions in the stem, and calls one of them in each worker."""

    kind = "workflow"
    framework = "testd functions"

    def __init__(self, settings: Settings) -> None:
        """Keep the settings; nothing of the user's is touched yet."""
        self._settings = settings
        self._root = os.path.abspath(settings.root)
        self.items: list[tuple[str, int]] = []
        self.errors: list[tuple[str, str, dict[str, Any]]] = []
        self._finder: Finder | None = None
        self._names: list[str] = []
        self._found: dict[str, Found] = {}
        self._libraries: list[str] = []
        self._worker: WorkerSettings | None = None
        self._loading = 0.0

    def start(self) -> None:
        """Load what every failure needs, and the API, once, below all that is forked."""
        import linecache  # noqa: F401
        import traceback  # noqa: F401

        shim.install()

    def configure(self, pause: Callable[[], None]) -> None:
        """Do nothing: there is no configuration, and no moment to `pause`."""

    def sought(self) -> list[str]:
        """Return the files that `configure` would have read if they were there: none."""
        return []

    def collect(self, paths: list[str]) -> Collection:
        """Import what defines the functions. What fails is told by their invocations.

        Raises:
            SuiteFault: the paths name no function, or more than one folder, or packages cannot be installed.

        """
        packages = _packages(paths)
        self._libraries = _libraries(paths)
        pairs = [path.rpartition("::") for path in paths if path[0] not in _MARKS]
        folders = list(dict.fromkeys(folder for folder, _, _ in pairs))
        if len(folders) != 1:
            raise SuiteFault("usage", f"functions of one folder are collected at once, not of {folders}")
        self._names = [name for _, _, name in pairs]
        source = os.path.normpath(os.path.join(self._root, folders[0]))
        self._finder = Finder(source, packages)
        self._found = self._find()
        self.items = [("".join(pair), _line(self._found[pair[2]])) for pair in pairs]
        return Collection(self.items)

    def _find(self) -> dict[str, Found]:
        assert self._finder is not None
        python = [name for name in self._names if not name.endswith(_R)]
        found = self._finder.find(python) if python else {}
        for name in self._names:
            if name.endswith(_R):
                from testd.invocation.rscript import RFunction  # few workflows have any

                source = self._finder.source
                found[name] = Found(RFunction(source, name[: -len(_R)], self._libraries), source, None, [])
        return found

    def prepare(self) -> Iterator[None]:
        """Do what can wait until nothing else is asked for: here there is nothing."""
        return iter(())

    def select(self, keyword: str) -> list[int]:
        """Return all: functions are not selected by expressions."""
        return list(range(len(self.items)))

    def open(self, worker: WorkerSettings) -> None:
        """Get a worker ready: what functions print goes out line by line."""
        self._worker = worker
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]

    def within(self, body: Callable[[], None]) -> None:
        """Run the loop; nothing is wrapped around it here."""
        body()

    def run(self, index: int, following: int | None, report: Report) -> None:
        """Call one function and report its outcome."""
        worker, pid = self._worker, _getpid()
        assert worker is not None
        session = Session(worker.invocation, worker.exchange, worker.tell)
        sessions.begin(session)
        began, used = perf_counter(), _used()
        value: bool | None = None
        error: BaseException | None = None
        try:
            with _folder(session.invocation["folder"]), _environment(session.invocation["environment"]):
                function = self._function(self._names[index], session)
                began, used = perf_counter(), _used()
                value = self._call(function, session)
        except KeyboardInterrupt as interrupt:
            if worker.stopping():
                raise
            error = interrupt
        except BaseException as caught:  # whatever it raises is its outcome
            error = caught
        finally:
            if _getpid() != pid:
                _leave_fork()
        seconds, cpu = perf_counter() - began, _used() - used
        sessions.end()
        for stream in (sys.stdout, sys.stderr):
            flush(stream)
        worker.tell({"type": "FunctionEnded", "job": worker.job, "worker": worker.worker, "value": value,
                     "seconds": seconds, "cpu": cpu, "loading": self._loading})  # fmt: skip
        if error is None:
            report("passed", seconds, None)
        else:
            report("failed", seconds, self._told(error, index))

    def close(self) -> None:
        """End the worker's session: nothing is open."""

    # ── one invocation ───────────────────────────────────────────────────────────────────────────────────────────────

    def _function(self, name: str, session: Session) -> Any:
        """Return the function. Raises what its file did, or NotFound."""
        assert self._finder is not None
        if self._finder.deferred:
            began = perf_counter()
            self._finder.forget()
            self._found = self._find()
            self._loading = perf_counter() - began
        found = self._found[name]
        for warning in found.warnings:
            session.write("note", warning, "WARNING")
        if found.error is not None:
            raise found.error
        shim.inject(found.function)
        return found.function

    @staticmethod
    def _call(function: Any, session: Session) -> bool | None:
        """Call it, and return its value. Raises Failed, BadReturn, and whatever the function does."""
        returned, end = None, None
        try:
            returned = function(**json.loads(session.invocation["arguments"]))
        except SystemExit as error:  # its own end; the status says how it went
            end = error
            if error.code not in (None, 0, False):
                raise Failed(f"the function exited with status {error.code}") from error
        if session.failure:
            raise Failed(session.failure) from end
        return truth(session.returned[0] if session.returned else returned)

    def _told(self, error: BaseException, index: int) -> dict[str, Any]:
        """Return what is told of a function that failed: the text is what Python would print, causes and all."""
        import traceback

        test_file = self._found[self._names[index]].file or self._root
        told = failures.describe(error, root=self._root, test_file=test_file)
        if isinstance(error, (Failed, NotFound, BadReturn)):
            told.update(kind="usage", message=str(error).splitlines()[0])
        text = "".join(traceback.format_exception(type(error), error, _own(error)))
        if isinstance(error, Failed):
            text = "".join((*traceback.format_list(_of_function(error.__cause__)), str(error)))
        elif isinstance(error, (NotFound, BadReturn)):
            text = str(error)
        elif isinstance(error, RError):  # what led there in Python says nothing
            text = "\n".join(filter(None, (f"Error: {error}", error.calls and f"Calls:\n{error.calls}")))
            told.update(kind="test", message=str(error).splitlines()[0] if str(error) else "an error in R", frames=[])
        return {**told, "text": shorten(text, failures.TEXT_LIMIT)}


def _packages(paths: list[str]) -> list[str]:
    """Return the folders of packages of Python that paths name. Raises SuiteFault."""
    packages = [path[1:] for path in paths if path.startswith("+")]
    requirements = [path[1:] for path in paths if path.startswith("=")]
    if requirements:
        from testd.invocation.packages import installed

        packages.append(installed(requirements))
    return packages


def _libraries(paths: list[str]) -> list[str]:
    """Return the libraries of R that paths name. Raises SuiteFault."""
    libraries = [path[1:] for path in paths if path.startswith("&")]
    wanted = [path[1:] for path in paths if path.startswith("?")]
    if wanted:
        from testd.invocation.r_packages import installed

        libraries += filter(None, [installed(wanted)])
    return libraries


@contextlib.contextmanager
def _folder(given: str) -> Iterator[None]:
    """Be in a folder of the invocation's own: what it leaves there is of no use to others, and goes."""
    import shutil

    if given:
        os.makedirs(given)
    folder = given or tempfile.mkdtemp(prefix="testd-function-")
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir("/")
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    os.environ.update(variables)
    yield


def _own(error: BaseException) -> Any:
    """Return an exception's traceback without the frames above the function."""
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename == __file__:
        tb = tb.tb_next
    return tb or error.__traceback__


def _of_function(end: BaseException | None) -> list[Any]:
    """Return the frames of user code in which it ended itself; those of its API are testd's."""
    import traceback

    frames = traceback.extract_tb(_own(end)) if end is not None else []
    return [frame for frame in frames if os.path.dirname(frame.filename) != os.path.dirname(__file__)]


def _line(found: Found) -> int:
    code = getattr(found.function, "__code__", None)
    return int(code.co_firstlineno) if code is not None else 0


def _used() -> float:
    """Return the seconds of processor time of this process and of its children."""
    own, children = _getrusage(resource.RUSAGE_SELF), _getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _leave_fork() -> None:
    """End a process that a function forked and let return: it is not the worker, and has nothing to report."""
    os._exit(0)
