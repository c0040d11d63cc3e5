"""One client's connection, from its first byte to its last. Runs in the handler, one task each."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import anyio
import anyio.abc
import msgspec

from testd_daemon.errors import JournalError, LinkClosed, TestdError, UsageError
from testd_daemon.handler.agent import Question, Reply
from testd_daemon.handler.log import Log
from testd_daemon.handler.peer import peer_uid
from testd_daemon.handler.run import Run
from testd_daemon.handler.runs import Runs, name_of
from testd_daemon.handler.settings import Settings
from testd_daemon.handler.store import RunRow
from testd_daemon.link import Link
from testd_protocol import messages as m
from testd_protocol.framing import FrameError, ProtocolError, Unknown, decoder
from testd_protocol.version import PROTOCOL, __version__

__all__ = ["Services", "serve_client"]

_decoder: Final[msgspec.msgpack.Decoder[m.ClientMessage]] = decoder(m.ClientMessage)
_Link = Link[m.ClientMessage]


@dataclass(frozen=True)
class Services:
    """What a connection can ask of the handler."""

    settings: Settings
    log: Log
    runs: Runs
    command: Callable[[m.Command, tuple[int, ...]], None]
    report: Callable[[], Awaitable[m.StatusReport]]
    answer: Callable[[Question], Awaitable[Reply]]
    listing: Callable[[m.List], AsyncGenerator[m.Listed | m.Fault]]
    stop: Callable[[str], None]


async def serve_client(sock: socket.socket, services: Services) -> None:
    """Check who it is, greet it, and answer it until it leaves. Nothing that a client does ends the handler."""
    async with Link(sock, _decoder) as link:
        try:
            if not _trusted(sock, services.log):
                await link.send(m.Fault(code="peer", message="this daemon belongs to another user"))
                return
            await _Connection(link, services).serve()
        except LinkClosed:
            return
        except (ProtocolError, FrameError) as error:
            services.log.warning("client broke the protocol", text=str(error))
            with anyio.move_on_after(1.0):  # a last word; whoever does not read it must not hold us
                await _last_word(link, m.Fault(code="protocol", message=str(error)))


async def _last_word(link: _Link, message: m.Message) -> None:
    """Send what the client may no longer be there to read."""
    try:
        await link.send(message)
    except LinkClosed:
        return


def _trusted(sock: socket.socket, log: Log) -> bool:
    """Whether the process at the other end has our user id. The socket's mode says so too; this does not rely on it."""
    uid = peer_uid(sock)
    if uid != os.geteuid():
        log.warning("client refused", uid=uid)
        return False
    return True


class _Connection:
    """A greeted client."""

    def __init__(self, link: _Link, services: Services) -> None:
        self._link = link
        self._services = services

    async def serve(self) -> None:
        """Greet and answer. What it follows ends with it."""
        first, *others = await self._first()
        if not await self._greet(first):
            await self._refused(others)
            return
        async with anyio.create_task_group() as tasks:
            try:
                for message in others:
                    await self._answer(message, tasks)
                while True:
                    for message in await self._link.receive():
                        await self._answer(message, tasks)
            except LinkClosed:
                tasks.cancel_scope.cancel()
            except (ProtocolError, FrameError) as error:
                self._services.log.warning("client broke the protocol", text=str(error))
                with anyio.move_on_after(1.0):
                    await _last_word(self._link, m.Fault(code="protocol", message=str(error)))
                tasks.cancel_scope.cancel()

    async def _first(self) -> list[m.ClientMessage | Unknown]:
        with anyio.move_on_after(self._services.settings.deadlines.hello):
            return await self._link.receive()
        raise LinkClosed("the client said nothing")

    async def _greet(self, message: m.ClientMessage | Unknown) -> bool:
        if not isinstance(message, m.Hello):
            await self._link.send(m.Fault(code="protocol", message="the first message of a client must be Hello"))
            return False
        if message.protocol != PROTOCOL or message.version not in ("", __version__):
            await self._link.send(_version_fault(message))
            return False
        await self._link.send(m.Welcome(pid=os.getpid()))
        return True

    async def _refused(self, messages: list[m.ClientMessage | Unknown]) -> None:
        """A client of another version may say one thing more: that we should end, if nothing needs us."""
        with anyio.move_on_after(self._services.settings.deadlines.hello):
            while True:
                for message in messages:
                    if isinstance(message, m.Shutdown):
                        await self._yield_to_other(message)
                        return
                messages = await self._link.receive()

    async def _yield_to_other(self, message: m.Shutdown) -> None:
        active = self._services.runs.active
        if active:
            text = f"the running daemon (testd {__version__}, process {os.getpid()}) has {active} unfinished run(s)"
            await self._link.send(m.Fault(code="busy", message=text, hint="wait for them, or stop it: testd stop"))
            return
        await self._link.send(m.Shutdown(reason="in favour of another version"))
        self._services.stop(message.reason or "a client of another version takes over")

    async def _answer(self, message: m.ClientMessage | Unknown, tasks: anyio.abc.TaskGroup) -> None:
        try:
            await self._dispatch(message, tasks)
        except JournalError as error:
            await self._link.send(
                m.Fault(code=error.code, message=error.message, hint=error.hint, exit_code=error.exit_code)
            )

    async def _dispatch(self, message: m.ClientMessage | Unknown, tasks: anyio.abc.TaskGroup) -> None:
        services, link = self._services, self._link
        if isinstance(message, m.Submit):
            await self._submit(message, tasks)
        elif isinstance(message, m.Attach):
            await self._attach(message, tasks)
        elif isinstance(message, m.Cancel):
            await self._cancel(message)
        elif isinstance(message, m.Steer):
            await self._steer(message)
        elif isinstance(message, m.Command):
            services.command(message, link.take_descriptors(message.descriptors))
        elif isinstance(message, m.Status):
            await link.send(await services.report())
        elif isinstance(message, m.KeepTraces):
            await self._keep(message)
        elif isinstance(message, Question):
            await self._ask(message, tasks)
        elif isinstance(message, m.List):
            await self._list(message, tasks)
        elif isinstance(message, m.Shutdown):
            await link.send(m.Shutdown(reason=f"the daemon {os.getpid()} ends"))
            services.stop(message.reason or "a client asked")
        elif isinstance(message, m.Ping):
            await link.send(m.Pong(id=message.id))
        elif isinstance(message, Unknown):
            await link.send(m.Unsupported(of=message.type))
        elif isinstance(message, m.Hello):
            await link.send(m.Welcome(pid=os.getpid()))

    async def _submit(self, message: m.Submit, tasks: anyio.abc.TaskGroup) -> None:
        if not await self._placed(message.request.workspace):
            return
        run = await self._services.runs.submit(message)
        await tasks.start(self._stream, run, 0)

    async def _placed(self, workspace: str) -> bool:
        """Tell whether a request says where its workspace is; refuse it where it does not."""
        if workspace.startswith("/"):
            return True
        text = f"the workspace of a request must be an absolute path, and {workspace!r} is not"
        await self._link.send(m.Fault(code="usage", message=text, exit_code=4))
        return False

    async def _attach(self, message: m.Attach, tasks: anyio.abc.TaskGroup) -> None:
        found = await self._services.runs.find(message.run)
        if found is None:
            await self._link.send(_no_run(message.run))
            return
        await tasks.start(self._stream, found, message.after)

    async def _stream(self, run: Run | RunRow, after: int, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Follow a run for the client. `started` once it counts as followed: a client that dies now is noticed."""
        services = self._services
        try:
            await services.runs.follow(run, after, self._link, task_status)
        except LinkClosed:
            return
        except TimeoutError:
            services.log.warning("client dropped: it did not read", run=name_of(run))
            self._link.close()
        except TestdError as error:
            fault = m.Fault(code=error.code, message=error.message, hint=error.hint, exit_code=error.exit_code)
            await _last_word(self._link, fault)

    async def _cancel(self, message: m.Cancel) -> None:
        found = await self._services.runs.find(message.run)
        if found is None:
            await self._link.send(_no_run(message.run))
        elif isinstance(found, Run):
            self._services.runs.cancel(found, message.reason or "cancelled")

    async def _steer(self, message: m.Steer) -> None:
        found = await self._services.runs.find(message.run)
        try:
            if isinstance(found, RunRow):
                raise UsageError(f"run {found.run} has ended", hint="testd watch starts another one")
            if found is not None:
                self._services.runs.steer(found, message)
                return
        except UsageError as error:
            await self._link.send(m.Fault(code=error.code, message=error.message, hint=error.hint, exit_code=4))
            return
        await self._link.send(_no_run(message.run))

    async def _ask(self, question: Question, tasks: anyio.abc.TaskGroup) -> None:
        if await self._placed(question.workspace):
            tasks.start_soon(self._reply, question)

    async def _keep(self, message: m.KeepTraces) -> None:
        """Read no more of an application until what it has sent is kept: so it cannot fill our memory."""
        if await self._placed(message.workspace):
            await self._reply(message)

    async def _reply(self, question: Question) -> None:
        await _last_word(self._link, await self._services.answer(question))

    async def _list(self, message: m.List, tasks: anyio.abc.TaskGroup) -> None:
        if await self._placed(message.request.workspace):
            tasks.start_soon(self._pages, message)

    async def _pages(self, message: m.List) -> None:
        with contextlib.suppress(LinkClosed):  # the client is gone, and with it whoever wanted to know
            async with contextlib.aclosing(self._services.listing(message)) as pages:
                async for page in pages:
                    await self._link.send(page)


def _no_run(run: str) -> m.Fault:
    text = f"there is no run {run!r}" if run else "there is no run yet"
    return m.Fault(code="usage", message=text, hint="testd status lists the runs that are known", exit_code=4)


def _version_fault(hello: m.Hello) -> m.Fault:
    return m.Fault(
        code="version",
        message=f"the running daemon is testd {__version__} (protocol {PROTOCOL}, process {os.getpid()}), "
        f"the client is testd {hello.version} (protocol {hello.protocol})",
        hint="stop the daemon: testd stop; the next testd run starts one of its own version",
    )
