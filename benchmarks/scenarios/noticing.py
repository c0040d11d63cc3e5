"""How soon a watch notices a change among 20,000 files, what a burst makes of it, and what it costs meanwhile."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from context import Context
from house import House
from measuring import cpu_time
from table import Row
from watching import Answer, Testd

__all__ = ["measure"]

FOLDERS, FILES_EACH, BURST = 400, 50, 500
GOAL = 0.050
#: Seconds of rest in which it uses no processor; the kernel counts in ticks, and one of them is noise.
REST, TICK = 20.0, 0.02


class _Noticed(Testd):
    """A watch of which the first event of a generation is timed, as `first`."""

    generations = 0

    def __enter__(self) -> _Noticed:  # noqa: PYI034  typing has no Self in 3.10
        super().__enter__()
        return self

    def answer(self, began: float, deadline: float) -> Answer:
        """Wait for the end of a generation that nothing superseded. Raises MeasureError."""
        noticed = 0.0
        for at, line in self._until(deadline):
            event = json.loads(line) if line.startswith("{") else {"event": ""}
            if event["event"] == "generation":
                noticed = noticed or at
                self.generations += 1
            elif event["event"] == "completed" and not event["reason"].startswith("superseded"):
                return Answer(noticed - began, at - began, 0)
        raise AssertionError


class _Rewrite:
    """Writes files of the tree with other content each time."""

    def __init__(self, files: list[Path]) -> None:
        self._files = files
        self._count = 0

    def make(self) -> None:
        """Write them."""
        self._count += 1
        for file in self._files:
            file.write_text(f"N = {self._count}\n")


def measure(context: Context) -> Iterator[Row]:
    """Yield a row for each of the three."""
    with tempfile.TemporaryDirectory(prefix="testd-noticing-") as folder:
        files = _tree(Path(folder))
        case = f"{len(files):,} files"
        environment = context.suite("markupsafe").environ()
        one = _Rewrite([files[-1]])
        house = House(environment, context.testd)
        with house, _Noticed(context.testd, Path(folder), house.environment) as ours:
            ours.time(one)
            seconds = [ours.time(one).first for _ in range(max(5, context.rounds))]
            middle = statistics.median(seconds)
            yield Row(
                scenario="noticing", case=case, what="an edit → its generation", value=f"{middle * 1e3:.0f} ms",
                goal=f"≤ {GOAL * 1e3:.0f} ms", met=middle <= GOAL, note=f"at most {max(seconds) * 1e3:.0f} ms",
            )  # fmt: skip
            before = ours.generations
            ours.time(_Rewrite(files[:BURST]))
            ours.time(one)
            made = ours.generations - before - 1
            yield Row(
                scenario="noticing", case=case, what=f"{BURST} files written at once", value=f"{made} generation(s)",
                goal="1", met=made == 1,
            )  # fmt: skip
            time.sleep(3.0)
            used = cpu_time(house.processes())
            time.sleep(REST)
            used = cpu_time(house.processes()) - used
            yield Row(
                scenario="noticing", case=f"{case}, {REST:.0f} s of rest", what="CPU time",
                value=f"{used * 1e3:.0f} ms", goal="none measurable", met=used <= TICK,
            )  # fmt: skip


def _tree(root: Path) -> list[Path]:
    """Write the files and one test; return the files."""
    (root / "test_it.py").write_text("def test_it():\n    pass\n")
    files = []
    for number in range(FOLDERS):
        folder = root / f"package_{number}"
        folder.mkdir()
        files += [folder / f"module_{n}.py" for n in range(FILES_EACH)]
    for file in files:
        file.write_text("N = 0\n")
    return files
