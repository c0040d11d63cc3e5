"""One invocation, as its API sees it: what it was called with, and the way to whoever answers.

Runs in workers; standard library only. Every exchange is one at a time, whichever thread asks.
"""

from __future__ import annotations

import os
import threading

from testd.invocation.errors import ApiError, NotInvoked, Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Map = dict[str, Any]

__all__ = ["PIECE", "Session", "begin", "current", "end"]

#: Bytes of an object in one message.
PIECE = 256 * 1024
_FIELDS: Map = {
    "type": "CallApi", "id": 0, "worker": 0, "procedure": "", "store": "", "folder": "", "name": "", "data": b"",
    "done": True, "text": "", "level": "INFO",
}  # fmt: skip

_sessions: list[Session] = []


def current() -> Session:
    """Return the invocation under way.

    Raises:
        NotInvoked: there is none.
        ApiError: this is not the function's own process.

    """
    if not _sessions:
        raise NotInvoked("the functions' API can be used while a function runs, and none does")
    if _sessions[-1].pid != os.getpid():
        raise ApiError("the functions' API can be used in the function's own process, not in one that it started")
    return _sessions[-1]


def begin(session: Session) -> None:
    """Make an invocation the one under way."""
    _sessions.append(session)


def end() -> None:
    """Say that the invocation is over."""
    _sessions.clear()


class Session:
    """The exchange of one invocation with the agent."""

    def __init__(self, invocation: Map, exchange: Callable[[Map], Map], tell: Callable[[Map], None]) -> None:
        """Take what the function is called with. `exchange` sends a message and waits for its answer."""
        self.pid = os.getpid()
        self.invocation = invocation
        self.returned: list[Any] = []  # what `faasr_return` was given, once it was called
        self.failure = ""  # what `faasr_exit` was given
        self._exchange = exchange
        self._tell = tell
        self._lock = threading.Lock()
        self._calls = 0

    def put(self, path: str, **what: str) -> None:
        """Put a file's content. Raises Refused, OSError."""
        with self._lock, open(path, "rb") as file:
            self._calls += 1
            piece = file.read(PIECE)
            while True:
                following = file.read(PIECE)
                if not following:
                    break
                self._tell(self._message("put", data=piece, done=False, **what))
                piece = following
            self._checked(self._exchange(self._message("put", data=piece, **what)))

    def get(self, path: str, **what: str) -> None:
        """Write an object's content into a file. Raises Refused, OSError."""
        with self._lock:
            self._calls += 1
            answer = self._checked(self._exchange(self._message("get", **what)))
            with open(path, "wb") as file:
                file.write(answer["data"])
                while answer["more"]:
                    self._calls += 1
                    answer = self._checked(self._exchange(self._message("more")))
                    file.write(answer["data"])

    def ask(self, procedure: str, **what: str) -> Map:
        """Have something done, and return the answer. Raises Refused."""
        with self._lock:
            self._calls += 1
            return self._checked(self._exchange(self._message(procedure, **what)))

    def write(self, procedure: str, text: str, level: str = "INFO") -> None:
        """Write into the function's log; nobody waits for it."""
        with self._lock:
            self._calls += 1
            self._tell(self._message(procedure, text=text, level=level))

    def _message(self, procedure: str, **what: Any) -> Map:
        return {**_FIELDS, "id": self._calls, "procedure": procedure, **what}

    @staticmethod
    def _checked(answer: Map) -> Map:
        if answer["error"]:
            raise Refused(answer["error"])
        return answer
