"""Follow a run from its acceptance to its end, hand its events to a report, and give its exit status.

Runs in the client, on the quick path: imports our own parts of it.
"""

from __future__ import annotations

from testd_daemon.cli.interrupts import Interrupts, Leave
from testd_daemon.errors import TestdError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from testd_daemon.client.sync import Client
    from testd_daemon.reports.base import Report

#: How long one wait for an event lasts before the clock on the screen moves and signals are looked at (seconds).
TICK = 0.1
#: Exit status of a run that was interrupted, as pytest's.
INTERRUPTED = 2


class Follower:
    """One client's view of one run."""

    def __init__(self, client: Client, report: Report, interrupts: Interrupts, *, owner: bool) -> None:
        """`owner`: an interruption cancels the run; otherwise it only ends the following."""
        self._client = client
        self._report = report
        self._interrupts = interrupts
        self._owner = owner
        self._cancelled = False

    def follow(self, run: str, after: int = 0) -> int:
        """Follow `run` after an event's number to its end and return its exit status. The report is closed."""
        self._interrupts.gentle = True
        try:
            return self._to_the_end(run, after)
        except Leave:
            return INTERRUPTED
        except TestdError as error:
            self._report.fault(as_fault(error))
            return error.exit_code
        finally:
            self._report.close()

    def _to_the_end(self, run: str, after: int) -> int:
        following = self._client.follow(run, after)
        while True:
            event = following.next(TICK)
            if self._interrupts.asked and not self._cancelled:
                if not self._owner:
                    self._report.message(
                        f"the run goes on; `testd attach {run}` follows it, `testd cancel {run}` ends it"
                    )
                    return INTERRUPTED
                self._cancelled = True
                self._report.message("interrupted: the run is being cancelled (once more to leave at once)")
                self._client.cancel(run, "interrupted")
            if event is None:
                self._report.tick()
                continue
            body = event["body"]
            self._report.event(event["run"], event["seq"], body)
            if following.over:
                return int(body["exit_code"])


def as_fault(error: TestdError) -> dict[str, object]:
    """Make an error of ours the map that a report takes as a fault."""
    return {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "detail": error.detail,
        "exit_code": error.exit_code,
    }


__all__ = ["INTERRUPTED", "TICK", "Follower", "as_fault"]
