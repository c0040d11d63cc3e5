"""`testd suite export`: write suites of cases as tests of a framework.

Runs in the client, when asked for.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from testd import workspace
from testd.functions import documents
from testd_daemon.cli.arguments import Operands
from testd_daemon.cli.here import here
from testd_daemon.cli.run import SUITE
from testd_daemon.errors import UsageError
from testd_daemon.exchange.files import put
from testd_daemon.exchange.pytest_file import awaited, exported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from testd_daemon.cli.arguments import Options, Parser

__all__ = ["EPILOG", "OPERANDS", "arguments", "main"]

OPERANDS = Operands("FRAMEWORK SUITE", 2, None, f"the word pytest, and files of suites (*{SUITE})")
EPILOG = "Exit status: 0 all of it is there, 1 some of it has no counterpart, and is told, 4 usage."


def arguments(parser: Parser) -> None:
    """Add what `testd suite export` takes."""
    parser.add_argument("--to", metavar="FOLDER", help="where the files are written; else beside the suites")
    parser.add_argument("--force", action="store_true", help="replace files that are there")


def main(options: Options) -> int:
    """Write a file for each suite. Returns the exit status."""
    framework, *files = options.operands
    if framework != "pytest":
        hint = "Write testd suite export pytest SUITE."
        raise UsageError(f"suite export: nothing is known of {framework!r}", hint=hint)
    modules = _Modules(Path(workspace.find(here(), files)[0]))
    problems: list[str] = []
    for file in map(Path, files):
        found = exported(_suite(file), modules.is_async)
        name = file.name.removesuffix(SUITE).replace("-", "_").replace(".", "_")
        path = Path(options.to or file.parent, f"test_{name}.py")
        put(path, found.source, force=options.force)
        sys.stdout.write(f"{path}\n")
        problems += found.problems
    sys.stderr.writelines(f"not in it: {problem}\n" for problem in problems)
    return 1 if problems else 0


def _suite(file: Path) -> dict[str, Any]:
    try:
        document = documents.read(str(file))
    except documents.DocumentError as error:
        raise UsageError(f"{file}: {error}", hint=f"A suite is a file as *{SUITE}.") from error
    wrong = [problem for part in document.parts for problem in part.problems]
    if document.kind != "suite" or wrong:
        hint = "Only a suite that is right can be exported."
        raise UsageError(f"{file}: {wrong[0] if wrong else 'it is a run file'}", hint=hint)
    suite: dict[str, Any] = json.loads(file.read_text("utf-8-sig"))
    return suite


class _Modules:
    """The project's modules as they are written: nothing is imported."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._sources: dict[str, str] = {}

    def is_async(self, module: str, name: str) -> bool:
        """Tell whether a function is to be awaited, as far as its module is found in the project."""
        if module not in self._sources:
            place = module.replace(".", "/")
            there = (self._root / folder / place for folder in ("", "src"))
            files = (path for base in there for path in (base.with_suffix(".py"), base / "__init__.py"))
            found = next((path for path in files if path.is_file()), None)
            self._sources[module] = found.read_text("utf-8") if found is not None else ""
        try:
            return awaited(self._sources[module], name)
        except SyntaxError:
            return False
