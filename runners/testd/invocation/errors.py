"""What goes wrong in a function's use of its API, as exceptions that it may catch; and what a function in R fails with.

    ApiError
    ├── NotInvoked        no function runs: the API was used while a module was imported
    └── Refused           what was asked for was not done
    RError                a function in R failed

Runs in stems and workers; standard library only.
"""

__all__ = ["ApiError", "NotInvoked", "RError", "Refused"]


class ApiError(Exception):
    """A use of the API that failed; one that nobody catches makes its function fail."""


class NotInvoked(ApiError):
    """There is no invocation yet: its module is being imported ahead."""


class Refused(ApiError):
    """What was asked for was not done, and why."""


class RError(Exception):
    """A function in R failed: its message, and the calls that led there."""

    def __init__(self, message: str, calls: str = "") -> None:
        """Keep both."""
        super().__init__(message)
        self.calls = calls
