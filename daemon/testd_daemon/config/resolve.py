"""From what is written to what counts: defaults, the file, the environment, the command line, in rising order.

Imported by the agent and `doctor`. Every value knows where it came from; every mistake is told with file, line, key,
what is allowed and the nearest valid name, all of them at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import msgspec

from testd_daemon.config.files import ConfigFile, read
from testd_daemon.config.schema import KEYS, Key, Settings
from testd_daemon.errors import ConfigError

__all__ = ["Explained", "Resolved", "explain", "resolve"]


class Resolved(msgspec.Struct, frozen=True):
    """The settings of a run. `sources` says of each key where its value came from."""

    settings: Settings
    sources: dict[str, str]
    notices: list[str]


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
    values = {key.name: key.read(key.default) for key in KEYS.values()}
    sources = dict.fromkeys(KEYS, "default")
    problems = _from_file(file, values, sources)
    problems += _from_environment(environment or {}, values, sources)
    problems += _from_options(options or {}, values, sources)
    if problems:
        raise _error(problems)
    notices = [f"{file.ignored}: [tool.testd] is not used, testd.toml takes its place"] if file.ignored else []
    return Resolved(Settings(**values), sources, notices)


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


def _from_file(file: ConfigFile, values: dict[str, Any], sources: dict[str, str]) -> list[tuple[str, str]]:
    problems = []
    for name, written in file.table.items():
        line = file.line(name)
        place = f"{file.path}:{line}" if line else file.path
        key = KEYS.get(name)
        if key is None:
            problems.append((f"{place}: unknown key {_full(file, name)}", _nearest(name)))
            continue
        try:
            values[name] = _value(key, written)
            sources[name] = place
        except ValueError as error:
            problems.append((f"{place}: {_full(file, name)}: {error}", f"{name} is {key.allowed}"))
    return problems


def _from_environment(
    environment: Mapping[str, str], values: dict[str, Any], sources: dict[str, str]
) -> list[tuple[str, str]]:
    problems = []
    for key in KEYS.values():
        written = environment.get(key.variable) if key.variable else None
        if not written:
            continue
        try:
            values[key.name] = _value(key, written)
            sources[key.name] = f"environment variable {key.variable}"
        except ValueError as error:
            problems.append((f"environment variable {key.variable}: {error}", f"{key.variable} is {key.allowed}"))
    return problems


def _from_options(options: Mapping[str, Any], values: dict[str, Any], sources: dict[str, str]) -> list[tuple[str, str]]:
    problems = []
    for key in KEYS.values():
        given = options.get(key.option) if key.option else None
        if given is None:
            continue
        try:
            values[key.name] = _value(key, given)
            sources[key.name] = f"command line {key.flag}"
        except ValueError as error:
            problems.append((f"{key.flag}: {error}", f"{key.flag} is {key.allowed}"))
    return problems


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


def _full(file: ConfigFile, name: str) -> str:
    return f"{file.section}.{name}" if file.section else name


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
