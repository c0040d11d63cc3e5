"""What a verb takes: argparse, with errors that name what would be right.

Runs in the client, on the quick path: imports argparse and little that argparse does not.
"""

from __future__ import annotations

import argparse
import os

from testd_daemon.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import NoReturn

#: pytest's own options that people try first; testd hands them over from the configuration.
_PYTEST_OPTIONS = (
    "-m", "-p", "-r", "-c", "-o", "-W", "--tb", "--strict-markers", "--import-mode", "--cov", "--durations",
    "--doctest-modules", "--runxfail", "--rootdir", "--confcutdir", "--deselect", "--ignore",
)  # fmt: skip
_INSTEAD = {
    "-n": "-j", "--numprocesses": "--jobs", "--ff": "--last-failed", "--failed-first": "--last-failed",
    "--exitfirst": "-x", "--capture": "-s", "--junit-xml": "--junitxml", "--snapshot-update": "--update-snapshots",
    "--workers": "--jobs", "--no-capture": "-s", "--nocapture": "-s",
}  # fmt: skip


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


class _Formatter(argparse.HelpFormatter):
    """Help in a width that is found without importing shutil (and with it every compression module)."""

    def __init__(self, prog: str, *_: object, **__: object) -> None:
        try:
            width = os.get_terminal_size().columns
        except OSError:
            width = 100
        super().__init__(prog, max_help_position=30, width=max(40, min(width, 100)))


class Parser(argparse.ArgumentParser):
    """The parser of one verb. Options and operands may come in any order; `--` ends the options."""

    def __init__(self, verb: str, summary: str, operands: Operands | None, epilog: str = "") -> None:
        """Make a parser for `testd VERB`; the verb's module adds the options."""
        usage = f"testd {verb} [OPTIONS]" + (f" {operands.usage()}" if operands else "")
        about = summary[0].upper() + summary[1:] + "." + (f" {operands.name}: {operands.summary}." if operands else "")
        super().__init__(
            f"testd {verb}", usage, about, epilog, formatter_class=_Formatter, allow_abbrev=False, add_help=False
        )
        self.add_argument("-h", "--help", action="help", help="show this")
        self._verb = verb
        self._operands = operands

    def parse(self, arguments: list[str]) -> argparse.Namespace:
        """Parse what follows the verb; `operands` of the result is a list. Raises UsageError."""
        options, after = arguments, []
        if "--" in arguments:
            cut = arguments.index("--")
            options, after = arguments[:cut], arguments[cut + 1 :]
        parsed, rest = self.parse_known_args(options)
        unknown = [word for word in rest if word.startswith("-") and word != "-"]
        if unknown:
            raise self._unknown(unknown[0])
        parsed.operands = rest + after
        self._count(parsed.operands)
        return parsed

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print and exit with."""
        text = message.replace("argument ", "", 1) if message.startswith("argument ") else message
        raise UsageError(f"{self._verb}: {text}", hint=f"`{self.prog} --help` shows what it takes.")

    def _count(self, operands: list[str]) -> None:
        wanted = self._operands or Operands("", 0, 0, "")
        if len(operands) < wanted.least:
            raise UsageError(f"{self._verb}: {wanted.name} is missing", hint=f"It is {wanted.summary}.")
        if wanted.most is not None and len(operands) > wanted.most:
            extra = operands[wanted.most]
            takes = f"at most {wanted.most} {wanted.name}" if wanted.most else "options only"
            raise UsageError(f"{self._verb}: unexpected argument: {extra}", hint=f"It takes {takes}.")

    def _unknown(self, word: str) -> UsageError:
        name = word.partition("=")[0]
        short = name[:2] if not name.startswith("--") else name
        known = [option for action in self._actions for option in action.option_strings]
        near = next((_INSTEAD[each] for each in (name, short) if _INSTEAD.get(each) in known), "")
        if not near and "-k" in known and any(each in _PYTEST_OPTIONS for each in (name, short)):
            hint = f'Options of pytest go into the configuration: pytest_args = ["{word}"] under [tool.testd]. '
        else:
            near = near or nearest(name, [option for option in known if option.startswith("--")])
            hint = f"Did you mean {near}? " if near else ""
        return UsageError(f"{self._verb}: unknown option: {word}", hint=f"{hint}`{self.prog} --help` lists them all.")


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
        raise argparse.ArgumentTypeError(
            f"{text!r} is not {' or '.join(allowed)}" + (f" (did you mean {near}?)" if near else "")
        )

    return check


def at_least(least: int) -> Callable[[str], int]:
    """Make a type for an option that takes a whole number."""

    def check(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is less than {least}")
        return value

    return check


def duration(text: str) -> float:
    """Read seconds: 0 or more, finite."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds from 0 on")
    return value


__all__ = ["Operands", "Parser", "at_least", "duration", "nearest", "one_of"]
