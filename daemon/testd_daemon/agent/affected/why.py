"""Why a test would run now or not, for people: what has changed of what it used, and what that is. Pure.

Runs in the agent, in a thread.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from testd_daemon.agent.affected.book import Book, Part
from testd_daemon.agent.affected.choice import Reason
from testd_daemon.agent.affected.fingerprint import ALL, BYTES, DOC, FRAME, MODULE
from testd_daemon.agent.affected.state import LISTING
from testd_daemon.agent.affected.telling import describe
from testd_protocol.messages import WhyEntry

__all__ = ["explain"]

_NO_FUNCTION = frozenset({ALL, BYTES, DOC, FRAME, LISTING, MODULE})


def explain(
    book: Book, root: str, target: str, test: str, reason: Reason | None, stale: Container[int], *, failing: bool
) -> WhyEntry:
    """Say of one test what has changed (`stale` parts, or the `reason` that concerns no part), and what it used."""
    entry = book.shelf(target).tests.get(test)
    reasons = [describe(Reason("failed"), root)] if failing else []
    if entry is None:
        reasons.append(describe(Reason("new"), root))
        return WhyEntry(test=test, target=target, affected=True, reasons=reasons)
    numbers = [*book.sets[entry.own], *book.sets[entry.base]]
    changed = [book.parts[number] for number in numbers if number in stale]
    found = [describe(Reason("part", part.path, part.key), root) for part in changed]
    if reason is not None and not found:
        found.append(describe(reason, root))
    parts = [book.parts[number] for number in numbers if book.parts[number].path.startswith(root + "/")]
    return WhyEntry(
        test=test, target=target, affected=bool(reasons or found), reasons=[*reasons, *dict.fromkeys(found)],
        at=entry.at, files=len({part.path for part in parts}),
        functions=sum(part.key not in _NO_FUNCTION for part in parts), used=_used(parts, root),
    )  # fmt: skip


def _used(parts: Iterable[Part], root: str) -> list[str]:
    """Return a line for each file of the workspace: the functions of it that ran."""
    files: dict[str, list[str]] = {}
    for part in sorted(parts):
        functions = files.setdefault(part.path[len(root) + 1 :], [])
        if part.key not in _NO_FUNCTION:
            functions.append(part.key)
    return [f"{path}: {', '.join(functions)}" if functions else path for path, functions in files.items()]
