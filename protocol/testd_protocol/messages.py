"""Every message that testd's processes exchange, as closed unions per direction.

Imported by the handler, the agent and the launchers' tests; never by a runner (`testd.wire` is the runner's side of
the same bytes) and not by a quick client. A message is a MessagePack map whose first key is `type`, followed by every
field in the order given here: nothing is omitted, so that equal messages are equal bytes. Requests are imperatives,
replies are facts. New fields go to the end of a message and have defaults: an old reader skips them, a new reader of
an old message gets the default.

Durations are seconds, memory is KiB, wall-clock times are seconds since the epoch.
"""

from __future__ import annotations

from typing import Literal, Union

import msgspec

from testd_protocol.version import PROTOCOL, __version__


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="type"):
    """Base of all messages: a map tagged with the class's name."""


# ── documents inside messages ────────────────────────────────────────────────────────────────────────────────────────

Verdict = Literal[
    "passed", "failed", "error", "skipped", "xfailed", "xpassed", "crashed", "timed out", "cancelled"
]
Mode = Literal["worker", "bin"]
Kind = Literal["pytest", "exports"]
Stream = Literal["stdout", "stderr"]
#: What went wrong: an assertion; an error raised in test code, in project code or in a library; an import or syntax error.
FailureKind = Literal["assertion", "test", "project", "library", "import", "syntax", "crash", "timeout", "usage"]


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One frame of a traceback, outermost first."""

    file: str
    line: int
    function: str
    source: str = ""


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """Captured text of a test, as pytest names it (`Captured stdout call`)."""

    name: str
    text: str


class Detail(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to say about an outcome beyond its verdict."""

    phase: str = ""  # setup, call, teardown, collect
    kind: FailureKind | None = None
    message: str = ""  # one line
    text: str = ""  # the traceback as the runner's test framework prints it
    frames: list[Frame] = []
    sections: list[Section] = []
    leaks: list[str] = []  # tasks, threads, child processes, a working directory that the test left behind
    stacks: str = ""  # of every thread, where a test was killed


class Item(msgspec.Struct, frozen=True, array_like=True):
    """A collected test: `[id, line]`, the line counted from 1, 0 where unknown."""

    id: str
    line: int


class Stat(msgspec.Struct, frozen=True, array_like=True):
    """What a loaded file looked like: `[path, mtime in ns, size in bytes]`. A missing file has -1 and -1."""

    path: str
    mtime_ns: int
    size: int


class Row(msgspec.Struct, frozen=True, array_like=True):
    """An outcome in a batch: `[test, target, verdict, duration, memory, worker, detail]`."""

    test: str
    target: str
    verdict: Verdict
    duration: float
    memory: int
    worker: int
    detail: Detail | None


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for. Paths are absolute or relative to `cwd`, may carry `::NAME` or `:LINE`."""

    workspace: str
    cwd: str
    paths: list[str] = []
    keyword: str | None = None
    maxfail: int = 0  # 0: no limit
    last_failed: bool = False
    stream: bool = False  # -s: output live, not captured
    mode: Mode | None = None
    fresh: bool = False
    jobs: int | None = None
    timeout: float | None = None  # seconds a test may take; 0: no limit; None: as configured
    detach: bool = False
    update_snapshots: bool = False
    targets: list[str] = []
    environment: dict[str, str] = {}
    python: str = ""  # the interpreter that runs the client, the last choice of a default target


# ── both ways, every link ────────────────────────────────────────────────────────────────────────────────────────────


class Ping(Message, frozen=True, kw_only=True):
    """Ask for a `Pong` with the same id: the health check; its round trip feeds the grace period of timeouts."""

    id: int


class Pong(Message, frozen=True, kw_only=True):
    """Answer a `Ping`."""

    id: int


class Shutdown(Message, frozen=True, kw_only=True):
    """End in order: stop what runs, reap it, leave nothing behind."""

    reason: str = ""


class Unsupported(Message, frozen=True, kw_only=True):
    """Answer a message of a type that the receiver does not know. Never a crash."""

    of: str


class Fault(Message, frozen=True, kw_only=True):
    """Something could not be done. `exit_code` is what a command that was waiting for it should exit with."""

    code: str  # a short, stable word: usage, config, environment, conftest, internal, version, journal …
    message: str  # what, and where
    hint: str = ""  # what would be right
    detail: str = ""  # a traceback or the tail of stderr, as text
    exit_code: int = 3
    id: int = 0  # the request or collection that it answers; 0 where none


# ── client → handler ─────────────────────────────────────────────────────────────────────────────────────────────────


class Hello(Message, frozen=True, kw_only=True):
    """Open a connection. Answered by `Welcome`, or by a `Fault` with the code `version`."""

    pid: int
    protocol: int = PROTOCOL
    version: str = __version__


class Submit(Message, frozen=True, kw_only=True):
    """Ask for a run. Answered by `Accepted` once the journal has it; then `Event`s follow."""

    request: RunRequest


class Attach(Message, frozen=True, kw_only=True):
    """Follow a run: every `Event` after the sequence number `after`, once, to the end. An empty run: the newest."""

    run: str
    after: int = 0


class Cancel(Message, frozen=True, kw_only=True):
    """End a run early: what has not run becomes `cancelled`. Client → handler → agent."""

    run: str
    reason: str = ""


class Status(Message, frozen=True, kw_only=True):
    """Ask for a `StatusReport`."""


class History(Message, frozen=True, kw_only=True):
    """Ask for a `HistoryReport`: of one test, or of the workspace's runs. Client → handler → agent."""

    workspace: str
    test: str = ""  # a node id or a part of one; empty: the runs
    limit: int = 20
    id: int = 0


ClientMessage = Union[Hello, Submit, Attach, Cancel, Status, History, Shutdown, Ping, Pong]


# ── handler → client ─────────────────────────────────────────────────────────────────────────────────────────────────


class Welcome(Message, frozen=True, kw_only=True):
    """Accept a connection."""

    pid: int
    protocol: int = PROTOCOL
    version: str = __version__


class Accepted(Message, frozen=True, kw_only=True):
    """The run is in the journal: it will be carried out whatever is killed."""

    run: str


class Event(Message, frozen=True, kw_only=True):
    """One event of a run. Sequence numbers start at 1, have no gaps, and are seen once."""

    run: str
    seq: int
    body: msgspec.Raw  # a RunEvent


class AgentStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One agent, as `testd status` shows it."""

    workspace: str
    state: str
    pid: int = 0
    restarts: int = 0
    memory: int = 0
    runners: list[RunnerStatus] = []


class RunnerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One runner of an agent."""

    target: str
    state: str
    pid: int = 0
    python: str = ""
    tests: int = 0  # collected and kept warm
    memory: int = 0
    age: float = 0.0


class RunStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One run, live or recent."""

    run: str
    workspace: str
    state: str
    accepted_at: float
    counts: dict[str, int] = {}
    tests: int = 0
    exit_code: int | None = None
    detach: bool = False


class StatusReport(Message, frozen=True, kw_only=True):
    """Answer `Status`."""

    pid: int
    version: str
    socket: str
    journal: str
    log: str
    started_at: float
    idle_exit: float  # seconds until an idle handler ends; 0: never
    memory: int = 0
    clients: int = 0
    agents: list[AgentStatus] = []
    runs: list[RunStatus] = []


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of history: a run (test is empty), a test's state now (run is empty), or a change of a test's verdict."""

    run: str
    test: str
    target: str
    verdict: str
    at: float
    duration: float
    counts: dict[str, int] = {}
    message: str = ""
    runs: int = 0
    failures: int = 0


class HistoryReport(Message, frozen=True, kw_only=True):
    """Answer `History`, newest first."""

    entries: list[HistoryEntry]
    id: int = 0


HandlerMessage = Union[
    Welcome, Accepted, Event, StatusReport, HistoryReport, Fault, Unsupported, Ping, Pong, Shutdown
]


# ── the events of a run: agent → handler → journal → clients ─────────────────────────────────────────────────────────


class TargetReady(Message, frozen=True, kw_only=True):
    """A target starts on the run. Never silent about warmth: `warm`, and why."""

    target: str
    warm: bool
    reason: str
    mode: Mode
    kind: Kind
    jobs: int
    python: str = ""
    framework: str = ""  # pytest 9.0.1; testd exports


class Planned(Message, frozen=True, kw_only=True):
    """How much there is to do. May come again, after an agent was replaced; the newest counts."""

    tests: int
    expected: float | None = None  # seconds, from history
    deselected: int = 0


class Notice(Message, frozen=True, kw_only=True):
    """Something that the user should know: a fallback, a restart, a setting with no effect."""

    level: Literal["debug", "info", "warning", "error"]
    text: str
    target: str = ""
    detail: str = ""


class Started(Message, frozen=True, kw_only=True):
    """A test has been running for a while; quick ones cost no message. In a runner's message `test` is an index."""

    test: str | int
    worker: int
    seconds: float
    target: str = ""


class Output(Message, frozen=True, kw_only=True):
    """What user code printed, live. Also runner → agent, where `test` is an index (-1: none)."""

    worker: int
    stream: Stream
    text: str
    test: str | int = ""
    target: str = ""


class Outcomes(Message, frozen=True, kw_only=True):
    """A batch of final outcomes. Each test of a run appears in exactly one batch, once per target."""

    rows: list[Row]


class RunCompleted(Message, frozen=True, kw_only=True):
    """The end of a run; nothing comes after it. Exit codes are pytest's."""

    exit_code: int
    counts: dict[str, int]
    duration: float
    reason: str = ""  # empty, or why it ended early
    hint: str = ""
    detail: str = ""


RunEvent = Union[TargetReady, Planned, Notice, Started, Output, Outcomes, RunCompleted]


# ── handler → agent ──────────────────────────────────────────────────────────────────────────────────────────────────


class Configure(Message, frozen=True, kw_only=True):
    """Step 2 of the handshake: what the agent serves, and where it may keep things."""

    workspace: str
    state_dir: str  # history
    cache_dir: str
    ephemeral: bool = False  # --no-daemon: leave nothing behind


class Run(Message, frozen=True, kw_only=True):
    """Step 5: the instructions of a run. `finished` holds `target\\0test` of what an earlier agent completed."""

    run: str
    request: RunRequest
    finished: list[str] = []
    counts: dict[str, int] = {}  # of the finished outcomes


class Probe(Message, frozen=True, kw_only=True):
    """Ask an agent for an `AgentReport`."""

    id: int


AgentInstruction = Union[Configure, Run, Cancel, History, Probe, Shutdown, Ping, Pong]


# ── agent → handler ──────────────────────────────────────────────────────────────────────────────────────────────────


class Ready(Message, frozen=True, kw_only=True):
    """Step 4: the process that was started is configured and takes instructions."""

    pid: int
    protocol: int = PROTOCOL
    version: str = __version__
    python: str = ""  # runners: 3.12.1
    implementation: str = ""
    executable: str = ""


class Report(Message, frozen=True, kw_only=True):
    """One event of a run. The handler stores and forwards `body` without reading it; `final` marks `RunCompleted`."""

    run: str
    body: msgspec.Raw
    final: bool = False
    counts: dict[str, int] = {}  # verdicts in this event, so that the handler need not look inside
    exit_code: int = 0  # where final
    tests: int = -1  # where planned


class AgentReport(Message, frozen=True, kw_only=True):
    """Answer `Probe`."""

    id: int
    status: AgentStatus


AgentMessage = Union[Ready, Report, AgentReport, HistoryReport, Fault, Unsupported, Ping, Pong]


# ── agent → runner ───────────────────────────────────────────────────────────────────────────────────────────────────


class ConfigureRunner(Message, frozen=True, kw_only=True):
    """Step 6: what a runner is for. Every path is as the target sees it. Answered by `Ready`."""

    kind: Kind
    mode: Mode
    root: str  # the workspace; the working directory of user code unless cwd is set
    cwd: str
    environment: dict[str, str]
    arguments: list[str] = []  # handed to the framework in front of the paths
    memory_limit: int = 0  # KiB of a worker; 0: none
    output_limit: int = 8 * 1024 * 1024  # bytes of one test's live output that are passed on
    capture_limit: int = 64 * 1024  # bytes kept of each captured section
    stem: bool = True  # False: keep no stem (never fork)
    settings: dict[str, str] = {}  # of the kind


class Collect(Message, frozen=True, kw_only=True):
    """Collect these paths and keep the result as a stem. Answered by `Collected` pages, or a `Fault` with this id."""

    collection: int
    paths: list[str]


class Select(Message, frozen=True, kw_only=True):
    """Which tests of a collection an expression (pytest's -k) selects. Answered by `Selected`."""

    id: int
    collection: int
    keyword: str


class DropCollection(Message, frozen=True, kw_only=True):
    """Stop the stem of a collection, or with `configured` the one below it too: its files have changed."""

    collection: int
    configured: bool = False
    started: bool = False


class StartWorker(Message, frozen=True, kw_only=True):
    """Fork a worker from a collection's stem (mode worker), or start a new process that runs these paths (mode bin)."""

    worker: int
    collection: int
    stream: bool = False
    update_snapshots: bool = False
    timeout: float = 0.0  # seconds for one test; 0: no limit
    job_timeout: float = 0.0  # seconds for one job
    workers: int = 1  # how many share the run
    paths: list[str] = []  # bin: what to collect
    run: str = ""
    maxfail: int = 0


class RunJob(Message, frozen=True, kw_only=True):
    """Step 6: a job. `tests` are indexes in the collection; `ids` name the same tests where there is no stem."""

    job: int
    worker: int
    tests: list[int]
    ids: list[str] = []


class FinishWorker(Message, frozen=True, kw_only=True):
    """No more jobs: run what was given, tear down, end."""

    worker: int


class StopWorker(Message, frozen=True, kw_only=True):
    """End now, with pytest's own interruption where user code lets it: ask, wait `grace` seconds, kill."""

    worker: int
    grace: float = 1.0


RunnerInstruction = Union[
    ConfigureRunner, Collect, Select, DropCollection, StartWorker, RunJob, FinishWorker, StopWorker, Shutdown, Ping, Pong
]


# ── runner → agent ───────────────────────────────────────────────────────────────────────────────────────────────────


class Collected(Message, frozen=True, kw_only=True):
    """A page of a collection. The last page has `done`, and what is known of the whole."""

    collection: int
    items: list[Item]
    done: bool = False
    errors: list[CollectError] = []
    deselected: int = 0
    forkable: bool = True
    reason: str = ""  # why it is not forkable
    framework: str = ""
    maxfail: int = 0  # from the project's own configuration
    notices: list[str] = []


class CollectError(msgspec.Struct, frozen=True, kw_only=True):
    """A file that could not be collected."""

    id: str
    detail: Detail


class Dependencies(Message, frozen=True, kw_only=True):
    """What a checkpoint has loaded or read: if any of it changes, the checkpoint and those above it are stale.

    Sent before the last `Collected` page. A directory's entry is the list of names in it that matter to collection.
    """

    checkpoint: Literal["started", "configured", "collected"]
    collection: int
    files: list[Stat]
    directories: list[Directory] = []


class Directory(msgspec.Struct, frozen=True, array_like=True):
    """A directory that a checkpoint listed: `[path, mtime in ns, sorted names of folders and Python files]`."""

    path: str
    mtime_ns: int
    names: list[str]


class Modules(Message, frozen=True, kw_only=True):
    """The record of imports: module name → file, and importer → imported modules. Additions since the last message."""

    collection: int
    files: dict[str, str]
    imports: dict[str, list[str]]
    worker: int = 0


class Selected(Message, frozen=True, kw_only=True):
    """Answer `Select`."""

    id: int
    tests: list[int]


class Outcome(Message, frozen=True, kw_only=True):
    """The verdict on one test, at once when it ended."""

    job: int
    test: int
    verdict: Verdict
    duration: float
    memory: int
    detail: Detail | None


class JobCompleted(Message, frozen=True, kw_only=True):
    """Step 9: every test of the job has its outcome."""

    job: int
    worker: int


class WorkerExited(Message, frozen=True, kw_only=True):
    """A worker process is gone. Without `completed`, its unfinished tests have no outcome yet."""

    worker: int
    completed: bool
    status: int | None = None  # exit status
    signal: int = 0
    cause: Literal["exit", "signal", "timeout", "job timeout", "memory", "stopped", "lost"] = "exit"
    test: int = -1  # the index of the test that ran
    seconds: float = 0.0  # how long it had been running
    stderr: str = ""  # the tail
    stacks: str = ""
    memory: int = 0


RunnerMessage = Union[
    Ready, Collected, Dependencies, Modules, Selected, Started, Output, Outcome, JobCompleted, WorkerExited, Fault,
    Unsupported, Ping, Pong,
]
