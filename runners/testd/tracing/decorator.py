"""`traced`: to have the calls of a function recorded. Runs in the user's process."""

from __future__ import annotations

from types import FunctionType
from typing import overload

from testd.tracing.registry import register
from testd.tracing.subjects import Settings, Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Traced = TypeVar("Traced")

__all__ = ["traced"]


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
    """Record the calls of a function while something records. The function stays the object that it is.

    For functions, methods, coroutine functions and generators of both kinds. `@traced(name=…, copy_input=False)` has
    the settings that `Settings` lists.

    Raises:
        TypeError: it is nothing that can be traced, or a setting is not known.

    """
    chosen = _settings(settings)
    if function is None:
        return lambda function: trace(function, chosen)
    return trace(function, chosen)


def trace(function: Any, settings: Settings) -> Any:
    """Register a function, and return it."""
    inner = function
    while isinstance(inner, (staticmethod, classmethod)):
        inner = inner.__func__
    if not isinstance(inner, FunctionType):
        raise TypeError(f"traced takes functions, not {type(function).__name__}: {function!r}")
    register(inner, Subject(inner, settings))
    return function


def _settings(settings: dict[str, Any]) -> Settings:
    unknown = sorted(set(settings) - set(Settings._fields))
    if unknown:
        raise TypeError(f"traced has no setting {unknown[0]!r}; it has {', '.join(Settings._fields)}")
    return Settings(**settings)
