"""What each test has used, in memory: parts, sets of parts, and who holds which. Pure; runs in the agent, in a thread.

A part is a file (absolute path; a folder ends with a slash), a key in it, and the digest that it had. Parts and sets
are numbers; equal sets are one. A test holds two: what all tests of its file depend on, and what it used itself.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Book", "Entry", "Part", "Shelf"]


class Part(NamedTuple):
    """Something that a test used, as it was."""

    path: str
    key: str
    digest: bytes  # empty: it was not there


class Entry(NamedTuple):
    """What is known of one test."""

    base: int  # the set that it shares with the tests of its file
    own: int  # the set of what it used itself
    generation: int  # of the workspace when it ran
    everything: bool  # it may depend on anything
    at: float  # wall clock


class Shelf:
    """The tests of one target."""

    __slots__ = ("root", "tests", "written")

    def __init__(self) -> None:
        """Know nothing yet."""
        self.root = ""  # the folder to which the names of tests are relative
        self.tests: dict[str, Entry] = {}
        self.written: set[str] = set()  # files that tests write: products, not sources

    def sets(self) -> set[int]:
        """Return the numbers of all sets that its tests hold."""
        return {number for entry in self.tests.values() for number in (entry.base, entry.own)}


class Book:
    """All parts and sets, and the tests of each target. Numbers begin with 1 and are never used again."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.parts: dict[int, Part] = {}
        self.sets: dict[int, array[int]] = {}
        self.shelves: dict[str, Shelf] = {}
        self.by_path: dict[str, list[int]] = {}
        self._numbers: dict[Part, int] = {}
        self._set_numbers: dict[bytes, int] = {}
        self._holders: dict[int, list[int]] = {}
        self.last_part = self._last_set = 0

    def shelf(self, target: str) -> Shelf:
        """Return the tests of a target."""
        return self.shelves.setdefault(target, Shelf())

    def part(self, part: Part) -> int:
        """Return the number of a part, a new one where it has none."""
        number = self._numbers.get(part)
        if number is None:
            number = self.last_part + 1
            self.put_part(number, part)
        return number

    def set_of(self, parts: Iterable[int]) -> int:
        """Return the number of a set of parts, a new one where it has none."""
        members = array("I", sorted(set(parts)))
        number = self._set_numbers.get(members.tobytes())
        if number is None:
            number = self._last_set + 1
            self.put_set(number, members)
        return number

    def put_part(self, number: int, part: Part) -> None:
        """Take a part under its number."""
        self.parts[number] = part
        self._numbers[part] = number
        self.by_path.setdefault(part.path, []).append(number)
        self.last_part = max(self.last_part, number)

    def put_set(self, number: int, members: array[int]) -> None:
        """Take a set under its number; `members` are sorted."""
        self.sets[number] = members
        self._set_numbers[members.tobytes()] = number
        for part in members:
            self._holders.setdefault(part, []).append(number)
        self._last_set = max(self._last_set, number)

    def holders(self, part: int) -> list[int]:
        """Return the numbers of the sets that have a part."""
        return self._holders.get(part, [])

    def members(self, entry: Entry) -> list[Part]:
        """Return all that a test holds."""
        return [self.parts[number] for held in (entry.base, entry.own) for number in self.sets[held]]

    def sweep(self) -> tuple[set[int], set[int]]:
        """Forget the sets that no test holds, and the parts that are in none; return their numbers."""
        held = {number for shelf in self.shelves.values() for number in shelf.sets()}
        sets = self.sets.keys() - held
        for number in sets:
            members = self.sets.pop(number)
            del self._set_numbers[members.tobytes()]
        self._holders.clear()
        for number, members in self.sets.items():
            for part in members:
                self._holders.setdefault(part, []).append(number)
        parts = self.parts.keys() - self._holders.keys()
        for number in parts:
            gone = self.parts.pop(number)
            del self._numbers[gone]
            numbers = self.by_path[gone.path]
            numbers.remove(number)
            if not numbers:
                del self.by_path[gone.path]
        return set(sets), set(parts)
