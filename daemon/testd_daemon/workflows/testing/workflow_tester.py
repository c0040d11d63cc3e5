"""Tests a workflow by what its functions leave in the store. Runs in the user's process, for the length of a block."""

from __future__ import annotations

import logging
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, cast

from typing_extensions import Self, Unpack

from testd_daemon.workflows.status import FunctionStatus, has_final_state
from testd_daemon.workflows.store.errors import ObjectMissing, StoreError
from testd_daemon.workflows.testing.exceptions import (
    FunctionDidNotComplete,
    FunctionFailed,
    FunctionSkipped,
    FunctionTimedOut,
)
from testd_daemon.workflows.testing.explain import difference, nearby, tail
from testd_daemon.workflows.testing.objects import S3Client, as_text
from testd_daemon.workflows.testing.workflow_runner import Options, WorkflowRunner, check_options

if TYPE_CHECKING:
    from testd_daemon.workflows.testing.watch import View

__all__ = ["TesterOptions", "WorkflowTester"]

log = logging.getLogger(__name__)

#: Seconds for the end of the run, and for what is left of it, when the block is left.
EXIT_DEADLINE = 10.0
#: Seconds for the last lines of a log, which may come behind the completion of its function.
LOG_DEADLINE = 5.0
#: What is a moment to look at the store; a function that was not to run has none of its own.
_MOMENTS = (FunctionStatus.COMPLETED, FunctionStatus.FAILED)
_ENDS: dict[FunctionStatus, type[FunctionDidNotComplete]] = {
    FunctionStatus.FAILED: FunctionFailed,
    FunctionStatus.SKIPPED: FunctionSkipped,
    FunctionStatus.TIMEOUT: FunctionTimedOut,
}


class TesterOptions(Options, total=False):
    """What a tester takes beside the options of a runner.

    folder, key_template: how a file's name becomes its key, see `get_s3_key`.
    keep_buckets: leave the buckets that isolation `bucket` has made in a store that stays.
    """

    folder: str
    key_template: str
    keep_buckets: bool


class WorkflowTester:
    """Runs a workflow for the length of a `with` block, and asserts what it does.

    What is asserted is the store as it was when the function completed that was waited for last: what a later function
    deletes or overwrites is not missed.
    """

    def __init__(
        self,
        workflow_file_path: str | Path = "workflow.json",
        timeout: float = 180.0,
        check_interval: float = 1.0,
        stream_logs: bool = False,
        **options: Unpack[TesterOptions],
    ) -> None:
        """Take the workflow's file; it is triggered when the block is entered. Raises InitializationError."""
        check_options(options, TesterOptions.__annotations__)
        self._folder = options.get("folder", "")
        self._template = options.get("key_template", "")
        self._keep = options.get("keep_buckets", False)
        of_runner = cast("Options", {key: value for key, value in options.items() if key in Options.__annotations__})
        self.runner = WorkflowRunner(workflow_file_path, timeout, check_interval, stream_logs, **of_runner)
        self._view: View | None = None
        self._waited = ""
        self._triggered = False

    def __enter__(self) -> Self:
        """Trigger the workflow. Raises InitializationError, InvocationError."""
        try:
            self.runner.trigger_workflow()
        except BaseException:
            self._leave()
            raise
        self._triggered = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the run, if it goes on, and all that is held for it. What the block has raised is not masked."""
        self._leave()

    def __repr__(self) -> str:
        """Name the workflow and the run."""
        return f"<WorkflowTester of {self.runner.invocation.workflow.path}, {self.invocation_id}>"

    @property
    def invocation_id(self) -> str:
        """The id of the run."""
        return self.runner.invocation_id

    @property
    def bucket_name(self) -> str:
        """The bucket in which the functions' files are."""
        return self.runner.bucket_name

    @property
    def s3_client(self) -> S3Client:
        """boto3's client of the store in which the functions' files are: as they are now."""
        return self.runner.s3_client

    def get_s3_key(self, file_name: str) -> str:
        """Return the key of a function's file.

        With a `key_template`, as that says: {folder}, {invocation_id} and {file} are filled in. Else what a function
        calls `folder/file`, in the place that the isolation of the run gives it.
        """
        if self._template:
            values = {"folder": self._folder, "invocation_id": self.invocation_id, "file": file_name}
            return self._template.format(**values)
        name = f"{self._folder.rstrip('/')}/{file_name}" if self._folder else file_name
        return self.runner.watch.key_of(name)

    def wait_for(self, function_name: str, should_fail: bool = False, timeout: float | None = None) -> FunctionStatus:
        """Wait until a function has ended, and look at the store as it was then. Returns its status.

        Raises FunctionFailed (unless it `should_fail`), FunctionSkipped and FunctionTimedOut, each with the reason and
        the end of its log, UnknownFunction, and, before the block, InitializationError. `timeout`: seconds, beside
        that of the run.
        """
        __tracebackhide__ = True
        board = self.runner.watch.board
        if not board.wait_for(lambda: has_final_state(board[function_name].status), timeout):
            why = f"after {timeout} seconds it was {board[function_name].status.value}"
            raise FunctionTimedOut(function_name, why, tail(self._log(function_name)))
        status = board[function_name].status
        if status in _MOMENTS:
            self._waited, self._view = function_name, self.runner.view(function_name)
        if status in _ENDS and not (should_fail and status is FunctionStatus.FAILED):
            raise _ENDS[status](function_name, board[function_name].why, tail(self._log(function_name)))
        return status

    def latest(self) -> None:
        """Look at the store as it is from now on, not as it was when a function completed."""
        self._view = None

    def read(self, object_name: str) -> bytes:
        """Return the content of a function's file. Raises AssertionError where there is none."""
        __tracebackhide__ = True
        key = self.get_s3_key(object_name)
        try:
            return self._store().get(key)
        except ObjectMissing:
            raise AssertionError(self._missing(key)) from None

    def assert_object_exists(self, object_name: str) -> None:
        """Assert that there is a file of this name."""
        __tracebackhide__ = True
        key = self.get_s3_key(object_name)
        if not self._store().exists(key):
            raise AssertionError(self._missing(key))

    def assert_object_does_not_exist(self, object_name: str) -> None:
        """Assert that there is no file of this name."""
        __tracebackhide__ = True
        key = self.get_s3_key(object_name)
        if self._store().exists(key):
            raise AssertionError(self._told(f"there is an object {key} in {self.bucket_name}"))

    def assert_content_equals(self, object_name: str, expected_content: str | bytes) -> None:
        """Assert what is in a file."""
        __tracebackhide__ = True
        content = self.read(object_name)
        if isinstance(expected_content, bytes):
            actual, expected = content.decode("latin-1"), expected_content.decode("latin-1")
        else:
            actual, expected = as_text(content, object_name), expected_content
        if actual != expected:
            key = self.get_s3_key(object_name)
            raise AssertionError(self._told(f"{key} has another content\n{difference(actual, expected)}"))

    def assert_logs_contain(self, function_name: str, *texts: str) -> None:
        """Assert that the log of a function has these texts."""
        __tracebackhide__ = True
        log = self._log(function_name)
        if missing := [text for text in texts if text not in log]:
            words = ", ".join(map(repr, missing))
            raise AssertionError(f"the log of {function_name} has no {words}\n\n{_shown(function_name, log)}")

    def assert_function_completed(self, function_name: str) -> None:
        """Assert that a function has completed."""
        __tracebackhide__ = True
        self._assert_status(function_name, FunctionStatus.COMPLETED)

    def assert_function_not_invoked(self, function_name: str) -> None:
        """Assert that nothing has invoked a function, and nothing will."""
        __tracebackhide__ = True
        self._assert_status(function_name, FunctionStatus.NOT_INVOKED)

    def assert_function_failed(self, function_name: str) -> None:
        """Assert that a function has failed."""
        __tracebackhide__ = True
        self._assert_status(function_name, FunctionStatus.FAILED)

    def assert_function_skipped(self, function_name: str) -> None:
        """Assert that a function was skipped, because of a failure before it."""
        __tracebackhide__ = True
        self._assert_status(function_name, FunctionStatus.SKIPPED)

    def telling_logs(self) -> dict[str, str]:
        """Return the ends of the logs of all functions that failed, and of the one that was waited for last."""
        statuses = self.runner.get_function_statuses()
        names = [name for name, status in statuses.items() if status is FunctionStatus.FAILED or name == self._waited]
        logs = {name: tail(self._log(name)) for name in names} if self._triggered else {}
        return {name: log for name, log in logs.items() if log}

    def _assert_status(self, function_name: str, expected: FunctionStatus) -> None:
        __tracebackhide__ = True
        known = self.runner.invocation.board[function_name]
        if known.status is not expected:
            why = f" ({known.why})" if known.why else ""
            text = f"{function_name} is {known.status.value}{why}, expected {expected.value}"
            raise AssertionError(f"{text}\n\n{_shown(function_name, self._log(function_name))}")

    def _store(self) -> View:
        return self._view or self.runner.watch.store

    def _told(self, text: str) -> str:
        """Return the message of an assertion, with the moment that it is about and the log of who was waited for."""
        if not self._waited:
            return text
        moment = f"as of the completion of {self._waited}" if self._view else "now"
        return f"{text}\n({moment})\n\n{_shown(self._waited, self._log(self._waited))}"

    def _missing(self, key: str) -> str:
        folder = key.rpartition("/")[0]
        try:
            there = nearby(key, self._store().listing(f"{folder}/" if folder else ""))
        except StoreError as error:
            there = error.message
        return self._told(f"no object {key} in {self.bucket_name}: {there}")

    def _log(self, function_name: str) -> str:
        """Return a function's log: all of it, if that has ended."""
        if has_final_state(self.runner.invocation.board[function_name].status):
            self.runner.monitor(function_name).logger.wait(LOG_DEADLINE)
        return self.runner.get_function_logs_content(function_name)

    def _leave(self) -> None:
        if not self.runner.shutdown(EXIT_DEADLINE):
            self.runner.force_shutdown()
        elif not self._keep:
            try:
                self.runner.remove_buckets()
            except StoreError as error:  # what the block has raised is not masked
                log.warning("a bucket of the run %s stays: %s", self.invocation_id, error)
        self.runner.cleanup()


def _shown(function_name: str, log: str) -> str:
    return f"log of {function_name}:\n{tail(log)}" if log else f"there is no log of {function_name}"
