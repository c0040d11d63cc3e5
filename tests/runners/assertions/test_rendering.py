"""Values as stable text."""

from __future__ import annotations

import collections
import dataclasses
import subprocess
import sys
from typing import NamedTuple

import pytest

from testd.assertions.rendering import render


@dataclasses.dataclass
class Point:
    x: int
    y: object = None


class Pair(NamedTuple):
    a: int
    b: int


class Thing:
    pass


def _cycle():
    made: list = [1]
    made.append(made)
    return made


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.5, "1.5"), ("a", "'a'"), ([1, "b"], "[1, 'b']"), ((1,), "(1,)"), ((), "()"), ({}, "{}"), (set(), "set()"),
        ({"b": 1, "a": 2}, "{'a': 2, 'b': 1}"), ({3, 1, 2}, "{1, 2, 3}"), (frozenset([1]), "frozenset{1}"),
        (collections.OrderedDict(b=1, a=2), "OrderedDict{'b': 1, 'a': 2}"), (Point(1, [2]), "Point(x=1, y=[2])"),
        (Thing(), "Thing()"), (_cycle(), "[1, <cycle>]"), (b"x", "b'x'"), (None, "None"),
        (len, "<built-in function len>"),
        (Pair(1, 2), "Pair(a=1, b=2)"), (ValueError("x"), "ValueError(args=('x',))"),
    ],
)
def test_short_values_are_one_line(value, text):
    assert render(value) == [text]


def test_long_values_have_a_line_for_each_part():
    assert render({"name": "x" * 70, "text": "one\ntwo\n", "rows": [1, 2]}) == [
        "{",
        f"    'name': '{'x' * 70}',",
        "    'rows': [1, 2],",
        "    'text': (",
        "        'one\\n'",
        "        'two\\n'",
        "    ),",
        "}",
    ]


def test_addresses_are_left_out():
    assert "0x" not in "".join(render([object(), lambda: 1]))


def test_nesting_without_end_has_an_end():
    value: list = []
    for _ in range(5000):
        value = [value]
    assert "nested deeper" in "".join(render(value))


def test_the_order_of_sets_does_not_depend_on_the_process():
    script = "from testd.assertions.rendering import render; print(render({'a', 'b', 'c', ('d', 1), frozenset('xyz')}))"
    texts = {
        subprocess.run(
            [sys.executable, "-c", script], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, timeout=60,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(texts) == 1
