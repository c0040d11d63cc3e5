"""What verbs share that list entries of the history: how many, in which format, and the JSON. Runs in the client."""

from __future__ import annotations

import sys

from testd_daemon.cli.arguments import at_least, one_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from testd_daemon.cli.arguments import Parser

__all__ = ["add_arguments", "write_json"]


def add_arguments(parser: Parser, *, shown: str, line: str) -> None:
    """Add `--limit` and `--format`; `shown` is what the verb shows, `line` what a line of its JSON is."""
    parser.add_argument("--limit", type=at_least(1), default=20, metavar="N", help=f"show at most N {shown} (20)")
    parser.add_argument("--format", type=one_of("text", "json"), default="text", metavar="text|json",
                        help=f"json: one {line} a line (docs/json-events.md)")  # fmt: skip


def write_json(entries: Iterable[Mapping[str, Any]]) -> None:
    """Print one entry a line."""
    import json

    sys.stdout.write("".join(json.dumps(entry) + "\n" for entry in entries))
