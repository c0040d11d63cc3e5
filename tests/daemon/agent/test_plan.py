"""Exactly one outcome for each test."""

from __future__ import annotations

import pytest

from testd_daemon.agent.plan import Plan
from testd_daemon.errors import Bug


def test_a_second_outcome_is_a_bug() -> None:
    plan = Plan(["a", "b"])
    plan.settle(0, "passed")
    with pytest.raises(Bug, match="a got a second outcome: failed"):
        plan.settle(0, "failed")
    assert plan.counts == {"passed": 1}


def test_open_and_bad_are_counted() -> None:
    plan = Plan(["a", "b", "c", "d"])
    plan.settle(1, "failed")
    plan.settle(2, "timed out")
    assert (plan.open, plan.bad, list(plan.unsettled())) == (2, 2, [0, 3])
    assert plan.is_open(0)
    assert not plan.is_open(1)


def test_the_same_id_twice_is_two_tests() -> None:
    plan = Plan(["a", "a"])
    plan.settle(0, "passed")
    assert plan.is_open(1)
