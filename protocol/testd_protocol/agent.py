"""Between the handler and an agent: `Configure` / `Ready`, then runs and their events. Imported by both."""

from __future__ import annotations

from typing import Literal

import msgspec

from testd_protocol.client import (
    Cancel,
    Command,
    DropTraces,
    History,
    HistoryReport,
    KeepTraces,
    List,
    Listed,
    ReadTrace,
    Steer,
    Submit,
    TraceRead,
    Traces,
    TracesKept,
    TracesReport,
    Why,
    WhyReport,
)
from testd_protocol.common import Fault, Message, Ping, Pong, Shutdown, Unsupported
from testd_protocol.documents import AgentStatus, RunRequest
from testd_protocol.version import PROTOCOL, __version__

__all__ = [
    "AgentInstruction",
    "AgentMessage",
    "AgentReport",
    "Configure",
    "Probe",
    "Ready",
    "Report",
    "Run",
]


class Configure(Message, frozen=True, kw_only=True):
    """Step 2 of the handshake: what the agent serves, and where it may keep things."""

    workspace: str  # the absolute path of the project
    state_dir: str  # history
    cache_dir: str  # what can be made again: bundles for targets
    ephemeral: bool = False  # --no-daemon: leave nothing behind


class Run(Message, frozen=True, kw_only=True):
    r"""Step 5: the instructions of a run. `finished` holds `target\0test` of what an earlier agent completed."""

    run: str  # its id
    request: RunRequest  # as the client sent it
    finished: list[str] = []  # empty for a new run
    counts: dict[str, int] = {}  # of the finished outcomes


class Probe(Message, frozen=True, kw_only=True):
    """Ask an agent for an `AgentReport`."""

    id: int  # any number


AgentInstruction = (
    Configure
    | Run
    | Cancel
    | Command
    | Steer
    | History
    | Why
    | List
    | KeepTraces
    | Traces
    | ReadTrace
    | DropTraces
    | Probe
    | Shutdown
    | Unsupported
    | Ping
    | Pong
)


class Ready(Message, frozen=True, kw_only=True):
    """Step 4: the process that was started is configured and takes instructions."""

    pid: int  # the process that is ready
    protocol: int = PROTOCOL  # the protocol that it speaks
    version: str = __version__  # the testd that it is
    python: str = ""  # runners: 3.12.1
    implementation: str = ""  # runners: cpython
    executable: str = ""  # runners: the interpreter's path
    root: str = ""  # runners: where the workspace is, if it is mirrored
    processors: int = 0  # runners: how many they may use; 0: not known
    runtime: str = ""  # runners: what runs user code, where that is no Python: Node.js 22.1.0
    memory: int = 0  # runners: of the machine that they run on; 0: not known


class Report(Message, frozen=True, kw_only=True):
    """One event of a run. The handler stores and forwards `body` without reading it; `final` marks `RunCompleted`."""

    run: str  # its id
    body: msgspec.Raw  # a RunEvent
    final: bool = False  # nothing comes after it for this run
    counts: dict[str, int] = {}  # verdicts in this event, so that the handler need not look inside
    exit_code: int = 0  # where final
    tests: int = -1  # where planned
    mark: Literal["", "begin", "end"] = ""  # a watch: of a generation


class AgentReport(Message, frozen=True, kw_only=True):
    """Answer `Probe`."""

    id: int  # the one of the `Probe`
    status: AgentStatus  # as `testd status` shows it


AgentMessage = (
    Ready
    | Submit
    | Report
    | AgentReport
    | HistoryReport
    | WhyReport
    | Listed
    | TracesKept
    | TracesReport
    | TraceRead
    | Fault
    | Unsupported
    | Ping
    | Pong
)
