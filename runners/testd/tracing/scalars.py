"""Values without members, from their documents. Runs in the user's process."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["SCALARS"]


def _text(document: dict[str, Any]) -> str:
    if "utf-8" in document:
        return _base64(document["utf-8"]).decode("utf-8", "surrogatepass")
    return str(document["value"])


def _base64(text: str) -> bytes:
    from base64 import b64decode

    return b64decode(text, validate=True)


def _whole(document: dict[str, Any]) -> int:
    value = document["value"]
    return int(value, 0) if isinstance(value, str) else int(value)


def _iso(name: str) -> Callable[[dict[str, Any]], Any]:
    def read(document: dict[str, Any]) -> Any:
        import datetime as dt

        value = getattr(dt, name).fromisoformat(document["value"])
        return value.replace(tzinfo=_zone(document["zone"])) if "zone" in document and name != "date" else value

    return read


def _zone(key: str) -> Any:
    """Return the zone of that name; before Python 3.9 there are none."""
    from importlib import import_module

    return import_module("zoneinfo").ZoneInfo(key)


def _timedelta(document: dict[str, Any]) -> Any:
    import datetime as dt

    return dt.timedelta(*document["value"])


def _of(module: str, name: str) -> Callable[[dict[str, Any]], Any]:
    def read(document: dict[str, Any]) -> Any:
        from importlib import import_module

        return getattr(import_module(module), name)(document["value"])

    return read


def _path(document: dict[str, Any]) -> Any:
    """Make a path of this system's kind, or a pure one where it was recorded as such."""
    import pathlib

    kind = document["class"]
    pure = {"PurePosixPath": pathlib.PurePosixPath, "PureWindowsPath": pathlib.PureWindowsPath}.get(kind)
    return (pure or pathlib.Path)(document["value"])


def _pattern(document: dict[str, Any]) -> Any:
    import re

    value = document["value"]
    return re.compile(_base64(value["base64"]) if isinstance(value, dict) else value, document["flags"])


SCALARS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "str": _text,
    "int": _whole,
    "bool": lambda document: bool(document["value"]),
    "float": lambda document: float(document["value"]),
    "complex": lambda document: complex(document["value"]),
    "bytes": lambda document: _base64(document["base64"]),
    "memoryview": lambda document: memoryview(_base64(document["base64"])),
    "ellipsis": lambda document: ...,
    "decimal": _of("decimal", "Decimal"),
    "fraction": _of("fractions", "Fraction"),
    "uuid": _of("uuid", "UUID"),
    "datetime": _iso("datetime"),
    "date": _iso("date"),
    "time": _iso("time"),
    "timedelta": _timedelta,
    "path": _path,
    "pattern": _pattern,
}
