"""The suite of cases: each case of a `*.suite.json` file, and each item of a run file, is a test.

Runs in stems and workers; standard library only. The interface is the one of every suite (docs/architecture.md), what
users may rely on is in docs/functions.md.
"""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from time import perf_counter  # a reference: functions under test may replace the attribute of `time`

from testd.functions import coded, documents, judging, resolving, telling
from testd.functions.operators import AssertionMistake
from testd.functions.resolving import CannotRun
from testd.runner import failures
from testd.runner.capture import Capture, flush, shorten
from testd.runner.exports import files
from testd.runner.leaks import Leaks
from testd.runner.settings import Collection
from testd.tracing.configured import configured

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Union

    from testd.functions.running import Ran
    from testd.runner.settings import Settings, WorkerSettings
    from testd.tracing.modules import TracedModules

    Report = Callable[[str, float, "dict[str, Any] | None"], None]
    Map = dict[str, Any]
    _Done = Union[tuple[str, Map], "_Unjudged"]  # verdict and detail, or what has to be answered first

__all__ = ["CasesSuite"]

_getpid = os.getpid  # a reference: functions under test may replace the attribute

#: Bytes of a document above which it is not sent: a frame of the protocol has to hold it.
DOCUMENT_LIMIT = 8 * 1024 * 1024
_NOTHING: Map = {"assertions": [], "children": [], "failure_reasons": []}


class _Test:
    """One case or item."""

    __slots__ = ("file", "head", "id", "is_item", "part")

    def __init__(self, id: str, file: str, document: documents.Document, part: documents.Part) -> None:  # noqa: A002
        self.id = id
        self.file = file
        self.head = document.head
        self.is_item = document.kind == "run file"
        self.part = part


class _Unjudged:
    """A case that has run, of which assertions ask something: with the answers it is judged again."""

    __slots__ = ("again", "asked")

    def __init__(self, asked: coded.Asked, again: Callable[[], _Done]) -> None:
        self.asked = asked
        self.again = again


class CasesSuite:
    """Reads documents in the stem, imports what they name, and carries one case after the other out in a worker."""

    kind = "cases"
    framework = "testd cases"

    def __init__(self, settings: Settings) -> None:
        """Keep the settings; nothing of the user's is touched yet."""
        self._settings = settings
        self._root = os.path.abspath(settings.root)
        self._actions: dict[str, str] = json.loads(settings.settings.get("actions", "{}"))
        self._selection, self._usual = configured(json.loads(settings.settings.get("trace", "{}")))
        self._traced: TracedModules | None = None
        self.items: list[tuple[str, int]] = []
        self.errors: list[tuple[str, str, Map]] = []
        self._tests: list[_Test] = []
        self._capture: Capture | None = None
        self._leaks = Leaks()
        self._documents = False
        self._ask: Callable[[str, Callable[[str], None]], None] | None = None
        self._pid = 0
        self._stopping: Callable[[], bool] = lambda: False

    def start(self) -> None:
        """Load what every case needs, once, below all that is forked."""
        import linecache  # noqa: F401
        import traceback  # noqa: F401

        import testd.functions.running
        import testd.tracing  # noqa: F401

    def configure(self, pause: Callable[[], None]) -> None:
        """Make a project importable that is not installed: its root and `src` come last on `sys.path`.

        From here on what is configured is traced. It has no plugins, and no moment to `pause`.
        """
        for folder in (self._root, os.path.join(self._root, "src")):
            if folder not in sys.path and os.path.isdir(folder):
                sys.path.append(folder)
        if self._selection:
            from testd.tracing.modules import trace_modules

            self._traced = trace_modules(self._selection)

    def sought(self) -> list[str]:
        """Return the files that `configure` would have read if they were there: none."""
        return []

    def collect(self, paths: list[str]) -> Collection:
        """Read the documents that `paths` mean, list what they hold, and import the modules that they name.

        Raises:
            SuiteFault: a path does not exist.

        """
        self._tests, self.errors = [], []
        problems = self._traced.load() if self._traced is not None else []
        if problems:
            self.errors.append(self._broken(self._settings.settings.get("trace_source", ""), "\n".join(problems)))
        for request in files.find(paths, self._settings.cwd or self._root, _is_suite):
            file_id = files.test_id(request.file, self._root)
            try:
                document = documents.read(request.file)
            except documents.DocumentError as error:
                self.errors.append(self._broken(file_id, str(error)))
                continue
            parts = [part for part in document.parts if documents.language(part.value) == "python"]
            self._tests += [_Test(f"{file_id}::{part.name}", request.file, document, part) for part in parts]
        self._import_modules()
        self.items = [(test.id, test.part.line) for test in self._tests]
        return Collection(self.items, self.errors, patterns=["*" + documents.SUFFIX])

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
        names = [[*test.id.partition("::")[0].split("/"), test.id.partition("::")[2]] for test in self._tests]
        return [index for index, found in enumerate(names) if matches(found)]

    def named(self) -> dict[str, set[str]]:
        """Return for each document the modules that it names, but for those of which only a run could tell them."""
        from testd.functions import naming

        found: dict[str, set[str]] = {}
        unknown: set[str] = set()
        for test in self._tests:
            names = naming.modules([test.part.value, test.head], self._actions)
            if names is None:
                unknown.add(test.file)
            found.setdefault(test.file, set()).update(names or ())
        return {file: names for file, names in found.items() if file not in unknown}

    def filtered(self, tests: list[int], filters: dict[str, str]) -> list[int]:
        """Return those of the tests that match all filters: `id` is exact, the others are parts of what they are of.

        `id` and `name` may be a case's or its suite's.
        """
        return [index for index in tests if all(self._matches(self._tests[index], *each) for each in filters.items())]

    def open(self, worker: WorkerSettings) -> None:
        """Get a worker ready: output is captured, or goes out line by line where it is to be seen live."""
        self._stopping = worker.stopping
        self._documents = worker.documents
        self._ask = worker.ask
        if worker.stream:
            for stream in (sys.stdout, sys.stderr):
                stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        else:
            self._capture = Capture(self._settings.capture_limit)
            self._capture.start()
        self._leaks.start()
        self._pid = _getpid()

    def within(self, body: Callable[[], None]) -> None:
        """Run the loop over the tests, ready to record from the first to the last."""
        from testd.tracing import armed

        with armed():
            body()

    def run(self, index: int, following: int | None, report: Report) -> None:
        """Carry one case or item out and report its outcome. `following` is of no use here: nothing outlives a case."""
        test = self._tests[index]
        self._leaks.before_call()
        start = perf_counter()
        try:
            done = self._guarded(test, partial(self._item if test.is_item else self._case, test))
        finally:
            if _getpid() != self._pid:
                _leave_fork()
        duration = perf_counter() - start
        self._leaks.after_call()
        out, err = self._capture.take() if self._capture is not None else _flush()
        left = self._leaks.check()
        self._settle(test, done, partial(_tell, report, duration, (out, err), left))

    def _guarded(self, test: _Test, step: Callable[[], _Done]) -> _Done:
        try:
            return step()
        except RecursionError:  # what a function itself raises is in its record
            return self._unfit(test, ["what is written here, or what came, is nested too deeply"])

    def _settle(self, test: _Test, done: _Done, tell: Callable[[str, Map], None]) -> None:
        """Tell what came of a test, once all that its assertions ask is answered: others may run meanwhile."""
        if isinstance(done, tuple):
            tell(*done)
            return
        assert self._ask is not None
        questions, done.asked.new = list(dict.fromkeys(done.asked.new)), []
        left = len(questions)

        def answered(question: str, document: str) -> None:
            nonlocal left
            done.asked.answer(question, document)
            left -= 1
            if not left:
                self._settle(test, self._guarded(test, done.again), tell)

        for question in questions:
            self._ask(question, partial(answered, question))

    def close(self) -> None:
        """End the worker's session: restore the descriptors."""
        if self._capture is not None:
            self._capture.stop()
            self._capture = None

    # ── one test ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _case(self, test: _Test) -> _Done:
        """Run a case."""
        from testd.functions import running

        case = test.part.value
        wrong = [*test.part.problems] or list(judging.mistakes(case))
        if wrong:
            return self._unfit(test, wrong)
        mocks = {**(test.head.get("mocks") or {}), **(case.get("mocks") or {})}
        ran = running.run(case, mocks, running.EXACT)
        self._heed(ran)
        return self._judged(test, ran, coded.Asked(self._ask is not None))

    def _judged(self, test: _Test, ran: Ran, asked: coded.Asked) -> _Done:
        """Return verdict and detail of a case that has run, or what has to be answered first."""
        case, judged = test.part.value, _NOTHING
        if ran.executed is not None and not ran.error:
            try:
                judged = judging.Judge(_names(ran.exception), asked).root(case, ran.executed)
            except AssertionMistake as error:
                ran.error = str(error)
            if asked.new and not ran.error:
                return _Unjudged(asked, partial(self._judged, test, ran, asked))
        detail = self._document(telling.case_result(case, ran, judged)) if self._documents else {}
        if ran.unused:
            detail["leaks"] = [f"the mock of {mock}, which was never used" for mock in ran.unused]
        if ran.error:
            return "error", {**self._why(test, ran), **detail}
        if judged["failure_reasons"]:
            return "failed", {**self._differs(test, judged, ran), **detail}
        return "passed", detail

    def _item(self, test: _Test) -> tuple[str, Map]:
        """Return verdict and detail of an item of a run file."""
        from testd.functions import actions, running

        item = test.part.value
        if test.part.problems:
            return self._unfit(test, test.part.problems)
        try:
            actions.act(item, self._actions)
        except CannotRun as error:
            ran = running.Ran([], str(error), error.cause, [])
        else:
            ran = running.run(item, (item.get("context") or {}).get("mocks") or {}, self._usual)
        self._heed(ran)
        detail = self._document(telling.item_result(ran)) if self._documents else {}
        if ran.error:
            return "error", {**self._why(test, ran), **detail}
        if ran.exception is not None:
            return "failed", {**failures.describe(ran.exception, root=self._root, test_file=test.file), **detail}
        return "passed", detail

    def _heed(self, ran: Ran) -> None:
        """Let an interrupt that was meant for the worker go on."""
        if isinstance(ran.exception, KeyboardInterrupt) and self._stopping():
            raise ran.exception

    def _document(self, value: Map) -> Map:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
        if len(text) > DOCUMENT_LIMIT:
            text = json.dumps({"error": f"What was recorded is {len(text):,} bytes; the most is {DOCUMENT_LIMIT:,}"})
        return {"document": text}

    # ── what a person is told ────────────────────────────────────────────────────────────────────────────────────────

    def _unfit(self, test: _Test, wrong: list[str]) -> tuple[str, Map]:
        """Return the outcome of what is not written as it should be."""
        text = "\n".join(wrong)
        detail = self._document({"error": text}) if self._documents else {}
        place = f"{files.test_id(test.file, self._root)}:{test.part.line}: "
        told = {"kind": "usage", "message": place + wrong[0], "text": "\n".join(place + line for line in wrong)}
        return "error", {**detail, **told, "frames": [self._frame(test)]}

    def _why(self, test: _Test, ran: Ran) -> Map:
        """Return what is told of a case that could not be run."""
        if ran.exception is None:
            frames = [self._frame(test)]
            return {"kind": "usage", "message": ran.error.splitlines()[0], "text": ran.error, "frames": frames}
        told = failures.describe(ran.exception, root=self._root, test_file=test.file)
        return {**told, "message": ran.error.splitlines()[0], "text": f"{ran.error}\n\n{told['text']}"}

    def _differs(self, test: _Test, judged: Map, ran: Ran) -> Map:
        """Return what is told of a case of which something does not hold."""
        told: Map = {"kind": "assertion", "frames": [self._frame(test)]}
        text = telling.report(judged)
        if ran.exception is not None:
            raised = failures.describe(ran.exception, root=self._root, test_file=test.file)
            told = {"kind": raised["kind"], "frames": raised["frames"]}
            text += f"\n\n{raised['text']}"
        message = shorten(telling.summary(judged), failures.MESSAGE_LIMIT).replace("\n", " ")
        return {**told, "message": message, "text": shorten(text, failures.TEXT_LIMIT)}

    def _frame(self, test: _Test) -> Map:
        return failures.frame_at(test.file, test.part.line, test.part.name, None, self._root)

    def _matches(self, test: _Test, name: str, wanted: str) -> bool:
        part = test.part.value if isinstance(test.part.value, dict) else {}
        meta = resolving.where(part).get("function_meta") or {}
        if name == "id":
            return wanted in (part.get("id"), part.get("execution_id"), test.head.get("id"))
        of = {
            "name": (part.get("name"), test.head.get("name")),
            "module": (meta.get("module_name"),),
            "function": (meta.get("function_name"),),
            "file": (meta.get("file_name"), files.test_id(test.file, self._root)),
        }
        return any(isinstance(text, str) and wanted in text for text in of[name])

    @staticmethod
    def _broken(file_id: str, problem: str) -> tuple[str, str, Map]:
        text = f"{file_id}: {problem}"
        return file_id, "error", failures.detail(phase="collect", kind="usage", message=text, text=text)

    def _import_modules(self) -> None:
        """Import the modules that are named, so that workers find them loaded. What fails is told by the cases."""
        seen = set()
        for test in self._tests:
            meta = {} if test.part.problems else resolving.where(test.part.value).get("function_meta") or {}
            name = meta.get("module_name"), meta.get("file_name")
            if meta and name not in seen:
                seen.add(name)
                try:
                    resolving.module(meta)
                except CannotRun:
                    continue


def _is_suite(name: str) -> bool:
    return name.endswith(documents.SUFFIX)


def _names(exception: BaseException | None) -> list[str]:
    """Return the names of an exception's type and of what it is derived from."""
    kinds = type(exception).__mro__ if exception is not None else ()
    return [kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
            for kind in kinds]  # fmt: skip


def _tell(
    report: Report, duration: float, printed: tuple[str, str], leaks: list[str], verdict: str, detail: Map
) -> None:
    """Report an outcome with what was printed and what was left behind."""
    if verdict == "passed" and not (leaks or detail):
        report(verdict, duration, None)
        return
    made = failures.detail(**{"phase": "call", **detail})
    made["leaks"] = [*made["leaks"], *leaks]
    if verdict != "passed":
        named = zip(("Captured stdout call", "Captured stderr call"), printed)
        made["sections"] = [{"name": name, "text": text} for name, text in named if text]
    report(verdict, duration, made)


def _leave_fork() -> None:
    """End a process that a function forked and let return: it is not the worker, and has nothing to report."""
    _flush()
    os._exit(0)


def _flush() -> tuple[str, str]:
    """Send what live output is still in a buffer, while it still belongs to its test. Nothing was captured."""
    for stream in (sys.stdout, sys.stderr):
        flush(stream)
    return "", ""
