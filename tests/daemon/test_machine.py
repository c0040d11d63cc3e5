"""The tables of the handler: every transition that is there, and none that is not."""

from __future__ import annotations

import enum

import pytest

from testd_daemon.errors import IllegalTransition
from testd_daemon.handler.run import RUN_TABLE, RunState, Step
from testd_daemon.handler.supervision import AGENT_TABLE, AgentState, Change
from testd_daemon.machine import Machine


class Light(enum.Enum):
    RED = "red"
    GREEN = "green"
    BROKEN = "broken"


class Turn(enum.Enum):
    GO = "go"
    STOP = "stop"
    HIT = "hit"


TABLE = {Light.RED: {Turn.GO: Light.GREEN, Turn.HIT: Light.BROKEN}, Light.GREEN: {Turn.STOP: Light.RED}}


def test_a_machine_goes_where_its_table_leads():
    light = Machine(TABLE, Light.RED, "the light")
    assert light.allows(Turn.GO)
    assert light.advance(Turn.GO) is Light.GREEN
    assert not light.allows(Turn.HIT)
    with pytest.raises(IllegalTransition, match="the light is GREEN and got HIT; it allows STOP"):
        light.advance(Turn.HIT)
    assert light.state is Light.GREEN
    light.advance(Turn.STOP)
    light.advance(Turn.HIT)
    assert light.final
    with pytest.raises(IllegalTransition, match="the state is final"):
        light.advance(Turn.GO)


@pytest.mark.parametrize(("table", "start"), [(RUN_TABLE, RunState.ACCEPTED), (AGENT_TABLE, AgentState.ABSENT)])
def test_every_state_can_be_reached_and_every_event_means_something(table, start):
    reached, todo = set(), [start]
    while todo:
        state = todo.pop()
        if state not in reached:
            reached.add(state)
            todo += table.get(state, {}).values()
    assert reached == set(type(start))
    used = {event for ways in table.values() for event in ways}
    assert used == set(type(next(iter(used))))


def test_a_run_can_always_be_ended_by_the_handler():
    for state in set(RunState) - {RunState.FINISHED}:
        assert RUN_TABLE[state][Step.FAIL] is RunState.FINISHED


def test_a_run_that_is_to_be_cancelled_is_never_run_on():
    to_be_cancelled = {RunState.CANCELLING, RunState.STOPPING}
    for state in to_be_cancelled:
        assert set(RUN_TABLE[state].values()) <= to_be_cancelled | {RunState.FINISHED}


def test_an_agent_that_was_given_up_starts_only_when_it_is_wanted():
    assert AGENT_TABLE[AgentState.FAILED] == {Change.WANT: AgentState.STARTING}
