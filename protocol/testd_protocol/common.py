"""What every message is, and the messages of every link, both ways. Imported by the daemon only."""

from __future__ import annotations

import msgspec

__all__ = [
    "Fault",
    "Message",
    "Ping",
    "Pong",
    "Shutdown",
    "Unsupported",
]


class Message(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="type"):
    """Base of all messages: a map tagged with the class's name."""


class Ping(Message, frozen=True, kw_only=True):
    """Ask for a `Pong` with the same id: the health check; its round trip feeds the grace period of timeouts."""

    id: int  # any number


class Pong(Message, frozen=True, kw_only=True):
    """Answer a `Ping`."""

    id: int  # the one of the `Ping`
    memory: int = 0  # runners: what it and all that it started hold; 0: not told


class Shutdown(Message, frozen=True, kw_only=True):
    """End in order: stop what runs, reap it, leave nothing behind."""

    reason: str = ""  # why, for the log


class Unsupported(Message, frozen=True, kw_only=True):
    """Answer a message of a type that the receiver does not know. Never a crash."""

    of: str  # the type that is not known


class Fault(Message, frozen=True, kw_only=True):
    """Something could not be done. `exit_code` is what a command that was waiting for it should exit with."""

    code: str  # a short, stable word: usage, config, environment, conftest, internal, version, journal …
    message: str  # what, and where
    hint: str = ""  # what would be right
    detail: str = ""  # a traceback or the tail of stderr, as text
    exit_code: int = 3  # pytest's numbers
    id: int = 0  # the request or collection that it answers; 0 where none
