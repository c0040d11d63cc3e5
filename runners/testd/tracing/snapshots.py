"""A Python value as JSON, as it is at this moment. Runs in the user's process.

What JSON has stays as it is: null, booleans, integers that every reader keeps exactly, finite numbers, text, lists, and
maps whose keys are text. Everything else is a map with `$type`, as docs/functions.md lists them. Nothing is called that
a user's class defines, iterators are not consumed, and what cannot be read costs that part alone.
"""

from __future__ import annotations

import re
from itertools import islice

from testd.tracing.kinds import MAKERS, items_of, maker
from testd.tracing.names import class_name, clean, message, pointer
from testd.tracing.options import Options
from testd.tracing.simple import EXACT, SHORT, weight

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

__all__ = ["DEFAULTS", "Snapshot", "secrets", "snapshot"]

DEFAULTS = Options()
#: Members of a container that are looked at all at once.
_FEW = 100
_secrets: dict[str, Callable[[str], bool]] = {}


def snapshot(value: Any, options: Options = DEFAULTS) -> Any:
    """Return the value as JSON; what could not be read is null."""
    return Snapshot(options).take(value)


class Snapshot:
    """One value while it is being written down."""

    cut = False  #: whether a limit left something out
    reasons: tuple[str, ...] = ()  #: what could not be read, and why

    def __init__(self, options: Options = DEFAULTS) -> None:
        """Begin with nothing seen."""
        self._options = options
        self._left = options.size
        self._roomy = options.roomy
        #: The id of a container or an object → where it stands, and itself: or another would get its id.
        self._seen: dict[int, tuple[tuple[object, ...], object]] = {}
        self._trail: list[object] = []  # keys and indexes that lead to what is written now
        self.secret = secrets(options.redact)

    def take(self, value: Any) -> Any:
        """Return a value as JSON."""
        kind = type(value)
        self._left -= 1
        if value is None or kind is bool or (kind is int and -EXACT < value < EXACT):
            return value
        if kind is str and len(value) <= SHORT and self._roomy and self._left > SHORT and value.isascii():
            self._left -= len(value)
            return value
        depth = len(self._trail)
        try:
            if self._left < 0:
                return self.left_out({"$type": "cut"})
            return (MAKERS.get(kind) or maker(kind))(self, value)
        except Exception as error:  # (whatever a user's class, or another thread, makes of being looked at)
            del self._trail[depth:]
            self.fail(error, pointer(self._trail))
            return None

    def copies(self, value: list[Any]) -> bool:
        """Tell whether a list is light, and stays in JSON what it is."""
        if not self._roomy:
            return False
        total = weight(value) if type(value) is list and len(value) <= _FEW else -1
        if not 0 <= total <= self._left:
            return False
        self._left -= total
        return True

    def copies_map(self, value: dict[Any, Any]) -> bool:
        """Tell whether a map is light, has no secrets, and stays in JSON what it is."""
        if not self._roomy or type(value) is not dict or len(value) > _FEW:
            return False
        for key in value:
            if type(key) is not str or key == "$type" or self.secret(key):
                return False
        total, keys = weight(value.values()), weight(value)
        if total < 0 or keys < 0 or total + keys > self._left:
            return False
        self._left -= total + keys
        return True

    def fail(self, error: Exception, place: str) -> None:
        """Keep why something could not be read."""
        self.reasons += (f"{place or 'the value'}: {class_name(type(error))}: {message(error)}",)

    def arguments(self, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
        """Return the arguments of a call as a list, whose last member is the map of those with keywords."""
        made, _ = self.members(args, len(args))
        self._trail.append(len(args))
        made.append(self.take(kwargs) if kwargs else {})
        self._trail.pop()
        return made

    def text(self, value: str) -> Any:
        """Return a text, cut to the limit."""
        limit = min(self._options.text, max(self._left, 0))
        size = len(value)
        self._left -= min(size, limit)
        if size <= limit:
            return value if clean(value) else spoilt(value)
        self.cut = True
        kept = value[:limit]
        return {**({"$type": "str", "value": kept} if clean(kept) else spoilt(kept)), "cut": size - limit}

    def data(self, value: Any, base: Any) -> tuple[bytes, int]:
        """Return bytes, or what is derived from the base, cut to the limit, and how many were left out."""
        limit = min(self._options.text, max(self._left, 0))
        size = base.__len__(value)
        self._left -= min(size, limit)
        cut = max(0, size - limit)
        self.cut = self.cut or cut > 0
        return base.__getitem__(value, slice(limit)), cut

    def left_out(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return what stands for a value that a limit left out."""
        self.cut = True
        return document

    def seen(self, value: object) -> dict[str, Any] | None:
        """Note a value that may contain itself, or be met again. Return what stands for it from the second time on."""
        known = self._seen.get(id(value))
        if known is not None:
            return {"$type": "ref", "path": pointer(known[0])}
        self._seen[id(value)] = (tuple(self._trail), value)
        return None

    @property
    def met(self) -> int:
        """How many values have been noted so far."""
        return len(self._seen)

    @property
    def too_deep(self) -> bool:
        """Whether the members of a container that stands here are left out."""
        return len(self._trail) >= self._options.depth

    def members(self, values: Iterable[Any], size: int) -> tuple[list[Any], int]:
        """Return the members of a container in their order, and how many of the `size` were left out."""
        made: list[Any] = []
        trail = self._trail
        trail.append(0)
        for index, value in enumerate(islice(values, self._options.length)):
            if self._left <= 0:
                break
            trail[-1] = index
            made.append(self.take(value))
        trail.pop()
        cut = size - len(made)
        self.cut = self.cut or cut > 0
        return made, cut

    def fields(self, values: dict[str, Any]) -> tuple[dict[str, Any], int]:
        """Return a map with keys of text, secrets left out, and how many of its members were cut."""
        made: dict[str, Any] = {}
        trail = self._trail
        trail.append("")
        for key, value in islice(items_of(values), self._options.length):
            if self._left <= 0:
                break
            self._left -= len(key)
            trail[-1] = key
            made[key] = {"$type": "redacted"} if self.secret(key) else self.take(value)
        trail.pop()
        cut = dict.__len__(values) - len(made)
        self.cut = self.cut or cut > 0
        return made, cut


def secrets(pattern: str | None) -> Callable[[str], bool]:
    """Return what tells whether a name is one whose value is to be left out."""
    if not pattern:
        return _nothing
    known = _secrets.get(pattern)
    return known if known is not None else _secrets.setdefault(pattern, _search(pattern))


def _nothing(name: str) -> bool:
    return False


def _search(pattern: str) -> Callable[[str], bool]:
    search = re.compile(pattern, re.IGNORECASE).search
    found: dict[str, bool] = {}

    def secret(name: str) -> bool:
        answer = found.get(name)
        if answer is None:
            if len(found) > 10_000:  # keys may be data
                found.clear()
            answer = found[name] = search(name) is not None
        return answer

    return secret


def spoilt(value: str) -> dict[str, Any]:
    """Return a text that UTF-8 has no room for (lone surrogates)."""
    from base64 import b64encode

    return {"$type": "str", "utf-8": b64encode(value.encode("utf-8", "surrogatepass")).decode()}
