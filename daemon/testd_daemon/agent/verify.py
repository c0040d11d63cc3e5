"""`testd run --verify`: the same tests warm and in new processes, and each difference. Runs in the agent.

    warm, reported as any run → fresh → the files of tests that differ once more both ways → differences, completed

A test whose verdict changes within one way is flaky; one that keeps to both of its verdicts is not what a fresh process
says: what was kept warm is wrong.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

import msgspec

from testd_daemon.agent.jobs import file_of
from testd_daemon.agent.reporter import Sink
from testd_daemon.agent.run import RunTask
from testd_daemon.agent.target_task import Services
from testd_protocol.messages import (
    Difference,
    Notice,
    Preparing,
    Row,
    Run,
    RunCompleted,
    RunEvent,
    RunRequest,
    TargetUnavailable,
    Verdict,
)

__all__ = ["VerifyTask", "differing"]

Key = tuple[str, str]  # target, test
#: Exit statuses of a run that has verdicts to compare.
_COMPARABLE = (0, 1)


class _Way:
    """What one of the runs reports: its outcomes are kept, and what the sink is to see is passed on."""

    def __init__(self, sink: Sink, *, loud: bool, finished: Iterable[str] = ()) -> None:
        """Pass everything on but the end if `loud`, else how far it is; `finished` rows have been passed on before."""
        self._sink = sink
        self._loud = loud
        self._finished = frozenset(finished)
        self._said = 0.0
        self.rows: dict[Key, Row] = {}
        self.unusable: dict[str, str] = {}
        self.completed = RunCompleted(exit_code=3, counts={}, duration=0.0, reason="the run did not end")

    def row(self, row: Row) -> None:
        """Keep an outcome."""
        self.rows[row.target, row.test] = row
        if self._loud:
            if f"{row.target}\0{row.test}" not in self._finished:
                self._sink.row(row)
        elif time.monotonic() - self._said > 1.0:
            self._said = time.monotonic()
            text = f"in new processes, {len(self.rows)} tests so far"
            self._sink.event(Preparing(target=row.target, text=text, done=len(self.rows)))

    def event(self, event: RunEvent) -> None:
        """Keep the end, pass on what concerns the user."""
        if isinstance(event, RunCompleted):
            self.completed = event
            return
        if isinstance(event, TargetUnavailable):
            self.unusable[event.target] = event.message
        if self._loud:
            self._sink.event(event)


class VerifyTask:
    """The task of one such run."""

    def __init__(self, services: Services, run: Run, reporter: Sink) -> None:
        """Take the instructions."""
        self.run = run.run
        self._services = services
        self._request: RunRequest = run.request
        self._finished = run.finished
        self._reporter = reporter
        self._cancelled = ""
        self._warm: RunTask | None = None
        self._current: RunTask | None = None
        self._began = time.monotonic()

    @property
    def at_work(self) -> bool:
        """Whether it needs an agent that answers: always."""
        return True

    def cancel(self, reason: str) -> None:
        """End early."""
        self._cancelled = self._cancelled or reason or "cancelled"
        if self._current is not None:
            self._current.cancel(self._cancelled)

    async def remember(self) -> None:
        """Write the history of the warm run."""
        if self._warm is not None:
            await self._warm.remember()

    async def execute(self) -> None:
        """Carry it out; the last event is always `RunCompleted`."""
        completed = await self._execute()
        self._reporter.event(msgspec.structs.replace(completed, duration=time.monotonic() - self._began))

    async def _execute(self) -> RunCompleted:
        warm = await self._go(self._request, loud=True)
        self._warm = self._current
        if warm.completed.exit_code not in _COMPARABLE:
            return warm.completed
        chosen = self._request.last_failed or self._request.affected  # by what is known, and more is known by now
        request = self._files_of(warm.rows) if chosen else self._request
        fresh = await self._go(msgspec.structs.replace(request, fresh=True, results="", report_url=""))
        if fresh.completed.exit_code not in _COMPARABLE:
            return self._incomparable(warm, fresh)
        for target, message in fresh.unusable.items():
            text = f"not verified: it could not be used in new processes: {message}"
            self._reporter.event(Notice(level="error", text=text, target=target))
        found = differing(warm.rows, fresh.rows, lacking=not chosen, without=fresh.unusable)
        flaky = await self._flaky(found, warm, fresh) if found else frozenset()
        for target, test in found:
            self._reporter.event(
                _difference(target, test, warm.rows, fresh.rows, flaky=(target, test) in flaky)
            )
        return self._complete(warm, len(found), len(flaky), unusable=bool(fresh.unusable))

    async def _flaky(self, found: list[Key], warm: _Way, fresh: _Way) -> frozenset[Key]:
        """Run the files of these tests once more both ways, and return the tests that do not keep to their verdicts."""
        again = msgspec.structs.replace(self._files_of(found), maxfail=0, results="", report_url="")
        moved: set[Key] = set()
        for way, fresh_again in ((warm, False), (fresh, True)):
            repeated = await self._go(msgspec.structs.replace(again, fresh=fresh_again))
            if repeated.completed.exit_code in _COMPARABLE:
                moved.update(key for key in found if _verdict(way.rows, key) != _verdict(repeated.rows, key))
        return frozenset(moved)

    def _files_of(self, keys: Iterable[Key]) -> RunRequest:
        """Return the request for all tests in the files of these."""
        files = list(dict.fromkeys(file_of(test) for _, test in keys))
        return msgspec.structs.replace(
            self._request, paths=files, cwd=self._request.workspace, last_failed=False, affected=False
        )

    async def _go(self, request: RunRequest, *, loud: bool = False) -> _Way:
        way = _Way(self._reporter, loud=loud, finished=self._finished)
        self._current = RunTask(self._services, Run(run=self.run, request=request), way)
        if self._cancelled:
            self._current.cancel(self._cancelled)
        await self._current.execute()
        return way

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @staticmethod
    def _incomparable(warm: _Way, fresh: _Way) -> RunCompleted:
        """End where new processes came to no verdicts, and the warm ones did."""
        completed = fresh.completed
        reason = completed.reason or "no tests"
        if completed.exit_code != 2:
            reason = f"warm there are verdicts, in new processes not: {reason}"
        code = 1 if completed.exit_code == 5 else completed.exit_code
        return msgspec.structs.replace(completed, counts=warm.completed.counts, reason=reason, exit_code=code)

    @staticmethod
    def _complete(warm: _Way, differences: int, flaky: int, *, unusable: bool) -> RunCompleted:
        completed = warm.completed
        if not differences:
            text = f"warm and fresh agree on all {len(warm.rows)} tests"
            return msgspec.structs.replace(
                completed, reason="; ".join(filter(None, (completed.reason, text))),
                exit_code=max(completed.exit_code, int(unusable)),
            )  # fmt: skip
        of_these = f", {flaky} of them flaky" if flaky else ""
        text = f"warm and fresh differ on {differences} test{'s' * (differences != 1)}{of_these}"
        hint = "what was kept warm is wrong: `testd stop` makes a new start" if differences > flaky else ""
        return msgspec.structs.replace(
            completed, reason="; ".join(filter(None, (completed.reason, text))), hint=hint, exit_code=1
        )


def differing(
    warm: Mapping[Key, Row], fresh: Mapping[Key, Row], *, lacking: bool = True, without: Iterable[str] = ()
) -> list[Key]:
    """Return the tests with two different verdicts, in order; with `lacking`, also those that only one way has.

    What was cancelled has no verdict. Targets in `without` do not count.
    """
    left_out = frozenset(without)
    keys = [key for key in dict.fromkeys([*warm, *fresh]) if key[0] not in left_out]
    found = []
    for key in keys:
        one, other = _verdict(warm, key), _verdict(fresh, key)
        if "cancelled" in (one, other) or one == other or (not lacking and None in (one, other)):
            continue
        found.append(key)
    return found


def _verdict(rows: Mapping[Key, Row], key: Key) -> Verdict | None:
    row = rows.get(key)
    return row.verdict if row is not None else None


def _difference(
    target: str, test: str, warm: Mapping[Key, Row], fresh: Mapping[Key, Row], *, flaky: bool
) -> Difference:
    def message(rows: Mapping[Key, Row]) -> str:
        row = rows.get((target, test))
        return row.detail.message if row is not None and row.detail is not None else ""

    return Difference(
        test=test, target=target, warm=_verdict(warm, (target, test)), fresh=_verdict(fresh, (target, test)),
        warm_message=message(warm), fresh_message=message(fresh), flaky=flaky,
    )  # fmt: skip
