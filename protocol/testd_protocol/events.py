"""The events of a run: made by the agent, kept in the journal, streamed to clients. The handler never looks inside.

Imported by the agent and by what reports. `Started` and `Output` also come from runners.
"""

from __future__ import annotations

from typing import Literal

from testd_protocol.common import Message
from testd_protocol.documents import Cause, Failing, Kind, Mode, Row, Stream, Verdict

__all__ = [
    "Difference",
    "FunctionChanged",
    "FunctionMeasured",
    "GenerationStarted",
    "Notice",
    "Outcomes",
    "Output",
    "Planned",
    "Preparing",
    "Profile",
    "RunCompleted",
    "RunEvent",
    "Standing",
    "Started",
    "StoreChanged",
    "TargetReady",
    "TargetUnavailable",
    "WorkflowPlanned",
]


class TargetReady(Message, frozen=True, kw_only=True):
    """A target starts on the run. Never silent about warmth: `warm`, and why."""

    target: str  # its name
    warm: bool  # tests were collected and kept
    reason: str  # why warm or cold, for people
    mode: Mode  # the one in use, after any fallback
    kind: Kind  # the one in use
    jobs: int  # workers side by side
    python: str = ""  # its version, 3.12.1
    framework: str = ""  # pytest 9.0.1; testd exports
    host: str = ""  # the machine or the image that it runs on, empty: here


class Planned(Message, frozen=True, kw_only=True):
    """How much there is to do. May come again and again; the newest counts.

    A run on several targets begins with one that names them all, before the first `TargetReady` and the first outcome.
    """

    tests: int  # selected, on all targets together
    expected: float | None = None  # seconds, from history
    deselected: int = 0  # by -k, by marks
    targets: dict[str, int | None] = {}  # all targets of the run in its order, with their tests; nil: not known yet


class Notice(Message, frozen=True, kw_only=True):
    """Something that the user should know: a fallback, a restart, a setting with no effect."""

    level: Literal["debug", "info", "warning", "error"]  # how much it matters
    text: str  # one line
    target: str = ""  # empty: of the whole run
    detail: str = ""  # more lines: a traceback, the tail of stderr


class Started(Message, frozen=True, kw_only=True):
    """A test has been running for a while; quick ones cost no message. In a runner's message `test` is an index."""

    test: str | int  # its id; from a runner its index
    worker: int  # its number
    seconds: float  # how long it has been running
    target: str = ""  # empty from a runner


class Output(Message, frozen=True, kw_only=True):
    """What user code printed, live. Also runner → agent, where `test` is an index (-1: none)."""

    worker: int  # its number
    stream: Stream  # which one was written to
    text: str  # as printed, what is not UTF-8 replaced
    test: str | int = ""  # its id, empty for none; from a runner its index, -1 for none
    target: str = ""  # empty from a runner


class Outcomes(Message, frozen=True, kw_only=True):
    """A batch of final outcomes. Each test of a run appears in exactly one batch, once per target."""

    rows: list[Row]  # in the order in which they came in


class RunCompleted(Message, frozen=True, kw_only=True):
    """The end of a run; nothing comes after it. Exit codes are pytest's."""

    exit_code: int  # 0 to 5
    counts: dict[str, int]  # verdict → number of tests
    duration: float  # seconds since the run was taken up
    reason: str = ""  # empty, why it ended early, or what a verification found
    hint: str = ""  # what would be right
    detail: str = ""  # more lines: a traceback, the tail of stderr
    generation: int = 0  # a watch: the end of this generation's part, and more follows


class Preparing(Message, frozen=True, kw_only=True):
    """What a target does before it is ready, where that takes a while. Comes again and again; the newest counts."""

    target: str  # its name
    text: str  # a few words: 1,200 of 5,000 files
    done: int = 0  # of `total`; how many there are so far
    total: int = 0  # 0: nothing that is counted


class TargetUnavailable(Message, frozen=True, kw_only=True):
    """A target could not start on the run, or stopped being usable. The run goes on without it."""

    target: str  # its name
    message: str  # one line: what was tried, and what came of it
    hint: str = ""  # what would be right
    detail: str = ""  # more lines: the tail of what it printed
    required: bool = False  # the run fails for it


class GenerationStarted(Message, frozen=True, kw_only=True):
    """A watch takes up a state of the files. What follows, to the `RunCompleted` of this generation, belongs to it."""

    generation: int  # 1, 2, 3 … in this watch
    cause: Cause  # why
    changed: list[str] = []  # files that are not as they were, relative to the workspace; at most 20
    more: int = 0  # how many further ones
    at: float = 0.0  # wall clock


class Standing(Message, frozen=True, kw_only=True):
    """How all tests of a watch stand, also those that did not run in this generation. Before its `RunCompleted`."""

    generation: int  # whose end it is
    tests: int  # how many there are, on all targets
    counts: dict[str, int]  # verdict → number of tests
    failing: list[Failing] = []  # at most 100
    more: int = 0  # how many further ones fail


class Difference(Message, frozen=True, kw_only=True):
    """A test of a run that was carried out both warm and in new processes does not have the same verdict both ways."""

    test: str  # its id
    target: str  # its name
    warm: Verdict | None  # nil: there was no such test
    fresh: Verdict | None  # nil: there was no such test
    warm_message: str = ""  # of the failure, one line
    fresh_message: str = ""  # of the failure, one line
    flaky: bool = False  # its verdict also changes within one way


class Profile(Message, frozen=True, kw_only=True):
    """Where the time of a run went: before its `RunCompleted`, if the request asks for it.

    Spans are in the order in which they came; a name with a colon is a part of the one before it, summed over workers.
    """

    began: float  # wall clock, when the agent took the run up
    ended: float  # wall clock, when this was told
    targets: dict[str, dict[str, float]]  # of each target: span → seconds


class WorkflowPlanned(Message, frozen=True, kw_only=True):
    """A workflow is taken up, or again after a process was killed: what it is, and where what it does can be seen."""

    name: str  # of the workflow
    invocation: str  # its id
    timestamp: str  # of the invocation
    folder: str  # of logs and completions in the store
    file: str  # the document, relative to the workspace
    isolation: Literal["none", "prefix", "bucket"]  # what keeps its files apart
    join: Literal["documented", "faasr"]  # which predecessors a function waits for
    functions: list[str]  # all of them, each rank of one
    graph: dict[str, list[str]]  # action → those that it may trigger
    ranks: dict[str, int]  # action → how many ranks
    store: dict[str, str] = {}  # endpoint, bucket, region, anonymous; of the embedded one: access_key, secret_key
    prefix: str = ""  # of the keys of functions' files
    state: str = ""  # the folder on this machine with what is kept of the run
    own: list[dict[str, str]] = []  # buckets of its own that stay: name of the data store, bucket, endpoint, region


class FunctionChanged(Message, frozen=True, kw_only=True):
    """A function of a workflow has another status."""

    function: str  # which one, with its rank where it has several
    status: Literal["pending", "invoked", "not_invoked", "running", "completed", "failed", "skipped", "timeout"]  # new
    at: float  # wall clock
    why: str = ""  # one line: who triggered it, or what went wrong
    sequence: int = 0  # how many changes of the store had been made by then
    target: str = ""  # where it runs


class FunctionMeasured(Message, frozen=True, kw_only=True):
    """What a function of a workflow took. Seconds, KiB and bytes; 0: nothing, or not known."""

    function: str  # which one
    target: str  # where it ran
    triggered: float  # wall clock
    started: float  # wall clock, when its process was asked for
    ended: float  # wall clock, when it was told as ended
    done: float = 0.0  # wall clock, when its completion was in the store
    queued: float = 0.0  # from its trigger until its process was asked for
    install: float = 0.0  # until its packages were there
    start: float = 0.0  # until its code ran
    user: float = 0.0  # its own time, calls of the store included
    cpu: float = 0.0  # processor time
    memory: int = 0  # peak of its process
    store_calls: int = 0  # that it made
    store_seconds: float = 0.0  # in which it waited for them
    bytes_in: int = 0  # that it got
    bytes_out: int = 0  # that it put


class StoreChanged(Message, frozen=True, kw_only=True):
    """A function put or deleted an object."""

    sequence: int  # 1, 2, 3 … in this run
    function: str  # which one
    verb: Literal["put", "delete"]  # what it did
    store: str  # the data store's name
    bucket: str  # where that is
    key: str  # of the object
    size: int = 0  # bytes of the new content
    kept: str = ""  # the file with the content that was there before; empty: there was none


RunEvent = (
    TargetReady
    | Planned
    | Notice
    | Started
    | Output
    | Outcomes
    | RunCompleted
    | TargetUnavailable
    | Preparing
    | GenerationStarted
    | Standing
    | Difference
    | Profile
    | WorkflowPlanned
    | FunctionChanged
    | FunctionMeasured
    | StoreChanged
)
