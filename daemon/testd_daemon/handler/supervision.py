"""When an agent is started, started again, and given up: the decisions, without an event loop.

`Supervision.handle(event)` returns what is to be done; `agent.py` does it and comes back with what happened.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from testd_daemon.machine import Machine, Table

__all__ = [
    "AGENT_TABLE",
    "Action",
    "AgentState",
    "Change",
    "Deliver",
    "Died",
    "Due",
    "End",
    "Event",
    "GiveUp",
    "Pause",
    "Progressed",
    "Ready",
    "Spawn",
    "Supervision",
    "Wanted",
]


class AgentState(enum.Enum):
    """Where an agent is. The values are what `testd status` says."""

    ABSENT = "absent"  # nothing needs it
    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting to restart"
    FAILED = "failed"


class Change(enum.Enum):
    """What moves an agent from one state to another."""

    WANT = "something needs it"
    READY = "it is configured"
    RETRY = "it died, and is worth another try"
    REST = "it died, and nothing needs it"
    DUE = "the pause is over"
    GIVE_UP = "it died too often"


AGENT_TABLE: Final[Table[AgentState, Change]] = {
    AgentState.ABSENT: {Change.WANT: AgentState.STARTING},
    AgentState.STARTING: {
        Change.READY: AgentState.READY,
        Change.RETRY: AgentState.WAITING,
        Change.REST: AgentState.ABSENT,
        Change.GIVE_UP: AgentState.FAILED,
    },
    AgentState.READY: {
        Change.RETRY: AgentState.WAITING,
        Change.REST: AgentState.ABSENT,
        Change.GIVE_UP: AgentState.FAILED,
    },
    AgentState.WAITING: {Change.DUE: AgentState.STARTING},
    AgentState.FAILED: {Change.WANT: AgentState.STARTING},
}


@dataclass(frozen=True)
class Wanted:
    """A run or a question needs the agent."""


@dataclass(frozen=True)
class Ready:
    """The agent is configured and takes instructions."""


@dataclass(frozen=True)
class Progressed:
    """The agent reported outcomes: whatever killed it, another try will get further."""


@dataclass(frozen=True)
class Died:
    """The agent is gone. `needed`: there are runs that it has not completed."""

    reason: str
    needed: bool
    detail: str = ""


@dataclass(frozen=True)
class Due:
    """The pause before another try is over."""


Event = Wanted | Ready | Progressed | Died | Due


@dataclass(frozen=True)
class Spawn:
    """Start the process."""


@dataclass(frozen=True)
class Deliver:
    """Send it every run that it has to do."""


@dataclass(frozen=True)
class Pause:
    """Wait so many seconds, then say Due."""

    seconds: float


@dataclass(frozen=True)
class GiveUp:
    """Complete its runs with this reason: no agent will."""

    reason: str
    detail: str


@dataclass(frozen=True)
class End:
    """Nothing is left to do until something needs the agent again."""


Action = Spawn | Deliver | Pause | GiveUp | End


class Supervision:
    """Decide about one agent. `backoff` holds the pauses before restarts without progress; after the last, give up."""

    def __init__(self, name: str, backoff: Sequence[float], max_restarts: int) -> None:
        """Begin without an agent."""
        self._machine = Machine(AGENT_TABLE, AgentState.ABSENT, name)
        self._name = name
        self._backoff = backoff
        self._max_restarts = max_restarts
        self._fruitless = 0  # deaths since the last progress
        self.restarts = 0  # since the agent was last without need

    @property
    def state(self) -> AgentState:
        """Where the agent is."""
        return self._machine.state

    def handle(self, event: Event) -> list[Action]:
        """Take note of an event and return what is to be done."""
        if isinstance(event, Wanted):
            return self._wanted()
        if isinstance(event, Ready):
            self._machine.advance(Change.READY)
            return [Deliver()]
        if isinstance(event, Progressed):
            self._fruitless = 0
            return []
        if isinstance(event, Due):
            self._machine.advance(Change.DUE)
            return [Spawn()]
        return self._died(event)

    def _wanted(self) -> list[Action]:
        if self.state is AgentState.READY:
            return [Deliver()]
        if not self._machine.allows(Change.WANT):
            return []  # it is on its way, and will be sent all that waits
        self._fruitless = self.restarts = 0
        self._machine.advance(Change.WANT)
        return [Spawn()]

    def _died(self, event: Died) -> list[Action]:
        if not event.needed:
            self._machine.advance(Change.REST)
            return [End()]
        if self._fruitless >= len(self._backoff) or self.restarts >= self._max_restarts:
            self._machine.advance(Change.GIVE_UP)
            return [GiveUp(self._verdict(event.reason), event.detail), End()]
        self._machine.advance(Change.RETRY)
        pause = self._backoff[self._fruitless]
        self._fruitless += 1
        self.restarts += 1
        return [Pause(pause)]

    def _verdict(self, reason: str) -> str:
        times = self.restarts + 1
        return f"the {self._name} {reason}" + (f" ({times} times; giving up)" if times > 1 else "")
