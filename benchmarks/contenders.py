"""How each tool runs a suite, and how many verdicts of each kind it says it got.

Runs in testd's environment.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from house import House
from measuring import Contender, MeasureError, Sample, run
from suites import Prepared

__all__ = ["counts", "forked", "handler_of", "karva", "least_record", "loop_seconds", "plain", "same", "warm", "xdist"]

_ANY_VERDICT = frozenset({0, 1})
_PYTEST_COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed|xpassed)\b")
_KARVA_COUNT = re.compile(r"(\d+) (passed|failed|skipped)\b")


def plain(suite: Prepared, paths: Sequence[str] = ()) -> Contender:
    """Plain `python -m pytest`."""
    command = [str(suite.python), "-m", "pytest", "-q", *paths]
    return _contender("pytest", command, suite)


def forked(suite: Prepared, paths: Sequence[str] = ()) -> Contender:
    """Plain pytest whose collection is divided over forked processes; see `forked_loop` and `loop_seconds`."""
    command = [str(suite.python), "-m", "pytest", "-q", "-p", "forked_loop", *paths]
    environment = {**suite.environ(), "PYTHONPATH": str(Path(__file__).parent)}
    return Contender(name="floor", command=command, cwd=suite.project, environment=environment, exit_codes=_ANY_VERDICT)


def loop_seconds(sample: Sample) -> float:
    """Return what the plugin of a `forked` run printed. Raises MeasureError."""
    found = re.search(r"^test loop: ([0-9.]+) s$", sample.output, re.MULTILINE)
    if found is None:
        raise MeasureError(f"floor: no time of the test loop in its output:\n{sample.output[-2000:]}")
    return float(found[1])


def least_record(suite: Prepared, rounds: int) -> tuple[float, float]:
    """Return the seconds of the test loop of plain pytest with the least record of functions, and without it.

    See the plugin `least_record`. Raises MeasureError.
    """
    command = [str(suite.python), "-m", "pytest", "-q", "-p", "least_record"]
    added = {"PYTHONPATH": str(Path(__file__).parent), "LEAST_RECORD_ROUNDS": str(rounds)}
    contender = Contender(name="the least record", command=command, cwd=suite.project,
                          environment={**suite.environ(), **added})  # fmt: skip
    sample = run(contender)
    found = re.search(r"^least record: ([0-9.]+) s of ([0-9.]+) s$", sample.output, re.MULTILINE)
    if found is None:
        raise MeasureError(f"the least record: no times in its output:\n{sample.output[-2000:]}")
    return float(found[1]), float(found[2])


def xdist(peers: Prepared, paths: Sequence[str] = ()) -> Contender:
    """`pytest -n 2`."""
    command = [str(peers.python), "-m", "pytest", "-q", "-n", "2", *paths]
    return _contender("pytest -n 2", command, peers)


def karva(peers: Prepared, paths: Sequence[str] = ()) -> Contender:
    """`karva test`."""
    return _contender("karva", [str(peers.venv / "bin" / "karva"), "test", *paths], peers)


def warm(
    house: House,
    command: Path,
    suite: Prepared,
    paths: Sequence[str] = (),
    options: Sequence[str] = (),
    name: str = "testd",
    before: Callable[[], None] | None = None,
) -> Contender:
    """`testd run` with the daemon of `house`: warm, unless `before` stops it ahead of each round."""
    return Contender(
        name=name,
        command=[str(command), "run", *options, *paths],
        cwd=suite.project,
        environment=house.environment,
        exit_codes=_ANY_VERDICT,
        before=before,
        helpers=house.processes,
    )


def counts(sample: Sample) -> Counter[str]:
    """Return how many tests ended with each verdict, as the tool's last lines say."""
    lines = sample.output.rstrip().splitlines()
    if lines and lines[-1].startswith("{"):
        return _from_events(lines)
    found: Counter[str] = Counter()
    tail = next((line for line in reversed(lines) if re.search(r"\d+ (passed|failed|error)", line)), "")
    pattern = _KARVA_COUNT if "tests run" in tail else _PYTEST_COUNT
    for number, verdict in pattern.findall(tail):
        found[verdict.rstrip("s") if verdict.startswith("error") else verdict] += int(number)
    return found


def _from_events(lines: Sequence[str]) -> Counter[str]:
    events = (json.loads(line) for line in lines if line.startswith("{"))
    return Counter(event["verdict"] for event in events if event["event"] == "outcome")


def same(samples: Mapping[str, Sample], reference: str = "pytest") -> dict[str, str]:
    """Return what is different about each contender whose counts are not the reference's."""
    expected = counts(samples[reference])
    differing = {}
    for name, sample in samples.items():
        found = counts(sample)
        if found != expected or not found:
            differing[name] = f"{_words(found)} instead of {_words(expected)}"
    return differing


def _words(found: Counter[str]) -> str:
    return ", ".join(f"{number} {verdict}" for verdict, number in found.most_common()) or "no verdicts"


def _contender(name: str, command: Sequence[str], suite: Prepared) -> Contender:
    return Contender(
        name=name, command=command, cwd=suite.project, environment=suite.environ(), exit_codes=_ANY_VERDICT
    )


def handler_of(house: House) -> psutil.Process:
    """Return the handler among the daemon's processes. Raises LookupError."""
    for process in house.processes():
        if "testd_daemon.handler" in " ".join(process.cmdline()):
            return process
    raise LookupError("no handler runs")
