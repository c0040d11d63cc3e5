"""Answers in place of calls: which call of which function gets which. Runs in the user's process."""

from __future__ import annotations

from typing import cast

from testd.tracing.instances import Placeholder, named, native, put_state
from testd.tracing.restoring import RestoreError, restore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Mapping
    from typing import Any

__all__ = ["Counts", "Mock", "MockError", "Mocks"]

ALL = "*"  #: in place of a call's number: every call that has no answer of its own
_KEYS = ("output", "error_to_throw", "error_type")


class MockError(ValueError):
    """Mocks that cannot be used: which function, which call, and what would be right."""


class Mocks:
    """Answers by function and call.

    `{"module:function": {"1": {"output": 5}, "*": {"error_to_throw": "no", "error_type": "ValueError"}}}`: the numbers
    count from 1, for each root anew, through all that it calls. An empty answer is none.

    Raises:
        MockError: the answers are not of this form, or an output or a type of exception cannot be made.

    """

    def __init__(self, answers: Mapping[str, Mapping[Any, Mapping[str, Any]]] | None = None) -> None:
        """Read the answers."""
        if not isinstance(answers or {}, dict):
            raise MockError(f"mocks are a map of functions, not {type(answers).__name__}")
        self._answers = {key: _of_function(key, calls) for key, calls in (answers or {}).items()}
        self._aliases: dict[str, str] = {}

    def __bool__(self) -> bool:
        """Tell whether there is any answer."""
        return bool(self._answers)

    @property
    def functions(self) -> list[str]:
        """The functions that have answers, as `module:function`."""
        return list(self._answers)

    def alias(self, key: str, function: str) -> None:
        """Let the calls of what is recorded as `key` have the answers of `function`, which is another name for it."""
        if key != function:
            self._aliases[key] = function

    def counts(self, used: set[tuple[str, str]]) -> Counts:
        """Begin to count the calls of a root; what is used is added to the set."""
        return Counts(self._answers, self._aliases, used)

    def unused(self, used: set[tuple[str, str]]) -> list[str]:
        """Return the answers that were not, for people."""
        return [
            f"{function}, {'all calls' if number == ALL else 'call ' + number}"
            for function, answers in self._answers.items()
            for number in answers
            if (function, number) not in used
        ]


class Counts:
    """How often the functions that have answers were called in one root."""

    __slots__ = ("_aliases", "_answers", "_called", "_used")

    def __init__(
        self, answers: dict[str, dict[str, Mock]], aliases: dict[str, str], used: set[tuple[str, str]]
    ) -> None:
        """Begin with no call."""
        self._answers = answers
        self._aliases = aliases
        self._used = used
        self._called: dict[str, int] = {}

    def mock(self, key: str) -> Mock | None:
        """Count a call, and return its answer, None if it is to run."""
        key = self._aliases.get(key, key)
        answers = self._answers.get(key)
        if answers is None:
            return None
        called = self._called[key] = self._called.get(key, 0) + 1
        number = str(called) if str(called) in answers else ALL
        if number in answers:
            self._used.add((key, number))
        return answers.get(number)


class Mock:
    """One answer: an output, or an exception."""

    __slots__ = ("_error", "_output", "_text")

    def __init__(self, place: str, answer: Any) -> None:
        """Read an answer; `place` says which it is."""
        if not isinstance(answer, dict):
            raise MockError(f"{place}: a mock is a map with output or error_to_throw, not {type(answer).__name__}")
        unknown = sorted(set(answer) - set(_KEYS))
        if unknown:
            raise MockError(f"{place}: a mock has no {unknown[0]!r}; it has {', '.join(_KEYS)}")
        self._text = answer.get("error_to_throw") or ""
        kind = answer.get("error_type")
        self._error = _error_class(place, kind or "Exception") if kind or self._text else None
        self._output = answer.get("output")
        try:
            restore(self._output, classes=True)
        except RestoreError as error:
            raise MockError(f"{place}: output: {error}") from error

    def answer(self, args: tuple[Any, ...], constructs: bool) -> Any:
        """Return the output, made anew for each call, or raise the exception.

        In place of an `__init__` the instance, which is the first argument, gets the attributes of the output.
        """
        if self._error is not None:
            raise _exception(self._error, self._text)
        if constructs and not isinstance(args[0], type):
            put_state(args[0], _state(restore(self._output)))
            return None
        return restore(self._output, classes=True)

    def items(self) -> Generator[Any, Any, Any]:
        """Give the items of the output, or raise the exception when the first is asked for."""
        output = self._output
        if self._error is None and isinstance(output, dict) and output.get("$type") == "generator":
            yield from (restore(item, classes=True) for item in output.get("items", []))
            return restore(output.get("returned"), classes=True)
        yield from self.answer((), False)
        return None

    async def async_items(self) -> AsyncIterator[Any]:
        """Give the items of the output to who iterates asynchronously."""
        for item in self.items():
            yield item


def _of_function(key: str, calls: Any) -> dict[str, Mock]:
    module, _, name = key.partition(":")
    if not (module and name):
        raise MockError(f"mocks: {key!r} names no function: it is 'module:function' or 'module:Class.method'")
    if not isinstance(calls, dict):
        raise MockError(f"mocks: {key}: a map of call numbers is expected, not {type(calls).__name__}")
    made = {}
    for number, answer in calls.items():
        text = str(number).strip()
        if text != ALL and not (text.isdecimal() and int(text) > 0):
            raise MockError(f"mocks: {key}: {number!r} is no call: calls are '1', '2' … or '*' for all")
        if answer != {}:
            made[text if text == ALL else str(int(text))] = Mock(f"mocks: {key}: call {text}", answer)
    return made


def _error_class(place: str, name: str) -> type[BaseException]:
    try:
        found = named(name if ":" in name or "." not in name else ":".join(name.rsplit(".", 1)))
    except ValueError as error:
        raise MockError(f"{place}: error_type: {error}; it is a built-in or 'module:Class'") from error
    if not (isinstance(found, type) and issubclass(found, BaseException)):
        raise MockError(f"{place}: error_type: {name} is no class of exceptions")
    return found


def _exception(kind: type[BaseException], text: str) -> BaseException:
    """Make an exception that says this, of a class whose constructor may ask for anything."""
    try:
        return kind(text) if text else kind()
    except Exception:  # (a user's constructor that wants something else)
        return cast("BaseException", native(kind, "__new__")(kind, text))


def _state(output: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", output.state if isinstance(output, Placeholder) else output or {})
