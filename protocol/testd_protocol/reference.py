"""The reference of all messages as Markdown, from the classes themselves: names, types, defaults, docstrings, comments.

    python -m testd_protocol.reference docs/protocol.md

replaces what is between the markers in that file. No process imports this. A field's meaning is the comment behind it.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from testd_protocol import directions, documents, messages
from testd_protocol.examples import EXAMPLES
from testd_protocol.framing import HEADER, encode
from testd_protocol.vectors import plain

__all__ = ["BEGIN", "END", "meanings", "rendered", "replaced"]

BEGIN = "<!-- made by `python -m testd_protocol.reference docs/protocol.md` from here -->"
END = "<!-- to here -->"
_FIELD = re.compile(r"^    (\w+): (.+?)(?: = (.+?))?(?:  # (.+))?$")


def meanings(struct: type[msgspec.Struct]) -> dict[str, tuple[str, str, str]]:
    """Return field → its type, default and meaning, as the class's source has them."""
    source = inspect.getsource(struct).splitlines()
    found = (match for match in map(_FIELD.match, source) if match)
    return {match[1]: (match[2], match[3] or "", match[4] or "") for match in found}


def rendered() -> str:
    """Return the whole generated part."""
    return "\n".join(_lines())


def replaced(page: str) -> str:
    """Return the page with its generated part made anew.

    Raises:
        ValueError: the markers are missing.

    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page needs both markers:\n{BEGIN}\n{END}")
    return f"{before}{BEGIN}\n\n{rendered()}\n\n{END}{after}"


def _lines() -> Iterator[str]:
    yield from ("### Which message goes where", "", "| direction | union | messages |", "|---|---|---|")
    for direction in directions.DIRECTIONS:
        names = ", ".join(_link(member) for member in directions.members(direction))
        yield f"| {direction.route} | `{direction.union}` | {names} |"
    seen: set[type[msgspec.Struct]] = set()
    for direction in directions.DIRECTIONS:
        new = [member for member in directions.members(direction) if member not in seen]
        seen.update(new)
        yield from ("", f"### {direction.route}", "", direction.about)
        for member in new:
            yield from _struct(member, "####")
    yield from _bytes()
    yield from ("", "### Documents", "", "The values inside messages.")
    for name in documents.__all__:
        value = getattr(documents, name)
        yield from _struct(value, "####") if isinstance(value, type) else _alias(name, value)


def _struct(struct: type[msgspec.Struct], level: str) -> Iterator[str]:
    yield from ("", f"{level} {struct.__name__}", "", *inspect.cleandoc(struct.__doc__ or "").splitlines())
    if issubclass(struct, messages.Message):
        routes = directions.of(struct)
        if len(routes) > 1:
            yield from ("", f"Travels {', '.join(routes)}.")
    fields = meanings(struct)
    if not fields:
        yield from ("", "No fields.")
        return
    head = (
        "| # | type | field | meaning |"
        if struct.__struct_config__.array_like
        else "| field | type | default | meaning |"
    )
    yield from ("", head, "|---|---|---|---|")
    for position, (name, (kind, default, meaning)) in enumerate(fields.items()):
        kind = kind.replace("|", "\\|")
        if struct.__struct_config__.array_like:
            yield f"| {position} | `{kind}` | `{name}` | {meaning} |"
        else:
            yield f"| `{name}` | `{kind}` | {f'`{default}`' if default else 'required'} | {meaning} |"


def _bytes() -> Iterator[str]:
    yield from ("", "### Byte-exact examples", "", "Whole frames, the length first. All others are in the vectors.")
    for name in ("Ping", "JobCompleted", "Unsupported"):
        data = encode(EXAMPLES[name])
        value = json.dumps(plain(EXAMPLES[name]))
        yield from ("", f"`{value}`, {len(data) - HEADER} bytes:", "", "```text")
        yield data[:HEADER].hex(" ")
        yield from (data[at : at + 16].hex(" ") for at in range(HEADER, len(data), 16))
        yield "```"


def _alias(name: str, value: Any) -> Iterator[str]:
    choices = ", ".join(f"`{choice}`" for choice in value.__args__)
    yield from ("", f"#### {name}", "", f"One of {choices}.")


def _link(message: type[messages.Message]) -> str:
    return f"[{message.__name__}](#{message.__name__.lower()})"


def main() -> None:
    """Bring the page that the first argument names up to date."""
    path = Path(sys.argv[1])
    path.write_text(replaced(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
