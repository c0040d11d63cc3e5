"""Between an agent and a runner: `ConfigureRunner` / `Ready`, then collections, workers and jobs.

Imported by the agent alone; the runner itself writes and reads the same maps with `testd.msgpack`.
"""

from __future__ import annotations

from typing import Literal

from testd_protocol.agent import Ready
from testd_protocol.common import Fault, Message, Ping, Pong, Shutdown, Unsupported
from testd_protocol.documents import (
    Caller,
    Code,
    CollectError,
    Content,
    Detail,
    Directory,
    FileEntry,
    Invocation,
    Item,
    Kind,
    Mode,
    Outdated,
    Stat,
    Stranger,
    Use,
    Verdict,
)
from testd_protocol.events import Output, Started

__all__ = [
    "Amend",
    "Amended",
    "ApiAnswered",
    "CallApi",
    "Collect",
    "Collected",
    "CommandEnded",
    "ConfigureRunner",
    "Dependencies",
    "DropCollection",
    "FilesReceived",
    "FilesSynced",
    "FilesWanted",
    "FinishWorker",
    "FunctionEnded",
    "JobCompleted",
    "Judge",
    "Judged",
    "Modules",
    "Outcome",
    "Prepare",
    "RunJob",
    "RunnerInstruction",
    "RunnerMessage",
    "Select",
    "Selected",
    "StartCommand",
    "StartWorker",
    "StopWorker",
    "SyncFiles",
    "Used",
    "WorkerExited",
    "WriteFiles",
]


class ConfigureRunner(Message, frozen=True, kw_only=True):
    """Step 6: what a runner is for. Every path is as the target sees it. Answered by `Ready`."""

    kind: Kind  # which suite
    mode: Mode  # of the run that it was started for; `StartWorker.paths` decides for each worker
    root: str  # the workspace; the working directory of user code unless cwd is set
    cwd: str  # empty: the root
    environment: dict[str, str]  # the whole of it, for user code
    arguments: list[str] = []  # handed to the framework in front of the paths
    memory_limit: int = 0  # KiB of a worker; 0: none
    output_limit: int = 8 * 1024 * 1024  # bytes of one test's live output that are passed on
    capture_limit: int = 64 * 1024  # bytes kept of each captured section
    stem: bool = True  # False: keep no stem (never fork)
    settings: dict[str, str] = {}  # of the kind
    extend: bool = False  # add the variables to the process's own in place of replacing them
    mirror: str = ""  # name of the folder on the target that holds a copy of the workspace; `root` is then empty
    silence: float = 0.0  # seconds without a word from the agent after which the runner ends; 0: no limit
    record: bool = True  # tell with `Used` what each test has used
    otherwise: Kind | None = None  # which suite where the target has no pytest; null: `kind`, whatever it has
    preload: bool = True  # load modules from outside of the project ahead of the next collection


class Collect(Message, frozen=True, kw_only=True):
    """Collect these paths and keep the result as a stem. Answered by `Collected` pages, or a `Fault` with this id."""

    collection: int  # a number that the agent gives it
    paths: list[str]  # as the framework takes them; empty: its default


class Prepare(Message, frozen=True, kw_only=True):
    """Make the checkpoints below collections that are not there: a `Collect` is likely to follow."""


class Amend(Message, frozen=True, kw_only=True):
    """Exchange the code of functions in a checkpoint for that of these files as they are now. Answered by `Amended`.

    That is done if it comes to the same as to load the files anew: where only functions have changed that have not run.
    """

    id: int  # any number
    collection: int  # whose checkpoint it is; 0: the one below all of them
    paths: list[str]  # Python files, absolute


class Select(Message, frozen=True, kw_only=True):
    """Which tests of a collection an expression (pytest's -k) selects. Answered by `Selected`."""

    id: int  # any number
    collection: int  # its number
    keyword: str  # the expression; empty: all
    filters: dict[str, str] = {}  # cases: as the request's


class DropCollection(Message, frozen=True, kw_only=True):
    """Stop the stem of a collection, or those of all with what is named below them: their files have changed."""

    collection: int  # its number; its stem ends
    configured: bool = False  # all collections, and the stem below them
    started: bool = False  # and all that lies below that
    plugins: bool = False  # all down to the one between those two


class StartWorker(Message, frozen=True, kw_only=True):
    """Fork a worker from a collection's stem (mode worker), or start a new process that runs these paths (mode bin)."""

    worker: int  # a number that the agent gives it
    collection: int  # whose stem is forked; bin: what `tests` of its jobs count in
    stream: bool = False  # pass output on live, capture nothing
    update_snapshots: bool = False  # write snapshots in place of comparing
    timeout: float = 0.0  # seconds for one test; 0: no limit
    job_timeout: float = 0.0  # seconds for one job
    workers: int = 1  # how many share the run
    paths: list[str] = []  # what a new process collects (mode bin); empty: a fork
    run: str = ""  # the run's id
    maxfail: int = 0  # end after this many failures; 0: no limit
    place: int = 0  # among the workers that share the run, from 0; free again when one has ended
    documents: bool = False  # cases: outcomes carry what was recorded
    memory_limit: int = 0  # KiB of this worker; 0: the runner's
    record: bool = True  # fork: tell what tests use, where the runner's settings say so too


class RunJob(Message, frozen=True, kw_only=True):
    """Step 6: a job. `tests` are indexes in the collection; `ids` name the same tests where there is no stem."""

    job: int  # a number that the agent gives it
    worker: int  # its number
    tests: list[int]  # in the order to run them in
    ids: list[str] = []  # empty where there is a stem
    invocation: Invocation | None = None  # workflow: what the function, the job's only test, is called with


class FinishWorker(Message, frozen=True, kw_only=True):
    """No more jobs: run what was given, tear down, end."""

    worker: int  # its number


class StopWorker(Message, frozen=True, kw_only=True):
    """End now, with pytest's own interruption where user code lets it: ask, wait `grace` seconds, kill.

    A `patient` one lets the test that runs come to its end, for as long as its time limit allows.
    """

    worker: int  # its number
    grace: float = 1.0  # seconds
    patient: bool = False  # nothing but its limits ends the test that runs


class Judged(Message, frozen=True, kw_only=True):
    """Answer `Judge`."""

    id: int  # the one of the `Judge`
    worker: int  # who asked
    document: str  # what came of it, as JSON


class ApiAnswered(Message, frozen=True, kw_only=True):
    """Answer `CallApi`. With an `error` nothing was done."""

    id: int  # the one of the `CallApi`
    worker: int  # who asked
    error: str = ""  # one line: what went wrong
    data: bytes = b""  # get: a piece of the object
    more: bool = False  # get: there is more of it; ask with `more`
    keys: list[str] = []  # list: what there is
    values: dict[str, str] = {}  # secret: `value`; credentials: what a client of the store needs


class SyncFiles(Message, frozen=True, kw_only=True):
    """A page of what is to be in the mirror. Answered by `FilesWanted` or `FilesSynced`, or a `Fault` with this id."""

    id: int  # any number, the same on all pages
    entries: list[FileEntry]  # all, or those that changed
    removed: list[str] = []  # relative paths that are there no more
    whole: bool = False  # the pages name everything: what the mirror has beyond that goes
    done: bool = False  # the last page


class WriteFiles(Message, frozen=True, kw_only=True):
    """Content for a sync, before its last page or after `FilesWanted`."""

    id: int  # of the `SyncFiles`
    contents: list[Content]  # any number of pieces


class StartCommand(Message, frozen=True, kw_only=True):
    """Have a command's process forked from a stem. The descriptors of `Command` come along. Answered by `CommandEnded`.

    What there is to say to the client goes over the command's line.
    """

    command: int  # a number that the agent gives it
    program: str  # the script that is executed; empty: `python -m pytest`
    arguments: list[str]  # the program's
    caller: Caller  # what the process is to have
    verbose: bool = False  # the process says on its descriptor 2 that it is warm
    descriptors: int = 4  # how many come along with the first byte


RunnerInstruction = (
    ConfigureRunner
    | Collect
    | Prepare
    | Amend
    | Select
    | DropCollection
    | StartWorker
    | RunJob
    | FinishWorker
    | StopWorker
    | StartCommand
    | Judged
    | ApiAnswered
    | SyncFiles
    | WriteFiles
    | Shutdown
    | Unsupported
    | Ping
    | Pong
)


class Collected(Message, frozen=True, kw_only=True):
    """A page of a collection. The last page has `done`, and what is known of the whole."""

    collection: int  # its number
    items: list[Item]  # in order; their indexes count on over the pages
    done: bool = False  # the last page; what follows is set only here
    errors: list[CollectError] = []  # files that have no tests for this reason
    deselected: int = 0  # by the project's own configuration
    forkable: bool = True  # workers can be forked from it
    reason: str = ""  # why it is not forkable
    framework: str = ""  # pytest 9.0.1; testd exports
    maxfail: int = 0  # from the project's own configuration
    notices: list[str] = []  # for people, one line each
    strangers: list[Stranger] = []  # what was loaded from outside of project and environment
    kind: Kind | None = None  # of the suite, where `ConfigureRunner` left it open
    patterns: list[str] = []  # names of files that may hold tests; one with a slash is of paths. Empty: not known
    imported: float = 0.0  # seconds of it all in which test modules were imported; 0: not measured


class Dependencies(Message, frozen=True, kw_only=True):
    """What a checkpoint has loaded or read: if any of it changes, the checkpoint and those above it are stale.

    Sent before the last `Collected` page. A directory's entry is the list of names in it that matter to collection.
    """

    checkpoint: Literal["started", "plugins", "configured", "collected"]  # whose
    collection: int  # its number
    files: list[Stat]  # loaded or looked for
    directories: list[Directory] = []  # listed


class Modules(Message, frozen=True, kw_only=True):
    """The record of imports: module name → file, and importer → imported modules. Additions since the last message."""

    collection: int  # its number
    files: dict[str, str]  # module → path as the target sees it
    imports: dict[str, list[str]]  # importer → what it imported
    worker: int = 0  # who loaded them; 0: the stem
    strangers: list[Stranger] = []  # a worker: what of them came from outside of project and environment


class Used(Message, frozen=True, kw_only=True):
    """What tests have used, in pages: those of a worker come before its `WorkerExited`, and not of one that crashed.

    A change of what is `shared` may reach every test whose modules include its file: it ran at import, or inside of
    what keeps its result (`lru_cache` and friends, lazily made globals), for whichever test came first.
    """

    collection: int  # its number
    worker: int  # 0: the stem, which has no uses; `shared` is what ran while modules were loaded and tests collected
    codes: list[Code] = []  # new ones since this process's last page
    uses: list[Use] = []  # of tests that are through, each once
    shared: list[int] = []  # numbers of code whose effect outlives the test in which it ran
    written: list[str] = []  # files of the workspace that tests opened to write: products, not sources
    functions: bool = False  # functions are recorded (Python 3.12 and later); without it whole modules count


class Amended(Message, frozen=True, kw_only=True):
    """Answer `Amend`. Where there is a reason nothing has been exchanged, and the checkpoint is as stale as it was."""

    id: int  # the one of the `Amend`
    files: list[Stat] = []  # what the files were that are in use now
    at: int = 0  # when they were read (wall clock, ns): nothing that was written just before could look the same
    reason: str = ""  # why it has to be loaded anew


class Selected(Message, frozen=True, kw_only=True):
    """Answer `Select`."""

    id: int  # the one of the `Select`
    tests: list[int]  # indexes in the collection, in order


class Outcome(Message, frozen=True, kw_only=True):
    """The verdict on one test, at once when it ended."""

    job: int  # its number
    test: int  # its index in the collection
    verdict: Verdict  # the worst of its phases
    duration: float  # of all phases
    memory: int  # the worker's peak so far
    detail: Detail | None  # nil where there is nothing to say


class Judge(Message, frozen=True, kw_only=True):
    """Cases: have something judged that cannot be judged on the target. Answered by `Judged`, whatever comes of it."""

    id: int  # any number
    worker: int  # who asks, and waits for it
    document: str  # what, as JSON: `testd_daemon.judge.questions` says which there are


class CallApi(Message, frozen=True, kw_only=True):
    """Workflow: a function uses its API. Answered by `ApiAnswered`, but for `log` and `note`.

    A worker asks one thing at a time. Pieces of an object that is put share an id; only the last is answered.
    """

    id: int  # any number
    worker: int  # whose function it is, and which waits for the answer
    procedure: Literal["put", "get", "more", "delete", "list", "secret", "credentials", "log", "note"]  # what is wanted
    store: str = ""  # the data store's name; empty: the document's default
    folder: str = ""  # of the object, as the function gave it
    name: str = ""  # of the object, a prefix, or a secret
    data: bytes = b""  # put: a piece of the object
    done: bool = True  # put: the last piece
    text: str = ""  # log, note: what is written
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"  # note


class FunctionEnded(Message, frozen=True, kw_only=True):
    """Workflow: what a function returned, and what it took. Before its `Outcome`."""

    job: int  # its number
    worker: int  # its number
    value: bool | None  # what it returned; nil: nothing, or it failed
    seconds: float  # of the function itself
    cpu: float = 0.0  # seconds of processor time, of child processes as well
    loading: float = 0.0  # seconds in which its code was loaded in this process; 0: it was loaded already


class JobCompleted(Message, frozen=True, kw_only=True):
    """Step 9: every test of the job has its outcome."""

    job: int  # its number
    worker: int  # its number


class WorkerExited(Message, frozen=True, kw_only=True):
    """A worker process is gone. Without `completed`, its unfinished tests have no outcome yet."""

    worker: int  # its number
    completed: bool  # it was told to finish, and did
    status: int | None = None  # exit status
    signal: int = 0  # that ended it; 0: none
    cause: Literal["exit", "signal", "timeout", "job timeout", "memory", "stopped", "lost"] = "exit"  # what ended it
    test: int = -1  # the index of the test that ran
    seconds: float = 0.0  # how long it had been running
    stderr: str = ""  # the tail
    stacks: str = ""  # of every thread, where it was killed for a timeout
    memory: int = 0  # its peak


class CommandEnded(Message, frozen=True, kw_only=True):
    """A command's process is gone, or was never started; the client has been told."""

    command: int  # its number


class FilesWanted(Message, frozen=True, kw_only=True):
    """A page of what content of a sync is not on the target. Answered by `WriteFiles`."""

    id: int  # of the `SyncFiles`
    digests: list[str]  # in the order in which they are wanted


class FilesReceived(Message, frozen=True, kw_only=True):
    """How far a sync has come, now and then: a sign of life while much is under way."""

    id: int  # of the `SyncFiles`
    size: int  # bytes of content so far
    files: int = 0  # how many contents are complete


class FilesSynced(Message, frozen=True, kw_only=True):
    """The mirror holds what was sent, all of it at once; no worker was running meanwhile."""

    id: int  # of the `SyncFiles`
    changed: list[str] = []  # relative paths that were not as the sync before had left them
    outdated: list[Outdated] = []  # checkpoints that loaded a file outside of the mirror that has changed


RunnerMessage = (
    Ready
    | Collected
    | Dependencies
    | Modules
    | Used
    | Amended
    | Selected
    | FilesWanted
    | FilesReceived
    | FilesSynced
    | Started
    | Output
    | Outcome
    | Judge
    | CallApi
    | FunctionEnded
    | JobCompleted
    | WorkerExited
    | CommandEnded
    | Fault
    | Unsupported
    | Ping
    | Pong
)
