"""What is recorded of programs made at random, against what they are known to call."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from recording import MODERN, recorded

_FUNCTIONS = 24
_FILES = 2
_TESTS = 8


@dataclass
class _Program:
    """Functions that call those behind them; some are generators, some keep what they made."""

    calls: dict[str, list[str]] = field(default_factory=dict)
    keeping: set[str] = field(default_factory=set)  # in a global variable
    filler: str = ""  # what is called to fill an object
    tests: list[dict[str, list[tuple[str, int]]]] = field(default_factory=list)  # by file: what each test calls, often

    def source(self, numbers: random.Random) -> str:
        """Return its module."""
        lines = ["KEPT = []", "class Box:", f"    def fill(self): self.cache = {self.filler}()", "BOX = Box()"]
        for name, calls in self.calls.items():
            made = " or ".join(f"{callee}()" for callee in calls) or "None"
            if name in self.keeping:
                often = numbers.choice((1, 12))
                lines += [f"def {name}():", f"    for _ in range({often}): KEPT[:] = []; KEPT.append({made})"]
            elif numbers.random() < 0.2:
                lines += [f"def {name}(): return next(parts_of_{name}())", f"def parts_of_{name}(): yield {made}"]
            else:
                lines.append(f"def {name}(): return {made}")
        return "\n".join(lines) + "\n"

    def reached(self, names: Iterable[str]) -> set[str]:
        """Return what runs where these are called."""
        found: set[str] = set()
        left = list(names)
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left += [self.filler] if name in ("Box.fill", "BOX.fill") else self.calls[name]
        return found


def _program(numbers: random.Random) -> _Program:
    program = _Program()
    names = [f"f{n}" for n in range(_FUNCTIONS)]
    for n, name in enumerate(names):
        program.calls[name] = numbers.sample(names[n + 1 :], min(numbers.choice((0, 1, 1, 2)), _FUNCTIONS - n - 1))
    program.keeping = set(numbers.sample(names, 2))
    program.filler = numbers.choice(names)
    roots = [*names, "Box.fill"]
    program.tests = [
        {
            f"t{file}_{n}": [
                (numbers.choice(roots), numbers.choice((1, 1, 3, 40, 700))) for _ in range(numbers.randint(1, 5))
            ]
            for n in range(_TESTS)
        }
        for file in range(_FILES)
    ]
    fills = numbers.choice([test for tests in program.tests for test in tests.values()])
    inside = numbers.choice(sorted(program.reached([program.filler])))
    fills += [("Box.fill", numbers.choice((1, 3))), (inside, numbers.choice((1, 500))), ("BOX.fill", 3)]
    return program


def _write(project: Path, program: _Program, numbers: random.Random) -> None:
    (project / "lib.py").write_text(program.source(numbers))
    for file, tests in enumerate(program.tests):
        lines = ["import lib"]
        for name, calls in tests.items():
            lines.append(f"def {name}():")
            lines += [
                f"    for _ in range({often}): lib.{callee.replace('Box.', 'Box().')}()" for callee, often in calls
            ]
        (project / f"test_{file}.py").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("version", MODERN)
@pytest.mark.parametrize("seed", range(6))
def test_what_a_random_program_calls_is_recorded(tmp_path: Path, version: str, seed: int) -> None:
    """Functions that start often, that last and that keep things are heard in other ways: none may be lost."""
    numbers = random.Random(seed)
    program = _program(numbers)
    project = tmp_path / "project"
    project.mkdir()
    _write(project, program, numbers)
    record = recorded(project, version, kind="exports")
    assert record.functions
    tests = {name: calls for tests in program.tests for name, calls in tests.items()}
    assert record.uses.keys() == tests.keys()
    lasting: set[str] = set()
    maybe: set[str] = set()
    for name, calls in tests.items():
        called = [callee for callee, _ in calls]
        ran = program.reached(called)
        heard = {function for function in record.functions_of(name) if not function.startswith("parts_of_")}
        ran = {"Box.fill" if function == "BOX.fill" else function for function in ran}
        assert ran <= heard, name
        assert heard - ran <= record.shared, name
        lasting |= program.reached(program.keeping & ran)
        if "BOX.fill" in called:
            lasting |= program.reached([program.filler]) | {"Box.fill"}
            maybe |= ran
    shared = {function for function in record.shared if not function.startswith("parts_of_")}
    assert lasting <= shared <= lasting | maybe
