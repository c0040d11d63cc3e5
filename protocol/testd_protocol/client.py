"""Between a client and the handler: one connection is `Hello` / `Welcome`, then requests and what they start.

Imported by the handler and the async client. The quick client writes and reads the same maps with `testd.msgpack`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from testd_protocol.common import Fault, Message, Ping, Pong, Shutdown, Unsupported
from testd_protocol.documents import (
    AgentStatus,
    Caller,
    HistoryEntry,
    RunRequest,
    RunStatus,
    Stream,
    TraceEntry,
    TracePage,
    WhyEntry,
)
from testd_protocol.version import PROTOCOL, __version__

__all__ = [
    "Accepted",
    "Attach",
    "Cancel",
    "ClientMessage",
    "Command",
    "DropTraces",
    "Event",
    "HandlerMessage",
    "Hello",
    "History",
    "HistoryReport",
    "KeepTraces",
    "List",
    "Listed",
    "ReadTrace",
    "Status",
    "StatusReport",
    "Steer",
    "Submit",
    "TraceRead",
    "Traces",
    "TracesKept",
    "TracesReport",
    "Welcome",
    "Why",
    "WhyReport",
]


class Hello(Message, frozen=True, kw_only=True):
    """Open a connection. Answered by `Welcome`, or by a `Fault` with the code `version`."""

    pid: int  # the client's process
    protocol: int = PROTOCOL  # the protocol that it speaks
    version: str = __version__  # the testd that it is; empty: an application that has traces to keep


class Submit(Message, frozen=True, kw_only=True):
    """Ask for a run. Answered by `Accepted` once the journal has it; then `Event`s follow.

    `key` is made up by the client: a key that the journal knows is the same run again, so that a client whose handler
    died before it answered can ask once more. An agent submits what it finds in its folder for run files; that comes
    back to it as `Run`, or as a `Cancel` of the key where the journal could not take it.
    """

    request: RunRequest  # what to run
    key: str = ""  # made up by the client; empty: none


class Attach(Message, frozen=True, kw_only=True):
    """Follow a run. Answered by `Accepted`, then by every `Event` after the number `after`, once, to its end."""

    run: str  # the id from `Accepted`; empty: the newest run
    after: int = 0  # the last sequence number that was seen; -1: before the newest generation of a watch


class Cancel(Message, frozen=True, kw_only=True):
    """End a run early: what has not run becomes `cancelled`. Client → handler → agent."""

    run: str  # the id from `Accepted`
    reason: str = ""  # for the report: interrupted, …


class Steer(Message, frozen=True, kw_only=True):
    """Have a watch run something now. Client → handler → agent. What runs at the moment is superseded.

    `filter`: from now on only tests that match. `again`: what the newest generation was for. `output`: nothing runs;
    from the next generation on output is live, or captured.
    """

    run: str  # the id from `Accepted`
    what: Literal["all", "failed", "filter", "snapshots", "again", "output"]  # as above
    patterns: list[str] = []  # filter: files whose path has one of these in it; empty: all
    keyword: str = ""  # filter: as pytest's -k; empty: all
    stream: bool = False  # output: live, not captured


class Status(Message, frozen=True, kw_only=True):
    """Ask for a `StatusReport`."""


class History(Message, frozen=True, kw_only=True):
    """Ask for a `HistoryReport`: of one test, or of the workspace's runs. Client → handler → agent."""

    workspace: str  # its absolute path
    test: str = ""  # a node id or a part of one; empty: the runs
    limit: int = 20  # how many entries at most
    id: int = 0  # any number, comes back in the report
    flaky: bool = False  # the tests whose verdict changed while nothing else had, in the place of the runs


class Why(Message, frozen=True, kw_only=True):
    """Ask for a `WhyReport`: whether a test is affected by what has changed, and by what. Client → handler → agent."""

    workspace: str  # its absolute path
    test: str  # a node id or a part of one
    target: str = ""  # its name; empty: all on which the test has run
    limit: int = 20  # how many entries at most
    id: int = 0  # any number, comes back in the report


class Command(Message, frozen=True, kw_only=True):
    """Have `pytest ARGUMENTS` carried out by a warm process in the client's place. Client → handler → agent.

    Descriptors come along: the far end of the command's line, and the client's own 0, 1 and 2. All answers come on
    the line. One that ends before `CommandStarted` or `Plain`: nothing was carried out.
    """

    workspace: str  # its absolute path
    arguments: list[str]  # pytest's
    caller: Caller  # what the process is to have
    python: str = ""  # the interpreter that the client runs on
    verbose: bool = False  # the process says on its descriptor 2 that it is warm
    descriptors: int = 4  # how many come along with the first byte


class List(Message, frozen=True, kw_only=True):
    """Ask for the collected tests. Answered by `Listed` pages, or a `Fault`. Client → handler → agent.

    Of the request count what says which tests, where, and in which environment.
    """

    request: RunRequest  # which tests, on which targets
    format: Literal["text", "json"] = "text"  # of the lines in the answer
    id: int = 0  # any number, comes back in the answer


class KeepTraces(Message, frozen=True, kw_only=True):
    """Keep traces, or pieces of them. Answered by `TracesKept`, or a `Fault`. Client → handler → agent.

    Whoever sends waits for the answer before it sends more.
    """

    workspace: str  # its absolute path
    pages: list[TracePage]  # those of one trace follow each other, also from message to message
    recording: str = ""  # which `testd record` they belong to; empty: none
    dropped: int = 0  # traces that this process has left out since the last message
    id: int = 0  # any number, comes back in the answer


class Traces(Message, frozen=True, kw_only=True):
    """Ask for a `TracesReport`: the traces that match all that is given. Client → handler → agent."""

    workspace: str  # its absolute path
    trace: str = ""  # what the id begins with; empty: any
    name: str = ""  # a part of the root's name
    module: str = ""  # a part of its module's
    file: str = ""  # a part of its file's path
    recording: str = ""  # exactly
    failed: bool = False  # only those whose root raised
    limit: int = 20  # how many entries at most
    id: int = 0  # any number, comes back in the report


class ReadTrace(Message, frozen=True, kw_only=True):
    """Ask for a piece of a trace: a `TraceRead`, or a `Fault`. Client → handler → agent."""

    workspace: str  # its absolute path
    trace: str  # its id, or as much of its beginning as no other one has
    page: int = 0  # which piece
    id: int = 0  # any number, comes back in the answer


class DropTraces(Message, frozen=True, kw_only=True):
    """Forget traces. Answered by a `TracesReport` of those, or a `Fault`. Client → handler → agent."""

    workspace: str  # its absolute path
    traces: list[str]  # their ids, or the beginnings; if one is not there, none is forgotten
    everything: bool = False  # all of them
    id: int = 0  # any number, comes back in the answer


ClientMessage = (
    Hello
    | Submit
    | Attach
    | Cancel
    | Command
    | Steer
    | Status
    | History
    | Why
    | List
    | KeepTraces
    | Traces
    | ReadTrace
    | DropTraces
    | Shutdown
    | Unsupported
    | Ping
    | Pong
)


class Welcome(Message, frozen=True, kw_only=True):
    """Accept a connection."""

    pid: int  # the handler's process
    protocol: int = PROTOCOL  # the protocol that it speaks
    version: str = __version__  # the testd that it is


class Accepted(Message, frozen=True, kw_only=True):
    """The run is in the journal: it will be carried out whatever is killed."""

    run: str  # its id


class Event(Message, frozen=True, kw_only=True):
    """One event of a run. Sequence numbers start at 1, have no gaps, and are seen once."""

    run: str  # its id
    seq: int  # 1, 2, 3 …
    body: msgspec.Raw  # a RunEvent


class StatusReport(Message, frozen=True, kw_only=True):
    """Answer `Status`."""

    pid: int  # the handler's process
    version: str  # the testd that it is
    socket: str  # its path
    journal: str  # its path
    log: str  # its path
    started_at: float  # wall clock
    idle_exit: float  # seconds until an idle handler ends; 0: never
    memory: int = 0  # of the handler's process
    clients: int = 0  # that are connected
    agents: list[AgentStatus] = []  # one a workspace
    runs: list[RunStatus] = []  # live ones first, then the newest


class HistoryReport(Message, frozen=True, kw_only=True):
    """Answer `History`, newest first."""

    entries: list[HistoryEntry]  # what was found
    id: int = 0  # the one of the `History`


class WhyReport(Message, frozen=True, kw_only=True):
    """Answer `Why`."""

    entries: list[WhyEntry]  # the test itself first, then those of which the id has the text in it
    id: int = 0  # the one of the `Why`


class Listed(Message, frozen=True, kw_only=True):
    """A page of the answer to `List`: whole lines, made where the tests are known; whoever asked only prints them."""

    id: int  # the one of the `List`
    text: str = ""  # whole lines
    stream: Stream = "stdout"  # where they belong
    done: bool = False  # nothing follows
    exit_code: int = 0  # where done: what a command should exit with


class TracesKept(Message, frozen=True, kw_only=True):
    """Answer `KeepTraces`: what it had is kept."""

    refused: dict[str, str] = {}  # traces that are not, and why
    id: int = 0  # the one of the `KeepTraces`


class TracesReport(Message, frozen=True, kw_only=True):
    """Answer `Traces` and `DropTraces`, newest first."""

    entries: list[TraceEntry]  # what was found
    more: int = 0  # how many further ones match
    dropped: int = 0  # traces that the applications left out, of this recording or of all
    id: int = 0  # the one of the question


class TraceRead(Message, frozen=True, kw_only=True):
    """Answer `ReadTrace`."""

    entry: TraceEntry  # whose piece it is
    page: int  # which one
    pages: int  # how many there are
    data: bytes  # as in `TracePage`
    id: int = 0  # the one of the `ReadTrace`


HandlerMessage = (
    Welcome
    | Accepted
    | Event
    | StatusReport
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
    | Shutdown
)
