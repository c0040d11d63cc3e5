"""Start children and stop them: ask, wait, TERM, wait, KILL, reap; signal all before reaping any.

Runs in the handler and the agent. A child leads a session of its own, so that a signal reaches all that it started
and a Ctrl-C at the terminal reaches none of it. Nothing here polls on Linux: a pidfd tells when a process ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import anyio

from testd_daemon.errors import describe_status

__all__ = [
    "Child", "Patience", "Tail", "become_subreaper", "children_of_this", "descendants", "end_children", "kill_all",
    "owned", "reap_adopted", "start", "stop_all",
]  # fmt: skip

#: Where there is no pidfd: how often to look whether a child has ended.
POLL_INTERVAL: Final = 0.02
PR_SET_CHILD_SUBREAPER: Final = 36
#: Reads at a time: one that writes without end must not keep everybody else waiting.
_READS: Final = 16


@dataclass(frozen=True)
class Patience:
    """How long each step of a stop may take, in seconds."""

    ask: float = 2.0  # for a child that was asked to end in order
    term: float = 1.0  # after SIGTERM: for its handlers and atexit hooks
    kill: float = 5.0  # after SIGKILL: only a process stuck in the kernel needs longer


#: Children that were started here and not reaped yet, by process id.
_own: set[int] = set()


class Tail:
    """The last bytes of a stream, as text."""

    def __init__(self, limit: int = 8 * 1024) -> None:
        """Keep `limit` bytes."""
        self._limit = limit
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        """Add what was read."""
        self._data += data
        if len(self._data) > 2 * self._limit:
            del self._data[: -self._limit - 1]  # one more than is shown: the sign that something was cut

    @property
    def text(self) -> str:
        """What is kept, without a first line that was cut."""
        data = bytes(self._data[-self._limit :])
        if len(self._data) > self._limit and b"\n" in data:
            data = data[data.index(b"\n") + 1 :]
        return data.decode("utf-8", "replace").strip()


class Child:
    """A started process. Whoever started it must reap it: by `wait`, by `stop_all`, or by using `owned`."""

    def __init__(self, process: subprocess.Popen[bytes], name: str) -> None:
        """Take over a process that leads its own group."""
        self._process = process
        self.name = name
        self.pid = process.pid
        _own.add(self.pid)
        self.stderr = Tail()
        self._log: Callable[[bytes], None] | None = None

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal; None while the process has not been reaped."""
        return self._process.returncode

    @property
    def stdin(self) -> IO[bytes] | None:
        """The pipe to its descriptor 0, if one was asked for."""
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes] | None:
        """The pipe from its descriptor 1, if one was asked for."""
        return self._process.stdout

    @property
    def has_stderr(self) -> bool:
        """Whether there is a pipe from its descriptor 2."""
        return self._process.stderr is not None

    def __repr__(self) -> str:
        """Name, process id and how it ended."""
        return f"<{self.name} {self.pid} {'runs' if self.status is None else describe_status(self.status)}>"

    async def wait(self) -> int:
        """Wait until the process ends, kill what is left of its group, reap it and return its status."""
        while not self.reap():
            await self._ended()
        assert self.status is not None
        return self.status

    def reap(self) -> bool:
        """Reap the process if it has ended; say whether it is gone. What it left in its group is killed first.

        Its last words are in `stderr` then: its end may be noticed before they are.
        """
        if self.status is not None:
            return True
        if not self._has_ended():
            return False
        self.signal(signal.SIGKILL)  # before the reaping: until then the group's number cannot be used again
        self._process.wait()
        _own.discard(self.pid)
        self._take_stderr()
        return True

    def _has_ended(self) -> bool:
        if not hasattr(os, "waitid"):  # macOS before Python 3.13: reaping comes with looking
            return self._process.poll() is not None
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def signal(self, number: int) -> None:
        """Send a signal to the whole group; a group that is gone is no error."""
        if self.status is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies
            os.killpg(self.pid, number)

    async def _ended(self) -> None:
        if not hasattr(os, "pidfd_open"):
            await anyio.sleep(POLL_INTERVAL)
            return
        descriptor = os.pidfd_open(self.pid)
        try:
            await anyio.wait_readable(descriptor)
        finally:
            os.close(descriptor)

    async def drain_stderr(self, log: Callable[[bytes], None] | None = None) -> None:
        """Read its descriptor 2 to the end: the tail is kept, and each piece given to `log`."""
        stream = self._process.stderr
        assert stream is not None, "started without stderr=subprocess.PIPE"
        self._log = log
        while self._take_stderr():
            await anyio.wait_readable(stream.fileno())

    def _take_stderr(self) -> bool:
        """Take what is in the pipe from its descriptor 2; say whether more may come."""
        stream = self._process.stderr
        if stream is None or stream.closed:
            return False
        os.set_blocking(stream.fileno(), False)
        for _ in range(_READS):
            try:
                data = os.read(stream.fileno(), 64 * 1024)
            except BlockingIOError:
                return True
            if not data:
                return False
            self.stderr.feed(data)
            if self._log is not None:
                self._log(data)
        return True

    def close_pipes(self) -> None:
        """Give back the pipes."""
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def start(
    argv: Sequence[str],
    *,
    name: str,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    pass_fds: Sequence[int] = (),
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.DEVNULL,
) -> Child:
    """Start a child as the leader of its own session. Raises OSError if it cannot be started. See `owned`."""
    process = subprocess.Popen(
        argv, env=env, cwd=cwd, pass_fds=pass_fds, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True
    )
    return Child(process, name)


@contextlib.asynccontextmanager
async def owned(
    child: Child,
    *,
    ask: Callable[[], Awaitable[None]] | None = None,
    patience: Patience | None = None,
    log: Callable[[bytes], None] | None = None,
) -> AsyncIterator[Child]:
    """Own a child for the length of a block: drain its stderr meanwhile, stop and reap it at the end."""
    failure: Exception | None = None
    try:
        async with anyio.create_task_group() as tasks:
            if child.has_stderr:
                tasks.start_soon(child.drain_stderr, log)
            try:
                yield child
            except Exception as error:
                failure = error
            finally:
                await stop_all([child], ask=ask, patience=patience)
                tasks.cancel_scope.cancel()
    finally:
        child.close_pipes()
    if failure is not None:
        raise failure


async def stop_all(
    children: Iterable[Child],
    *,
    ask: Callable[[], Awaitable[None]] | None = None,
    patience: Patience | None = None,
) -> None:
    """Stop children in order and reap them: `ask`, wait, TERM, wait, KILL with all descendants, reap.

    All are signalled before any is waited for, so that many take as long as one. Cancellation does not interrupt it;
    `patience` bounds each step.
    """
    patience = patience or Patience()
    alive = [child for child in children if not child.reap()]
    if not alive:
        return
    with anyio.CancelScope(shield=True):
        if ask is not None:
            with anyio.move_on_after(patience.ask):
                await ask()
            alive = await _until_gone(alive, patience.ask)
        if alive:
            _signal_all(alive, signal.SIGTERM)
            alive = await _until_gone(alive, patience.term)
        if alive:
            families = [pid for child in alive for pid in descendants(child.pid)]
            _signal_all(alive, signal.SIGKILL)
            kill_all(families)
            await _until_gone(alive, patience.kill)


def _signal_all(children: Iterable[Child], number: int) -> None:
    for child in children:
        child.signal(number)


async def _until_gone(children: list[Child], deadline: float) -> list[Child]:
    """Wait for all at once, at most `deadline` seconds, and return those that are left."""
    with anyio.move_on_after(deadline):
        async with anyio.create_task_group() as tasks:
            for child in children:
                tasks.start_soon(child.wait)
    return [child for child in children if not child.reap()]


def descendants(pid: int) -> list[int]:
    """List the process ids below a process, those that left its group included."""
    import psutil  # 40 ms, and only a stop that was not obeyed needs it

    try:
        return [process.pid for process in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []


def kill_all(pids: Iterable[int]) -> None:
    """Kill processes by id; those that are gone are no error."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def end_children(deadline: float) -> None:
    """Kill and reap every child of this process, with what it leaves behind in turn, for at most `deadline` seconds.

    For a subreaper at its own end: whatever was adopted dies with it. Linux only; elsewhere nothing is adopted.
    """
    give_up = time.monotonic() + deadline
    while (found := children_of_this()) and time.monotonic() < give_up:
        kill_all(found)
        for pid in found:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.002)


def reap_adopted() -> None:
    """Reap what this process has adopted and what has ended since: an engine's client leaves such processes behind.

    Children that somebody here waits for are left to them: those of `start`, and those that stayed in our session.
    """
    session = os.getsid(0)
    for pid in children_of_this() - _own:
        with contextlib.suppress(ProcessLookupError, PermissionError, ChildProcessError):
            if os.getsid(pid) != session:
                os.waitpid(pid, os.WNOHANG)


def children_of_this() -> set[int]:
    """List this process's children, adopted ones included; none where the system has no such list."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for task in Path("/proc/self/task").iterdir():
            with contextlib.suppress(OSError):
                found.update(int(pid) for pid in (task / "children").read_text("ascii").split())
    return found


def become_subreaper() -> bool:
    """Make orphans below this process its children, so that it can find and end them. Linux only; says if it worked."""
    import ctypes  # 10 ms, and only a process that starts others needs it

    try:
        return bool(ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False
