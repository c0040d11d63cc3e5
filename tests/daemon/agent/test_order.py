"""Random orders: what stays together, what a seed repeats, and processes of tests of their own."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from testd_daemon.agent.order import shuffled

NAMES = ("f[1]", "f[2]", "f[a::b]", "g", "C::m[1]", "C::m[2]", "C::n")
IDS = [f"{file}.py::{name}" for file in "abc" for name in NAMES]


@given(st.lists(st.integers(0, len(IDS) - 1), unique=True), st.integers(0, 10**18))
def test_each_test_once_files_and_classes_whole_and_the_same_again(positions: list[int], seed: int) -> None:
    order = shuffled(IDS, positions, seed)
    assert sorted(order) == sorted(positions)
    for part in (r".*?(?=::)", r"[^\[]*", r".*?::C|.*"):  # files, functions, classes
        names = [name for name, _ in groupby(re.match(part, IDS[position])[0] for position in order)]  # type: ignore[index]
        assert len(names) == len(set(names))
    assert shuffled(IDS, positions, seed) == order


def test_seeds_differ_at_every_level() -> None:
    orders = {tuple(shuffled(IDS, range(len(IDS)), seed)) for seed in range(50)}
    assert len(orders) == 50
    assert {IDS[order[0]][0] for order in orders} == {"a", "b", "c"}
    in_a = {tuple(IDS[n][6:] for n in order if IDS[n].startswith("a.py::f")) for order in orders}
    assert len(in_a) == 6, "each order of three parameters"


Make = Callable[..., Path]
StartAgent = Callable[..., Any]

TELLING = """
import os, pathlib, pytest

def say(name):
    with open(pathlib.Path(__file__).parent / "order", "a") as file:
        file.write(f"{name} {os.getpid()}\\n")

@pytest.mark.parametrize("n", range(6))
def test_p(n): say(f"p{n}")

def test_q(): say("q")
"""


def told(folder: Path) -> list[tuple[str, str]]:
    """What the tests have said: name and process, in the order in which they ran."""
    file = folder / "order"
    lines = [line.split() for line in file.read_text().splitlines()]
    file.unlink()
    return [(name, pid) for name, pid in lines]


def test_a_shuffled_run_is_repeated_by_its_seed_also_fresh_and_by_several_workers(
    project: Make, agent: StartAgent
) -> None:
    folder = project(test_a_py=TELLING)
    driver = agent(folder)
    driver.run(jobs=1)
    natural = [name for name, _ in told(folder)]
    run = driver.run(jobs=1, shuffle=7)
    order = [name for name, _ in told(folder)]
    assert sorted(order) == sorted(natural)
    assert order != natural
    assert "shuffled: --shuffle 7 repeats this order" in run.notices
    for options in ({"jobs": 1}, {"jobs": 2}, {"jobs": 1, "fresh": True}, {"jobs": 1, "mode": "bin"}):
        assert len(driver.run(shuffle=7, **options).rows) == 7
        assert [name for name, _ in told(folder)] == order, options
    driver.run(jobs=1, shuffle=8)
    assert [name for name, _ in told(folder)] != order


LEAKY = """
seen = []

def test_first():
    seen.append(1)

def test_second():
    assert not seen, "another test was here"
"""


def test_isolated_tests_do_not_see_each_other(project: Make, agent: StartAgent) -> None:
    folder = project(test_a_py=TELLING, test_b_py=LEAKY)
    driver = agent(folder)
    assert driver.run().verdicts["test_second"] == "failed"
    told(folder)
    run = driver.run(isolate="test")
    assert run.ready.warm
    assert run.completed.counts == {"passed": 9}
    assert len({pid for _, pid in told(folder)}) == 7
    assert len({row.test for row in run.rows}) == 9
    assert driver.run(isolate="test", mode="bin").completed.counts == {"passed": 9}
    assert len({pid for _, pid in told(folder)}) == 7


def test_isolated_tests_where_nothing_may_be_forked_say_so(project: Make, agent: StartAgent) -> None:
    driver = agent(project(test_b_py=LEAKY, testd_toml="fork = false\n"))
    run = driver.run(isolate="test")
    assert run.completed.counts == {"passed": 2}
    assert run.notices == ["each test runs in a new process, because the configuration says fork = false"]


def test_an_isolated_run_stops_after_a_failure(project: Make, agent: StartAgent) -> None:
    text = "import pytest\n@pytest.mark.parametrize('n', range(30))\ndef test_p(n): assert n != 3\n"
    run = agent(project(test_a_py=text)).run(isolate="test", maxfail=1, jobs=1)
    assert run.completed.counts == {"passed": 3, "failed": 1, "cancelled": 26}
