"""Makers for the standard library's types, which need not be imported to be recorded. Runs in the user's process."""

from __future__ import annotations

import sys
from collections import deque

from testd.tracing.names import class_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from testd.tracing.snapshots import Snapshot

    Maker = Callable[[Snapshot, Any], Any]

__all__ = ["WHOLE", "foreign"]


def foreign(kind: type) -> Maker | None:
    """Return the maker for one of these types, by its name; subclasses are not looked at."""
    module = str(getattr(kind, "__module__", "")).partition(".")[0].lstrip("_")
    made = _MAKERS.get((module, kind.__name__))
    return made if made is not None and getattr(sys.modules.get(module), kind.__name__, None) is kind else None


def _as_text(module: str, name: str) -> Maker:
    tag = name.lower()
    return lambda shot, value: {"$type": tag, "value": getattr(sys.modules[module], name).__str__(value)}


def _iso(tag: str) -> Maker:
    """Return a maker for dates and times: ISO 8601, with the name of the zone where it has one."""

    def iso(shot: Snapshot, value: Any) -> Any:
        base = getattr(sys.modules["datetime"], tag)
        document = {"$type": tag, "value": base.isoformat(value)}
        zone = base.tzinfo.__get__(value) if tag != "date" else None
        if zone is not None and type(zone).__name__ == "ZoneInfo" and isinstance(zone.key, str):
            document["zone"] = zone.key
        return document

    return iso


def _timedelta(shot: Snapshot, value: Any) -> Any:
    return {"$type": "timedelta", "value": [value.days, value.seconds, value.microseconds]}


def _path(shot: Snapshot, value: Any) -> Any:
    return {"$type": "path", "class": type(value).__name__, "value": shot.take(str(value))}


def _pattern(shot: Snapshot, value: Any) -> Any:
    return {"$type": "pattern", "value": shot.take(value.pattern), "flags": value.flags}


def _deque(shot: Snapshot, value: Any) -> Any:
    known = shot.seen(value)
    if known is not None:
        return known
    base: Any = deque
    size = base.__len__(value)
    if size and shot.too_deep:
        return shot.left_out({"$type": "deque", "cut": size})
    items, cut = shot.members(base.__iter__(value), size)
    document: dict[str, Any] = {"$type": "deque", "items": items}
    if value.maxlen is not None:
        document["maxlen"] = value.maxlen
    return {**document, "cut": cut} if cut else document


def _file(shot: Snapshot, value: Any) -> Any:
    document: dict[str, Any] = {"$type": "file", "class": class_name(type(value))}
    for name in ("name", "mode"):
        found = getattr(value, name, None)
        if isinstance(found, (str, int)):
            document[name] = found
    return document


#: Makers that say all there is to say of a subclass as well.
WHOLE = (_path, _file)
_MAKERS: dict[tuple[str, str], Maker] = {
    ("decimal", "Decimal"): _as_text("decimal", "Decimal"),
    ("fractions", "Fraction"): _as_text("fractions", "Fraction"),
    ("uuid", "UUID"): _as_text("uuid", "UUID"),
    ("datetime", "datetime"): _iso("datetime"),
    ("datetime", "date"): _iso("date"),
    ("datetime", "time"): _iso("time"),
    ("datetime", "timedelta"): _timedelta,
    ("pathlib", "PurePath"): _path,
    ("re", "Pattern"): _pattern,
    ("collections", "deque"): _deque,
    ("io", "TextIOWrapper"): _file,
    ("io", "BufferedReader"): _file,
    ("io", "BufferedWriter"): _file,
    ("io", "BufferedRandom"): _file,
    ("io", "FileIO"): _file,
}
