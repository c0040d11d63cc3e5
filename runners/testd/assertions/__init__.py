"""Assertions that say what differs. For exported tests, for pytest, and for a plain `python FILE`.

Each raises AssertionError with a difference that can be read without colours. The expected value comes first:
`is_(2, 1 + 1)`. Every name is imported when it is first used. Runs in the user's process; standard library only.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from testd.assertions.equality import deep_equal
    from testd.assertions.identity import is_, is_not
    from testd.assertions.raising import throws
    from testd.assertions.snapshots import snapshot
    from testd.assertions.structure import conforms, maybe
    from testd.assertions.variation import similar

__all__ = ["conforms", "deep_equal", "is_", "is_not", "maybe", "similar", "snapshot", "throws"]

_MODULES = {
    "conforms": "structure",
    "deep_equal": "equality",
    "is_": "identity",
    "is_not": "identity",
    "maybe": "structure",
    "similar": "variation",
    "snapshot": "snapshots",
    "throws": "raising",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"testd.assertions has no assertion {name!r}; it has {', '.join(__all__)}")
    import importlib

    value = getattr(importlib.import_module("testd.assertions." + _MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> "list[str]":
    return sorted({*globals(), *__all__})
