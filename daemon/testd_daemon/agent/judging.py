"""The judge as the agent has it: a process that starts when something is asked, and ends when nothing is for a while.

It answers one question after the other. One that it does not come back from costs that question: another process
goes on with the next.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final

import anyio
import msgspec
from anyio.abc import TaskGroup

from testd.framing import FrameError
from testd_daemon.errors import LinkClosed
from testd_daemon.link import Link
from testd_daemon.process import Child, Patience, owned, start
from testd_protocol.framing import ProtocolError, decoder, encode
from testd_protocol.messages import Judge, Judged, RunnerInstruction

__all__ = ["Judging"]

#: Seconds for one question. What it is asked to run has limits of its own, of which the engine takes care.
DEADLINE: Final = 30.0
#: Seconds without a question after which the process ends.
IDLE: Final = 60.0
#: Characters of questions that are on their way at once: nobody reads while they are written, nor their answers.
AT_ONCE: Final = 32 * 1024
#: It has nothing to put in order.
PATIENCE: Final = Patience(ask=0.2, term=0.2, kill=2.0)
_decoder = decoder(RunnerInstruction)

_Answer = Callable[[Judged], None]


class _Asked:
    """How many questions at the head of the queue are on their way, and their characters."""

    def __init__(self) -> None:
        self.number = self.size = 0


class Judging:
    """Takes questions of all runners."""

    def __init__(self, tasks: TaskGroup) -> None:
        """Run in this task group, while there is anything to do."""
        self._tasks = tasks
        self._queue: deque[tuple[Judge, _Answer]] = deque()
        self._more = anyio.Event()
        self._serving = False

    def ask(self, question: Judge, answer: _Answer) -> None:
        """Have a question answered, in its turn."""
        self._queue.append((question, answer))
        self._more.set()
        if not self._serving:
            self._serving = True
            self._tasks.start_soon(self._serve)

    async def _serve(self) -> None:
        while self._queue:
            try:
                child, link = _spawn()
            except OSError as error:
                self._give_up(f"the process that judges cannot be started: {error}")
                continue
            async with owned(child, ask=_ask_nothing, patience=PATIENCE), link:
                await self._attend(child, link)
        self._serving = False

    async def _attend(self, child: Child, link: Link[RunnerInstruction]) -> None:
        """Have one process answer until it fails, or nothing is asked for a while."""
        asked = _Asked()
        while asked.number or await self._anything():
            problem = ""
            try:
                await self._exchange(link, asked)
            except TimeoutError:
                problem = f"the process that judges gave no answer for {DEADLINE:g} s"
            except (LinkClosed, ProtocolError, FrameError):
                problem = "the process that judges ended"
                with anyio.move_on_after(PATIENCE.ask):
                    problem += f" with exit status {await child.wait()}"
            if problem:
                question, answer = self._queue.popleft()
                answer(_mistake(question, "\n".join(filter(None, (problem, child.stderr.text)))))
                return

    async def _exchange(self, link: Link[RunnerInstruction], asked: _Asked) -> None:
        """Ask as much as the kernel holds, and give out what is answered. Raises TimeoutError, and what links do."""
        frames = []
        for question, _ in islice(self._queue, asked.number, None):
            if asked.number and asked.size + len(question.document) > AT_ONCE:
                break
            asked.number += 1
            asked.size += len(question.document)
            frames.append(encode(question))
        with anyio.fail_after(DEADLINE):
            if frames:
                await link.send_frames(b"".join(frames))
            messages = await link.receive()
        for message in messages:
            if isinstance(message, Judged):
                question, answer = self._queue.popleft()
                asked.number -= 1
                asked.size -= len(question.document)
                answer(message)

    async def _anything(self) -> bool:
        """Wait for a question. False: none has come for a while."""
        if not self._queue:
            self._more = anyio.Event()
            with anyio.move_on_after(IDLE):
                await self._more.wait()
        return bool(self._queue)

    def _give_up(self, problem: str) -> None:
        while self._queue:
            question, answer = self._queue.popleft()
            answer(_mistake(question, problem))


def _spawn() -> tuple[Child, Link[RunnerInstruction]]:
    """Start the process. Raises OSError."""
    near, far = socket.socketpair()
    with far:
        try:
            argv = [sys.executable, "-m", "testd_daemon.judge", "--fd", str(far.fileno())]
            child = start(argv, name="judge", pass_fds=[far.fileno()], stderr=subprocess.PIPE)
        except BaseException:
            near.close()
            raise
    return child, Link(near, _decoder)


def _mistake(question: Judge, text: str) -> Judged:
    document = msgspec.json.encode({"mistake": text}).decode()
    return Judged(id=question.id, worker=question.worker, document=document)


async def _ask_nothing() -> None:
    """The closed link is what it is asked by."""
