"""What goes wrong in a function's use of its API, as exceptions that it may catch.

    ApiError
    ├── NotInvoked        no function runs: the API was used while a module was imported
    └── Refused           what was asked for was not done

Runs in stems and workers; standard library only.
"""

__all__ = ["ApiError", "NotInvoked", "Refused"]


class ApiError(Exception):
    """A use of the API that failed; one that nobody catches makes its function fail."""


class NotInvoked(ApiError):
    """There is no invocation yet: its module is being imported ahead."""


class Refused(ApiError):
    """What was asked for was not done, and why."""
