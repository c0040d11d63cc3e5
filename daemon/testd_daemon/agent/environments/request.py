"""What an environment is to be made of. Pure; runs in the agent."""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["DEADLINE", "EnvironmentRequest"]

#: Seconds that making an environment may take: large packages over slow lines, or an extension that is compiled.
DEADLINE: Final = 1200.0


class EnvironmentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A target's declaration, and what it is read and built with."""

    target: str  # as it is named to people
    python: str  # path of the interpreter that the environment is for
    version: str  # of that interpreter: 3.9.18
    workspace: str
    cache: str  # the cache folder; environments are kept in a folder of it
    install: tuple[str, ...] = ()  # as pip takes it: "-e .", "pytest>=8", "-r requirements.txt"
    groups: tuple[str, ...] = ()  # names in pyproject.toml's [dependency-groups]
    extras: tuple[str, ...] = ()  # names of the project's extras
    environment: dict[str, str] = {}  # the caller's variables: PATH, proxies, what steers pip and uv
    source: str = ""  # where the declaration stands, such as "pyproject.toml:12"
    again: bool = False  # try what failed once more, though nothing changed
    deadline: float = DEADLINE
