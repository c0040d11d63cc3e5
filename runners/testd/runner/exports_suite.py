"""The suite of exported tests: every public function that a test file defines is a test.

Runs in stems and workers; standard library only. The interface is the one of every suite (docs/architecture.md), what
users may rely on is in docs/exports.md.
"""

from __future__ import annotations

import os
import sys

from testd.context import Context, Skip, state
from testd.runner import failures
from testd.runner.capture import Capture, flush, shorten
from testd.runner.exports import calls, files, modules
from testd.runner.leaks import Leaks
from testd.runner.settings import Collection, SuiteFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType
    from typing import Any

    from testd.runner.settings import Settings, WorkerSettings

    Report = Callable[[str, float, "dict[str, Any] | None"], None]

__all__ = ["ExportsSuite"]

_getpid = os.getpid  # a reference: tests replace the attribute


class _Test:
    """One collected test."""

    __slots__ = ("call", "file", "id", "line", "module", "name")

    def __init__(self, id: str, file: str, name: str, line: int, call: calls.Call, module: str) -> None:  # noqa: A002
        self.id = id
        self.file = file
        self.name = name
        self.line = line
        self.call = call
        self.module = module


class ExportsSuite:
    """Collects exported functions in the stem, and runs them one by one in a worker."""

    kind = "exports"
    framework = "testd exports"

    def __init__(self, settings: Settings) -> None:
        """Keep the settings; nothing of the user's is touched yet."""
        self._settings = settings
        self._root = os.path.abspath(settings.root)
        self.items: list[tuple[str, int]] = []
        self.errors: list[tuple[str, str, dict[str, Any]]] = []
        self._tests: list[_Test] = []
        self._collected: dict[str, set[str]] = {}  # file → every test in it
        self._capture: Capture | None = None
        self._leaks = Leaks()
        self._updating = False
        self._stopping: Callable[[], bool] = lambda: False
        self._pid = 0

    def start(self) -> None:
        """Load what every failure needs, once, below all that is forked."""
        import linecache  # noqa: F401
        import traceback  # noqa: F401

    def configure(self, pause: Callable[[], None]) -> None:
        """Make a project importable that is not installed: its root and `src` come last on `sys.path`.

        It has no plugins, and no moment to `pause`.
        """
        for folder in (self._root, os.path.join(self._root, "src")):
            if folder not in sys.path and os.path.isdir(folder):
                sys.path.append(folder)

    def sought(self) -> list[str]:
        """Return the files that `configure` would have read if they were there: none."""
        return []

    def collect(self, paths: list[str]) -> Collection:
        """Import the test files that `paths` mean and list their tests.

        Raises:
            SuiteFault: a path or a test that was named does not exist.

        """
        self._tests, self.errors = [], []
        notices = []
        for request in files.find(paths, self._settings.cwd or self._root):
            file_id = files.test_id(request.file, self._root)
            try:
                module = modules.load(request.file, self._root)
            except KeyboardInterrupt:
                raise
            except BaseException as exc:  # whatever the file raises is the outcome of the file
                self.errors.append((file_id, *self._collect_error(exc, request.file)))
                continue
            self._tests += _chosen(request, self._tests_of(module, request.file, file_id), file_id)
            classes = modules.test_classes(module)
            if classes:
                notices.append(f"{file_id}: {', '.join(classes)} not run: exported tests are functions; "
                               'for classes of tests set kind = "pytest"')
        if any(test.call.is_coroutine for test in self._tests):
            import asyncio  # noqa: F401 (in the stem, so that no worker pays for it)
        self.items = [(test.id, test.line) for test in self._tests]
        return Collection(self.items, self.errors, notices=notices, patterns=["test_*.py", "*_test.py"])

    def prepare(self) -> Iterator[None]:
        """Do what can wait until nothing else is asked for: here there is nothing."""
        return iter(())

    def select(self, keyword: str) -> list[int]:
        """Return the indexes of the tests that an expression selects.

        Raises:
            SuiteFault: it is no expression.

        """
        from testd.runner.exports import keywords

        matches = keywords.matcher(keyword)
        return [
            index
            for index, test in enumerate(self._tests)
            if matches([*test.id.rpartition("::")[0].split("/"), test.name])
        ]

    def open(self, worker: WorkerSettings) -> None:
        """Get a worker ready: output is captured, or goes out line by line where it is to be seen live."""
        state.update_snapshots = worker.update_snapshots or None
        self._updating = worker.update_snapshots
        self._stopping = worker.stopping
        if worker.stream:
            for stream in (sys.stdout, sys.stderr):
                stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        else:
            self._capture = Capture(self._settings.capture_limit)
            self._capture.start()
        self._leaks.start()
        self._pid = os.getpid()

    def within(self, body: Callable[[], None]) -> None:
        """Run the loop over the tests; nothing is wrapped around it here."""
        body()

    def run(self, index: int, following: int | None, report: Report) -> None:
        """Run one test and report its outcome. `following` is of no use here: nothing outlives a test."""
        test = self._tests[index]
        if test.call.problem:
            report("error", 0.0, self._unfit(test))
            return
        context = Context(test.id, test.name, test.file)
        left: list[str] = []
        state.test = context
        self._leaks.before_call()
        try:
            duration, exc = test.call.run(context, left)
        except KeyboardInterrupt as interrupt:
            if self._stopping():
                context.close()
                raise
            duration, exc = 0.0, interrupt  # the test's own: it ends this test alone
        finally:
            state.test = None
            if _getpid() != self._pid:
                _leave_fork()
            self._leaks.after_call()
        ending = _close(context)
        if self._updating and exc is None and ending is None:
            self._snapshots().drop_unused(context)
        left += self._leaks.check()
        out, err = self._capture.take() if self._capture is not None else _flush()
        exc = exc if exc is not None else ending
        if exc is None and not left:
            report("passed", duration, None)
            return
        report(*self._outcome(test, context, exc, left, out, err, duration))

    def close(self) -> None:
        """End the worker's session: remove snapshots of tests that no longer exist, restore the descriptors."""
        if self._updating:
            for file, names in self._collected.items():
                self._snapshots().prune(file, names)
        if self._capture is not None:
            self._capture.stop()
            self._capture = None

    @staticmethod
    def _snapshots() -> Any:
        from testd.assertions import snapshots  # few runs need it

        return snapshots

    def _tests_of(self, module: ModuleType, file: str, file_id: str) -> list[_Test]:
        tests = []
        for name, function in modules.exported(module):
            line = modules.line_of(function, file)
            tests.append(_Test(f"{file_id}::{name}", file, name, line, calls.prepare(function), module.__name__))
        self._collected[file] = {test.name for test in tests}
        return tests

    def _collect_error(self, exc: BaseException, file: str) -> tuple[str, dict[str, Any]]:
        reason = skip_reason(exc)
        if reason is not None:
            return "skipped", failures.detail(phase="collect", message=reason)
        return "error", failures.describe(exc, root=self._root, test_file=file, phase="collect")

    def _unfit(self, test: _Test) -> dict[str, Any]:
        path = files.test_id(test.file, self._root)
        return failures.detail(
            phase="setup", kind="usage", message=test.call.problem, text=f"{path}:{test.line}: {test.call.problem}",
            frames=[failures.frame_at(test.file, test.line, test.name, None, self._root)],
        )

    def _outcome(
        self, test: _Test, context: Context, exc: BaseException | None, left: list[str], out: str, err: str,
        duration: float,
    ) -> tuple[str, float, dict[str, Any]]:
        """Return verdict, duration and detail of a test that raised something or left something behind."""
        reason = skip_reason(exc) if exc is not None else None
        if exc is None or reason is not None:
            verdict = "passed" if exc is None else "skipped"
            return verdict, duration, failures.detail(phase="call", message=reason or "", leaks=left)
        made = failures.describe(exc, root=self._root, test_file=test.file)
        if isinstance(exc, calls.NotATest):
            made.update(kind="usage", message=str(exc), text=str(exc))
        elif isinstance(exc, AssertionError):
            _explain(made, exc)
        made["sections"] = self._sections(out, err, context)
        made["leaks"] = left
        return ("error" if isinstance(exc, calls.NotATest) else "failed"), duration, made

    def _sections(self, out: str, err: str, context: Context) -> list[dict[str, str]]:
        logged = shorten(context.logged, self._settings.capture_limit)
        named = (("Captured stdout call", out), ("Captured stderr call", err), ("Logged call", logged))
        return [{"name": name, "text": text} for name, text in named if text]


def skip_reason(exc: BaseException) -> str | None:
    """Return why a test does not apply, if that is what it raised: `testd.Skip`, unittest's, or pytest's."""
    kinds: list[Any] = [Skip]
    for module, name in (("unittest.case", "SkipTest"), ("_pytest.outcomes", "Skipped")):
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None:
            kinds.append(kind)
    return str(exc) if isinstance(exc, tuple(kinds)) else None


def _chosen(request: files.Request, tests: list[_Test], file_id: str) -> list[_Test]:
    """Return those of a file's tests that were asked for."""
    if request.whole:
        return tests
    chosen = []
    for name in request.names:
        found = [test for test in tests if test.name == name]
        if not found:
            raise SuiteFault("usage", f"{file_id} has no test {name!r}", _suggestion(name, tests))
        chosen += found
    for line in request.lines:
        before = [test for test in tests if 0 < test.line <= line]
        if not before:
            raise SuiteFault("usage", f"{file_id} has no test at line {line}", "give a line inside a test function")
        chosen.append(max(before, key=lambda test: test.line))
    return list(dict.fromkeys(chosen))


def _suggestion(name: str, tests: list[_Test]) -> str:
    import difflib

    near = difflib.get_close_matches(name, [test.name for test in tests], 3)
    if near:
        return "did you mean {}?".format(" or ".join(near))
    return "tests are the public functions that the file itself defines"


def _close(context: Context) -> BaseException | None:
    """End a test's context; return what went wrong in it."""
    try:
        for what in context.unawaited.values():
            raise AssertionError(f"{what} was never awaited, so it asserted nothing: write `await throws(...)`")
        return None
    except AssertionError as exc:
        return exc
    finally:
        context.close()


def _leave_fork() -> None:
    """End a process that a test forked and let return: it is not the worker, and has nothing to report."""
    _flush()
    os._exit(0)


def _flush() -> tuple[str, str]:
    """Send what live output is still in a buffer, while it still belongs to its test. Nothing was captured."""
    for stream in (sys.stdout, sys.stderr):
        flush(stream)
    return "", ""


def _explain(made: dict[str, Any], exc: AssertionError) -> None:
    """Add to a failed plain `assert` what its values were."""
    from testd.runner.exports.explain import explain

    tb = exc.__traceback__
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    explanation = explain(exc, tb.tb_frame, tb.tb_lineno) if tb is not None else None
    if explanation is None:
        return
    if not exc.args:
        values = "; ".join(line for line in explanation.lines[:3] if " = " in line)
        made["message"] = shorten(
            explanation.statement + (f" where {values}" if values else ""), failures.MESSAGE_LIMIT
        ).replace("\n", " ")
    shown = "\n".join("  " + line if line else "" for line in explanation.lines)
    if shown:
        made["text"] = shorten(f"{made['text']}\n\n{explanation.statement}\n{shown}", failures.TEXT_LIMIT)
