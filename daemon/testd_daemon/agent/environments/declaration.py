"""From a target's declaration to what is installed and to a name that changes when any of it does.

Runs in the agent; reads files, starts nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from testd_daemon.agent.environments import projects, requirement_files
from testd_daemon.agent.environments.request import EnvironmentRequest
from testd_daemon.errors import EnvironmentFault

__all__ = ["Declaration", "read"]

#: Changes when environments are made in another way, so that those of before are not taken for ours.
_EDITION: Final = b"1"
#: Options of pip that would install elsewhere, or not at all.
_REFUSED: Final = ("-t", "--target", "--prefix", "--root", "--user", "--python", "--dry-run", "--report")


class Declaration(msgspec.Struct, frozen=True):
    """What is to be installed, and the name of the environment that holds it."""

    name: str  # py3.9-0a1b2c…
    arguments: tuple[str, ...]  # for `pip install`, which runs in the workspace
    shown: str  # the same, as people are told


def read(request: EnvironmentRequest) -> Declaration:
    """Read a declaration and all that it refers to. Raises EnvironmentFault for what is not there or makes no sense."""
    entries = [*_with_extras(request), *_grouped(request)]
    found = requirement_files.Requirements()
    arguments: list[str] = []
    for entry in entries:
        words = requirement_files.split(entry)
        _check(request, words)
        requirement_files.read(found, words, request.workspace, _place(request, "install"))
        arguments += words
    digest = _digest(request, arguments, found)
    short = ".".join(request.version.split(".")[:2])
    shown = " ".join(entries) if len(entries) <= 6 else " ".join(entries[:5]) + f" and {len(entries) - 5} more"
    return Declaration(f"py{short}-{digest}", tuple(arguments), shown)


def _digest(request: EnvironmentRequest, arguments: list[str], found: requirement_files.Requirements) -> str:
    hashed = hashlib.blake2b(digest_size=10)

    def add(*parts: str | bytes) -> None:
        for part in parts:
            data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
            hashed.update(len(data).to_bytes(8, "big") + data)

    add(_EDITION, os.path.realpath(request.python), os.path.abspath(request.python), request.version, *arguments)
    for path, data in sorted(found.files.items()):
        add("file", path, data)
    for folder in found.editable:
        add("editable", folder)
        for name, data in projects.editable(folder):
            add(name, data)
    for path in found.copied:
        add("copied", path)
        for name, data in projects.copied(path):
            add(name, data)
    return hashed.hexdigest()


def _with_extras(request: EnvironmentRequest) -> list[str]:
    """Return the entries with the project's extras put behind the entry that installs it, or behind a new one."""
    if not request.extras:
        return list(request.install)
    _check_extras(request)
    extras = f"[{','.join(request.extras)}]"
    entries = list(request.install)
    for number, entry in enumerate(entries):
        words = requirement_files.split(entry)
        name, value = requirement_files.option(words)
        path = value if name in ("-e", "--editable") else entry
        if path in (".", "./") and name in ("", "-e", "--editable"):
            entries[number] = f"-e .{extras}" if name else f".{extras}"
            return entries
    return [f"-e .{extras}", *entries]


def _check_extras(request: EnvironmentRequest) -> None:
    project = projects.pyproject(request.workspace).get("project")
    if not isinstance(project, dict) or "optional-dependencies" in (project.get("dynamic") or ()):
        return  # the build backend knows
    known = {_normal(name): name for name in project.get("optional-dependencies") or {}}
    for extra in request.extras:
        if _normal(extra) not in known:
            raise EnvironmentFault(
                f"{_place(request, 'extras')}: the project has no extra {extra!r}",
                hint=_names("its extras are", known.values(), "it has none: see [project.optional-dependencies]"),
            )


def _grouped(request: EnvironmentRequest) -> list[str]:
    """Return the requirements of the dependency groups, those that they include among them."""
    if not request.groups:
        return []
    from dependency_groups import resolve  # 30 ms, and only a declaration with groups needs it

    table: Any = projects.pyproject(request.workspace).get("dependency-groups")
    place = _place(request, "groups")
    if not isinstance(table, dict) or not table:
        raise EnvironmentFault(
            f"{place}: {request.workspace}/pyproject.toml has no [dependency-groups]",
            hint=f"write them there, or leave out groups = {list(request.groups)}",
        )
    known = {_normal(name) for name in table}
    for name in request.groups:
        if _normal(name) not in known:
            raise EnvironmentFault(
                f"{place}: there is no dependency group {name!r}", hint=_names("the groups are", table, "")
            )
    try:
        return list(dict.fromkeys(resolve(table, *request.groups)))
    except (ValueError, TypeError, LookupError) as error:
        raise EnvironmentFault(
            f"{request.workspace}/pyproject.toml: [dependency-groups]: {error}",
            hint='a group is a list of requirements and of {include-group = "NAME"}',
        ) from error


def _check(request: EnvironmentRequest, words: list[str]) -> None:
    name, _ = requirement_files.option(words)
    if name in _REFUSED:
        raise EnvironmentFault(
            f"{_place(request, 'install')}: {' '.join(words)}: {name} cannot be used here",
            hint="what is listed is installed into an environment of its own",
        )
    if not words or not words[0]:
        raise EnvironmentFault(
            f"{_place(request, 'install')}: an empty entry", hint='write what pip installs, such as "pytest>=8"'
        )


def _place(request: EnvironmentRequest, key: str) -> str:
    return f"{request.source or request.target}: {key}"


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _names(words: str, names: Iterable[str], otherwise: str) -> str:
    listed = ", ".join(names)
    return f"{words} {listed}" if listed else otherwise
