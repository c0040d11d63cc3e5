"""The values inside messages: what was asked for, what came out, what a target loaded. Imported by the daemon only.

A struct with `array_like` is an array of its fields in order: it comes by the thousand.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = [
    "AgentStatus",
    "Caller",
    "Cause",
    "Code",
    "CollectError",
    "Content",
    "Detail",
    "Directory",
    "Failing",
    "FailureKind",
    "FileEntry",
    "Frame",
    "HistoryEntry",
    "Invocation",
    "Item",
    "Kind",
    "Mode",
    "Outdated",
    "Row",
    "RunRequest",
    "RunStatus",
    "RunnerStatus",
    "Section",
    "Stat",
    "Stranger",
    "Stream",
    "TraceEntry",
    "TracePage",
    "Use",
    "Verdict",
    "WhyEntry",
]


Verdict = Literal["passed", "failed", "error", "skipped", "xfailed", "xpassed", "crashed", "timed out", "cancelled"]
Mode = Literal["worker", "bin"]
Kind = Literal["pytest", "exports", "cases", "workflow"]
Stream = Literal["stdout", "stderr"]
#: Why a watch runs something: it began, files changed, or somebody asked for it.
Cause = Literal["start", "change", "all", "failed", "filter", "snapshots"]
#: What went wrong: an assertion; an error raised in test code, in project code or in a library; one
#: while importing or compiling; a process that died or was killed; what cannot be run as it is written.
FailureKind = Literal["assertion", "test", "project", "library", "import", "syntax", "crash", "timeout", "usage"]


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One frame of a traceback, outermost first."""

    file: str  # relative to the workspace where it is inside
    line: int  # from 1
    function: str  # its name
    source: str = ""  # the line itself


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """Captured text of a test, as pytest names it (`Captured stdout call`)."""

    name: str  # Captured stdout call
    text: str  # cut to the limit, with a line that says so


class Detail(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to say about an outcome beyond its verdict."""

    phase: str = ""  # setup, call, teardown, collect
    kind: FailureKind | None = None  # nil where nothing failed
    message: str = ""  # one line
    text: str = ""  # the traceback as the runner's test framework prints it
    frames: list[Frame] = []  # outermost first, testd's own left out
    sections: list[Section] = []  # what was captured
    leaks: list[str] = []  # tasks, threads, child processes, a working directory that the test left behind
    stacks: str = ""  # of every thread, where a test was killed
    document: str = ""  # JSON: what came of a case or an item; goes no further than the agent


class Item(msgspec.Struct, frozen=True, array_like=True):
    """A collected test: `[id, line]`, the line counted from 1, 0 where unknown."""

    id: str  # the node id
    line: int  # where it is defined


class Stat(msgspec.Struct, frozen=True, array_like=True):
    """What a loaded file looked like: `[path, mtime in ns, size in bytes, mode]`. A missing file has -1, -1 and -1."""

    path: str  # absolute, as the target sees it
    mtime_ns: int  # nanoseconds
    size: int  # bytes
    mode: int = -1  # its permissions, such as 0o644: who may read it decides whether it can be loaded; -1: not told


class Row(msgspec.Struct, frozen=True, array_like=True):
    """An outcome in a batch: `[test, target, verdict, duration, memory, worker, detail]`."""

    test: str  # its id
    target: str  # its name
    verdict: Verdict  # final
    duration: float  # of all phases
    memory: int  # the worker's peak so far
    worker: int  # its number
    detail: Detail | None  # nil where there is nothing to say


class Failing(msgspec.Struct, frozen=True, array_like=True):
    """A test that fails as things stand: `[test, target, verdict, message]`."""

    test: str  # its id
    target: str  # its name
    verdict: Verdict  # failed, error, crashed or timed out
    message: str = ""  # one line


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for. Paths are absolute or relative to `cwd`, may carry `::NAME` or `:LINE`."""

    workspace: str  # the absolute path of the project
    cwd: str  # where the command was given
    paths: list[str] = []  # empty: as configured
    keyword: str | None = None  # -k
    maxfail: int = 0  # 0: no limit
    last_failed: bool = False  # only what failed last time
    stream: bool = False  # -s: output live, not captured
    mode: Mode | None = None  # None: as configured
    fresh: bool = False  # new processes throughout
    jobs: int | None = None  # workers side by side; None: as configured
    timeout: float | None = None  # seconds a test may take; 0: no limit; None: as configured
    detach: bool = False  # the run goes on without its client
    update_snapshots: bool = False  # write snapshots in place of comparing
    targets: list[str] = []  # by name; empty: as configured
    environment: dict[str, str] = {}  # the client's
    python: str = ""  # the interpreter that runs the client, the last choice of a default target
    require: bool | None = None  # a target that is not usable makes the run fail; None: as configured
    watch: bool = False  # go on: each change of files is a generation, and what it affects runs
    patterns: list[str] = []  # only tests in files whose path has one of these in it; empty: all
    shuffle: int | None = None  # the seed of a random order; None: the order of collection
    isolate: Literal["", "test"] = ""  # each test in a process of its own; empty: as configured
    affected: bool = False  # only tests that may be affected by what has changed since they last ran
    since: str = ""  # with `affected`: and by what differs from this git revision
    verify: bool = False  # also in new processes, and each difference told
    profile: bool = False  # tell where the time went
    kind: Kind | None = None  # of the tests; None: as configured
    filters: dict[str, str] = {}  # cases: id, name, module, function, file; all of them have to match
    results: str = ""  # cases: the absolute path of a file or a folder for their results; empty: none are written
    report_url: str = ""  # cases: where each suite's result is posted to; empty: nowhere
    run_file: bool = False  # what comes of the items goes back into the run files
    store: str = ""  # workflow: s3://BUCKET?endpoint=URL, document, embedded; empty: either of these two
    isolation: Literal["none", "prefix", "bucket"] = "none"  # workflow: what keeps its files apart from other runs'
    join: Literal["documented", "faasr"] = "documented"  # workflow: which predecessors a function waits for
    input: str = ""  # workflow: the absolute path of a folder whose files are in the store before it begins
    overrides: dict[str, str] = {}  # workflow: keys of its document that have another value in this run
    spooled: bool = False  # an agent asks for it: what the end of that agent leaves undone is asked for again


class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    """What one function of a workflow is called with."""

    function: str  # which one, with its rank where it has several: resize(3)
    id: str  # of the workflow's invocation
    arguments: str = "{}"  # JSON: an object of keyword arguments
    rank: int = 1  # from 1
    max_rank: int = 1  # how many there are
    environment: dict[str, str] = {}  # variables that it has beside its process's
    folder: str = ""  # its working directory; empty: a new one, which goes with it


class RunnerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One runner of an agent."""

    target: str  # its name
    state: str  # one word
    pid: int = 0  # 0: no process
    python: str = ""  # its version, 3.12.1
    tests: int = 0  # collected and kept warm
    memory: int = 0  # with its stems and workers
    age: float = 0.0  # seconds since it started


class AgentStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One agent, as `testd status` shows it."""

    workspace: str  # its absolute path
    state: str  # one word
    pid: int = 0  # 0: no process
    restarts: int = 0  # since the handler started
    memory: int = 0  # of the agent's process
    runners: list[RunnerStatus] = []  # one a target and environment


class RunStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One run, live or recent."""

    run: str  # its id
    workspace: str  # its absolute path
    state: str  # one word
    accepted_at: float  # wall clock
    counts: dict[str, int] = {}  # verdict → number so far
    tests: int = 0  # planned
    exit_code: int | None = None  # None while it goes on
    detach: bool = False  # the run goes on without its client
    watch: bool = False  # it goes on with each change
    events: int = 0  # the number of its newest event that the journal has


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of history: a run (no test), a test's state now (no run), or a change of a test's verdict."""

    run: str  # its id, or empty
    test: str  # its id, or empty
    target: str  # its name
    verdict: str  # a run's state, or a test's verdict
    at: float  # wall clock
    duration: float  # of the run, or what the test usually takes
    counts: dict[str, int] = {}  # verdict → number, of a run
    message: str = ""  # of the failure, one line
    runs: int = 0  # how often the test ran
    failures: int = 0  # how often it did not pass
    generation: int = 0  # of the workspace, when a verdict changed; 0: not known
    previous: int = 0  # that of the test's outcome before; 0: not known, or there was none
    changed: list[str] = []  # relative paths of what is not in `generation` what it was in `previous`, at most 20
    more: int = 0  # further ones
    commit: str = ""  # that was checked out
    flips: int = 0  # how often the verdict changed while nothing else had


class WhyEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a test would run now if what is affected ran, and why."""

    test: str  # its id
    target: str  # its name
    affected: bool  # it would
    reasons: list[str]  # why it would, one line each; empty where it would not
    at: float = 0.0  # wall clock, when it ran last with a record; 0: there is no record
    files: int = 0  # how many files it depends on
    functions: int = 0  # how many functions of the project it ran
    used: list[str] = []  # what that is, one line a file


class TraceEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a trace without looking inside: of its root, and how much there is."""

    trace: str  # its id, which is the root's: 32 hexadecimal digits
    name: str  # of the root
    module: str  # where it is defined
    file: str  # where that is, as the application sees it
    line: int  # where the function begins
    at: float  # wall clock, when the call began
    duration: float  # seconds
    successful: bool  # it returned
    error: str = ""  # the type of what it raised and its message, one line
    calls: int = 1  # that are recorded, the root included
    failures: int = 0  # how many of them raised
    cut: int = 0  # calls that limits left out
    pid: int = 0  # the process
    recording: str = ""  # which `testd record` it belongs to; empty: none
    size: int = 0  # bytes that are kept, told by the agent


class TracePage(msgspec.Struct, frozen=True, array_like=True):
    """A piece of a trace: `[trace, page, data, entry]`. All pieces, joined, are a zlib stream of lines.

    Each line is an executed function as JSON without its `children`; callers come before what they called, and
    siblings in the order in which they began. `parent_id` says which is whose.
    """

    trace: str  # its id
    page: int  # 0, 1, 2 …; 0 begins the trace anew
    data: bytes  # of the stream
    entry: TraceEntry | None = None  # with the last piece


class CollectError(msgspec.Struct, frozen=True, kw_only=True):
    """A file that could not be collected (`error`), or that asked to be skipped as a whole (`skipped`)."""

    id: str  # the file, relative to the workspace
    detail: Detail  # why, with `phase` collect
    verdict: Verdict = "error"  # what the file gets


class Directory(msgspec.Struct, frozen=True, array_like=True):
    """A directory that a checkpoint listed: `[path, mtime in ns, sorted names that matter, everything]`.

    Which names matter is told by `testd.runner.dependencies.listing(path, everything)`: folders and source files where
    the import machinery or the collection looked, all but caches and hidden ones where user code did.
    """

    path: str  # absolute, as the target sees it
    mtime_ns: int  # -1: missing
    names: list[str]  # sorted
    everything: bool = False  # user code listed it: more names matter


class FileEntry(msgspec.Struct, frozen=True, array_like=True):
    """A file, symbolic link or folder of a mirrored workspace: `[path, kind, mode, mtime in ns, size, content]`."""

    path: str  # relative to the workspace, with slashes
    kind: Literal["file", "link", "folder"]  # what it is
    mode: int  # its permission bits; 0 for a link
    mtime_ns: int  # nanoseconds; 0 but for files
    size: int  # bytes; 0 but for files
    content: str  # the digest of a file, what a link points to, nothing for a folder


class Content(msgspec.Struct, frozen=True, array_like=True):
    """A piece of a file's content: `[digest, data, last]`. The pieces of one file follow each other."""

    digest: str  # of the whole: the first 32 hexadecimal digits of its SHA-256
    data: bytes  # at most 1 MiB
    last: bool = True  # nothing follows


class Outdated(msgspec.Struct, frozen=True, array_like=True):
    """A checkpoint that loaded what has changed since: `[checkpoint, collection, path]`."""

    checkpoint: Literal["started", "plugins", "configured", "collected"]  # whose
    collection: int  # its number
    path: str  # as the target sees it


class Stranger(msgspec.Struct, frozen=True, array_like=True):
    """A folder outside of project and environment from which modules were loaded: `[folder, way, modules]`."""

    folder: str  # as the target sees it
    way: str  # how it got into reach, for people: PYTHONPATH; empty: not known
    modules: list[str]  # the first parts of their names, sorted


class Code(msgspec.Struct, frozen=True, array_like=True):
    """A function of user code that ran: `[number, path, name, line]`."""

    number: int  # counts on over all messages of one process
    path: str  # absolute, as the target sees it
    name: str  # its qualified name: Class.method, outer.<locals>.inner; <module> for a module's own code
    line: int  # where it begins; of a decorated function: its first decorator's line


class Use(msgspec.Struct, frozen=True, array_like=True):
    """What one test has used: `[test, codes, files, folders, everything]`."""

    test: int  # its index in the collection
    codes: list[int]  # numbers of the code that ran from its setup to its teardown, and in fixtures shared with it
    files: list[str]  # of the workspace, that it opened to read, or tried to: data, not modules
    folders: list[str]  # of the workspace, that it listed
    everything: bool  # it started a process, or did something else unseen: it may depend on anything


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """What a process has from whoever starts it: a command's process has exactly that."""

    cwd: str  # its working directory
    environment: dict[str, str]  # the whole of it
    umask: int = 0o22  # of new files
    nice: int = 0  # how far it stands back; what the runner has already cannot be taken back
    limits: list[list[int]] = []  # `[resource, soft, hard]` of each limit; -1: none
    processors: list[int] = []  # those that it may use; empty: not known
    ignored: list[int] = []  # signals that it ignores
    closed: list[int] = []  # those of the descriptors 0 to 2 that are not open
