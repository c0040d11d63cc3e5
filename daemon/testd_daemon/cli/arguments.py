"""What a verb takes, as its module declares it, and the quick way to read it.

Runs in the client, on the quick path: a command line whose options are written as words of their own is read here,
because argparse costs as much as the rest of the client's imports. What asks for help, is written otherwise or is wrong
goes to argparse, in `parser.py`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any


class Operands:
    """What a verb takes besides options: a name for help, and how many of them. `most`: None for any number."""

    def __init__(self, name: str, least: int, most: int | None, summary: str) -> None:
        """Describe the operands."""
        self.name = name
        self.least = least
        self.most = most
        self.summary = summary

    def usage(self) -> str:
        """Say it as usage lines do: `[PATH …]`, `RUN`, `[TEST]`."""
        many = self.name + (" …" if self.most is None else "")
        return many if self.least else f"[{many}]"


class Options:
    """What a command line says: an attribute for each option, and `operands`, a list."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...


class Option:
    """One option, in argparse's words."""

    def __init__(self, flags: tuple[str, ...], settings: dict[str, Any]) -> None:
        """Keep what `add_argument` of argparse would take."""
        self.flags = flags
        self.settings = settings
        action = settings.get("action", "store")
        self.default = settings.get("default", False if action == "store_true" else None)
        name = next((flag for flag in flags if flag.startswith("--")), flags[0])
        self.name: str = settings.get("dest") or name.lstrip("-").replace("-", "_")

    @property
    def takes_value(self) -> bool:
        """Whether a value follows the option."""
        return self.settings.get("action", "store") in ("store", "append")

    def switch(self, options: Options) -> None:
        """Set an option that takes no value."""
        action = self.settings["action"]
        if action == "store_true":
            setattr(options, self.name, True)
        elif action == "store_const":
            setattr(options, self.name, self.settings["const"])
        else:
            assert action == "count", action
            setattr(options, self.name, getattr(options, self.name) + 1)

    def take(self, options: Options, text: str) -> None:
        """Set an option to a value. Raises what its type raises for a text that it does not take."""
        value = self.settings.get("type", str)(text)
        before = getattr(options, self.name)
        setattr(options, self.name, [*before, value] if self.settings.get("action") == "append" else value)


class Group:
    """Options under a title in the help."""

    def __init__(self, title: str) -> None:
        """Begin without any."""
        self.title = title
        self.options: list[Option] = []

    def add_argument(self, *flags: str, **settings: Any) -> None:
        """Declare an option, as argparse's method of the name does."""
        self.options.append(Option(flags, settings))


class Parser(Group):
    """The arguments of one verb. Options and operands may come in any order; `--` ends the options."""

    def __init__(self, verb: str, summary: str, operands: Operands | None, epilog: str = "") -> None:
        """Begin to declare `testd VERB`; the verb's module adds the options."""
        super().__init__("")
        self.verb = verb
        self.summary = summary
        self.operands = operands
        self.epilog = epilog
        self.groups: list[Group] = [self]

    def add_argument_group(self, title: str) -> Group:
        """Declare a group of options."""
        group = Group(title)
        self.groups.append(group)
        return group

    def flags(self) -> dict[str, Option]:
        """Return every declared option by each of its flags."""
        return {flag: option for group in self.groups for option in group.options for flag in option.flags}

    def quickly(self, arguments: list[str]) -> Options | None:
        """Read what follows the verb, if it is right and each flag and each value is a word of its own; else None."""
        declared = self.flags()
        options = Options()
        for option in declared.values():
            if not hasattr(options, option.name):  # of several options for one value, the first has the default
                setattr(options, option.name, option.default)
        operands = []
        words = iter(arguments)
        for word in words:
            if not word.startswith("-"):
                operands.append(word)
            elif not _read(word, words, declared, options):
                return None
        wanted = self.operands
        least, most = (wanted.least, wanted.most) if wanted else (0, 0)
        if len(operands) < least or (most is not None and len(operands) > most):
            return None
        options.operands = operands
        return options


def _read(word: str, following: Iterator[str], declared: dict[str, Option], options: Options) -> bool:
    """Set what an option says, with the next word where its value is that. Returns whether it is surely right."""
    flag, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
    option = declared.get(flag)
    if option is None or (equals and not option.takes_value):
        return False
    if not option.takes_value:
        option.switch(options)
        return True
    if not equals:
        value = next(following, "-")
        if value.startswith("-"):
            return False
    try:
        option.take(options, value)
    except Exception:  # argparse will say what is wrong with it
        return False
    return True


def nearest(word: str, names: Iterable[str]) -> str:
    """Give the known name that a word was most likely meant to be, or an empty text."""
    import difflib

    found = difflib.get_close_matches(word, list(names), n=1, cutoff=0.6)
    return found[0] if found else ""


def one_of(*allowed: str) -> Callable[[str], str]:
    """Make a type for an option that takes one of these words."""

    def check(text: str) -> str:
        if text in allowed:
            return text
        near = nearest(text, allowed)
        raise _wrong(f"{text!r} is not {' or '.join(allowed)}" + (f" (did you mean {near}?)" if near else ""))

    return check


def at_least(least: int) -> Callable[[str], int]:
    """Make a type for an option that takes a whole number."""

    def check(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise _wrong(f"{text!r} is not a whole number") from None
        if value < least:
            raise _wrong(f"{value} is less than {least}")
        return value

    return check


def seed(text: str) -> int:
    """Read the seed of a random order: a whole number from 0 on."""
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    raise _wrong(f"{text!r} is no seed: it is a whole number from 0 on, and paths go before --shuffle")


def duration(text: str) -> float:
    """Read seconds: 0 or more, finite."""
    try:
        value = float(text)
    except ValueError:
        raise _wrong(f"{text!r} is not a number of seconds") from None
    if not 0 <= value < 1e9:
        raise _wrong(f"{text} is not a number of seconds from 0 on")
    return value


def _wrong(text: str) -> Exception:
    """Make the error that argparse expects of a type."""
    from argparse import ArgumentTypeError

    return ArgumentTypeError(text)


__all__ = ["Group", "Operands", "Options", "Parser", "at_least", "duration", "nearest", "one_of", "seed"]
