"""What a suite is told and what it answers, as plain classes. Runs in stems and workers; imports nothing."""

from typing import Any, Callable, Dict, List, Optional, Tuple

__all__ = ["Collection", "Settings", "SuiteFault", "WorkerSettings"]


class Settings:
    """What a runner is for, as `ConfigureRunner` brought it. Paths are absolute, as the target sees them."""

    __slots__ = (
        "arguments", "capture_limit", "cwd", "kind", "mode", "otherwise", "preload", "record", "root", "settings",
        "stem",
    )  # fmt: skip

    def __init__(
        self,
        *,
        root: str,
        cwd: str,
        kind: str = "pytest",
        mode: str = "worker",
        arguments: Optional[List[str]] = None,
        capture_limit: int = 64 * 1024,
        stem: bool = True,
        settings: Optional[Dict[str, str]] = None,
        otherwise: Optional[str] = None,
        record: bool = True,
        preload: bool = True,
    ) -> None:
        """Keep the values; `capture_limit` is in bytes of a section, `otherwise` the kind where there is no pytest."""
        self.root = root
        self.cwd = cwd
        self.kind = kind
        self.mode = mode
        self.otherwise = otherwise
        self.arguments = arguments or []
        self.capture_limit = capture_limit
        self.stem = stem
        self.settings = settings or {}
        self.record = record
        self.preload = preload

    @classmethod
    def read(cls, message: Dict[str, Any]) -> "Settings":
        """Take what is ours out of a `ConfigureRunner` message."""
        return cls(**{name: message[name] for name in cls.__slots__ if name in message})


class WorkerSettings:
    """What one worker is for, as `StartWorker` brought it. Times are in seconds."""

    _told = (
        "collection", "documents", "maxfail", "paths", "place", "record", "run", "stream", "update_snapshots", "worker",
        "workers",
    )  # fmt: skip
    __slots__ = (*_told, "ask", "exchange", "invocation", "job", "recorder", "stopping", "tell")

    def __init__(
        self,
        *,
        worker: int,
        collection: int = 0,
        stream: bool = False,
        update_snapshots: bool = False,
        workers: int = 1,
        paths: Optional[List[str]] = None,
        run: str = "",
        maxfail: int = 0,
        place: int = 0,
        documents: bool = False,
        record: bool = True,
    ) -> None:
        """Keep the values; `workers` share the run, `place` counts them from 0, `maxfail` 0 means no limit.

        `documents`: outcomes of cases carry what was recorded. `record`: it is told what tests use.
        """
        self.worker = worker
        self.collection = collection
        self.stream = stream
        self.update_snapshots = update_snapshots
        self.workers = workers
        self.paths = paths or []
        self.run = run
        self.maxfail = maxfail
        self.place = place
        self.documents = documents
        self.record = record
        #: Whether the supervisor asked the worker to stop: tells its interrupt from one that a test raised.
        self.stopping: Callable[[], bool] = lambda: False
        #: Has a question answered, later, that cannot be answered on the target: JSON, and what takes it (`Judge`).
        self.ask: Optional[Callable[[str, Callable[[str], None]], None]] = None
        #: Sends a message with an id and returns the answer to it; sends one that has none.
        self.exchange: Callable[[Dict[str, Any]], Dict[str, Any]] = lambda message: {}
        self.tell: Callable[[Dict[str, Any]], None] = lambda message: None
        #: What the function of the job at hand is called with, and the job's number.
        self.invocation: Dict[str, Any] = {}
        self.job = 0
        #: The record of what tests use, for a suite that shares fixtures between them; None where nothing is recorded.
        self.recorder: Any = None

    @classmethod
    def read(cls, message: Dict[str, Any]) -> "WorkerSettings":
        """Take what is ours out of a `StartWorker` message."""
        return cls(**{name: message[name] for name in cls._told if name in message})


class Collection:
    """What a suite found.

    Attributes:
        items: `(id, line)` of each test, the line from 1, 0 where unknown.
        errors: `(id, verdict, detail)` of what could not be collected (`error`) or asked to be skipped (`skipped`).
        deselected: how many tests the project's own configuration left out.
        notices: what the user should know.
        maxfail: the project's own limit of failures, 0 for none.
        patterns: the names of files that may hold tests; nothing where that is not known.
        imported: the seconds of it all in which test modules were imported, 0 where that is not measured.
    """

    __slots__ = ("deselected", "errors", "imported", "items", "maxfail", "notices", "patterns")

    def __init__(
        self,
        items: List[Tuple[str, int]],
        errors: Optional[List[Tuple[str, str, Dict[str, Any]]]] = None,
        deselected: int = 0,
        notices: Optional[List[str]] = None,
        maxfail: int = 0,
        patterns: Optional[List[str]] = None,
        imported: float = 0.0,
    ) -> None:
        """Keep the values."""
        self.imported = imported
        self.patterns = patterns or []
        self.items = items
        self.errors = errors or []
        self.deselected = deselected
        self.notices = notices or []
        self.maxfail = maxfail


class SuiteFault(Exception):
    """A suite cannot be configured or collected at all: what, where, and what would be right."""

    def __init__(self, code: str, message: str, hint: str = "", detail: str = "", exit_code: int = 4) -> None:
        """Keep what `Fault` carries; `exit_code` is one of pytest's."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.detail = detail
        self.exit_code = exit_code
