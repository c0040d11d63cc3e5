"""The states of an agent, as a table. Pure; runs in the agent."""

from __future__ import annotations

from enum import Enum, auto

__all__ = ["TABLE", "AgentEvent", "AgentState"]


class AgentState(Enum):
    """How far the handshake has come, and whether it is over."""

    WAITING = auto()  # for Configure
    SERVING = auto()
    ENDING = auto()


class AgentEvent(Enum):
    """What the handler says, or that it says no more."""

    CONFIGURE = auto()
    INSTRUCT = auto()
    END = auto()


TABLE: dict[AgentState, dict[AgentEvent, AgentState]] = {
    AgentState.WAITING: {AgentEvent.CONFIGURE: AgentState.SERVING, AgentEvent.END: AgentState.ENDING},
    AgentState.SERVING: {AgentEvent.INSTRUCT: AgentState.SERVING, AgentEvent.END: AgentState.ENDING},
    AgentState.ENDING: {},
}
