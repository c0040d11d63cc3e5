"""`traced`: to have the calls of a function, or of a class, recorded. Runs in the user's process."""

from __future__ import annotations

import os
from types import FunctionType
from typing import overload

from testd.tracing.names import short_name
from testd.tracing.registry import register, subject_of
from testd.tracing.subjects import Settings, Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    Traced = TypeVar("Traced")

__all__ = ["constructor_of", "settings_of", "traced", "traced_parts"]

_CONSTRUCTORS = ("__init__", "__new__")
_unasked = bool(os.environ.get("TESTD_TRACE"))  # whether what is recorded goes to the daemon


@overload
def traced(function: Traced, /) -> Traced: ...
@overload
def traced(
    *,
    name: str | None = None,
    description: str | None = None,
    copy_input: bool = True,
    deep_copy_input: bool = True,
    copy_output: bool = True,
    deep_copy_output: bool = True,
    find_parent: bool = True,
    input_serializer: Callable[..., Any] | None = None,
    output_serializer: Callable[[Any], Any] | None = None,
) -> Callable[[Traced], Traced]: ...


def traced(function: Any = None, /, **settings: Any) -> Any:
    """Record the calls of a function while something records. What is decorated stays the object that it is.

    For functions and methods of every kind, and for classes: their construction, and the methods that they define.
    `@traced(name="pay", copy_input=False)` has the settings that docs/functions.md describes.

    Raises:
        TypeError: it is nothing that can be traced, or a setting is not known.

    """
    chosen = settings_of(settings)
    if function is None:
        return lambda function: _trace(function, chosen)
    return _trace(function, chosen)


def settings_of(settings: dict[str, Any]) -> Settings:
    """Return settings by name. Raises TypeError for one that is not known."""
    unknown = sorted(set(settings) - set(Settings._fields))
    if unknown:
        raise TypeError(f"traced has no setting {unknown[0]!r}; it has {', '.join(Settings._fields)}")
    return Settings(**settings)


def _trace(traceable: Any, settings: Settings) -> Any:
    """Trace a function or a class, and return it. The first one in a process may connect it to the daemon."""
    global _unasked
    if _unasked:
        _unasked = False
        from testd.tracing.sending import connect_by_environment

        connect_by_environment()
    found = False
    for function, subject in traced_parts(traceable, settings):
        register(function, subject)
        found = True
    if not found and not isinstance(traceable, type):
        raise TypeError(
            f"traced takes functions, methods and classes that are written in Python, not {traceable!r}: "
            "trace the function that it calls"
        )
    return traceable


def traced_parts(traceable: Any, settings: Settings) -> Iterator[tuple[FunctionType, Subject]]:
    """Give what tracing a function or a class comes to: functions, and how they are described.

    Methods of a class that are traced already keep their settings.
    """
    if isinstance(traceable, type):
        yield from _parts_of_class(traceable, settings)
        return
    function = _function_in(traceable)
    if function is None:
        return
    constructs = function.__name__ in _CONSTRUCTORS and "." in function.__qualname__
    if constructs and settings.name is None:
        settings = settings._replace(name=short_name(function).rpartition(".")[0] or None)
    yield function, Subject(function, settings, constructs)


def _function_in(traceable: Any) -> FunctionType | None:
    """Return the function whose code runs when this is called; of a cache, that which it calls for what it lacks."""
    while not isinstance(traceable, FunctionType):
        if isinstance(traceable, (staticmethod, classmethod)) or hasattr(traceable, "__func__"):
            traceable = traceable.__func__
        elif hasattr(traceable, "__wrapped__") and not isinstance(traceable, type):
            traceable = traceable.__wrapped__
        else:
            return None
    return traceable


def constructor_of(kind: type) -> FunctionType | None:
    """Return the function that stands for the construction of a class, None if it has none of its own."""
    return next((made for name in _CONSTRUCTORS if (made := _function_in(vars(kind).get(name))) is not None), None)


def _parts_of_class(kind: type, settings: Settings) -> Iterator[tuple[FunctionType, Subject]]:
    named = settings._replace(name=settings.name or short_name(kind))
    plain = settings._replace(name=None, description=None, input_serializer=None, output_serializer=None)
    own = dict(_own(kind))
    if "__init__" in own:
        own.pop("__new__", None)  # one construction is one call
    for name, function in own.items():
        if subject_of(function) is not None:
            continue
        if name in _CONSTRUCTORS:
            yield function, Subject(function, named, constructs=True)
        else:
            renamed = f"{settings.name}.{name}" if settings.name else None
            yield function, Subject(function, plain._replace(name=renamed))


def _own(kind: type) -> Iterator[tuple[str, FunctionType]]:
    """Give the functions that a class defines and that are calls of it; the language's own protocols are not."""
    for name, value in list(vars(kind).items()):
        function = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
        protocol = name.startswith("__") and name.endswith("__") and name not in (*_CONSTRUCTORS, "__call__")
        if protocol or not isinstance(function, FunctionType):
            continue
        owner = function.__qualname__.rpartition(".")[0]
        if owner == kind.__qualname__ or owner.startswith("__create_fn__"):  # a dataclass before Python 3.10
            yield name, function
