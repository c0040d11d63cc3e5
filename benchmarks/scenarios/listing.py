"""What an editor asks for after an edit to a file of tests: the list of all tests."""

from __future__ import annotations

from collections.abc import Iterator

from context import Context, race
from measuring import Contender, MeasureError, interleave
from table import Row
from watching import Edit

__all__ = ["measure"]

GOAL = 0.1
#: Suite, the edited file, the function in it.
CASES = (
    ("click", "tests/test_basic.py", "test_basic_functionality"),
    ("packaging", "tests/test_utils.py", "test_canonicalize_name"),
)


def measure(context: Context) -> Iterator[Row]:
    """Yield two rows for each suite. Raises MeasureError where the lists are not equally long."""
    for name, file, function in CASES:
        suite = context.suite(name)
        with context.house(suite) as house, Edit(suite.project / file, function) as edit:
            plain = Contender(
                name="pytest --collect-only", command=[str(suite.python), "-m", "pytest", "--collect-only", "-q"],
                cwd=suite.project, environment=suite.environ(), before=edit.make,
            )  # fmt: skip
            ours = Contender(
                name="testd list --json", command=[str(context.testd), "list", "--json"], cwd=suite.project,
                environment=house.environment, before=edit.make, helpers=house.processes,
            )  # fmt: skip
            series = interleave([plain, ours], context.rounds, warm_up=2)
        told = [sum("::" in line for line in found.samples[-1].output.splitlines()) for found in series.values()]
        if told[0] != told[1]:
            raise MeasureError(f"{name}: pytest lists {told[0]} tests, testd {told[1]}")
        yield from race("list", f"{name}, {told[1]:,} tests", series, {ours.name: ([plain.name], GOAL)})
