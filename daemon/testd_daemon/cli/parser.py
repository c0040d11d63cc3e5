"""argparse for a verb's declared arguments, with errors that name what would be right.

Runs in the client where a command line asks for help, is wrong, or is written in a way that only argparse reads.
"""

from __future__ import annotations

import argparse
import os

from testd_daemon.cli.arguments import Operands, Options, nearest
from testd_daemon.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from testd_daemon.cli.arguments import Parser

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


class _Formatter(argparse.HelpFormatter):
    """Help in a width that is found without importing shutil (and with it every compression module)."""

    def __init__(self, prog: str, *_: object, **__: object) -> None:
        try:
            width = os.get_terminal_size().columns
        except OSError:
            width = 100
        super().__init__(prog, max_help_position=30, width=max(40, min(width, 100)))


class FullParser(argparse.ArgumentParser):
    """The whole parser of one verb."""

    def __init__(self, declared: Parser) -> None:
        """Take over what the verb's module declared."""
        operands = declared.operands
        usage = f"testd {declared.verb} [OPTIONS]" + (f" {operands.usage()}" if operands else "")
        about = declared.summary[0].upper() + declared.summary[1:] + "."
        about += f" {operands.name}: {operands.summary}." if operands else ""
        super().__init__(
            f"testd {declared.verb}", usage, about, declared.epilog,
            formatter_class=_Formatter, allow_abbrev=False, add_help=False,
        )  # fmt: skip
        self.add_argument("-h", "--help", action="help", help="show this")
        for group in declared.groups:
            into = self.add_argument_group(group.title) if group.title else self
            for option in group.options:
                into.add_argument(*option.flags, **option.settings)
        self._declared = declared

    def parse(self, arguments: list[str]) -> Options:
        """Parse what follows the verb; `operands` of the result is a list. Raises UsageError."""
        options, after = arguments, []
        if "--" in arguments:
            cut = arguments.index("--")
            options, after = arguments[:cut], arguments[cut + 1 :]
        parsed, rest = self.parse_known_args(options, Options())
        unknown = [word for word in rest if word.startswith("-") and word != "-"]
        if unknown:
            raise self._unknown(unknown[0])
        parsed.operands = rest + after
        self._count(parsed.operands)
        return parsed

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print and exit with."""
        text = message.replace("argument ", "", 1) if message.startswith("argument ") else message
        raise UsageError(f"{self._declared.verb}: {text}", hint=f"`{self.prog} --help` shows what it takes.")

    def _count(self, operands: list[str]) -> None:
        verb = self._declared.verb
        wanted = self._declared.operands or Operands("", 0, 0, "")
        if len(operands) < wanted.least:
            raise UsageError(f"{verb}: {wanted.name} is missing", hint=f"It is {wanted.summary}.")
        if wanted.most is not None and len(operands) > wanted.most:
            extra = operands[wanted.most]
            takes = f"at most {wanted.most} {wanted.name}" if wanted.most else "options only"
            raise UsageError(f"{verb}: unexpected argument: {extra}", hint=f"It takes {takes}.")

    def _unknown(self, word: str) -> UsageError:
        name = word.partition("=")[0]
        short = name[:2] if not name.startswith("--") else name
        known = [flag for action in self._actions for flag in action.option_strings]
        near = next((_INSTEAD[each] for each in (name, short) if _INSTEAD.get(each) in known), "")
        if not near and "-k" in known and any(each in _PYTEST_OPTIONS for each in (name, short)):
            hint = f'Options of pytest go into the configuration: pytest_args = ["{word}"] under [tool.testd]. '
        else:
            near = near or nearest(name, [option for option in known if option.startswith("--")])
            hint = f"Did you mean {near}? " if near else ""
        verb = self._declared.verb
        return UsageError(f"{verb}: unknown option: {word}", hint=f"{hint}`{self.prog} --help` lists them all.")


__all__ = ["FullParser"]
