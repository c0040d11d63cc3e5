"""From what is written to what counts: defaults, the file, the environment, the command line, in rising order.

Imported by the agent and `doctor`. Every value knows where it came from; every mistake is told with file, line, key,
what is allowed and the nearest valid name, all of them at once.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from testd_daemon.config.files import ConfigFile, read
from testd_daemon.config.schema import KEYS, Key, Settings
from testd_daemon.errors import ConfigError

__all__ = ["Explained", "Resolved", "Target", "explain", "resolve"]

#: The tables of named targets. No key: each of them has the keys.
_TARGETS: Final = "targets"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
#: What says where a target runs: at most one of them.
_PLACES: Final = ("node", "docker", "ssh")
#: What a named target has in common with the others.
_SHARED: Final = [key for key in KEYS.values() if not key.own]


class Target(msgspec.Struct, frozen=True):
    """One target's settings, and where each came from. An empty name: it will be named after its interpreter."""

    name: str
    settings: Settings
    sources: dict[str, str]


class Resolved(msgspec.Struct, frozen=True):
    """What counts for a run: `base` is the target that is always there, `targets` are those with a table.

    `shared` is what a target has of which nothing is written but its name: all but what says where it runs.
    """

    base: Target
    targets: dict[str, Target]
    shared: Target
    notices: list[str]

    @property
    def settings(self) -> Settings:
        """The settings of the target that is always there, and of the workspace."""
        return self.base.settings

    @property
    def sources(self) -> dict[str, str]:
        """Where each of them came from."""
        return self.base.sources


class Explained(msgspec.Struct, frozen=True):
    """One value as `doctor` shows it."""

    key: str
    value: str
    source: str
    meaning: str
    allowed: str


def resolve(
    workspace: str, environment: Mapping[str, str] | None = None, options: Mapping[str, Any] | None = None
) -> Resolved:
    """Return what counts for a run in this workspace.

    `environment` is the caller's, `options` the fields of its request (None: not given). Raises ConfigError with every
    mistake that was found.
    """
    file = read(workspace)
    problems: list[tuple[str, str]] = []
    layers = _Layers(file, environment or {}, options or {}, problems)
    base = layers.base()
    targets = layers.named()
    if problems:
        raise _error(problems)
    notices = [f"{file.ignored}: [tool.testd] is not used, testd.toml takes its place"] if file.ignored else []
    return Resolved(base, targets, layers.shared(), notices)


class _Layers:
    """The defaults and what lies above them. Mistakes go to `problems`; a wrong value leaves the one below it."""

    def __init__(
        self,
        file: ConfigFile,
        environment: Mapping[str, str],
        options: Mapping[str, Any],
        problems: list[tuple[str, str]],
    ) -> None:
        self._file = file
        self._environment = environment
        self._options = options
        self._problems = problems
        self._values = {key.name: key.read(key.default) for key in KEYS.values()}
        self._sources = dict.fromkeys(KEYS, "default")
        table = {name: value for name, value in file.table.items() if name != _TARGETS}
        self._take((), table, self._values, self._sources)
        self._check_place((), self._values)

    def base(self) -> Target:
        """What `[tool.testd]`, the environment and the command line say."""
        values, sources = dict(self._values), dict(self._sources)
        self._above(values, sources, self._problems, KEYS.values())
        return Target("", Settings(**values), sources)

    def shared(self) -> Target:
        """The same without what only the target that is always there has."""
        values, sources = self._inherited()
        self._above(values, sources, [], _SHARED)  # a mistake in there was told with those of the base
        return Target("", Settings(**values), sources)

    def named(self) -> dict[str, Target]:
        """What each `[tool.testd.targets.NAME]` says over that."""
        tables = self._file.table.get(_TARGETS, {})
        if not isinstance(tables, dict):
            text = f"{self._place(_TARGETS)}: {self._full(_TARGETS)}: expected a table"
            self._problems.append((text, f"write [{self._full(_TARGETS, 'NAME')}]"))
            return {}
        found = {}
        for name, table in tables.items():
            if not _NAME.fullmatch(name) or name == "all":
                text = f"{self._place(_TARGETS, name)}: {name!r} cannot be the name of a target"
                self._problems.append((text, 'use letters, digits, ".", "-", "_" and "+", and not the word all'))
            elif not isinstance(table, dict):
                text = f"{self._place(_TARGETS, name)}: {self._full(_TARGETS, name)}: expected a table"
                self._problems.append((text, f"write [{self._full(_TARGETS, name)}] and the keys below it"))
            else:
                found[name] = self._target(name, table)
        return found

    def _target(self, name: str, table: Mapping[str, Any]) -> Target:
        values, sources = self._inherited()
        self._take((_TARGETS, name), table, values, sources)
        self._check_place((_TARGETS, name), values)
        self._above(values, sources, [], _SHARED)  # a mistake in there was told with those of the base
        return Target(name, Settings(**values), sources)

    def _inherited(self) -> tuple[dict[str, Any], dict[str, str]]:
        values, sources = dict(self._values), dict(self._sources)
        for key in KEYS.values():
            if key.own:
                values[key.name], sources[key.name] = key.read(key.default), "default"
        return values, sources

    def _take(
        self, keys: tuple[str, ...], table: Mapping[str, Any], values: dict[str, Any], sources: dict[str, str]
    ) -> None:
        """Lay a table of the file over what is there."""
        for name, written in table.items():
            place = self._place(*keys, name)
            key = KEYS.get(name)
            if key is None:
                self._problems.append((f"{place}: unknown key {self._full(*keys, name)}", _nearest(name)))
            elif keys and key.whole:
                text = f"{place}: {self._full(*keys, name)}: this is of the workspace, not of a target"
                self._problems.append((text, f"move it to [{self._full()}]" if self._full() else "move it to the top"))
            else:
                try:
                    values[name] = _value(key, written)
                    sources[name] = place
                except ValueError as error:
                    text = f"{place}: {self._full(*keys, name)}: {error}"
                    self._problems.append((text, f"{name} is {key.allowed}"))

    def _check_place(self, keys: tuple[str, ...], values: Mapping[str, Any]) -> None:
        """A target runs at one place, and only for an interpreter of this machine an environment can be made."""
        places = [name for name in _PLACES if values[name]]
        made = [name for name in ("install", "groups", "extras") if values[name]]
        where = self._place(*keys, *places[:1])
        if len(places) > 1:
            text = f"{where}: {self._full(*keys) or 'the configuration'}: {' and '.join(places)} exclude each other"
            self._problems.append((text, "make a target of each"))
        elif places and made:
            text = f"{where}: {self._full(*keys, made[0])}: an environment is made for local interpreters only"
            self._problems.append((text, f"leave {made[0]} out, or {places[0]}"))

    def _above(
        self,
        values: dict[str, Any],
        sources: dict[str, str],
        problems: list[tuple[str, str]],
        keys: Collection[Key],
    ) -> None:
        """Lay the environment and the command line over these keys."""
        for key in keys:
            written = self._environment.get(key.variable) if key.variable else None
            if not written:
                continue
            try:
                values[key.name] = _value(key, written)
                sources[key.name] = f"environment variable {key.variable}"
            except ValueError as error:
                problems.append((f"environment variable {key.variable}: {error}", f"{key.variable} is {key.allowed}"))
        for key in keys:
            given = self._options.get(key.option) if key.option else None
            if given is None:
                continue
            try:
                values[key.name] = _value(key, given)
                sources[key.name] = f"command line {key.flag}"
            except ValueError as error:
                problems.append((f"{key.flag}: {error}", f"{key.flag} is {key.allowed}"))

    def _place(self, *keys: str) -> str:
        line = self._file.line(*keys)
        return f"{self._file.path}:{line}" if line else self._file.path

    def _full(self, *keys: str) -> str:
        return ".".join(filter(None, (self._file.section, *keys)))


def _error(problems: list[tuple[str, str]]) -> ConfigError:
    """Return one error for all mistakes; each keeps what would be right beside it."""
    if len(problems) == 1:
        return ConfigError(problems[0][0], hint=problems[0][1])
    return ConfigError("\n".join(f"{text} ({hint})" for text, hint in problems))


def explain(resolved: Resolved) -> list[Explained]:
    """Return every value with its source and meaning, in the schema's order."""
    return [
        Explained(key.name, _shown(key, getattr(resolved.settings, key.name)), resolved.sources[key.name],
                  key.meaning, key.allowed)
        for key in KEYS.values()
    ]  # fmt: skip


def _value(key: Key, written: Any) -> Any:
    """Check the type and read the value. Raises ValueError with what is wrong."""
    try:
        converted = msgspec.convert(written, key.written)
    except msgspec.ValidationError as error:
        raise ValueError(_plainly(str(error))) from None
    return key.read(converted)


def _plainly(text: str) -> str:
    """Say a type error in TOML's words."""
    words = {"`str`": "text", "`int`": "a number", "`float`": "a number", "`bool`": "true or false",
             "`array`": "a list", "`object`": "a table", "`str | int`": "a number or text",
             "`int | str`": "a number or text", "`float | str`": "a number or text",
             "`str | float`": "a number or text", "`bool | str`": "true or false",
             "`str | bool`": "true or false"}  # fmt: skip
    for word, plain in words.items():
        text = text.replace(word, plain)
    return text.replace("Expected", "expected").replace(" - at `$", " at `").replace("at `[...]`", "in the list")


def _nearest(name: str) -> str:
    close = difflib.get_close_matches(name, KEYS, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"the keys are {', '.join(KEYS)}"


def _shown(key: Key, value: Any) -> str:
    match value:
        case tuple():
            return "[" + ", ".join(f'"{part}"' for part in value) + "]"
        case dict():
            return "{" + ", ".join(f'{name} = "{part}"' for name, part in value.items()) + "}"
        case bool():
            return "true" if value else "false"
        case int() if key.name == "jobs" and value == 0:
            return "auto"
        case int() if key.name == "memory_limit":
            return f"{value / 1024:.0f} MiB" if value else "no limit"
        case int() if key.name.endswith("_limit"):
            return f"{value / 1024:g} KiB"
        case float():
            return f"{value:g} s" if value else "no limit"
        case _:
            return str(value) or "not set"
