"""What a look at this machine comes to. Runs in `testd targets`."""

from __future__ import annotations

from typing import Literal

import msgspec

from testd_daemon.errors import TestdError

__all__ = ["Found", "Kind", "unusable"]

Kind = Literal["target", "python", "node", "engine", "host"]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One thing on which tests could run.

    `usable` is None for what was not tried. `place` is a path, an address, or where it is written.
    """

    kind: Kind
    name: str  # of a target, or what `--target` takes for it; an engine's or a host's own
    place: str = ""
    version: str = ""
    usable: bool | None = True
    facts: list[str] = []
    problem: str = ""  # why it is not usable
    fix: str = ""
    detail: str = ""


def unusable(kind: Kind, name: str, error: TestdError, place: str = "", version: str = "") -> Found:
    """Return what cannot be used, with the error that says why."""
    return Found(
        kind=kind, name=name, place=place, version=version, usable=False, problem=error.message, fix=error.hint,
        detail=error.detail,
    )  # fmt: skip
