"""Which targets a run is for: tables of the configuration, and names that need no table. Pure.

Runs in the agent. Beside the names of tables:

    3.9  py3.9          the interpreter of that version; 3.13t the free-threaded one; pypy3.10 is PyPy's
    node22  node:22     the Node.js of that version; node: the one on PATH
    docker:IMAGE        a container, with docker; podman:IMAGE with podman
    ssh:HOST            a host
    all                 every target that has a table

A name with and without a table never means two things.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from testd_daemon.config.resolve import Resolved, Target
from testd_daemon.errors import UsageError
from testd_protocol.messages import Kind

__all__ = ["choose"]

_PYTHON: Final = re.compile(r"(?:py|python|cpython)?-?(\d+\.\d+t?)", re.IGNORECASE)
_PYPY: Final = re.compile(r"pypy-?(\d+\.\d+)", re.IGNORECASE)
_NODE: Final = re.compile(r"node(?:[:@-]?v?(\d+(?:\.\d+)*))?", re.IGNORECASE)
_FORMS: Final = "a version such as 3.9, node22, docker:IMAGE, ssh:HOST, or all"


def choose(resolved: Resolved, named: Iterable[str], kind: Kind | None = None) -> list[Target]:
    """Return the targets that are meant, each once, in the order of their names on the command line.

    Without names: the configured `default_targets`, else the target that is always there. `kind`: of the tests, in the
    place of what is configured. Raises UsageError for a name that means nothing, or means two things.
    """
    chosen = _chosen(resolved, list(named))
    return [_of_kind(target, kind) for target in chosen] if kind is not None else chosen


def _chosen(resolved: Resolved, wanted: list[str]) -> list[Target]:
    source = "--target"
    if not wanted:
        wanted, source = list(resolved.settings.default_targets), resolved.sources["default_targets"]
    if not wanted:
        return [resolved.base]
    found: dict[str, Target] = {}
    for name in wanted:
        for target in _meant(resolved, name, source):
            found.setdefault(target.name, target)
    return list(found.values())


def _of_kind(target: Target, kind: Kind) -> Target:
    """Return a target for another kind of tests, which are elsewhere."""
    paths = (target.settings.suites or (".",)) if kind == "cases" else target.settings.paths
    return msgspec.structs.replace(target, settings=msgspec.structs.replace(target.settings, kind=kind, paths=paths))


def _meant(resolved: Resolved, name: str, source: str) -> list[Target]:
    if name in resolved.targets:
        return [resolved.targets[name]]
    if name == "all":
        return list(resolved.targets.values()) or [resolved.base]
    parsed = _parse(name)
    if parsed is None:
        near = difflib.get_close_matches(name, resolved.targets, n=1, cutoff=0.6)
        configured = (
            f"the configured targets are {', '.join(resolved.targets)}" if resolved.targets else "none is configured"
        )
        hint = f"did you mean {near[0]}?" if near else f"{configured}; without a table: {_FORMS}"
        raise UsageError(f"{source}: unknown target {name!r}", hint=hint)
    canonical, own = parsed
    configured_one = resolved.targets.get(canonical)
    if configured_one is not None:
        differing = [key for key, value in own.items() if getattr(configured_one.settings, key) != value]
        if differing:
            raise UsageError(
                f"{source}: {name!r} would be named {canonical}, and the configuration has another target of that name",
                hint=f"use --target {canonical} for that one, or rename its table",
            )
        return [configured_one]
    settings = msgspec.structs.replace(resolved.shared.settings, **own)
    sources = {**resolved.shared.sources, **dict.fromkeys(own, f"{source} {name}")}
    return [Target(canonical, settings, sources)]


def _parse(name: str) -> tuple[str, dict[str, Any]] | None:
    """Return the name of a target that has no table, and what it says; None for what has no such form."""
    kind, colon, rest = name.partition(":")
    if colon and rest and kind in ("docker", "podman"):
        return name, {"docker": rest, "engine": "podman" if kind == "podman" else ""}
    if colon and rest and kind == "ssh":
        return name, {"ssh": rest}
    if version := _PYTHON.fullmatch(name):
        return f"py{version[1]}".lower(), {"python": version[1].lower()}
    if version := _PYPY.fullmatch(name):
        return f"pypy{version[1]}", {"python": f"pypy{version[1]}"}
    if version := _NODE.fullmatch(name):
        return f"node{version[1] or ''}", {"node": version[1] or "node"}
    return None
