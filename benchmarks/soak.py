"""Watch a project through hundreds of random edits, and hold each state against a fresh pytest.

    python benchmarks/soak.py [--generations 500] [--clients 100] [--seed 1] [--python ENV/bin/python]

After each edit the standing of the watch must be what `python -m pytest` says of the same files, from scratch. Now and
then clients come, ask, look at the same watch, and go. In the last tenth there is a moment with no more processes and
descriptors than there were at most in the first tenth, and with no more memory than a tenth beyond. Prints a line now
and then; exits with 1 on any difference.

Runs in testd's environment (psutil). The project is invented (`edits.py`), in a temporary folder.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from edits import Editor
from house import House, find_testd

__all__ = ["main"]

#: Seconds for a generation to come and end after an edit.
GENERATION_DEADLINE = 120.0
#: Seconds in which the watch may still hear of the last of several files that were written one after the other.
LAST_WORD = 5.0
#: How often another edit follows at once, and seconds within which it does.
HURRY, MOMENT = 0.25, 0.5
#: How much more memory, in the whole, is no growth: in parts, and in bytes for what is small.
GROWTH, SLACK = 0.10, 24 * 1024**2
RECORDER = Path(__file__).with_name("verdict_recorder.py")


class Standing(NamedTuple):
    """How all tests stand."""

    counts: Mapping[str, int]
    failing: frozenset[str]


class Footprint(NamedTuple):
    """What the daemon holds."""

    processes: int
    descriptors: int
    memory: int  # bytes

    def __str__(self) -> str:
        return f"{self.processes} processes, {self.descriptors} descriptors, {self.memory // 1024**2} MiB"


class Watch:
    """A `testd watch` of the project; its events come in order."""

    def __init__(self, testd: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [str(testd), "watch", "--format", "json"], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.generation = 0

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._events.put(json.loads(line))

    def settle(self, deadline: float) -> Standing:
        """Wait for the end of a generation that nothing superseded. Raises TimeoutError."""
        give_up = time.monotonic() + deadline
        standing: Standing | None = None
        while True:
            try:
                event = self._events.get(timeout=max(0.0, give_up - time.monotonic()))
            except queue.Empty:
                raise TimeoutError(f"no generation ended within {deadline:g} s") from None
            if event["event"] == "generation":
                self.generation = event["generation"]
            elif event["event"] == "standing":
                standing = Standing(event["counts"], frozenset(one["test"] for one in event["failing"]))
            elif event["event"] == "completed" and standing is not None:
                if event["reason"].startswith("superseded"):
                    continue
                return standing

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self._reader.join(30)


def fresh(python: Path, folder: Path, environment: Mapping[str, str], scratch: Path) -> Standing:
    """Ask a new pytest about the files as they are."""
    target = scratch / "verdicts.json"
    target.unlink(missing_ok=True)
    subprocess.run(
        [str(python), str(RECORDER), str(target), "-q", "-p", "no:cacheprovider", "--continue-on-collection-errors"],
        cwd=folder, env=environment, capture_output=True, stdin=subprocess.DEVNULL, check=False, timeout=300,
    )  # fmt: skip
    verdicts = json.loads(target.read_text()) if target.exists() else {"verdicts": {}}
    counts: dict[str, int] = {}
    failing = set()
    for test, found in verdicts["verdicts"].items():
        for verdict in found:
            counts[verdict] = counts.get(verdict, 0) + 1
            if verdict in ("failed", "error"):
                failing.add(test)
    return Standing(counts, frozenset(failing))


def footprint(house: House) -> Footprint:
    """Return what the daemon's processes hold now."""
    processes = descriptors = memory = 0
    for process in house.processes():
        with contextlib.suppress(psutil.Error):
            if "watch" not in process.cmdline():
                descriptors += process.num_fds()
                memory += process.memory_full_info().uss
                processes += 1
    return Footprint(processes, descriptors, memory)


def visit(testd: Path, folder: Path, environment: Mapping[str, str], chance: random.Random) -> None:
    """Be a client: ask something, or look at the watch for a moment and go, in order or not."""
    verb = chance.choice([["status"], ["history"], ["watch", "--format", "json"], ["attach", "--format", "json"]])
    with subprocess.Popen(
        [str(testd), *verb], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as client:  # fmt: skip
        assert client.stdout is not None
        client.stdout.readline()
        if verb[0] in ("watch", "attach"):
            chance.choice([client.kill, client.terminate])()


def soak(options: argparse.Namespace, house: House, folder: Path, scratch: Path) -> int:
    """Edit and compare; return how many states differed."""
    chance = random.Random(options.seed)
    visits = sorted(chance.randrange(1, options.generations + 1) for _ in range(options.clients))
    editor = Editor(folder, options.seed)
    environment = {**house.environment, "VIRTUAL_ENV": str(options.python.parent.parent)}
    watch = Watch(options.testd, folder, environment)
    differences, edit, tenth = 0, "the beginning", max(1, options.generations // 10)
    first: list[Footprint] = []
    last: list[Footprint] = []
    try:
        standing = watch.settle(GENERATION_DEADLINE)
        for step in range(options.generations + 1):
            if step:
                edit = editor.edit()
                while chance.random() < HURRY:  # it comes while the tests run that the one before affects
                    time.sleep(chance.uniform(0, MOMENT))
                    edit += "; then " + editor.edit()
                standing = watch.settle(GENERATION_DEADLINE)
            true = fresh(options.python, folder, environment, scratch)
            with contextlib.suppress(TimeoutError):
                while standing != true:
                    standing = watch.settle(LAST_WORD)
            if standing != true:
                differences += 1
                _tell(step, edit, standing, true)
            for _ in range(visits.count(step)):
                visit(options.testd, folder, environment, chance)
            if step <= tenth:
                first.append(footprint(house))
            elif step > options.generations - tenth:
                last.append(footprint(house))
            if step % 25 == 0:
                print(f"{step:5} edits, {watch.generation} generations: {footprint(house)}; {edit}", flush=True)
        return differences + _grown(_each(max, first), _each(min, last))
    finally:
        watch.end()


def _tell(step: int, edit: str, standing: Standing, true: Standing) -> None:
    print(f"{step:5} {edit}: the watch says {dict(standing.counts)}, pytest {dict(true.counts)}")
    for test in sorted(standing.failing ^ true.failing):
        print(f"      {test}: {'fails in the watch only' if test in standing.failing else 'fails in pytest only'}")
    sys.stdout.flush()


def _each(choose: Callable[[Iterable[int]], int], found: Sequence[Footprint]) -> Footprint:
    """Return what is chosen of each of their figures."""
    return Footprint(*map(choose, zip(*found, strict=True)))


def _grown(first: Footprint, last: Footprint) -> int:
    """Say whether the daemon holds more than it did: at most in the beginning, and at least at the end."""
    more = (
        last.processes > first.processes,
        last.descriptors > first.descriptors,
        last.memory > first.memory * (1 + GROWTH) + SLACK,
    )
    print(f"at first {first}; at the end {last}{': grown' if any(more) else ''}")
    return sum(more)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Watch a project through random edits.")
    parser.add_argument("--generations", type=int, default=500, help="how many edits")
    parser.add_argument("--clients", type=int, default=100, help="how many clients come and go meanwhile")
    parser.add_argument("--seed", type=int, default=1, help="equal seeds make equal edits")
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="an interpreter with pytest")
    parser.add_argument("--testd", type=Path, default=None, help="the testd command")
    options = parser.parse_args(arguments)
    options.testd = find_testd(options.testd)
    with tempfile.TemporaryDirectory(prefix="testd-soak-") as scratch, House(os.environ, options.testd) as house:
        folder = Path(scratch) / "project"
        folder.mkdir()
        differences = soak(options, house, folder, Path(scratch))
    print("no difference" if not differences else f"{differences} differences")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
