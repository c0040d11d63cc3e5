"""Which file holds the configuration, what it says, and on which line. Imported by `resolve.py`; reads files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from testd_daemon.errors import ConfigError

__all__ = ["ConfigFile", "read"]


class ConfigFile(msgspec.Struct, frozen=True):
    """One configuration as it was written. `table` is empty where the project has none."""

    path: str
    table: dict[str, Any]
    text: str
    section: str  # how the table is named in the file; empty for the file as a whole
    ignored: str = ""  # a second configuration, which does not count

    def line(self, *keys: str) -> int:
        """Return the line, from 1, on which a key stands, or 0 where it cannot be told."""
        section = self.section
        for number, text in enumerate(self.text.splitlines(), 1):
            header = re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", text)
            if header:
                section = header[1].replace(" ", "")
                if section == ".".join(filter(None, (self.section, *keys))):
                    return number
                continue
            prefix = section[len(self.section) :].lstrip(".") if section.startswith(self.section) else None
            if prefix is None:
                continue
            named = re.match(r"\s*([\w.\"'-]+)\s*=", text)
            if named and [*filter(None, prefix.split(".")), named[1].strip("\"'")] == list(keys):
                return number
        return 0


def read(workspace: str) -> ConfigFile:
    """Return the workspace's configuration: of testd.toml, else of pyproject.toml's `[tool.testd]`, else nothing.

    Raises ConfigError where a file cannot be read or is no TOML.
    """
    own, shared = Path(workspace, "testd.toml"), Path(workspace, "pyproject.toml")
    own_text, shared_text = _text(own), _text(shared)
    table = _tool(shared, shared_text)
    if own_text is not None:
        ignored = str(shared) if table is not None else ""
        return ConfigFile(str(own), _parse(own, own_text), own_text, "", ignored)
    return ConfigFile(str(shared) if table is not None else "", table or {}, shared_text or "", "tool.testd")


def _tool(path: Path, text: str | None) -> dict[str, Any] | None:
    """Return `[tool.testd]` of a pyproject.toml, None where it has none. Not ours: not parsed, whatever it holds."""
    if text is None or "testd" not in text:
        return None
    tool = _parse(path, text).get("tool", {})
    table = tool.get("testd") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise ConfigError(f"{path}: tool.testd is not a table", hint="write [tool.testd] and the keys below it")
    return table


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}", hint="make it a readable UTF-8 file") from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        table: dict[str, Any] = msgspec.toml.decode(text)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}", hint="see https://toml.io for the format") from error
    return table
