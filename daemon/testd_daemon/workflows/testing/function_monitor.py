"""What the store says of one function: its log, its completion, whom it invoked. Runs in the user's process."""

from __future__ import annotations

from testd_daemon.workflows import layout
from testd_daemon.workflows.status import FunctionStatus, InvocationStatus, has_final_state, invocation_status
from testd_daemon.workflows.testing.deduction import Seen
from testd_daemon.workflows.testing.exceptions import StopMonitoring
from testd_daemon.workflows.testing.function_logger import FunctionLogger
from testd_daemon.workflows.testing.objects import Listing, ObjectStore, S3Client
from testd_daemon.workflows.testing.poller import Poller

__all__ = ["FunctionMonitor"]

#: Listings in a row in which a log stayed as it was, until it counts as settled without having said so.
QUIET = 2


class FunctionMonitor:
    """Monitors a store for the status of a single function.

    On its own (`start`) it looks once an interval in a thread of its own. A runner asks all its monitors with one
    listing for all of them, and sets their status by what it knows of the others.
    """

    def __init__(
        self,
        *,
        function_name: str,
        invocation_folder: str,
        s3_client: S3Client | ObjectStore,
        bucket_name: str = "",
        workflow_name: str = "",
        stream_logs: bool = False,
        interval_seconds: float = 1.0,
        start_logger: bool = False,
        poller: Poller | None = None,
    ) -> None:
        """Take which function, in which folder of which bucket. `start_logger`: start at once."""
        self.function_name = function_name
        self.workflow_name = workflow_name
        self.logger = FunctionLogger(
            function_name=function_name,
            workflow_name=workflow_name,
            invocation_folder=invocation_folder,
            s3_client=s3_client,
            bucket_name=bucket_name,
            stream_logs=stream_logs,
            interval_seconds=interval_seconds,
        )
        self._folder = invocation_folder
        self._poller = poller or Poller(self.logger.store, invocation_folder, interval_seconds)
        self._status = FunctionStatus.PENDING
        self._done = False
        self._quiet = 0
        self._started = False
        if start_logger:
            self.start()

    @property
    def status(self) -> FunctionStatus:
        """The status."""
        return self._status

    @property
    def done_key(self) -> str:
        """The key that is there once the function has completed."""
        return layout.done_key(self._folder, self.function_name)

    @property
    def function_complete(self) -> bool:
        """Whether the function has completed: a completion without an error in its log."""
        return self._done and not self.function_failed

    @property
    def function_failed(self) -> bool:
        """Whether there is an error in the log."""
        return layout.failed(self.logger.logs_content)

    @property
    def invocations(self) -> set[str] | None:
        """The actions that the function has invoked; None until its log is complete."""
        return self._invoked() if self.logs_complete else None

    @property
    def logs(self) -> list[str]:
        """The entries of the log."""
        return self.logger.logs

    @property
    def logs_content(self) -> str:
        """The log."""
        return self.logger.logs_content

    @property
    def logs_started(self) -> bool:
        """Whether there is a log."""
        return self.logger.logs_started

    @property
    def logs_complete(self) -> bool:
        """Whether the log has said all that it will."""
        return self.logger.logs_complete

    @property
    def quiet(self) -> int:
        """In how many listings in a row neither log nor completion changed."""
        return self._quiet

    def get_invocation_status(self, function_name: str) -> InvocationStatus:
        """Return whether this function has invoked another one, as far as its log tells."""
        return invocation_status(self.invocations, function_name)

    def set_status(self, status: FunctionStatus) -> None:
        """Set the status; who knows more than the store says so."""
        self._status = status

    def start(self) -> None:
        """Look from now on, until the function has ended."""
        if not self._started:
            self._started = True
            self._poller.add(self._look)
            self._poller.start()

    def stop(self, timeout: float | None = None) -> bool:
        """End the thread that `start` began. Returns whether it has ended within `timeout` seconds."""
        return self._poller.stop(timeout)

    def look(self, listing: Listing) -> Seen:
        """Take in a listing; read the log if that has changed. Raises StoreError."""
        done = self._done or self.done_key in listing
        changed = self.logger.look(listing) or done != self._done
        self._done = done
        self._quiet = 0 if changed else self._quiet + 1
        return self.seen()

    def seen(self) -> Seen:
        """Return what there is of the function so far."""
        text = self.logs_content
        return Seen(
            started=self.logs_started,
            done=self._done,
            failed=layout.failed(text),
            settled=self._done and self._quiet >= QUIET,
            invoked=frozenset(self._invoked()),
            result=layout.returned(text),
        )

    def complete(self) -> None:
        """Note that the log has said all that it will."""
        self.logger.complete()

    def _invoked(self) -> set[str]:
        return layout.invocations(self.logs_content, self.workflow_name)

    def _look(self, listing: Listing | None) -> None:
        """Be a reader of a poller of our own: what can be said of a function alone."""
        if listing is None:
            return
        seen = self.look(listing)
        if seen.failed:
            self._status = FunctionStatus.FAILED
        elif seen.settled:
            self._status = FunctionStatus.COMPLETED
        elif seen.started:
            self._status = FunctionStatus.RUNNING
        if has_final_state(self._status) and self._quiet >= QUIET:
            self.complete()
            raise StopMonitoring(f"{self.function_name} has ended")
