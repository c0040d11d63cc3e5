"""Find the handler, start one if there is none, and settle which version it is. Runs in the client, on the quick path.

Imports the standard library and the runner's codec; what starts a handler is imported when there is none.
"""

from __future__ import annotations

import time

from testd_daemon.client.wire import GREETING, Wire, raise_fault
from testd_daemon.errors import DeadlineExpired, HandlerUnavailable, LinkClosed, VersionMismatch
from testd_daemon.runtime import Folders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["attempts", "reach"]

#: How often, and for how many seconds altogether, a lost handler is replaced before any event comes.
RECONNECTS = 5
RECONNECT_DEADLINE = 60.0
#: Seconds for a handler that gives way to one of another version to be gone.
GIVE_WAY_DEADLINE = 10.0


def attempts(complaint: str) -> Iterator[int]:
    """Count attempts; raise HandlerUnavailable when they were too many or took too long."""
    until = time.monotonic() + RECONNECT_DEADLINE
    for number in range(RECONNECTS):
        yield number
        if time.monotonic() > until:
            break
    raise HandlerUnavailable(complaint, hint="testd logs says why")


def reach(where: Folders, *, start: bool) -> tuple[Wire, dict[str, Any]]:
    """Connect to the handler and greet it; return the connection and its `Welcome`.

    With `start`, start one if there is none, or one of another version that is idle. One that ends in this very
    moment is tried again. Raises HandlerUnavailable and VersionMismatch.
    """
    for _ in attempts("the daemon ended again and again while it was being connected to"):
        wire = _dial(where, start=start)
        try:
            answer = wire.greet()
        except (LinkClosed, DeadlineExpired) as error:
            wire.close()
            if not start:
                raise HandlerUnavailable(f"the daemon does not answer: {error.message}", hint=error.hint) from error
            continue
        if answer["type"] == "Welcome":
            return wire, answer
        try:
            _settle_versions(wire, answer, where, start=start)
        finally:
            wire.close()
    raise AssertionError  # attempts raises first


def _dial(where: Folders, *, start: bool) -> Wire:
    try:
        return Wire(where.socket)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):  # the last: start_handler tells more
        if not start:
            raise HandlerUnavailable("no daemon is running", hint="testd run starts one") from None
    except TimeoutError as error:
        raise HandlerUnavailable(
            f"the daemon does not accept connections at {where.socket}", hint="is it stopped? try: testd stop"
        ) from error
    except OSError as error:
        raise HandlerUnavailable(f"cannot connect to {where.socket}: {error.strerror}") from error
    from testd_daemon.client.start import start_handler  # its imports are paid for only now

    start_handler(where)
    try:
        return Wire(where.socket)
    except OSError as error:
        raise HandlerUnavailable(f"the daemon was started and does not listen: {error}") from error


def _settle_versions(wire: Wire, answer: dict[str, Any], where: Folders, *, start: bool) -> None:
    """Ask a handler of another version to end, if nothing needs it and we may start one; else raise what it said."""
    if answer["type"] != "Fault" or answer.get("code") != "version":
        if answer["type"] == "Fault":
            raise_fault(answer)
        raise HandlerUnavailable(f"what listens at {where.socket} is no testd daemon: it said {answer['type']}")
    if not start:
        raise VersionMismatch(answer["message"], hint=answer.get("hint", ""))
    try:
        wire.send({"type": "Shutdown", "reason": "a client of another version takes over"})
        reply = wire.receive(GREETING)
        if reply is not None and reply["type"] == "Fault":
            raise VersionMismatch(f"{answer['message']}; {reply['message']}", hint=reply.get("hint", ""))
        _await_end(wire)
    except LinkClosed:
        return


def _await_end(wire: Wire) -> None:
    """Wait until the other handler has closed the connection: its socket is gone then."""
    until = time.monotonic() + GIVE_WAY_DEADLINE
    while True:
        wire.receive(max(0.0, until - time.monotonic()))
