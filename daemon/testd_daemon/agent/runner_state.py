"""The states of a runner, as a table. Pure; runs in the agent."""

from __future__ import annotations

from enum import Enum

__all__ = ["TABLE", "RunnerEvent", "RunnerState"]


class RunnerState(Enum):
    """What a runner is doing; the value is what `testd status` shows."""

    STARTING = "starting"
    CONFIGURING = "configuring"
    READY = "ready"
    BUSY = "busy"
    STOPPING = "stopping"
    DEAD = "dead"


class RunnerEvent(Enum):
    """What happens to it."""

    SPAWNED = "spawned"
    CONFIGURED = "configured"
    WORK = "work"
    IDLE = "idle"
    STOP = "stop"
    END = "end"


_S, _E = RunnerState, RunnerEvent

TABLE: dict[RunnerState, dict[RunnerEvent, RunnerState]] = {
    _S.STARTING: {_E.SPAWNED: _S.CONFIGURING, _E.STOP: _S.STOPPING, _E.END: _S.DEAD},
    _S.CONFIGURING: {_E.CONFIGURED: _S.READY, _E.STOP: _S.STOPPING, _E.END: _S.DEAD},
    _S.READY: {_E.WORK: _S.BUSY, _E.STOP: _S.STOPPING, _E.END: _S.DEAD},
    _S.BUSY: {_E.IDLE: _S.READY, _E.STOP: _S.STOPPING, _E.END: _S.DEAD},
    _S.STOPPING: {_E.END: _S.DEAD},
    _S.DEAD: {},
}
