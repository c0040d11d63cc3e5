"""The keys of the configuration: type, default, meaning, what is allowed. Imported by `resolve.py` and `doctor`.

One table. A key that is added here is read, checked, explained and documented (a test compares docs/configuration.md).
`[tool.testd]` describes the target that is always there; `[tool.testd.targets.NAME]` are tables of the same keys, and
have its values where they say nothing else. What says where a target runs is `own`: a named target does not inherit it.
What concerns the workspace as a whole is `whole`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from testd_daemon.config import units
from testd_protocol.messages import Kind

__all__ = ["KEYS", "Key", "Settings"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What is configured, in the units that the agent works with: seconds, bytes, memory in KiB."""

    kind: Kind | Literal["auto"] = "auto"
    python: str = ""
    mode: Literal["worker", "bin"] = "worker"
    jobs: int = 0
    timeout: float = 600.0
    job_timeout: float = 0.0
    memory_limit: int = 0
    paths: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    actions: dict[str, str] = {}
    run_files: str = ""
    trace: dict[str, Any] = {}
    pytest_args: tuple[str, ...] = ()
    fork: bool = True
    record: bool = True
    preload: bool = True
    split: Literal["auto", "never"] = "auto"
    environment: dict[str, str] = {}
    passthrough: tuple[str, ...] = ("*",)
    volatile: tuple[str, ...] = ()
    output_limit: int = 8 * 1024 * 1024
    capture_limit: int = 64 * 1024
    idle_runners: int = 2
    runner_age: float = 6 * 3600.0
    node: str = ""
    docker: str = ""
    ssh: str = ""
    install: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    engine: str = ""
    memory: int = 0
    cpus: float = 0.0
    network: str = ""
    ssh_config: str = ""
    host_cache: str = ""
    silence: float = 20.0
    default_targets: tuple[str, ...] = ()
    require: bool = False
    clear: bool = True
    keep_traces: int = 1000
    keep_traces_for: float = 30 * 86400.0


class Key(msgspec.Struct, frozen=True):
    """One key: `written` is the type in the file, `read` makes of it the value in `Settings` (raises ValueError)."""

    name: str
    written: Any
    allowed: str
    meaning: str
    default: Any  # as it would be written
    read: Callable[[Any], Any] = lambda value: value
    variable: str = ""  # the environment variable that sets it
    option: str = ""  # the field of a run's request that sets it
    flag: str = ""  # how that is spelled on the command line
    whole: bool = False  # of the workspace, not of a target
    own: bool = False  # a named target does not inherit it


def _silence(value: float | str) -> float:
    seconds = units.duration(value)
    if not 2 <= seconds <= 3600:
        raise ValueError
    return seconds


def _jobs(value: int | str) -> int:
    if value == "auto":
        return 0
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 128:
        return value
    if isinstance(value, str) and value.isdigit() and 1 <= int(value) <= 128:
        return int(value)
    raise ValueError(f"{value!r} is no number of workers")


def _flag(value: bool | str) -> bool:
    if isinstance(value, bool):
        return value
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if value.lower() in words:
        return words[value.lower()]
    raise ValueError(f"{value!r} is neither true nor false")


def _limit(value: int | str) -> int:
    found = units.size(value)
    if not 1024 <= found <= 1024**3:
        raise ValueError(f"{value!r} is not between 1 KiB and 1 GiB")
    return found


def _count(value: int) -> int:
    if not 0 <= value <= 16:
        raise ValueError(f"{value} is not between 0 and 16")
    return value


def _number(value: int) -> int:
    if value < 0:
        raise ValueError(f"{value} is less than 0")
    return value


def _cpus(value: float) -> float:
    if not 0 <= value <= 1024:
        raise ValueError(f"{value} is no number of processors")
    return float(value)


def _functions(value: dict[str, str]) -> dict[str, str]:
    for name, place in value.items():
        if not re.fullmatch(r"[\w./@-]+:[\w.]+", place):
            raise ValueError(f"{name}: {place!r} is no function: write module:function")
    return value


def _trace(value: dict[str, Any]) -> dict[str, Any]:
    from testd.tracing.configured import configured  # few projects have it

    configured(value)
    return value


def _one_of(*names: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in names:
            raise ValueError(f"{value!r} is none of these")
        return value

    return read


_DURATION = 'seconds as a number, or text such as "90s", "2 min", "1h"; 0 is no limit'
_SIZE = 'bytes as a number, or text such as "64KiB", "8 MiB"; from 1 KiB to 1 GiB'

#: Every key, by name.
KEYS: dict[str, Key] = {
    key.name: key
    for key in (
        Key("kind", str, '"auto", "pytest" or "exports"', "which kind of test files the project has", "auto",
            _one_of("auto", "pytest", "exports"), variable="TESTD_KIND"),
        Key("python", str, 'a path, or a version such as "3.12"', "the interpreter that runs the tests", "",
            variable="TESTD_PYTHON", own=True),
        Key("mode", str, '"worker" (fork from what is warm) or "bin" (a new process for each job)',
            "how user code is run", "worker", _one_of("worker", "bin"), variable="TESTD_MODE", option="mode",
            flag="--mode"),
        Key("jobs", int | str, '"auto" (as many as there are processors), or a number from 1 to 128',
            "how many workers a run has at most", "auto", _jobs, variable="TESTD_JOBS", option="jobs", flag="--jobs",
            whole=True),
        Key("timeout", float | str, _DURATION, "how long one test may take", 600, units.duration,
            variable="TESTD_TIMEOUT", option="timeout", flag="--timeout"),
        Key("job_timeout", float | str, _DURATION, "how long one job, the tests of a file, may take", 0,
            units.duration),
        Key("memory_limit", float | str, 'a size such as "2GiB", a share of the machine such as "80%", or 0: no limit',
            "how much memory one worker may use", "80%", units.memory, variable="TESTD_MEMORY_LIMIT"),
        Key("paths", list[str], "a list of files and folders, relative to the workspace",
            "what runs where the command line names nothing", [], tuple),
        Key("suites", list[str], "a list of files and folders, relative to the workspace",
            "where suites of cases are looked for", [], tuple),
        Key("actions", dict[str, str], 'a table of actions and functions such as "tools.hooks:prepare"',
            "what is called before an item of a run file that has the action", {}, _functions),
        Key("run_files", str, "a folder, relative to the workspace; empty: none",
            "where run files are carried out that somebody puts there", "", whole=True),
        Key("trace", dict[str, Any], "a table of modules, include, exclude, redact, and limits of a record",
            "which functions are traced, and how much of a call is recorded", {}, _trace),
        Key("pytest_args", list[str], "a list of pytest's options", "what pytest is given in front of the paths", [],
            tuple),
        Key("fork", bool | str, "true or false", "whether workers may be forked from a process that is kept", True,
            _flag, variable="TESTD_FORK"),
        Key("record", bool | str, "true or false", "whether it is recorded what each test has used", True, _flag,
            variable="TESTD_RECORD"),
        Key("preload", bool | str, "true or false", "whether modules from outside of the project are loaded ahead",
            True, _flag, variable="TESTD_PRELOAD"),
        Key("split", str, '"auto" or "never"', "whether a file that dominates a run may be shared between workers",
            "auto", _one_of("auto", "never")),
        Key("environment", dict[str, str], "a table of names and text", "variables that are set for user code", {}),
        Key("passthrough", list[str], 'a list of names, "*" stands for any characters',
            "which of the caller's environment variables user code gets", ["*"], tuple),
        Key("volatile", list[str], 'a list of names, "*" stands for any characters',
            "environment variables whose change does not make a runner cold", [], tuple),
        Key("output_limit", int | str, _SIZE, "how much of what one test prints is shown live", "8MiB", _limit),
        Key("capture_limit", int | str, _SIZE, "how much of each captured section is kept", "64KiB", _limit),
        Key("node", str, 'a path, or a version such as "22"', "the Node.js that runs the tests", "", own=True),
        Key("docker", str, 'the name of an image, such as "python:3.12"', "the image in whose container tests run", "",
            own=True),
        Key("ssh", str, 'a host as ssh takes it: "build1", "user@host"', "the host on which tests run", "", own=True),
        Key("install", list[str], 'a list of what pip installs: "-e .", "pytest>=8", "-r requirements.txt"',
            "what is installed into an environment that testd makes for the target", [], tuple, own=True),
        Key("groups", list[str], "a list of dependency groups of pyproject.toml",
            "dependency groups that are installed into it", [], tuple, own=True),
        Key("extras", list[str], "a list of the project's extras", "extras of the project that are installed into it",
            [], tuple, own=True),
        Key("engine", str, '"docker" or "podman"; empty: the first that is found', "the program that runs containers",
            "", _one_of("", "docker", "podman")),
        Key("memory", int | str, 'bytes as a number, or text such as "2GiB"; 0 is no limit',
            "how much memory a container may use", 0, units.size),
        Key("cpus", float, "a number of processors such as 1.5; 0 is no limit",
            "how much processor time a container may use", 0.0, _cpus),
        Key("network", str, 'a network of the engine such as "none" or "bridge"; empty: the engine\'s default',
            "what a container can reach", ""),
        Key("ssh_config", str, "a path; empty: ~/.ssh/config", "the configuration file that ssh reads", ""),
        Key("host_cache", str, "a path on the host; empty: ~/.cache/testd",
            "where a host keeps the runner's code and the workspace's files", ""),
        Key("silence", float | str, 'seconds from 2 to 3600, or text such as "1m"',
            "after how long without a sign of life a host's connection is taken for lost", 20, _silence),
        Key("default_targets", list[str], 'a list of targets, or ["all"]',
            "where tests run when the command line names no target", [], tuple, variable="TESTD_TARGETS", whole=True),
        Key("require", bool | str, "true or false", "whether a target that is not usable makes the run fail", False,
            _flag, variable="TESTD_REQUIRE", option="require", flag="--require", whole=True),
        Key("clear", bool | str, "true or false",
            "whether `testd watch` clears the terminal when something has changed", True, _flag,
            variable="TESTD_CLEAR", flag="--no-clear", whole=True),
        Key("keep_traces", int, "a number; 0 is no limit", "how many traces of applications are kept", 1000, _number,
            whole=True),
        Key("keep_traces_for", float | str, _DURATION, "for how long a trace is kept", "720h", units.duration,
            whole=True),
        Key("idle_runners", int, "a number from 0 to 16", "how many runners a target keeps warm between runs", 2,
            _count, whole=True),
        Key("runner_age", float | str, _DURATION, "after how long a runner is replaced", "6h", units.duration,
            whole=True),
    )
}  # fmt: skip
