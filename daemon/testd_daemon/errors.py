"""The exceptions of the daemon and its client, and what each means to whoever catches it.

Imported by every process of `testd_daemon`, the quick client included: nothing but the standard library's builtins.

    TestdError                  something a person can act on: code, message, hint, detail, exit status
    ├── UsageError              the request makes no sense (exit 4)
    ├── ConfigError             the configuration is wrong: file, key, what is allowed (exit 4)
    ├── EnvironmentFault        the target's environment lacks something (exit 4)
    │   └── Unreachable         it cannot be reached now, and perhaps can in a moment
    ├── FaultError              the other side answered with a `Fault`
    ├── LinkClosed              the other end of a link is gone
    ├── DeadlineExpired         a named wait took too long
    ├── ProcessCrashed          a child ended that should not have
    ├── RuntimeFolderError      the folder or the path of the socket cannot be used
    ├── HandlerUnavailable      no handler answers and none can be started
    │   └── VersionMismatch     the one that answers is of another version of testd
    ├── JournalError            the journal cannot be written
    │   └── JournalFull         because the disk is full
    └── Bug                     we are wrong, not the user
        └── IllegalTransition   an event that the state does not know
"""

from __future__ import annotations

__all__ = [
    "Bug",
    "ConfigError",
    "DeadlineExpired",
    "EnvironmentFault",
    "FaultError",
    "HandlerUnavailable",
    "IllegalTransition",
    "JournalError",
    "JournalFull",
    "LinkClosed",
    "ProcessCrashed",
    "RuntimeFolderError",
    "TestdError",
    "Unreachable",
    "UsageError",
    "VersionMismatch",
    "describe_status",
]


class TestdError(Exception):
    """Say what went wrong and where (`message`), what would be right (`hint`), and more as text (`detail`).

    `code` is a short, stable word, `exit_code` what a command should exit with: together they make a `Fault`.
    """

    __test__ = False  # the name must not make pytest collect it

    code = "internal"
    exit_code = 3

    def __init__(self, message: str, *, hint: str = "", detail: str = "") -> None:
        """Take the texts; the class knows code and exit status."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail

    def __str__(self) -> str:
        """Give message and hint in one line each; the detail is for whoever asks."""
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(TestdError):
    """A request that makes no sense: an unknown path, an option out of range."""

    code = "usage"
    exit_code = 4


class ConfigError(TestdError):
    """A configuration that cannot be used."""

    code = "config"
    exit_code = 4


class EnvironmentFault(TestdError):
    """An environment that lacks something, such as pytest."""

    code = "environment"
    exit_code = 4


class Unreachable(EnvironmentFault):
    """A target that cannot be reached now, and perhaps can in a moment."""

    code = "unreachable"


class FaultError(TestdError):
    """A `Fault` that came over a link, raised where it was waited for."""

    def __init__(self, code: str, message: str, *, hint: str = "", detail: str = "", exit_code: int = 3) -> None:
        """Take the fields of the `Fault`."""
        super().__init__(message, hint=hint, detail=detail)
        self.code = code
        self.exit_code = exit_code


class LinkClosed(TestdError):
    """The other end of a link is gone, or the link was closed here."""

    code = "closed"


class DeadlineExpired(TestdError):
    """A named wait took too long."""

    code = "deadline"

    def __init__(self, what: str, seconds: float, *, hint: str = "", detail: str = "") -> None:
        """Name what was waited for and for how long (seconds)."""
        super().__init__(f"{what} took longer than {seconds:g} s", hint=hint, detail=detail)
        self.what = what
        self.seconds = seconds


class ProcessCrashed(TestdError):
    """A child ended that should not have. `status` is the exit status, negative for a signal, None where unknown."""

    code = "crash"

    def __init__(
        self, name: str, status: int | None, *, state: str = "", run: str = "", stderr: str = "", hint: str = ""
    ) -> None:
        """Take who crashed, its exit status, the state it was in, the run it worked on, and the tail of its stderr."""
        where = f" while {state}" if state else ""
        during = f" in run {run}" if run else ""
        super().__init__(f"{name} {describe_status(status)}{where}{during}", hint=hint, detail=stderr)
        self.name = name
        self.status = status
        self.state = state
        self.run = run
        self.stderr = stderr


class RuntimeFolderError(TestdError):
    """The folder of the socket, or its path, cannot be used."""

    code = "runtime"


class HandlerUnavailable(TestdError):
    """No handler answers, and none could be started."""

    code = "unavailable"


class VersionMismatch(HandlerUnavailable):
    """The handler that answers is of another version of testd and is busy."""

    code = "version"


class JournalError(TestdError):
    """The journal cannot be written or read."""

    code = "journal"


class JournalFull(JournalError):
    """The disk has no room for the journal."""


class Bug(TestdError):
    """We are wrong, not the user."""


class IllegalTransition(Bug):
    """An event that the state it met does not know."""


def describe_status(status: int | None) -> str:
    """Say how a process ended: `exited with status 3`, `was killed by SIGKILL`, `ended`."""
    if status is None:
        return "ended"
    if status >= 0:
        return f"exited with status {status}"
    import signal  # here, so that a quick client that never needs it does not pay for it

    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
