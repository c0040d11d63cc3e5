"""How the targets of all runs share this machine's processors. Pure; runs in the agent, on its event loop.

Each target that is at work on this machine gets an equal share; when one is through, the others get more.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["Member", "Shares"]


class Member(Protocol):
    """What is at work."""

    def widen(self) -> None:
        """There may be more room than before: ask `share` again."""


class Shares:
    """Who is at work on this machine."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._members: list[Member] = []

    def join(self, member: Member) -> None:
        """Take part, from now on."""
        self._members.append(member)

    def leave(self, member: Member) -> None:
        """Make room for the others, unless that is done or there was no part in it."""
        if member not in self._members:
            return
        self._members.remove(member)
        for other in list(self._members):
            other.widen()

    def share(self, limit: int) -> int:
        """Return how many workers one member may have where `limit` is what all may have together."""
        return max(1, limit // max(1, len(self._members)))
