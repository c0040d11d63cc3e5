"""All runs that are not finished, or that somebody follows. Runs in the handler, on its event loop.

Between the clients, who submit, follow and cancel; the agents, which carry out and report; and the journal, which has
everything first.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import anyio
import anyio.abc
import anyio.lowlevel
import msgspec

from testd_daemon.errors import JournalError, UsageError
from testd_daemon.handler.journal import Journal
from testd_daemon.handler.log import Log
from testd_daemon.handler.run import Run, RunState, Step, raw
from testd_daemon.handler.settings import Settings
from testd_daemon.handler.store import RunRow, Store
from testd_daemon.link import Link
from testd_protocol import messages as m
from testd_protocol.framing import FrameError, decoder, encode

__all__ = ["Runs", "name_of"]

#: Bytes that go to a client at a time: small, so that an answer to `testd status` never waits long behind them.
CHUNK: Final = 128 * 1024
#: Letters of a run's id: none that is easily taken for another.
_LETTERS: Final = "123456789abcdefghjkmnpqrstuvwxyz"
_STATUS_LIMIT: Final = 10

_events: Final[msgspec.msgpack.Decoder[m.RunEvent]] = decoder(m.RunEvent)
_requests: Final = msgspec.msgpack.Decoder(m.RunRequest)
_encoder: Final = msgspec.msgpack.Encoder()


class Runs:
    """Keep the runs. Implements `agent.Work`.

    `wanted` is called with a workspace whose agent has something to do, `tell` with a message for one that works,
    and `changed` when there may be more or fewer runs than before.
    """

    def __init__(
        self,
        settings: Settings,
        log: Log,
        wanted: Callable[[str], None],
        tell: Callable[[str, m.Message], None],
        changed: Callable[[], None],
    ) -> None:
        """Begin without runs; `restore` reads the journal."""
        self._settings = settings
        self._log = log
        self._wanted = wanted
        self._tell = tell
        self._touch = changed
        self._live: dict[str, Run] = {}
        self._by_number: dict[int, Run] = {}
        self._changed: dict[str, anyio.Event] = {}
        self._notices: list[str] = []
        self._watches = anyio.Lock()  # held while a watch is submitted
        self._recent: list[m.RunStatus] = []  # finished and stored, newest first: a status never waits for the disk
        self._prune = anyio.Event()
        self.journal = Journal(self._open_store, self._committed, self._failed)

    def _open_store(self) -> Store:
        return Store(self._settings.folders.journal, max_pages=self._settings.max_pages)

    @property
    def active(self) -> int:
        """How many runs are not finished, or not yet stored to their end."""
        return sum(1 for run in self._live.values() if not run.complete)

    @property
    def watched(self) -> int:
        """How many clients have not yet seen the end of what they follow."""
        return sum(run.followers for run in self._live.values())

    def ending(self) -> list[Run]:
        """List the runs that have no end yet."""
        return [run for run in self._live.values() if not run.complete]

    async def restore(self) -> list[Run]:
        """Take up what the last handler left: each such run is suspended until somebody comes back for it.

        What is spooled ends here: its agent looks what there is to do.
        """
        if self.journal.notice:
            self._log.warning("journal replaced", text=self.journal.notice)
            self._notices.append(self.journal.notice)
        self._recent = await self._read_recent()
        rows = await self.journal.call(lambda store: store.unfinished())
        restored = []
        for row in rows:
            cancelled = row.state in (RunState.CANCELLING.value, RunState.STOPPING.value)
            state = RunState.STOPPING if cancelled else RunState.SUSPENDED if row.events else RunState.ACCEPTED
            restored.append(self._adopt(replace(row, state=state.value)))
        for run in restored:
            if run.spooled:
                self.leave(run, "the daemon ended")
        return [run for run in restored if not run.spooled]

    def _adopt(self, row: RunRow) -> Run:
        run = Run(row, self._settings.window)
        request = _requests.decode(row.request)
        run.watch, run.spooled = request.watch, request.spooled
        self._live[run.id] = run
        self._by_number[run.number] = run
        self._changed[run.id] = anyio.Event()
        self._touch()
        return run

    # ── clients ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def submit(self, message: m.Submit) -> Run | RunRow:
        """Store a run and have it carried out; one with a known key is the same run again. Raises JournalError.

        A watch that does the same as one that goes on is that one.
        """
        if not message.request.watch:
            return await self._submit(message)
        async with self._watches:  # two that come at the same moment
            return self._alike(message.request) or await self._submit(message)

    async def _submit(self, message: m.Submit) -> Run | RunRow:
        request = message.request
        row = await self.journal.call(
            lambda store: store.add(
                RunRow(
                    run=_new_id(),
                    key=message.key,
                    workspace=request.workspace,
                    request=_encoder.encode(request),
                    state=RunState.ACCEPTED.value,
                    accepted_at=time.time(),
                    detach=request.detach,
                )
            )
        )
        if (known := self._live.get(row.run)) is not None:
            return known
        if row.finished_at is not None:
            return row
        run = self._adopt(row)
        self._log.info("run accepted", run=run.id, workspace=run.workspace, detach=run.detach)
        while self._notices:
            self._warn(run, self._notices.pop())
        self._wanted(run.workspace)
        return run

    def _alike(self, request: m.RunRequest) -> Run | None:
        """Return the watch that does what a new one would: several clients look at it."""
        wanted = _comparable(request)
        for run in self._live.values():
            if run.watch and not run.finished and run.workspace == request.workspace:
                ending = run.machine.state in (RunState.CANCELLING, RunState.STOPPING)
                if not ending and _comparable(_requests.decode(run.request)) == wanted:
                    return run
        return None

    def steer(self, run: Run, message: m.Steer) -> None:
        """Have a watch do something now. Raises UsageError for a run that is none."""
        if not run.watch or run.finished:
            raise UsageError(f"run {run.id} is no watch that goes on", hint="testd watch starts one")
        self._tell(run.workspace, message)

    async def find(self, run: str) -> Run | RunRow | None:
        """Look up a run by its id; the empty id means the newest."""
        while run not in self._live:
            row = await self.journal.call(lambda store: store.find(run))
            if row is None or row.finished_at is not None or row.run in self._live:
                return self._live.get(row.run, row) if row is not None else None
            # It has ended since the journal was asked: now the journal has its end.
        return self._live[run]

    def cancel(self, run: Run, reason: str) -> None:
        """End a run early: by its agent, which names what did not run, or here if none has had it."""
        if not run.machine.allows(Step.CANCEL):
            return
        before = run.machine.state
        run.machine.advance(Step.CANCEL)
        run.cancel_reason = reason
        self._log.info("run cancelled", run=run.id, reason=reason)
        if before is RunState.ACCEPTED:
            self._complete(run, m.RunCompleted(exit_code=2, counts={}, duration=0.0, reason=reason or "cancelled"))
        elif run.machine.state is RunState.CANCELLING:
            self._tell(run.workspace, m.Cancel(run=run.id, reason=reason))

    async def follow(
        self, found: Run | RunRow, after: int, link: Link[m.ClientMessage], task_status: anyio.abc.TaskStatus[None]
    ) -> None:
        """Send a client `Accepted`, and each event after a number, once, as they come, to the end of the run.

        Raises LinkClosed, TimeoutError for a client that does not read, JournalError, and UsageError for a number
        that the finished run does not have: there would be nothing to send, ever.
        """
        if isinstance(found, RunRow):
            task_status.started()
            await self._replay(found, after, link)
            return
        found.followers += 1
        task_status.started()
        try:
            await self._stream(found, after, link)
        finally:
            found.followers -= 1
            if not found.followers and not found.detach:
                self.cancel(found, "its client is gone")
            self._retire(found)
            self._touch()

    async def _stream(self, run: Run, after: int, link: Link[m.ClientMessage]) -> None:
        await link.send(m.Accepted(run=run.id))
        if after < 0 or (run.watch and not after):
            after = max(0, run.mark - 1)
        if run.complete and after >= run.committed:
            raise _nothing_after(run.id, after, run.committed)
        while True:
            if run.committed > after:
                chunk = run.frames_after(after, CHUNK)
                frames, after = chunk if chunk is not None else await self._read(run.id, run.number, after)
                if not frames:
                    raise JournalError(f"the journal has lost events of run {run.id} after number {after}")
                with anyio.fail_after(self._settings.deadlines.send):
                    await link.send_frames(frames)
                await anyio.lowlevel.checkpoint()  # a client that takes all at once must leave the others their turn
            elif run.complete:
                return
            else:
                await self._changed[run.id].wait()

    async def _replay(self, row: RunRow, after: int, link: Link[m.ClientMessage]) -> None:
        await link.send(m.Accepted(run=row.run))
        after = max(0, after)
        if after >= row.events:
            raise _nothing_after(row.run, after, row.events)
        while after < row.events:
            frames, after = await self._read(row.run, row.number, after)
            if not frames:
                raise JournalError(f"the journal has lost events of run {row.run} after number {after}")
            with anyio.fail_after(self._settings.deadlines.send):
                await link.send_frames(frames)

    async def _read(self, run: str, number: int, after: int) -> tuple[bytes, int]:
        rows = await self.journal.call(lambda store: store.read(number, after, CHUNK))
        frames = [encode(m.Event(run=run, seq=seq, body=msgspec.Raw(body))) for seq, body in rows]
        return b"".join(frames), rows[-1][0] if rows else after

    def statuses(self) -> list[m.RunStatus]:
        """Describe the runs: those that live, and the newest of the others."""
        return [run.status() for run in reversed(self._live.values())] + self._recent

    async def _read_recent(self) -> list[m.RunStatus]:
        return [_status(row) for row in await self.journal.call(lambda store: store.recent(_STATUS_LIMIT))]

    # ── agents (agent.Work) ─────────────────────────────────────────────────────────────────────────────────────────

    def of(self, workspace: str) -> list[Run]:
        """List the unfinished runs of a workspace, oldest first."""
        return [run for run in self._live.values() if run.workspace == workspace and not run.finished]

    def needed(self, workspace: str) -> bool:
        """Whether there are runs at work: a watch that waits for a change is not."""
        return any(
            run.workspace == workspace and not run.finished and not run.resting for run in self._live.values()
        )

    async def dispatch(self, workspace: str, tell: Callable[[m.Message], None], current: Callable[[], bool]) -> None:
        """Send a ready agent every run that it does not have; stop when `current` says that it is no more."""
        for run in self.of(workspace):
            if not run.machine.allows(Step.DISPATCH):
                continue
            try:
                finished, counts = await self._finished(run) if run.committed and not run.watch else ([], {})
            except JournalError as error:
                self.fail(run, f"the journal could not be read: {error.message}", error.hint)
                continue
            if not current():
                return
            if run.machine.allows(Step.DISPATCH):  # it may have ended, or been sent by another call, meanwhile
                run.machine.advance(Step.DISPATCH)
                self._send(run, finished, counts, tell)

    def _send(self, run: Run, finished: list[str], counts: dict[str, int], tell: Callable[[m.Message], None]) -> None:
        request = _requests.decode(run.request)
        try:
            tell(m.Run(run=run.id, request=request, finished=finished, counts=counts))
        except FrameError as error:
            self.fail(run, f"the run is too large to be given to another agent: {error}", "run it again")
        if run.machine.state is RunState.CANCELLING:
            tell(m.Cancel(run=run.id, reason=run.cancel_reason))

    async def _finished(self, run: Run) -> tuple[list[str], dict[str, int]]:
        """Read from the journal which tests have their outcome, and count the verdicts."""
        number = run.number
        return await self.journal.call(lambda store: _outcomes(store, number))

    async def report(self, workspace: str, reports: list[m.Report]) -> None:
        """Take what an agent reports. Waits while the journal is behind."""
        for report in reports:
            run = self._live.get(report.run)
            if run is None or run.finished or run.workspace != workspace:
                continue  # of a run that was completed without it
            if report.final:
                run.machine.advance(Step.COMPLETE)
            if report.mark == "begin":
                self._begin_generation(run)
            entry = run.record(
                report.body,
                counts=report.counts,
                tests=report.tests,
                exit_code=report.exit_code if report.final else None,
            )
            self.journal.append(entry)
            run.resting = report.mark == "end"
            if report.final:
                self._log.info("run finished", run=run.id, exit_code=report.exit_code, **run.counts)
        await self.journal.room()

    def _begin_generation(self, run: Run) -> None:
        """Begin a part of a watch; what is older than the part before is not needed any more."""
        before, number = run.mark, run.number
        run.begin_generation()
        self._wanted(run.workspace)  # from now on it must answer
        if before > 1:
            self.journal.forget(number, before)

    def lost(self, workspace: str, reason: str) -> None:
        """Take note that the agent died; what it had goes to the next one."""
        for run in self.of(workspace):
            if run.spooled:
                self.leave(run, f"the agent {reason}")
            elif run.machine.allows(Step.LOSE):
                run.machine.advance(Step.LOSE)
                run.resting = False
                self._warn(run, f"the agent {reason}; another one goes on with what is not finished")

    def give_up(self, workspace: str, reason: str, detail: str) -> None:
        """Complete the runs that no agent will."""
        for run in self.of(workspace):
            self.fail(run, reason, "see testd logs", detail)

    def fail(self, run: Run, reason: str, hint: str, detail: str = "", exit_code: int = 3) -> None:
        """Complete a run here, with a clear reason."""
        if run.finished:
            return
        completion = m.RunCompleted(
            exit_code=exit_code, counts=dict(run.counts), duration=time.time() - run.accepted_at, reason=reason,
            hint=hint, detail=detail,
        )  # fmt: skip
        self._complete(run, completion)

    def leave(self, run: Run, reason: str) -> None:
        """End a spooled run where it is: nothing is cancelled, and what is left of it comes in another one."""
        self.fail(run, f"{reason}; what is left comes in another run", "", exit_code=2)

    def _complete(self, run: Run, completion: m.RunCompleted) -> None:
        run.machine.advance(Step.FAIL)
        self._log.info("run ended by the handler", run=run.id, reason=completion.reason)
        self.journal.append(run.complete_with(completion))

    def _warn(self, run: Run, text: str) -> None:
        self.journal.append(run.record(raw(m.Notice(level="warning", text=text))))

    # ── the journal ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _committed(self, last: dict[int, int]) -> None:
        for number, seq in last.items():
            if (run := self._by_number.get(number)) is not None:
                run.commit(seq)
                self._wake(run)
                self._retire(run)

    def _failed(self, numbers: set[int], error: JournalError) -> None:
        """End the runs whose events could not be stored: what cannot be stored must not look as if it were."""
        self._log.error("journal failed", text=error.message)
        for number in numbers:
            if (run := self._by_number.get(number)) is not None:
                self._end_unstored(run, error)

    def _end_unstored(self, run: Run, error: JournalError) -> None:
        """Tell the followers and the agent, and try to store just the end, which may well fit."""
        run.drop_uncommitted()
        if run.machine.allows(Step.CANCEL):
            self._tell(run.workspace, m.Cancel(run=run.id, reason="the journal cannot be written"))
        if not run.finished:
            run.machine.advance(Step.FAIL)
        completion = m.RunCompleted(
            exit_code=3, counts=dict(run.counts), duration=time.time() - run.accepted_at,
            reason=f"outcomes could not be stored: {error.message}", hint=error.hint,
        )  # fmt: skip
        entry = run.complete_with(completion)
        run.commit(entry.seq)
        self.journal.try_append(entry)
        self._wake(run)
        self._touch()  # it is not retired: of what it was, only this process knows all

    def _wake(self, run: Run) -> None:
        event, self._changed[run.id] = self._changed[run.id], anyio.Event()
        event.set()

    def _retire(self, run: Run) -> None:
        """Forget a run that is stored to its end and that nobody follows: the journal has it."""
        if run.complete and not run.followers and self._live.pop(run.id, None) is not None:
            del self._by_number[run.number]
            del self._changed[run.id]
            self._recent = [run.status(), *self._recent][:_STATUS_LIMIT]
            self._prune.set()
            self._touch()

    async def prune(self) -> None:
        """Remove the oldest finished runs from the journal, one at a time, whenever a run has ended."""
        keep_runs, keep_bytes = self._settings.keep_runs, self._settings.keep_bytes
        while True:
            await self._prune.wait()
            self._prune = anyio.Event()
            try:
                while await self.journal.call(lambda store: store.prune(keep_runs, keep_bytes)):
                    pass
                self._recent = await self._read_recent()
            except JournalError as error:
                self._log.warning("journal not pruned", text=error.message)


def _outcomes(store: Store, number: int) -> tuple[list[str], dict[str, int]]:
    """Collect which tests of a run have their outcome, as `Run.finished` has them, and count the verdicts.

    Runs in the journal's thread.
    """
    finished: list[str] = []
    counts: dict[str, int] = {}
    after = 0
    while rows := store.read(number, after, 1024 * 1024):
        after = rows[-1][0]
        for _, body in rows:
            event = _events.decode(body)
            if isinstance(event, m.Outcomes):
                for row in event.rows:
                    finished.append(f"{row.target}\0{row.test}")
                    counts[row.verdict] = counts.get(row.verdict, 0) + 1
    return finished, counts


def _comparable(request: m.RunRequest) -> m.RunRequest:
    """Return what makes two watches the same: not from which terminal they were asked for."""
    return msgspec.structs.replace(request, environment={}, cwd=request.cwd if request.paths else "", detach=False)


def _new_id() -> str:
    """Make up the id of a run: 40 random bits in 8 letters."""
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in os.urandom(8))


def name_of(run: Run | RunRow) -> str:
    """Give a run's id."""
    return run.id if isinstance(run, Run) else run.run


def _nothing_after(run: str, after: int, events: int) -> UsageError:
    return UsageError(
        f"run {run} has ended with event {events}; there is none after {after}", hint="attach with after=0"
    )


def _status(row: RunRow) -> m.RunStatus:
    watch = bool(row.request) and _requests.decode(row.request).watch  # what has ended has no request any more
    return m.RunStatus(
        run=row.run, workspace=row.workspace, state=row.state, accepted_at=row.accepted_at, counts=row.counts,
        tests=row.tests, exit_code=row.exit_code, detach=row.detach, watch=watch, events=row.events,
    )  # fmt: skip
