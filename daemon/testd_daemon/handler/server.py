"""The handler as a whole: what runs beside what, and in which order it ends."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import MutableMapping
from typing import Final

import anyio
import anyio.abc

from testd_daemon.handler.agents import Agents
from testd_daemon.handler.connection import Services, serve_client
from testd_daemon.handler.listen import Instance, claim
from testd_daemon.handler.log import Log
from testd_daemon.handler.notify import Notifier
from testd_daemon.handler.run import Run
from testd_daemon.handler.runs import Runs
from testd_daemon.handler.settings import Settings
from testd_daemon.handler.sweep import sweep_orphans
from testd_protocol import messages as m
from testd_protocol.version import __version__

__all__ = ["serve"]

#: Seconds that a private daemon waits for its one client to come.
PRIVATE_START: Final = 15.0
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


async def serve(settings: Settings, environ: MutableMapping[str, str]) -> None:
    """Be the handler until a signal, a client or a long silence ends it. Returns at once if there is one already.

    Raises RuntimeFolderError, DeadlineExpired and JournalError where it cannot start.
    """
    notifier = Notifier(environ)
    instance = await claim(settings.folders, environ, settings.deadlines.instance)
    if instance is None:
        _tell_ready(settings, notifier)
        return
    log = Log(settings.folders.log)
    try:
        await _Server(settings, instance, log, notifier).run()
    finally:
        instance.close()
        log.close()


class _Server:
    """The parts of a handler, and its end."""

    def __init__(self, settings: Settings, instance: Instance, log: Log, notifier: Notifier) -> None:
        self._settings = settings
        self._instance = instance
        self._log = log
        self._notifier = notifier
        self._agents = Agents(settings, log)
        self._runs = Runs(settings, log, self._agents.wanted, self._agents.tell, self._touch)
        self._agents.work = self._runs
        self._services = Services(
            settings, log, self._runs, self._agents.command, self._report, self._agents.answer, self._agents.listing,
            self._stop,
        )  # fmt: skip
        self._clients = 0
        self._served = False  # there has been a client
        self._started_at = time.time()
        self._moved = anyio.Event()  # a run or a client came or went
        self._stopping = anyio.Event()
        self._why = ""

    async def run(self) -> None:
        """Open the journal, take up old runs, listen; at the end tell clients, stop agents, close the journal."""
        async with self._runs.journal, anyio.create_task_group() as tasks:
            async with anyio.create_task_group() as agents:
                self._agents.tasks = agents
                await tasks.start(self._watch_signals)
                tasks.start_soon(self._notifier.keep_watchdog)
                tasks.start_soon(self._runs.prune)
                tasks.start_soon(self._watch_idle)
                for run in await self._runs.restore():
                    self._resume(run, tasks)
                for workspace in self._agents.waiting():
                    self._agents.wanted(workspace)
                tasks.start_soon(self._accept, tasks)
                self._log.info("listening", socket=self._settings.folders.socket, pid=os.getpid(), version=__version__)
                _tell_ready(self._settings, self._notifier)
                tasks.start_soon(sweep_orphans, self._agents.pids, self._settings.deadlines.orphans)
                await self._stopping.wait()
                await self._end_runs()
                agents.cancel_scope.cancel()  # each is asked to end, then made to: see process.stop_all
            tasks.cancel_scope.cancel()

    def _stop(self, why: str) -> None:
        self._why = self._why or why
        self._stopping.set()

    async def _end_runs(self) -> None:
        """Stop listening, cancel what runs, and let the clients hear of it."""
        self._log.info("stopping", reason=self._why)
        self._notifier.tell("STOPPING=1", f"STATUS=Stopping: {self._why}")
        self._instance.stop_listening()
        reason = f"the daemon was stopped: {self._why}"
        with anyio.move_on_after(self._settings.deadlines.drain):
            for run in self._runs.ending():
                if run.spooled:
                    self._runs.leave(run, reason)
                else:
                    self._runs.cancel(run, reason)
            while self._runs.ending():
                await self._movement()
        for run in self._runs.ending():
            self._runs.fail(run, reason, "run it again", exit_code=2)
        with anyio.move_on_after(self._settings.deadlines.drain):
            while self._runs.watched:
                await self._movement()

    async def _watch_signals(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            task_status.started()
            async for number in signals:
                self._stop(f"signal {signal.Signals(number).name}")

    async def _watch_idle(self) -> None:
        """End after a long time without a run or a client; a private daemon as soon as its client is gone."""
        while True:
            limit = self._idle_limit()
            if limit is None:
                await self._movement()
                continue
            with anyio.move_on_after(limit):
                await self._movement()
                continue
            if self._agents.waiting():
                continue
            self._stop("it was private, and its client is gone" if self._settings.folders.ephemeral else "idle")
            return

    def _idle_limit(self) -> float | None:
        """How long the present silence may last, in seconds; None: there is none, or it may last."""
        if self._clients:
            return None
        if self._settings.folders.ephemeral:
            return 0.0 if self._served else PRIVATE_START
        return None if self._runs.active or not self._settings.idle_exit else self._settings.idle_exit

    async def _movement(self) -> None:
        await self._moved.wait()

    def _touch(self) -> None:
        event, self._moved = self._moved, anyio.Event()
        event.set()

    def _resume(self, run: Run, tasks: anyio.abc.TaskGroup) -> None:
        self._log.info("run resumed", run=run.id, events=run.committed)
        self._agents.wanted(run.workspace)
        if not run.detach:
            tasks.start_soon(self._reclaim, run)

    async def _reclaim(self, run: Run) -> None:
        await anyio.sleep(self._settings.deadlines.reclaim)
        if not run.followers:
            self._runs.cancel(run, "its client did not come back")

    # ── clients ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _accept(self, tasks: anyio.abc.TaskGroup) -> None:
        listener = self._instance.listener
        while not self._stopping.is_set():
            try:
                await anyio.wait_readable(listener)
                sock, _ = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                continue
            except anyio.ClosedResourceError:
                return
            except OSError as error:  # no descriptors or no memory left: it may pass
                if self._stopping.is_set():
                    return
                self._log.error("a client could not be accepted", text=str(error))
                await anyio.sleep(1.0)
                continue
            tasks.start_soon(self._client, sock)

    async def _client(self, sock: socket.socket) -> None:
        self._clients += 1
        self._served = True
        self._touch()
        try:
            await serve_client(sock, self._services)
        except Exception as error:
            import traceback

            self._log.error("bug in a connection", text="".join(traceback.format_exception(error)))
        finally:
            self._clients -= 1
            self._touch()

    async def _report(self) -> m.StatusReport:
        folders = self._settings.folders
        return m.StatusReport(
            pid=os.getpid(),
            version=__version__,
            socket=folders.socket,
            journal=folders.journal,
            log=folders.log,
            started_at=self._started_at,
            idle_exit=self._settings.idle_exit,
            memory=_memory(),
            clients=self._clients,
            agents=await self._agents.statuses(),
            runs=self._runs.statuses(),
        )


def _tell_ready(settings: Settings, notifier: Notifier) -> None:
    notifier.tell("READY=1", f"STATUS=Listening on {settings.folders.socket}", f"MAINPID={os.getpid()}")
    if settings.ready_fd is not None:
        os.write(settings.ready_fd, b"ready\n")
        os.close(settings.ready_fd)


def _memory() -> int:
    """The handler's resident memory in KiB, 0 where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * _PAGE // 1024
    except OSError:
        return 0
