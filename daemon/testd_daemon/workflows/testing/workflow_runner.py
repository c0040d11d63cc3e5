"""Runs a workflow, or joins one that runs, and knows where each of its functions stands. Runs in the user's process.

Local runs are told by the daemon, others by their store. No signal handler is taken, no logger is changed, and no
thread is left once `shutdown` or `cleanup` has returned, or the run has ended.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, overload

from typing_extensions import Unpack

from testd_daemon.workflows.document import Workflow, decode, load
from testd_daemon.workflows.errors import WorkflowError
from testd_daemon.workflows.status import FunctionStatus
from testd_daemon.workflows.store.bucket import Bucket
from testd_daemon.workflows.store.errors import BucketMissing, StoreError
from testd_daemon.workflows.testing.cloud import watch_store
from testd_daemon.workflows.testing.deduction import Deduced
from testd_daemon.workflows.testing.exceptions import InitializationError
from testd_daemon.workflows.testing.invocation import Invocation, Settings
from testd_daemon.workflows.testing.invokers import choose
from testd_daemon.workflows.testing.invokers.invoker import Invoker
from testd_daemon.workflows.testing.objects import S3Client

if TYPE_CHECKING:
    from testd_daemon.workflows.measures.figures import RunFigures
    from testd_daemon.workflows.testing.function_monitor import FunctionMonitor
    from testd_daemon.workflows.testing.watch import View, Watch

__all__ = ["Options", "WorkflowRunner", "check_options"]

#: Seconds for a run of ours to be cancelled, or a request to the store to come back, in `cleanup`.
CLEANUP_DEADLINE = 30.0


class Options(TypedDict, total=False):
    """What a runner takes beside its first four arguments; see `Settings` for most of them.

    invoker: local, github, or an Invoker; TESTD_WORKFLOW_INVOKER where there is none.
    invocation_id: the run's id; the document's or a new one where there is none.
    s3_client, bucket_name: of boto3, in place of the data stores that the document names.
    """

    invoker: str | Invoker
    invocation_id: str
    isolation: str
    join: str
    store: str
    input: str
    targets: tuple[str, ...]
    s3_client: S3Client
    bucket_name: str


class _Trigger:
    """`trigger_workflow`: of a runner, it triggers that; of the class, it makes a runner and triggers it."""

    @overload
    def __get__(self, runner: None, owner: type[WorkflowRunner]) -> Callable[..., WorkflowRunner]: ...
    @overload
    def __get__(self, runner: WorkflowRunner, owner: type[WorkflowRunner]) -> Callable[[], None]: ...
    def __get__(
        self, runner: WorkflowRunner | None, owner: type[WorkflowRunner]
    ) -> Callable[..., WorkflowRunner | None]:
        """Return what is called."""
        return owner._triggered if runner is None else runner._trigger  # noqa: SLF001  a part of the class


class WorkflowRunner:
    """One run of a workflow."""

    #: `runner.trigger_workflow()` starts the run. `WorkflowRunner.trigger_workflow(timeout, check_interval,
    #: stream_logs, workflow_file_path=…)` makes a runner, starts its run, and returns it.
    trigger_workflow = _Trigger()

    def __init__(
        self,
        workflow_file_path: str | Path = "",
        timeout: float = 120.0,
        check_interval: float = 1.0,
        stream_logs: bool = False,
        *,
        faasr_payload: Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> None:
        """Take the workflow's file; nothing is started. Seconds are those of `Settings`.

        `faasr_payload` in its place is the document of a workflow that somebody has triggered, with its InvocationID
        and InvocationTimestamp: see `start_monitoring`. Raises InitializationError, WorkflowError.
        """
        workflow = _read(workflow_file_path, faasr_payload)
        check_options(options, Options.__annotations__)
        chosen = {key: value for key, value in options.items() if key in {field.name for field in fields(Settings)}}
        settings = Settings(timeout=timeout, check_interval=check_interval, stream_logs=stream_logs, **chosen)  # type: ignore[arg-type]
        invoker = options.get("invoker", "")
        self.invocation = Invocation.of(workflow, settings, options.get("invocation_id", ""))
        self.invoker = choose(invoker) if isinstance(invoker, str) else invoker
        self._client = (options.get("s3_client"), options.get("bucket_name", ""))
        self._watch: Watch | None = None
        self._shutdown_requested = False
        if faasr_payload is None:
            self.invoker.check(self.invocation)
        else:
            self._note_entry()

    @property
    def workflow_data(self) -> Mapping[str, Any]:
        """The workflow's document as it was written."""
        return self.invocation.data

    @property
    def invocation_id(self) -> str:
        """The id of this run."""
        return self.invocation.id

    @property
    def timeout(self) -> float:
        """Seconds without any sign of the run after which it has timed out."""
        return self.invocation.settings.timeout

    @property
    def check_interval(self) -> float:
        """Seconds between two looks at the store."""
        return self.invocation.settings.check_interval

    @property
    def adj_graph(self) -> dict[str, list[str]]:
        """Action → the actions that it invokes or may invoke."""
        graph = self.invocation.workflow.graph
        return {action: list(graph.successors(action)) for action in graph.actions}

    @property
    def reverse_adj_graph(self) -> dict[str, set[str]]:
        """Action → the actions that invoke it."""
        graph = self.invocation.workflow.graph
        return {action: set(graph.predecessors(action)) for action in graph.actions}

    @property
    def ranks(self) -> dict[str, int]:
        """Action → the number of its instances."""
        return dict(self.invocation.workflow.graph.ranks)

    @property
    def monitoring_complete(self) -> bool:
        """Whether no status changes any more."""
        return self.invocation.board.over

    @property
    def shutdown_requested(self) -> bool:
        """Whether `shutdown` or `force_shutdown` was called."""
        return self._shutdown_requested

    @property
    def failure_detected(self) -> bool:
        """Whether a function has failed."""
        return FunctionStatus.FAILED in self.get_function_statuses().values()

    @property
    def watch(self) -> Watch:
        """What watches the run. Raises InitializationError before it was triggered."""
        if self._watch is None:
            raise InitializationError("the workflow was not triggered", hint="Call trigger_workflow() first.")
        return self._watch

    @property
    def s3_client(self) -> S3Client:
        """boto3's client of the store in which the functions' files are."""
        return self.watch.store.s3_client

    @property
    def bucket_name(self) -> str:
        """The bucket in which the functions' files are."""
        return self.watch.store.bucket_name

    def get_function_statuses(self) -> dict[str, FunctionStatus]:
        """Return the status of every function (`sync`, `rank(3)`), as of one moment."""
        return self.invocation.board.statuses()

    def get_function_logs_content(self, function_name: str) -> str:
        """Return the log of a function so far. Raises UnknownFunction."""
        logger = self.monitor(function_name).logger
        if not logger.logs_complete:
            with contextlib.suppress(StoreError):  # there may be none yet
                logger.read()
        return logger.logs_content

    def monitor(self, function_name: str) -> FunctionMonitor:
        """Return what is known of one function. Raises UnknownFunction, InitializationError before the trigger."""
        _ = self.invocation.board[function_name]
        return self.watch.monitors[function_name]

    def why(self, function_name: str) -> str:
        """Return the reason for a function's status, in a few words. Raises UnknownFunction."""
        return self.invocation.board[function_name].why

    def get_figures(self) -> RunFigures | None:
        """Return what the run has taken so far: each function, the makespan, the critical path, how ranks differ.

        None where nothing has been invoked. Raises InitializationError before the trigger.
        """
        return self.watch.figures()

    def view(self, function_name: str) -> View:
        """Return the store as it was when a function completed, where that is known: else as it is."""
        return self.watch.view(function_name)

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until something holds of the statuses, or none changes any more. Returns whether it holds then."""
        return self.invocation.board.wait_for(predicate, timeout)

    def start_monitoring(self) -> None:
        """Watch a run that somebody else has triggered, by its store. Raises InitializationError."""
        self._begin(watch_store(self.invocation, *self._client))

    def shutdown(self, timeout: float | None = None) -> bool:
        """End the monitoring, and a run of our own with it. Returns whether its thread has ended within `timeout`."""
        self._shutdown_requested = True
        if self._watch is None:
            self._end_board()
            return True
        ended = self._watch.stop(timeout)
        if ended:
            self._watch.close()
        return ended

    def force_shutdown(self) -> None:
        """End the monitoring without waiting for its thread."""
        self._shutdown_requested = True
        if self._watch is not None:
            self._watch.ask_to_stop()
        self._end_board()

    def cleanup(self) -> None:
        """Give up all that is held for the run."""
        if not self.shutdown(CLEANUP_DEADLINE):
            self.force_shutdown()

    def remove_buckets(self) -> None:
        """Remove the buckets that isolation `bucket` has made in a store that stays. Raises StoreError.

        The run must have ended: see `shutdown`.
        """
        for address in self._watch.own_buckets() if self._watch is not None else ():
            bucket = Bucket(address)
            try:
                bucket.remove()
            except BucketMissing:
                pass  # it ended before it was made
            finally:
                bucket.close()

    def _trigger(self) -> None:
        """Start the run, and watch it from now on. Raises InitializationError, InvocationError."""
        if self._watch is not None:
            raise InitializationError(
                "the workflow was triggered before", hint="A runner is for one run: make another."
            )
        watch = self.invoker.invoke(self.invocation)
        self._begin(watch or watch_store(self.invocation, *self._client))

    @classmethod
    def _triggered(
        cls,
        timeout: float = 120.0,
        check_interval: float = 1.0,
        stream_logs: bool = False,
        *,
        workflow_file_path: str | Path = "workflow.json",
        **options: Unpack[Options],
    ) -> WorkflowRunner:
        """Make a runner, start its run, and return it."""
        runner = cls(workflow_file_path, timeout, check_interval, stream_logs, **options)
        runner._trigger()
        return runner

    def _begin(self, watch: Watch) -> None:
        if self._shutdown_requested:
            raise InitializationError("the runner was shut down", hint="A runner is for one run: make another.")
        self._watch = watch
        self._note_entry()
        watch.start()

    def _note_entry(self) -> None:
        graph, board = self.invocation.workflow.graph, self.invocation.board
        invoked = Deduced(FunctionStatus.INVOKED, "the workflow was triggered")
        board.update(dict.fromkeys(graph.instances_of(graph.entry), invoked))

    def _end_board(self) -> None:
        skipped = Deduced(FunctionStatus.SKIPPED, "the monitoring was shut down")
        self.invocation.board.end("shut down", lambda _: skipped)


def check_options(options: Iterable[str], known: Iterable[str]) -> None:
    """Raise InitializationError where one of these options is not known."""
    names = sorted(known)
    for name in options:
        if name not in names:
            near = get_close_matches(name, names, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(names)}."
            raise InitializationError(f"it has no option {name!r}", hint=hint)


def _read(path: str | Path, payload: Mapping[str, Any] | None) -> Workflow:
    if payload is not None:
        return decode(json.dumps(dict(payload)).encode(), "faasr_payload")
    if not path:
        raise InitializationError("there is no workflow", hint="Give workflow_file_path=, the path of its JSON file.")
    try:
        return load(path)
    except WorkflowError as error:
        raise InitializationError(str(error), hint=error.detail) from error
