"""What a watch says of a generation before anything of it has run: why it is there, and how many tests it has.

Runs in the client of a watch; imports our own helpers.
"""

from __future__ import annotations

from testd_daemon.reports import safe, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Body = Mapping[str, Any]

#: So many changed files are named, where they are few; of more the first ones.
_NAMED = 3
_CAUSES = {
    "start": "first run",
    "all": "all tests",
    "failed": "what failed",
    "filter": "another filter",
    "snapshots": "snapshots are updated",
}


def why(body: Body) -> str:
    """Say why there is a generation: `src/it.py changed`, `src/a.py, src/b.py and 7 more files changed`."""
    cause = str(body["cause"])
    changed = [safe.line(str(path)) for path in body.get("changed") or ()]
    if cause != "change" or not changed:
        return _CAUSES.get(cause, cause if cause != "change" else "files changed")
    named = changed if len(changed) <= _NAMED else changed[: _NAMED - 1]
    more = len(changed) - len(named) + int(body.get("more") or 0)
    if more:
        return f"{', '.join(named)} and {words.number(more, 'more file')} changed"
    return f"{' and '.join([', '.join(named[:-1]), named[-1]] if len(named) > 1 else named)} changed"


def headline(body: Body, planned: int | None, total: int) -> str:
    """Say why, and of how many tests how many run. `planned`: None where that is not known; `total`: 0 as well."""
    reason = why(body)
    if planned is None:
        return reason
    affected = " affected" if body["cause"] == "change" else ""
    if not planned:
        return f"{reason}: no test{affected}" if affected else f"{reason}: nothing to run"
    if total > planned or (affected and total == planned):
        return f"{reason}: {planned:,} of {words.number(total, 'test')}{affected}"
    return f"{reason}: {words.number(planned, 'test')}{affected}"


__all__ = ["headline", "why"]
