"""Folders outside of project and environment from which a collection's modules came. Pure; runs in the agent."""

from __future__ import annotations

from collections.abc import Iterable

from testd_protocol.messages import Stranger

__all__ = ["Strangers"]

#: Modules that are named of one folder.
_NAMED = 3


class Strangers:
    """What is known of one collection: its stem tells what it loaded, each worker what its tests loaded beyond that."""

    __slots__ = ("_modules", "_ways")

    def __init__(self) -> None:
        """Know of none."""
        self._ways: dict[str, str] = {}
        self._modules: dict[str, set[str]] = {}

    def add(self, found: Iterable[Stranger]) -> None:
        """Take what a stem or a worker told."""
        for stranger in found:
            self._ways.setdefault(stranger.folder, stranger.way)
            self._modules.setdefault(stranger.folder, set()).update(stranger.modules)

    def told(self, known: set[str]) -> list[str]:
        """Return a line for each folder that is not in `known`, and add it there: a run is told once."""
        new = sorted(self._modules.keys() - known)
        known.update(new)
        return [self._line(folder) for folder in new]

    def _line(self, folder: str) -> str:
        names, way = sorted(self._modules[folder]), self._ways[folder]
        shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
        return (
            f"{shown} loaded from {folder}{f' ({way})' if way else ''}, which is outside the project and its "
            "environment: elsewhere it may be missing"
        )
