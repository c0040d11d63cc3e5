"""What a user is told of a selection, and in which order it runs. Pure; runs in the agent."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Sequence

from testd_daemon.agent.affected.choice import Reason
from testd_daemon.agent.affected.fingerprint import ALL, BYTES, DOC, FRAME, MODULE
from testd_daemon.agent.affected.state import LISTING
from testd_daemon.agent.jobs import Durations, file_of

__all__ = ["describe", "in_order", "summary"]

#: Reasons that are named; the rest is counted.
MOST_NAMED = 20
_WORDS = {
    MODULE: "code outside of functions",
    FRAME: "code outside of functions",
    ALL: "its code",
    BYTES: "its content",
    DOC: "docstrings",
    LISTING: "which names are in it",
}


def describe(reason: Reason, root: str) -> str:
    """Say why a test is affected, as the end of a sentence: `src/it.py changed: Class.method`."""
    path = os.path.relpath(reason.path, root) if reason.path.startswith(root + "/") else reason.path
    match reason.kind:
        case "new":
            return "no record of what it uses"
        case "failed":
            return "it did not pass last time"
        case "owed":
            return "a change came before it could run"
        case "unknown":
            return f"{path} changed, and it is not known what reads it"
        case "everything":
            return f"{path} changed, and it started a process that may read anything"
        case "shadow":
            return f"{path} is new, and may be loaded in the place of another module"
        case "part":
            if not reason.path.startswith("/"):
                return f"{reason.path.rpartition(':')[2]} changed"
            return f"{path} changed: {_WORDS.get(reason.key, reason.key)}"


def summary(root: str, reasons: Sequence[Reason], among: int) -> tuple[str, str]:
    """Return how many are affected in one line, and what each of them is affected by in some more."""
    if not reasons:
        return f"none of {among} tests is affected by what has changed", ""
    counts = Counter(describe(reason, root) for reason in reasons)
    lines = [f"{count} test{'s' * (count != 1)}: {text}" for text, count in counts.most_common(MOST_NAMED)]
    if len(counts) > MOST_NAMED:
        lines.append(f"and {len(counts) - MOST_NAMED} more reasons")
    return f"{len(reasons)} of {among} tests {'are' if len(reasons) != 1 else 'is'} affected", "\n".join(lines)


def in_order(ids: Sequence[str], failing: Collection[str], durations: Durations) -> list[int]:
    """Return the positions of these tests by file: those with failed tests first, then the quickest.

    Inside of a file they stay in the order of collection, as its fixtures want it.
    """
    files: dict[str, list[int]] = {}
    for position, test in enumerate(ids):
        files.setdefault(file_of(test), []).append(position)

    def weight(group: list[int]) -> tuple[bool, float]:
        failed = any(ids[n] in failing for n in group) or file_of(ids[group[0]]) in failing
        return not failed, durations.total([ids[n] for n in group])

    return [position for group in sorted(files.values(), key=weight) for position in group]
