"""When agents are restarted and given up: events in, the exact list of actions out."""

from __future__ import annotations

import pytest

from testd_daemon.errors import IllegalTransition
from testd_daemon.handler.supervision import (
    AgentState,
    Deliver,
    Died,
    Due,
    End,
    GiveUp,
    Pause,
    Progressed,
    Ready,
    Spawn,
    Supervision,
    Wanted,
)


def supervision(backoff=(0.1, 0.5), max_restarts=20):
    return Supervision("agent of /w", backoff, max_restarts)


def died(needed=True):
    return Died("was killed by SIGKILL", needed, "its last words")


def test_the_natural_course():
    agent = supervision()
    assert agent.handle(Wanted()) == [Spawn()]
    assert agent.handle(Wanted()) == []  # it is on its way
    assert agent.handle(Ready()) == [Deliver()]
    assert agent.handle(Wanted()) == [Deliver()]
    assert agent.handle(died(needed=False)) == [End()]
    assert agent.state is AgentState.ABSENT


def test_restarts_without_progress_take_longer_and_longer_and_end():
    agent = supervision()
    agent.handle(Wanted())
    pauses = []
    for _ in range(2):
        (pause,) = agent.handle(died())
        pauses.append(pause)
        assert agent.handle(Wanted()) == []  # the pause is kept
        assert agent.handle(Due()) == [Spawn()]
        agent.handle(Ready())
    assert pauses == [Pause(0.1), Pause(0.5)]
    reason = "the agent of /w was killed by SIGKILL (3 times; giving up)"
    assert agent.handle(died()) == [GiveUp(reason, "its last words"), End()]
    assert agent.state is AgentState.FAILED
    assert agent.handle(Wanted()) == [Spawn()]
    assert agent.restarts == 0


def test_progress_begins_the_count_again_but_not_for_ever():
    agent = supervision(max_restarts=4)
    agent.handle(Wanted())
    for _ in range(4):
        agent.handle(Ready())
        assert agent.handle(Progressed()) == []
        assert agent.handle(died()) == [Pause(0.1)]
        agent.handle(Due())
    agent.handle(Progressed())
    assert agent.handle(died())[0] == GiveUp(
        "the agent of /w was killed by SIGKILL (5 times; giving up)", "its last words"
    )


def test_without_backoff_the_first_death_is_the_last():
    agent = supervision(backoff=())
    agent.handle(Wanted())
    assert agent.handle(died()) == [GiveUp("the agent of /w was killed by SIGKILL", "its last words"), End()]


def test_what_cannot_be_is_a_bug():
    with pytest.raises(IllegalTransition, match="agent of /w is ABSENT"):
        supervision().handle(Ready())
