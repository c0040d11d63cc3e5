"""The client of the command line: blocking, and cheap to import. Messages are dicts, as `testd_protocol` has them.

Imports the standard library and the runner's codec. When the handler dies it connects again, starting a new one if it
must, and goes on after the last event that it saw: whoever iterates over `events` notices nothing.
"""

from __future__ import annotations

import os
import time

from testd_daemon.client.reach import attempts, reach
from testd_daemon.client.wire import GREETING, Wire, raise_fault
from testd_daemon.errors import FaultError, HandlerUnavailable, LinkClosed
from testd_daemon.runtime import Folders, folders, private_folders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self

__all__ = ["Client", "Following"]

#: Seconds for the agent to answer about what it keeps; it may have to be started.
ANSWER_DEADLINE = 45.0
_NO_PROGRESS = "the daemon died again and again, and the run did not go on"


class Client:
    """A connection to the handler. `with` closes it; a run that was not detached ends with it."""

    def __init__(self, wire: Wire, welcome: dict[str, Any], where: Folders, *, start: bool) -> None:
        """Take over a greeted connection: see `connect`."""
        self._wire = wire
        self._folders = where
        self._start = start
        self._submitted = ""  # the run whose events this connection gets without having attached
        self._waiting: list[dict[str, Any]] = []  # events that came while something else was waited for
        self.welcome = welcome

    @classmethod
    def connect(cls, *, start: bool = True, where: Folders | None = None) -> Client:
        """Connect to the handler; with `start`, start one if there is none, or one of another version that is idle.

        Raises HandlerUnavailable, VersionMismatch, RuntimeFolderError.
        """
        where = where or folders()
        where.check_socket_path()
        wire, welcome = reach(where, start=start)
        return cls(wire, welcome, where, start=start)

    @classmethod
    def connect_private(cls, base: str) -> Client:
        """Start a handler of our own that keeps everything in the folder `base` (mode 0700), and connect to it.

        It ends and removes the folder when this connection closes, however that happens.
        """
        where = private_folders(base)
        where.check_socket_path()
        wire, welcome = reach(where, start=True)
        return cls(wire, welcome, where, start=False)

    def __enter__(self) -> Self:
        """Give the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._wire.close()

    def submit(self, request: dict[str, Any]) -> str:
        """Ask for a run (a `RunRequest`) and return its id once the journal has it; its events follow.

        If the handler dies before it answers, the request is made once more with the same key: it is one run.
        Raises FaultError where the handler refuses.
        """
        key = os.urandom(12).hex()
        message = {"type": "Submit", "request": request, "key": key}
        for _ in attempts("the daemon died again and again before it accepted the run"):
            try:
                self._wire.send(message)
                self._submitted = str(self._expect("Accepted", GREETING)["run"])
            except LinkClosed:  # noqa: PERF203  few attempts
                self._connect_again()
            else:
                return self._submitted
        raise AssertionError  # attempts raises first

    def follow(self, run: str, after: int = 0) -> Following:
        """Follow a run, the newest where none is named, from behind the event `after`; -1: a watch's newest part."""
        if run != self._submitted or not run or after:
            self._attach(run, after)
        self._submitted = ""
        return Following(self._next_event, self._resume, run, max(0, after))

    def events(self, run: str, after: int = 0, *, tick: float | None = None) -> Iterator[dict[str, Any] | None]:
        """Yield the `Event`s of a run after a number, each once and in order, up to its end.

        With `tick`, yield None whenever nothing came for so many seconds. An empty run means the newest.
        """
        following = self.follow(run, after)
        while not following.over:
            yield following.next(tick)

    def status(self) -> dict[str, Any]:
        """Ask for a `StatusReport`."""
        self._wire.send({"type": "Status"})
        return self._expect("StatusReport", GREETING)

    def cancel(self, run: str, reason: str = "") -> None:
        """Ask for a run to end early. Its `RunCompleted` comes as an event; a run that has ended stays as it is."""
        self._tell({"type": "Cancel", "run": run, "reason": reason})

    def steer(self, run: str, what: str, **more: Any) -> None:
        """Have a watch run something now: `what` and more as in `Steer`. What comes of it are events of the watch."""
        self._tell({"type": "Steer", "run": run, "what": what, **more})

    def history(self, workspace: str, test: str = "", limit: int = 20, *, flaky: bool = False) -> dict[str, Any]:
        """Ask for a `HistoryReport` of a test (a node id or a part of one), of flaky ones, or else of the runs."""
        question = {"type": "History", "workspace": workspace, "test": test, "limit": limit, "id": 1, "flaky": flaky}
        return self.ask(question, "HistoryReport")

    def why(self, workspace: str, test: str, target: str = "", limit: int = 20) -> dict[str, Any]:
        """Ask for a `WhyReport` of a test (a node id or a part of one), on one target or on all."""
        question = {"type": "Why", "workspace": workspace, "test": test, "target": target, "limit": limit, "id": 1}
        return self.ask(question, "WhyReport")

    def ask(self, question: dict[str, Any], answer: str) -> dict[str, Any]:
        """Send what the workspace's agent answers with one message, and return that, which is of the type `answer`.

        Raises FaultError where it cannot.
        """
        self._wire.send(question)
        return self._expect(answer, ANSWER_DEADLINE)

    def listing(self, request: dict[str, Any], form: str) -> Iterator[dict[str, Any]]:
        """Ask which tests there are (a `RunRequest`), as `text` or `json`, and yield the `Listed` pages to the last.

        Raises FaultError where the handler or the agent cannot answer, LinkClosed where the handler dies.
        """
        self._wire.send({"type": "List", "request": request, "format": form, "id": 1})
        done = False
        while not done:
            page = self._wire.receive(None)
            assert page is not None
            if page["type"] == "Fault":
                raise_fault(page)
            if page["type"] == "Listed":
                done = bool(page["done"])
                yield page

    def shutdown(self, reason: str = "") -> None:
        """Ask the handler to end, and return once it has begun to."""
        try:
            self._wire.send({"type": "Shutdown", "reason": reason})
            self._expect("Shutdown", GREETING)
        except LinkClosed:
            return

    def _tell(self, message: dict[str, Any]) -> None:
        """Say something about a run that is followed, to the handler that there is now."""
        try:
            self._wire.send(message)
        except LinkClosed:
            self._resume(message["run"], 0)
            self._wire.send(message)

    def _resume(self, run: str, after: int) -> None:
        self._connect_again()
        self._attach(run, after)

    def _attach(self, run: str, after: int) -> None:
        self._waiting.clear()
        self._wire.send({"type": "Attach", "run": run, "after": after})

    def _next_event(self, tick: float | None, beside: Sequence[int]) -> dict[str, Any] | None:
        if self._waiting:
            return self._waiting.pop(0)
        while (message := self._wire.receive(tick, tick=True, beside=beside)) is not None:
            if message["type"] == "Event":
                return message
            if message["type"] == "Fault":
                raise_fault(message)
        return None

    def _expect(self, kind: str, deadline: float) -> dict[str, Any]:
        """Wait for an answer; events that come before it are kept."""
        until = time.monotonic() + deadline
        while True:
            message = self._wire.receive(max(0.0, until - time.monotonic()))
            assert message is not None
            if message["type"] == kind:
                return message
            if message["type"] == "Event":
                self._waiting.append(message)
            elif message["type"] == "Fault":
                raise_fault(message)
            elif message["type"] == "Unsupported":
                raise FaultError("protocol", f"the daemon does not know the message {message['of']}")

    def _connect_again(self) -> None:
        """Replace the connection after the handler was lost, and the handler with it if there is none."""
        self._wire.close()
        if self._folders.ephemeral:
            raise HandlerUnavailable("the private daemon of this run died", hint="run it again")
        self._wire, self.welcome = reach(self._folders, start=True)


class Following:
    """The events of one run, each once and in order, whatever becomes of the handler. `over`: there are no more."""

    def __init__(
        self,
        receive: Callable[[float | None, Sequence[int]], dict[str, Any] | None],
        resume: Callable[[str, int], None],
        run: str,
        after: int,
    ) -> None:
        """Go on behind the event `after`; made by `Client.follow`. `resume`: connect again and follow from there."""
        self._receive = receive
        self._resume = resume
        self._after = after
        self._tries = attempts(_NO_PROGRESS)
        next(self._tries)
        self.run = run
        self.over = False

    def next(self, tick: float | None = None, beside: Sequence[int] = ()) -> dict[str, Any] | None:
        """Return the next event; None where none came for `tick` seconds, or one of the descriptors has something."""
        while True:
            try:
                event = self._receive(tick, beside)
            except LinkClosed:
                next(self._tries)
                self._resume(self.run, self._after)
                continue
            if event is None or self._take(event):
                return event

    def _take(self, event: dict[str, Any]) -> bool:
        """Whether an event is the next one; others are of a following that was left before its end.

        The generations of a watch are not kept for ever: where one begins, those before it may be missing.
        """
        body, seq = event["body"], event["seq"]
        begins = body["type"] == "GenerationStarted" and seq > self._after
        if event["run"] != (self.run or event["run"]) or not (seq == self._after + 1 or begins):
            return False
        self.run, self._after = event["run"], seq
        self._tries = attempts(_NO_PROGRESS)
        next(self._tries)
        self.over = body["type"] == "RunCompleted" and not body.get("generation")
        return True
