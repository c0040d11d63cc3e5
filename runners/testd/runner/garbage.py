"""The garbage collector where processes are forked: what a stem has loaded is kept out of the collector's way.

A collection writes to every object that it looks at, and the kernel then copies what a worker shared with its stem: a
quarter of a suite's time. So the objects are frozen, for the collections that run by themselves; when they run is
nothing that a program can count on. Code that asks (`gc.collect()` and the functions that list objects) gets the answer
that it would get anywhere else: the first such call lets everything thaw.

Runs in stems and in the workers that are forked from them.
"""

import functools
import gc
import sys
from typing import Any, Callable, List

__all__ = ["alive", "freeze", "freeze_live", "holds", "install", "keep_frozen", "referrers", "release", "uninstall"]

#: The functions whose answers depend on what is frozen.
_ASKING = ("collect", "freeze", "get_freeze_count", "get_objects", "get_referrers", "unfreeze")
#: The function of pytest that collects garbage at its end.
_HOUSEKEEPING = "gc_collect_harder"
_collect, _get_objects, _get_referrers = gc.collect, gc.get_objects, gc.get_referrers
_getframe = sys._getframe
#: PyPy's collector moves objects, and knows nothing of that.
_freeze, _unfreeze = getattr(gc, "freeze", int), getattr(gc, "unfreeze", int)
_thaws = False  # whether something is frozen that user code does not know of


def install() -> None:
    """Hear who asks. Comes before user code, which may import the functions by name."""
    if hasattr(gc, "freeze"):
        for name in _ASKING:
            setattr(gc, name, _thawing(getattr(gc, name)))


def uninstall() -> None:
    """Put back what was there before: nothing is frozen."""
    for name in _ASKING:
        function = getattr(gc, name, None)
        setattr(gc, name, getattr(function, "__wrapped__", function))


def freeze() -> None:
    """Clear away what is garbage, and keep the rest out of the collector's way until user code asks."""
    global _thaws
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None  # finalizers that fail are the loaded code's affair
    _collect()
    sys.unraisablehook = hook
    _freeze()
    _thaws = True


def freeze_live() -> str:
    """Clear away what is garbage, and keep the rest out of the collector's way until user code asks.

    Returns what went wrong when garbage was cleared away, nothing where nothing did: somebody should hear of that. When
    the framework collects garbage at its end it looks at what has come since; `release` is for the process's own end.
    """
    global _thaws
    failed: List[str] = []
    hook, sys.unraisablehook = sys.unraisablehook, lambda told: failed.append(f"{told.exc_type.__name__}")
    _collect()
    sys.unraisablehook = hook
    _freeze()
    _thaws = True
    return failed[0] if failed else ""


def release() -> None:
    """Let everything thaw."""
    global _thaws
    if _thaws:
        _thaws = False
        _unfreeze()


def alive() -> "List[Any]":
    """Return what is alive and not frozen."""
    return _get_objects()


def holds() -> bool:
    """Tell whether something is frozen that user code does not know of."""
    return _thaws


def referrers(*objects: Any) -> "List[Any]":
    """Return what refers to any of these, frozen or not. What is frozen stays so, and nothing is written to."""
    if _thaws:
        _unfreeze()
    try:
        return [found for found in _get_referrers(*objects) if found is not objects]
    finally:
        if _thaws:
            _freeze()


def keep_frozen() -> None:
    """Freeze everything for good: a framework collects garbage several times at its end, for nobody's use."""
    global _thaws
    _freeze()
    _thaws = False


def _thawing(function: "Callable[..., Any]") -> "Callable[..., Any]":
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if _thaws and _getframe(1).f_code.co_name != _HOUSEKEEPING:
            release()
        return function(*args, **kwargs)

    return call
