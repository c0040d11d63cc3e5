"""State machines as tables: one enum of states, one of events, and which event leads where.

Imported by the handler, the agent and the launchers' shells. No I/O, no event loop: a machine decides, its owner acts.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Generic, TypeVar

from testd_daemon.errors import IllegalTransition

__all__ = ["Machine", "Table"]

S = TypeVar("S", bound=Enum)
E = TypeVar("E", bound=Enum)

Table = Mapping[S, Mapping[E, S]]


class Machine(Generic[S, E]):
    """One thing that is always in exactly one state. A state with no way out is final."""

    __slots__ = ("_name", "_state", "_table")

    def __init__(self, table: Table[S, E], initial: S, name: str) -> None:
        """Start in `initial`; `name` says what this is in errors (`agent /home/me/project`)."""
        self._table = table
        self._state = initial
        self._name = name

    @property
    def state(self) -> S:
        """The present state."""
        return self._state

    @property
    def final(self) -> bool:
        """Whether no event leads out of the present state."""
        return not self._table.get(self._state)

    def allows(self, event: E) -> bool:
        """Whether `advance(event)` would be legal now."""
        return event in self._table.get(self._state, {})

    def advance(self, event: E) -> S:
        """Take the transition that `event` causes and return the new state. Raises IllegalTransition."""
        ways = self._table.get(self._state, {})
        if event not in ways:
            known = ", ".join(sorted(way.name for way in ways)) or "nothing: the state is final"
            raise IllegalTransition(f"{self._name} is {self._state.name} and got {event.name}; it allows {known}")
        self._state = ways[event]
        return self._state
