"""Suites of cases as files for pytest: what is in them passes there, and fails where the code is wrong."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import uuid
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from testd.tracing.values import snapshot
from testd_daemon.exchange.literals import InexpressibleError, literal
from testd_daemon.exchange.pytest_file import awaited, exported

EXP = """
import asyncio
from decimal import Decimal

class Cart:
    def __init__(self, total): self.total = total
    @staticmethod
    def make(total): return Cart(total)

class OutOfStock(Exception): pass

def child(x): return 2 * x
def parent(xs): return [child(x) for x in xs]
def price(): return Decimal("1.10"), {1, 2}
def user(**more): return {"id": 1, "name": "x", "tags": ["a", "b"], **more}
def boom(): raise OutOfStock("bad value 42")
def third(): return 1 / 3
async def slowly(x): return x
"""


def case(name: str, function: str, given: Any, *assertions: Any, **more: Any) -> dict[str, Any]:
    meta = {"module_name": "exp", "function_name": function}
    return {"id": name, "name": name, "function_to_execute": {"function_meta": meta}, "input_to_pass": given,
            "assertions": list(assertions), **more}  # fmt: skip


def says(operator: str, expected: Any, target: str = "output", **more: Any) -> dict[str, Any]:
    return {"operator": operator, "object": expected, "assertion_target": target, **more}


CASES = [
    case("doubles all", "parent", [[1, 2], {}], says("equals", [2, 4])),
    case("doubles all", "parent", {"xs": []}, says("equals", [])),
    case("typed values", "price", [{}], says("equals", snapshot((Decimal("1.10"), {1, 2})))),
    case("parts", "user", [{"class": 5}], says("contains", {"name": "x", "tags": ["a", "b"]}), says("type", "dict"),
         says("subset", {"tags": ["a"], "none": None})),
    case("parts of a list", "parent", [[1, 2, 3], {}], says("contains", [4, 6]), says("contains", 2)),
    case("numbers", "third", [{}], says("approx", 0.333, tolerance=0.01), says("approx", 1 / 3)),
    case("raises", "boom", [{}], says("raises", {"type": "exp.OutOfStock", "matches": "[0-9]+$"}),
         says("contains", "bad", "error"), says("equals", "bad value 42", "error")),
    case("awaits", "slowly", [5, {}], says("equals", 5)),
    case("mocks", "parent", [[1, 2, 3], {}], says("equals", [2, 0, 6]), mocks={"exp:child": {"2": {"output": 0}}}),
    case("mocked errors", "parent", [[1], {}], says("raises", "ValueError"),
         mocks={"exp:child": {"*": {"error_to_throw": "no", "error_type": "ValueError"}}}),
    case("nothing", "child", [1, {}]),
]  # fmt: skip
WRONG = [
    case("equals", "parent", [[1], {}], says("equals", [3])),
    case("contains", "user", [{}], says("contains", {"tags": ["a"]})),
    case("sublist", "parent", [[1, 3, 2], {}], says("contains", [2, 4])),
    case("subset", "user", [{}], says("subset", {"tags": ["b"]})),
    case("approx", "third", [{}], says("approx", 0.3, tolerance=0.01)),
    case("type", "third", [{}], says("type", ["int", "str"])),
    case("message", "boom", [{}], says("equals", "bad", "error")),
    case("kind", "boom", [{}], says("raises", "ValueError")),
    case("none raised", "third", [{}], says("raises", "ValueError")),
    case("mock", "parent", [[1], {}], says("equals", [2]), mocks={"exp:child": {"1": {"output": 0}}}),
]


def is_async(module: str, name: str) -> bool:
    return awaited(EXP, name) if module == "exp" else False


def run(folder: Path, cases: Any) -> str:
    """Return what pytest says of an exported file in its last line."""
    made = exported({"id": "s", "name": 'a "suite" \\ of cases', "test_cases": cases}, is_async)
    assert made.problems == []
    (folder / "exp.py").write_text(EXP)
    (folder / "test_made.py").write_text(made.source)
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_made.py"],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout.splitlines()[-1].split(" in ")[0]


def test_what_holds_passes(tmp_path: Path) -> None:
    assert run(tmp_path, CASES) == f"{len(CASES)} passed"


def test_what_does_not_hold_fails(tmp_path: Path) -> None:
    assert run(tmp_path, WRONG) == f"{len(WRONG)} failed"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (case("c", "child", [1, {}], says("equals", {"$type": "object", "class": "exp:Cart", "state": {}})),
         "c: skipped: <object exp:Cart> has no source"),
        (case("c", "child", [1, {}], says("approx", {"a": {"b": 1}})), "c: skipped: approx of what is nested"),
        (case("c", "child", [1, {}], says("raises", "OutOfStock")),
         "c: skipped: raises OutOfStock, of which the module is not known"),
        (case("c", "child", [1, {}], mocks={"exp:slowly": {"1": {"output": 1}}}),
         "c: skipped: a mock of the coroutine function slowly"),
        ({**case("c", "child", [{}]), "function_to_execute": {"code": "f()"}},
         "c: skipped: it runs code, and names no function"),
        (case("c", "child", [1, {}], children=[{"function": "f"}]), "c: which calls it makes"),
        (case("c", "child", [1, {}], says("equals", [1, {}], "input")), "c: an assertion about its input"),
        (case("c", "child", [1, {}], {"code": "x => x"}), "c: an assertion about code"),
        (case("c", "child", [1, {}], says("equals", 2, ignore=["a"])), "c: an assertion about places that are ignored"),
    ],
)  # fmt: skip
def test_what_has_no_counterpart_is_told_and_no_silent_pass(given: Any, said: str) -> None:
    made = exported({"id": "s", "name": "s", "test_cases": [given]}, is_async)
    assert made.problems == [said]
    assert ("pytest.mark.skip" in made.source) == (": skipped: " in said)
    assert said.partition(": ")[2].removeprefix("skipped: ") in made.source.replace("\\", "")
    compile(made.source, "test_made.py", "exec")


@pytest.mark.parametrize(
    "value",
    [None, True, 1, 1.5, float("inf"), "x'\"\n", b"\x00", [1, (2,), ()], {"a": {1: "b"}}, {1, 2}, set(), frozenset({1}),
     1j, Decimal("1.10"), Fraction(1, 3), uuid.UUID(int=5), dt.date(2020, 1, 2), dt.timedelta(seconds=5),
     dt.datetime(2020, 1, 2, 3, 4, 5)],  # noqa: DTZ001  one without a zone is a value like any other
    ids=repr,
)  # fmt: skip
def test_source_gives_the_value_again(value: Any) -> None:
    imports: set[str] = set()
    source = literal(snapshot(value), imports)
    found = eval(source, {name: __import__(name) for name in imports})
    assert (found, type(found)) == (value, type(value))


def test_what_only_its_class_can_make_has_no_source() -> None:
    for value in (Path("x"), dt.timezone.utc, object()):
        with pytest.raises(InexpressibleError):
            literal(snapshot({"a": [value]}), set())


def test_coroutine_functions_are_told_by_their_source() -> None:
    source = "class A:\n    async def f(self): ...\n    def g(self): ...\nasync def h(): ..."
    assert [awaited(source, name) for name in ("A.f", "A.g", "h", "A", "gone", "A.gone")] == [
        True, False, True, False, False, False,
    ]  # fmt: skip
