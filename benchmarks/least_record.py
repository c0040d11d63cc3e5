"""A pytest plugin (`-p least_record`): the floor of a record of which functions each test runs, measured.

Processes that are forked after the collection run all tests, in turns with the least that such a record consists of
and without it: the first start of each of the project's own functions in a test, by `sys.monitoring`, and an audit hook
that would hear of files and does nothing. Nothing else is known then: not what tests share, or what outlives one of
them, and nobody is told. The medians of the test loops are printed.

Runs in the environment of a suite, on Python 3.12 and later; standard library and pytest only. `LEAST_RECORD_ROUNDS` is
how often.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import time
from types import CodeType
from typing import Any

import pytest

__all__ = ["pytest_configure", "pytest_runtestloop", "pytest_terminal_summary"]

_FINDER, _COUNTER = 4, 5
_identity = object.__hash__
_medians = pytest.StashKey[tuple[float, float]]()


class _Record:
    """Hears the first start of each own function in a test."""

    def __init__(self, root: str) -> None:
        """Find the functions that start; count none."""
        self._root = root.rstrip("/") + "/"
        self._monitoring: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]  # the project checks 3.10
        self._codes: dict[int, CodeType] = {}
        self._ran: list[CodeType] = []
        self._counting = False
        self.tests: list[set[int]] = []
        events = self._monitoring.events
        for tool, callback in ((_FINDER, self._found), (_COUNTER, self._started)):
            self._monitoring.use_tool_id(tool, "least record")
            self._monitoring.register_callback(tool, events.PY_START, callback)
        self._monitoring.set_events(_FINDER, events.PY_START)

    def _found(self, code: CodeType, _offset: int) -> Any:
        own = code.co_filename.startswith(self._root) and "/site-packages/" not in code.co_filename
        if own and _identity(code) not in self._codes:
            self._codes[_identity(code)] = code
            if self._counting:
                self._listen(code)
                self._ran.append(code)
        return self._monitoring.DISABLE

    def _started(self, code: CodeType, _offset: int) -> Any:
        self._ran.append(code)
        return self._monitoring.DISABLE

    def _listen(self, code: CodeType) -> None:
        self._monitoring.set_local_events(_COUNTER, code, 0)
        self._monitoring.set_local_events(_COUNTER, code, self._monitoring.events.PY_START)

    def settle(self) -> None:
        """Count from now on."""
        self._counting = True
        for code in self._codes.values():
            self._listen(code)
        sys.addaudithook(_hear)

    def stop(self) -> None:
        """Find nothing any more."""
        self._monitoring.set_events(_FINDER, 0)

    def end(self) -> None:
        """A test has ended: listen again to all that it ran."""
        self.tests.append(set(map(_identity, self._ran)))
        for code in self._ran:
            self._listen(code)
        self._ran.clear()


def _hear(event: str, _arguments: Any) -> None:
    if event == "open":
        pass


_record: list[_Record] = []


def pytest_configure(config: pytest.Config) -> None:
    """Find functions from the first module on."""
    _record.append(_Record(str(config.rootpath)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    """Run the tests in forked processes, with and without, and time it."""
    took: dict[bool, list[float]] = {True: [], False: []}
    for number in range(2 * int(os.environ["LEAST_RECORD_ROUNDS"]) + 2):
        recorded = bool(number % 2)
        started = time.perf_counter()
        child = os.fork() or _work(session.items, recorded=recorded)
        _, status = os.waitpid(child, 0)
        if status:
            raise RuntimeError(f"a process of the tests ended with {status}")
        if number > 1:  # the first of each warms up
            took[recorded].append(time.perf_counter() - started)
    session.config.stash[_medians] = statistics.median(took[True]), statistics.median(took[False])
    return True


def _work(items: list[pytest.Item], *, recorded: bool) -> int:
    """Run all tests, and end."""
    status = 1
    with contextlib.suppress(BaseException):
        if recorded:
            _record[0].settle()
        else:
            _record[0].stop()
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if recorded:
                _record[0].end()
        status = int(recorded and not any(_record[0].tests))
    os._exit(status)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print them on a line of its own."""
    recorded, plain = config.stash[_medians]
    terminalreporter.write_line(f"least record: {recorded:.4f} s of {plain:.4f} s")
