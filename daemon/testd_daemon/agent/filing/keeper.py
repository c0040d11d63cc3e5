"""What keeps outcomes, and what it is given. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from testd_protocol.messages import Row

__all__ = ["Filed", "Keeper"]


class Filed(NamedTuple):
    """An outcome, and the document that came with it: none where there was nobody left to write one."""

    row: Row
    document: str
    order: Sequence[str] = ()  # the targets of the run, where there are several

    @property
    def file(self) -> str:
        """The file that the test is in, relative to the workspace."""
        return self.row.test.partition("::")[0]

    @property
    def name(self) -> str:
        """The test's name in its file."""
        return self.row.test.partition("::")[2]

    def told(self) -> dict[str, Any]:
        """Return the document; in the place of one that is not there the error that the outcome tells of."""
        if self.document:
            found: dict[str, Any] = msgspec.json.decode(self.document)
            return found
        detail = self.row.detail
        return {"error": (detail.message if detail is not None else "") or self.row.verdict}


class Keeper(Protocol):
    """Keeps what comes of a run. All is called in a thread, one call at a time, and returns what users should know."""

    def plan(self, target: str, ids: Sequence[str]) -> list[str]:
        """Take what is to run on a target, before its first outcome."""
        ...

    def keep(self, outcomes: Sequence[Filed]) -> list[str]:
        """Keep these."""
        ...

    def tell(self, outcomes: Sequence[Filed]) -> list[str]:
        """Tell others of these, which are kept by now: that may take a while."""
        ...

    def finish(self) -> list[str]:
        """Keep what is left: nothing comes any more."""
        ...
