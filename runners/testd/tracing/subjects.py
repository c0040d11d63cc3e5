"""What is recorded of a function beside its calls: how it is called and where it stands. Runs in the user's process."""

from __future__ import annotations

from typing import NamedTuple

from testd.tracing.names import short_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["Settings", "Subject"]


class Settings(NamedTuple):
    """What `traced` was told about one function."""

    name: str | None = None  #: instead of the function's own
    description: str | None = None
    copy_input: bool = True  #: whether the input is recorded
    deep_copy_input: bool = True  #: False: of an argument that has members, only these, and not what they contain
    copy_output: bool = True
    deep_copy_output: bool = True
    find_parent: bool = True  #: False: a call is a root, wherever it comes from
    input_serializer: Callable[..., Any] | None = None  #: called with the arguments, returns what is recorded
    output_serializer: Callable[[Any], Any] | None = None  #: called with the result, returns what is recorded


class Subject:
    """One function, or anything that can be called, as its record names it."""

    __slots__ = ("_secret", "constructs", "file", "key", "line", "module", "name", "parameters", "settings")

    def __init__(self, function: Any, settings: Settings = Settings(), constructs: bool = False) -> None:  # noqa: B008
        """Describe a function. `constructs`: it is the `__init__` or `__new__` of a class, and stands for it."""
        inner = function
        while hasattr(inner, "__wrapped__"):  # what a decorator made stands where the function does
            inner = inner.__wrapped__
        code = getattr(inner, "__code__", None)
        name = short_name(function)
        self.settings = settings
        self.constructs = constructs
        self.name = settings.name or (name.rpartition(".")[0] if constructs else name)
        self.module = str(getattr(function, "__module__", None) or type(function).__module__)
        self.key = f"{self.module}:{self.name}"  #: what mocks and assertions call it
        self.file: str | None = getattr(code, "co_filename", None)
        self.line: int | None = getattr(code, "co_firstlineno", None)
        self.parameters: tuple[str, ...] = code.co_varnames[: code.co_argcount] if code is not None else ()
        self._secret: tuple[object, tuple[int, ...]] = (None, ())

    def __repr__(self) -> str:
        """Name the function."""
        return f"<subject {self.key}>"

    def secret_positions(self, secret: Callable[[str], bool]) -> tuple[int, ...]:
        """Return the positions of parameters whose values are not recorded."""
        known, positions = self._secret
        if known is not secret:
            positions = tuple(index for index, name in enumerate(self.parameters) if secret(name))
            self._secret = (secret, positions)
        return positions
