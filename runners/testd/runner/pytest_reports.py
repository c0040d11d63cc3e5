"""From pytest's reports to one outcome per test. Runs in stems (collection) and workers (tests)."""

import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from testd.runner.capture import shorten
from testd.runner.failures import classify, detail, frames_of, summarize
from testd.runner.leaks import Leaks
from testd.runner.settings import Settings

__all__ = ["Report", "Reports", "exit_report"]

#: Called once per test: verdict, duration in seconds, detail or None.
Report = Callable[[str, float, Optional[Dict[str, Any]]], None]

#: Taken before user code can replace it.
_clock = time.perf_counter

#: The worst verdict of a test's reports is the test's. What a plugin names otherwise (a rerun) does not count.
_WORST_FIRST = ("failed", "error", "xpassed", "xfailed", "skipped", "passed")
_TEXT_LIMIT = 256 * 1024


class Reports:
    """Hears pytest's hooks and keeps what one test, or the collection, said."""

    def __init__(self, settings: Settings) -> None:
        """Hear nothing yet."""
        self._settings = settings
        self._leaks = Leaks()
        self._item: Any = None
        self._began = 0.0
        self._reports: List[Any] = []
        self._raised: Dict[str, BaseException] = {}  # phase → exception
        self._errors: List[BaseException] = []
        self.collect_errors: List[Tuple[str, str, Dict[str, Any]]] = []
        self.deselected = 0

    # ── collection ───────────────────────────────────────────────────────────────────────────────────────────────────

    def pytest_deselected(self, items: Any) -> None:
        """Count what the project's own options leave out."""
        self.deselected += len(items)

    def pytest_collectreport(self, report: Any) -> None:
        """Keep what could not be collected, or asked to be skipped."""
        raised = self._raised.pop("collect", None)
        if report.failed:
            self.collect_errors.append((report.nodeid or ".", "error", self._collect_detail(report, raised)))
        elif report.skipped:
            found = detail(phase="collect", message=_skip_reason(report))
            self.collect_errors.append((report.nodeid or ".", "skipped", found))

    def _collect_detail(self, report: Any, raised: "Optional[BaseException]") -> "Dict[str, Any]":
        text = shorten(str(report.longrepr), _TEXT_LIMIT)
        lines = [line for line in text.splitlines() if line.strip()]
        message, kind, frames = lines[-1] if lines else "collection failed", "import", []
        if raised is not None:
            cause = raised.__cause__ or raised
            frames = frames_of(cause, self._settings.root)
            kind = classify(cause, frames, self._settings.root, report.nodeid)
            message = summarize(cause)
        return detail(phase="collect", kind=kind, message=message, text=text, frames=frames)

    # ── tests ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Begin a worker."""
        self._leaks.start()

    def begin(self, item: Any) -> None:
        """Begin a test."""
        self._item = item
        self._reports = []
        self._raised = {}
        self._errors = []
        self._began = _clock()

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Keep a phase's report. The test's body runs between two: what fixtures leave for a wider scope is no leak."""
        self._reports.append(report)
        if report.when == "setup":
            self._leaks.before_call()
        elif report.when == "call":
            self._leaks.after_call()

    def pytest_exception_interact(self, node: Any, call: Any, report: Any) -> None:
        """Keep the exception behind a report: the report itself has just its text."""
        self._raised[getattr(report, "when", None) or "collect"] = call.excinfo.value

    def add_error(self, item: Any, error: BaseException) -> None:
        """Count an exception that would have ended pytest's session as this test's."""
        self._errors.append(error)

    def finish(self, report: Report) -> None:
        """Report the test that began last."""
        duration = _clock() - self._began
        leaks = self._leaks.check()
        reports = self._reports
        plain = not self._errors and all(one.outcome == "passed" and not hasattr(one, "wasxfail") for one in reports)
        if plain and reports and not leaks:
            report("passed", duration, None)
            return
        verdict, worst = self._worst()
        found = self._detail(verdict, worst)
        found["leaks"] = leaks
        report(verdict, duration, found)

    def _worst(self) -> "Tuple[str, Any]":
        found: Tuple[str, Any] = ("passed", None)
        if self._errors:
            return "error", None
        if not self._reports:
            return "error", None
        for one in self._reports:
            verdict = self._verdict(one)
            if verdict in _WORST_FIRST and _WORST_FIRST.index(verdict) < _WORST_FIRST.index(found[0]):
                found = (verdict, one)
        return found

    def _verdict(self, report: Any) -> str:
        """Ask pytest, with its plugins, what a report counts as."""
        config = self._item.config
        status = config.hook.pytest_report_teststatus(report=report, config=config)
        category = status[0] if status else report.outcome  # without the terminal plugin nobody has an answer
        if category in _WORST_FIRST:
            return str(category)
        return "failed" if report.failed and category else "passed"

    def _detail(self, verdict: str, worst: Any) -> "Dict[str, Any]":
        if self._errors:
            return self._raised_detail(self._errors)
        if worst is None:
            if verdict == "passed":
                return detail()
            return detail(kind="crash", message="pytest made no report of this test: a plugin took it over")
        if verdict in ("failed", "error"):
            return self._failure(worst)
        reason = worst.wasxfail if hasattr(worst, "wasxfail") else _skip_reason(worst)
        return detail(phase=worst.when, message=str(reason).replace("reason: ", "", 1))

    def _failure(self, worst: Any) -> "Dict[str, Any]":
        failed = [one for one in self._reports if one.failed]
        texts = [_text(one) for one in failed]
        raised = self._raised.get(worst.when)
        root = self._settings.root
        message, kind, frames = _crash_line(worst), "assertion", []
        if raised is not None:
            frames = frames_of(raised, root)
            kind = classify(raised, frames, root, str(getattr(self._item, "path", "")))
            message = summarize(raised)
        limit = self._settings.capture_limit
        return detail(
            phase=worst.when,
            kind=kind,
            message=message,
            text=shorten("\n\n".join(texts), _TEXT_LIMIT),
            frames=frames,
            sections=[{"name": name, "text": shorten(text, 2 * limit)} for name, text in failed[-1].sections],
        )

    def _raised_detail(self, errors: "List[BaseException]") -> "Dict[str, Any]":
        import pytest

        first = errors[0]
        root = self._settings.root
        frames = frames_of(first, root)
        found: Any = (type(first), first, first.__traceback__)
        raised = pytest.ExceptionInfo.from_exc_info(found)
        return detail(
            phase="call",
            kind=classify(first, frames, root, str(getattr(self._item, "path", ""))),
            message=f"the test ended pytest's session: {summarize(first)}",
            text=shorten(str(self._item.repr_failure(raised)), _TEXT_LIMIT),
            frames=frames,
        )


def exit_report(collector: Any, error: SystemExit) -> Any:
    """Return the report of a collector whose own code ended the process, as pytest makes it of other exceptions."""
    from _pytest.reports import CollectErrorRepr, CollectReport
    from _pytest.runner import CallInfo

    def again() -> None:
        raise error

    call: Any = CallInfo.from_call(again, "collect")
    longrepr = collector.repr_failure(call.excinfo)
    if not hasattr(longrepr, "toterminal"):
        longrepr = CollectErrorRepr(longrepr)
    report: Any = CollectReport(collector.nodeid, "failed", longrepr, [])
    report.call = call  # pytest hands it to pytest_exception_interact
    return report


def _text(report: Any) -> str:
    """Return a report's failure as pytest would print it, its indentation kept."""
    from io import StringIO

    from _pytest._io import TerminalWriter

    file = StringIO()
    writer = TerminalWriter(file)
    writer.hasmarkup = False
    report.toterminal(writer)
    return file.getvalue().strip("\n")


def _skip_reason(report: Any) -> str:
    longrepr = report.longrepr
    if isinstance(longrepr, tuple) and len(longrepr) == 3:
        return str(longrepr[2]).replace("Skipped: ", "", 1)
    return str(longrepr)


def _crash_line(report: Any) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    lines = str(crash.message if crash is not None else report.longrepr).strip().splitlines()
    return lines[0] if lines else "failed"
