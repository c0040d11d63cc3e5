"""The client of programs with an event loop: typed messages, on anyio. Runs in whatever process uses it.

Each run that is followed has a connection of its own, which ends with its block: a run that was not detached ends
with it. Lost handlers are replaced as in `sync.py`.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import anyio
import anyio.to_thread
import msgspec

from testd_daemon.client.reach import RECONNECT_DEADLINE, RECONNECTS, reach
from testd_daemon.client.sync import ANSWER_DEADLINE
from testd_daemon.client.wire import GREETING
from testd_daemon.errors import DeadlineExpired, FaultError, HandlerUnavailable, LinkClosed
from testd_daemon.link import Link
from testd_daemon.runtime import Folders, folders
from testd_protocol import messages as m
from testd_protocol.framing import Unknown, decoder

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["AsyncClient", "Following", "Session"]

_decoder: Final[msgspec.msgpack.Decoder[m.HandlerMessage]] = decoder(m.HandlerMessage)
_events: Final[msgspec.msgpack.Decoder[m.RunEvent]] = decoder(m.RunEvent)
T = TypeVar("T", bound=m.Message)


class AsyncClient:
    """Ask the handler. Holds no connection by itself, so that there is nothing to close."""

    def __init__(self, *, start: bool = True, where: Folders | None = None) -> None:
        """With `start`, a handler is started whenever there is none."""
        self._start = start
        self._folders = where or folders()
        self._folders.check_socket_path()

    async def status(self) -> m.StatusReport:
        """Ask for the state of the handler, its agents and runs."""
        return await self._ask(m.Status(), m.StatusReport, GREETING)

    async def history(self, workspace: str, test: str = "", limit: int = 20) -> m.HistoryReport:
        """Ask for the history of a test (a node id or a part of one) or, with an empty one, of the runs."""
        question = m.History(workspace=workspace, test=test, limit=limit, id=1)
        return await self._ask(question, m.HistoryReport, ANSWER_DEADLINE)

    async def cancel(self, run: str, reason: str = "") -> None:
        """Ask for a run to end early. Raises FaultError where there is no such run."""
        async with await self.connect() as session:
            await session.send(m.Cancel(run=run, reason=reason))
            await session.send(m.Ping(id=1))  # answered in order: after it there is no complaint to come
            await session.expect(m.Pong, GREETING)

    async def shutdown(self, reason: str = "") -> None:
        """Ask the handler to end, and return once it has begun to."""
        async with await self.connect() as session:
            await session.send(m.Shutdown(reason=reason))
            with contextlib.suppress(LinkClosed):
                await session.expect(m.Shutdown, GREETING)

    @contextlib.asynccontextmanager
    async def submit(self, request: m.RunRequest) -> AsyncIterator[Following]:
        """Ask for a run, once, and follow it. Leaving the block before its end cancels it, unless it is detached."""
        submission = m.Submit(request=request, key=os.urandom(12).hex())
        async with self._following(submission, "", 0) as following:
            yield following

    @contextlib.asynccontextmanager
    async def attach(self, run: str = "", after: int = 0) -> AsyncIterator[Following]:
        """Follow a run after an event's number; an empty run means the newest."""
        async with self._following(m.Attach(run=run, after=after), run, after) as following:
            yield following

    @contextlib.asynccontextmanager
    async def _following(self, first: m.Submit | m.Attach, run: str, after: int) -> AsyncIterator[Following]:
        following = Following(self, first, run, after)
        await following.open()
        try:
            yield following
        finally:
            following.close()

    async def _ask(self, question: m.Message, answer: type[T], deadline: float) -> T:
        async with await self.connect() as session:
            await session.send(question)
            return await session.expect(answer, deadline)

    async def connect(self) -> Session:
        """Open a connection of its own, in a thread: starting a handler blocks for a moment."""
        wire, _ = await anyio.to_thread.run_sync(partial(reach, self._folders, start=self._start))
        return Session(Link.from_fd(wire.detach(), _decoder))


class Session:
    """One greeted connection, message by message."""

    def __init__(self, link: Link[m.HandlerMessage]) -> None:
        """Take over a link on which `Welcome` has been said."""
        self._link = link
        self._inbox: deque[m.HandlerMessage | Unknown] = deque()

    async def __aenter__(self) -> Self:
        """Give the session itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    async def send(self, message: m.Message) -> None:
        """Send a message. Raises LinkClosed."""
        await self._link.send(message)

    async def next(self) -> m.HandlerMessage | Unknown:
        """Wait for the next message. Raises LinkClosed, and FaultError for a `Fault`."""
        while not self._inbox:
            self._inbox.extend(await self._link.receive())
        message = self._inbox.popleft()
        if isinstance(message, m.Fault):
            raise FaultError(
                message.code, message.message, hint=message.hint, detail=message.detail, exit_code=message.exit_code
            )
        return message

    async def expect(self, kind: type[T], deadline: float) -> T:
        """Wait for an answer of a kind. Raises DeadlineExpired."""
        with anyio.move_on_after(deadline):
            while True:
                message = await self.next()
                if isinstance(message, kind):
                    return message
        raise DeadlineExpired(f"the daemon's answer ({kind.__name__})", deadline, hint="testd logs may say why")


class Following:
    """A run that is followed: iterate over `(sequence number, event)`. `run` is its id."""

    def __init__(self, client: AsyncClient, first: m.Submit | m.Attach, run: str, after: int) -> None:
        """See `AsyncClient.submit` and `AsyncClient.attach`."""
        self._client = client
        self._first = first
        self._session: Session | None = None
        self.run = run
        self.after = after

    async def open(self) -> None:
        """Make the request; repeat it if the handler dies before it answers."""
        await self._reopen(self._first)

    def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            self._session.close()

    async def _reopen(self, message: m.Submit | m.Attach) -> None:
        with anyio.move_on_after(RECONNECT_DEADLINE):
            for _ in range(RECONNECTS):
                self.close()
                self._session = await self._client.connect()
                with contextlib.suppress(LinkClosed):
                    await self._session.send(message)
                    self.run = (await self._session.expect(m.Accepted, GREETING)).run
                    return
        raise HandlerUnavailable("the daemon died again and again, and the run did not go on", hint="see testd logs")

    async def __aiter__(self) -> AsyncIterator[tuple[int, m.RunEvent]]:
        """Give each event once and in order, up to `RunCompleted`, whatever happens to the handler."""
        while True:
            event = await self._next_event()
            self.after = event.seq
            body = _events.decode(event.body)
            yield event.seq, body
            if isinstance(body, m.RunCompleted):
                return

    async def _next_event(self) -> m.Event:
        fruitless = 0
        while True:
            assert self._session is not None
            try:
                message = await self._session.next()
            except LinkClosed:
                fruitless += 1
                if fruitless > RECONNECTS:
                    raise
                await self._reopen(m.Attach(run=self.run, after=self.after))
                continue
            if isinstance(message, m.Event) and message.seq == self.after + 1:
                return message
