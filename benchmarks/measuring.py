"""Time commands side by side: interleaved, so that what slows the machine slows every contender.

Runs in testd's environment (psutil).
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

__all__ = ["Contender", "MeasureError", "Sample", "Series", "come_to_rest", "cpu_time", "interleave", "run"]

#: One command; the longest (plain pytest on 62,000 tests, a slow machine) takes two minutes.
COMMAND_DEADLINE = 600.0
#: Seconds in which a daemon at rest uses no processor, and for it to come to rest on a slow machine.
REST, REST_DEADLINE = 0.6, 120.0


class MeasureError(Exception):
    """A contender did not do what is timed: its command, how it ended, what it printed."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run of one command. Seconds; `cpu` is the command's, with the children that it waited for."""

    wall: float
    cpu: float
    exit_code: int
    output: str


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A command under measurement. `before` runs ahead of each round, unmeasured."""

    name: str
    command: Sequence[str]
    cwd: Path
    environment: Mapping[str, str]
    exit_codes: frozenset[int] = frozenset({0})
    before: Callable[[], None] | None = None
    #: Processes that work for the command without being its children: their CPU time counts too.
    helpers: Callable[[], list[psutil.Process]] | None = None


@dataclass
class Series:
    """The samples of one contender."""

    name: str
    samples: list[Sample] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median wall time."""
        return statistics.median(sample.wall for sample in self.samples)

    @property
    def p90(self) -> float:
        """The wall time that nine of ten samples stay below."""
        ordered = sorted(sample.wall for sample in self.samples)
        return ordered[min(len(ordered) - 1, round(0.9 * (len(ordered) - 1) + 0.4999))]

    @property
    def cpu(self) -> float:
        """The median CPU time."""
        return statistics.median(sample.cpu for sample in self.samples)


def interleave(contenders: Sequence[Contender], rounds: int, warm_up: int = 1) -> dict[str, Series]:
    """Run each contender in turn, `rounds` times after `warm_up` rounds that do not count. Raises MeasureError."""
    series = {contender.name: Series(contender.name) for contender in contenders}
    for turn in range(-warm_up, rounds):
        for contender in contenders:
            sample = run(contender)
            if turn >= 0:
                series[contender.name].samples.append(sample)
    return series


def run(contender: Contender, deadline: float = COMMAND_DEADLINE) -> Sample:
    """Run a contender once. Raises MeasureError where it exits with a code that it should not."""
    if contender.before:
        contender.before()
    helped = cpu_time(contender.helpers() if contender.helpers else [])
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            list(contender.command),
            cwd=contender.cwd,
            env=dict(contender.environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        usage, status = _wait(process, contender, started + deadline)
        wall = time.perf_counter() - started
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    after = cpu_time(contender.helpers() if contender.helpers else [])
    cpu = usage.ru_utime + usage.ru_stime + max(0.0, after - helped)
    if status not in contender.exit_codes:
        tail = "\n".join(text.splitlines()[-20:])
        raise MeasureError(f"{contender.name}: exit {status}: {' '.join(contender.command)}\n{tail}")
    return Sample(wall=wall, cpu=cpu, exit_code=status, output=text)


def _wait(
    process: subprocess.Popen[bytes], contender: Contender, deadline: float
) -> tuple[resource.struct_rusage, int]:
    """Reap the process with its resource usage; past the deadline kill all that it started and raise MeasureError."""
    exited = os.pidfd_open(process.pid) if hasattr(os, "pidfd_open") else None
    try:
        if exited is not None and not _readable(exited, deadline - time.perf_counter()):
            _kill_family(process.pid)
            os.wait4(process.pid, 0)
            process.returncode = -signal.SIGKILL
            raise MeasureError(f"{contender.name}: did not end in time: {' '.join(contender.command)}")
        _pid, status, usage = os.wait4(process.pid, 0)
    finally:
        if exited is not None:
            os.close(exited)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage, process.returncode


def _kill_family(pid: int) -> None:
    """Kill a command with all below it: workers in groups of their own would go on, on a processor that is measured."""
    family = [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _readable(descriptor: int, seconds: float) -> bool:
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(max(0.0, seconds) * 1000))


def cpu_time(processes: Sequence[psutil.Process]) -> float:
    """Return the CPU time of these processes and of the children that they have reaped."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
        total += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return total


def come_to_rest(processes: Callable[[], Sequence[psutil.Process]]) -> None:
    """Wait until these processes do nothing: what a daemon prepares after a run is no part of the next one.

    Raises MeasureError.
    """
    give_up = time.monotonic() + REST_DEADLINE
    used = -1.0
    while (now := cpu_time(processes())) != used:
        if time.monotonic() > give_up:
            raise MeasureError(f"the daemon did not come to rest within {REST_DEADLINE:g} s")
        used = now
        time.sleep(REST)
