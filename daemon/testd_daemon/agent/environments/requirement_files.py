"""The lines of requirements files, and the files that they include. Runs in the agent; reads files."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator

import msgspec

from testd_daemon.errors import EnvironmentFault

__all__ = ["Requirements", "is_local", "option", "read", "split"]

_COMMENT = re.compile(r"(^|\s)#.*$")
_INCLUDE = ("-r", "--requirement", "--requirements", "-c", "--constraint", "--constraints")
_EDITABLE = ("-e", "--editable")


class Requirements(msgspec.Struct):
    """What a declaration reads beside itself, as absolute paths."""

    files: dict[str, bytes] = {}  # requirements, constraints and lock files, with what they hold
    editable: dict[str, None] = {}  # folders of projects that are used where they are; in order
    copied: dict[str, None] = {}  # local projects and archives of which a copy is installed


def split(entry: str) -> list[str]:
    """Return one entry of a declaration as arguments: an option is cut at its spaces, a requirement is one argument."""
    return shlex.split(entry) if entry.startswith("-") else [entry.strip()]


def option(words: list[str]) -> tuple[str, str]:
    """Return the option that a line begins with and its value; empty texts for a requirement."""
    first = words[0] if words else ""
    if first.startswith("--"):
        name, equals, value = first.partition("=")
        return name, value if equals else " ".join(words[1:])
    if first.startswith("-"):
        return first[:2], first[2:] or " ".join(words[1:])
    return "", ""


def is_local(requirement: str) -> bool:
    """Tell whether a requirement is a path rather than a name, by pip's rules."""
    bare = requirement.split(";")[0].strip()
    if bare.startswith("file:"):
        return True
    if "://" in bare or " @ " in bare:
        return "file:" in bare
    name = bare.split("[")[0]
    return name.startswith(".") or os.sep in name or name.endswith((".whl", ".tar.gz", ".zip"))


def read(found: Requirements, words: list[str], workspace: str, place: str, folder: str = "") -> None:
    """Add what one entry or line reads. `place`: where it is written.

    As with pip, which runs in the workspace: requirements files are relative to the file that includes them, whose
    `folder` it is, and projects to the workspace. Raises EnvironmentFault for a file or a folder that is not there.
    """
    name, value = option(words)
    if name in _INCLUDE:
        _include(found, value, workspace, place, folder or workspace)
    elif name in _EDITABLE:
        if is_local(value) or "://" not in value:
            found.editable[_local(value, workspace, place)] = None
    elif not name and words and is_local(words[0]):
        found.copied[_local(words[0], workspace, place)] = None


def _include(found: Requirements, value: str, workspace: str, place: str, folder: str) -> None:
    if "://" in value:
        return  # its text counts, what is behind it is as unknown as a package index
    path = os.path.normpath(os.path.join(folder, value))
    if path in found.files:
        return
    try:
        with open(path, "rb") as file:
            found.files[path] = file.read()
    except OSError as error:
        raise EnvironmentFault(
            f"{place}: {value}: {error.strerror} ({path})",
            hint="write the path of a requirements file, relative to the file that names it",
        ) from error
    if os.path.basename(path).startswith("pylock.") or path.endswith(".toml"):
        return
    for number, line in lines(found.files[path]):
        words = line.split() if line.startswith("-") else [line]
        read(found, words, workspace, f"{path}:{number}", os.path.dirname(path))


def lines(data: bytes) -> Iterator[tuple[int, str]]:
    """Yield the number and text of each line that says something; a line that ends with a backslash goes on."""
    begun, number = "", 0
    for count, text in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        number = number or count
        begun += _COMMENT.sub("", text) if not begun else " " + _COMMENT.sub("", text).strip()
        if begun.endswith("\\"):
            begun = begun[:-1]
            continue
        if begun.strip():
            yield number, begun.strip()
        begun, number = "", 0
    if begun.strip():
        yield number, begun.strip()


def _local(text: str, folder: str, place: str) -> str:
    bare = text.split(";")[0].strip()
    if " @ " in bare:
        bare = bare.partition(" @ ")[2].strip()
    bare = bare.removeprefix("file://localhost").removeprefix("file://").removeprefix("file:")
    bare = bare.partition("#")[0]
    if not bare.endswith((".whl", ".tar.gz", ".zip")):
        bare = bare.partition("[")[0]
    path = os.path.normpath(os.path.join(folder, bare or "."))
    if "://" not in bare and not os.path.exists(path):
        raise EnvironmentFault(f"{place}: {text}: there is no {path}", hint="write a path relative to the workspace")
    return path
