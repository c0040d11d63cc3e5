"""What `testd doctor` looks at. Each check works alone: a broken configuration or a missing daemon hides nothing else.

Runs in the client; imports the configuration and the agent's choosers, starts interpreters to ask what they are, never
loads user code.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from testd import workspace
from testd_daemon import runtime
from testd_daemon.agent import interpreter, kind
from testd_daemon.cli.running import running_daemon
from testd_daemon.config import Resolved, explain, read, resolve
from testd_daemon.errors import RuntimeFolderError, TestdError
from testd_daemon.reports import words
from testd_protocol.version import PROTOCOL, __version__

#: Less than this (bytes) and the journal may soon have no room.
LITTLE_SPACE = 256 * 1024 * 1024
#: Seconds that an interpreter may take to say which pytest it has.
PROBE_DEADLINE = 20.0
_PROBE = """
import json, platform, sys
try:
    from importlib.metadata import distributions
    found = {str(d.metadata["Name"]).lower(): d.version for d in distributions() if d.metadata["Name"]}
except Exception as error:
    found = {}
print(json.dumps([platform.python_version(), platform.python_implementation(), found]))
"""
#: What changes how tests are run when it is installed beside pytest, and what testd does about it.
_PLUGINS = {
    "pytest-xdist": "-n has no meaning here: testd spreads tests over its own workers",
    "pytest-forked": "--forked has no meaning here: testd forks its own workers",
    "pytest-asyncio": "", "anyio": "", "hypothesis": "", "pytest-cov": "", "pytest-timeout": "",
    "pytest-randomly": "", "pytest-django": "", "trio": "",
}  # fmt: skip


@dataclass(frozen=True)
class Fact:
    """One thing that was found."""

    name: str
    value: str
    source: str = ""
    default: bool = False  # nobody asked for it: shown with -v


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and what puts it right."""

    what: str
    fix: str
    detail: str = ""


@dataclass
class Section:
    """What one check found."""

    title: str
    facts: list[Fact] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def fact(self, name: str, value: str, source: str = "", *, default: bool = False) -> None:
        """Add a fact."""
        self.facts.append(Fact(name, value, source, default))

    def problem(self, what: str, fix: str, detail: str = "") -> None:
        """Add a problem."""
        self.problems.append(Problem(what, fix, detail))

    def error(self, error: TestdError) -> None:
        """Add an error of ours as a problem."""
        self.problem(error.message, error.hint, error.detail)


def check_up(cwd: str, environment: Mapping[str, str]) -> Iterator[Section]:
    """Look at everything, in the order in which a run would need it."""
    yield check_testd()
    yield check_folders()
    yield check_daemon()
    root, mark = workspace.find(cwd)
    section, resolved = check_configuration(root, mark, environment)
    yield section
    yield check_target(root, resolved, environment)


def check_testd() -> Section:
    """Say which testd this is."""
    section = Section("testd")
    section.fact("version", f"{__version__}, protocol {PROTOCOL}")
    section.fact("installed in", str(Path(__file__).resolve().parents[2]))
    section.fact("runs on", f"{platform.python_implementation()} {platform.python_version()}", sys.executable)
    section.fact(
        "machine", f"{platform.system()} {platform.machine()}, {words.number(os.cpu_count() or 1, 'processor')}"
    )
    return section


def check_folders() -> Section:
    """Say where things are kept, and whether there is room."""
    section = Section("folders")
    try:
        folders = runtime.folders()
        folders.check_socket_path()
    except RuntimeFolderError as error:
        section.error(error)
        return section
    for name, path in (("runtime", folders.runtime), ("state", folders.state), ("cache", folders.cache)):
        nearest = _nearest_existing(path)
        free = shutil.disk_usage(nearest).free
        section.fact(
            name, f"{path}, {words.memory(free // 1024)} free", "" if nearest == Path(path) else "not made yet"
        )
        if not os.access(nearest, os.W_OK | os.X_OK):
            section.problem(f"{nearest} cannot be written", f"Give it to your user, or set TESTD_{name.upper()}_DIR.")
        elif free < LITTLE_SPACE:
            section.problem(f"{path} has only {words.memory(free // 1024)} of room", "Free some space on that disk.")
    found = Path(folders.runtime)
    if found.exists() and (found.stat().st_uid != os.geteuid() or found.stat().st_mode & 0o077):
        section.problem(f"{found} is not private", f"chmod 700 {found}, or set TESTD_RUNTIME_DIR to a folder of yours.")
    return section


def check_daemon() -> Section:
    """Say whether a daemon answers, and of which version."""
    section = Section("daemon")
    try:
        folders = runtime.folders()
        section.fact("socket", folders.socket)
        section.fact("log", folders.log)
        client = running_daemon()
        if client is None:
            stale = Path(folders.socket).exists()
            section.fact("running", "no; `testd run` starts one" + (" and removes the stale socket" if stale else ""))
            return section
        with client:
            status = client.status()
        section.fact("running", f"version {status['version']}, pid {status['pid']}")
        for agent in status["agents"]:
            said = f"{agent['state']}, {words.number(agent['restarts'], 'restart')}"
            section.fact("agent", said, agent["workspace"])
    except TestdError as error:
        section.error(error)
    return section


def check_configuration(root: str, mark: str, environment: Mapping[str, str]) -> tuple[Section, Resolved | None]:
    """Say what is configured, and where each value comes from. A broken configuration is told, and left out after."""
    section = Section("configuration")
    section.fact("workspace", root, mark)
    try:
        section.fact("file", read(root).path or "none; the defaults count")
        resolved = resolve(root, environment)
    except TestdError as error:
        section.error(error)
        return section, _without_file(environment)
    for notice in resolved.notices:
        section.problem(notice, "Remove one of the two.")
    for value in explain(resolved):
        section.fact(value.key, value.value, value.source, default=value.source == "default")
    return section, resolved


def check_target(root: str, resolved: Resolved | None, environment: Mapping[str, str]) -> Section:
    """Say which interpreter would run the tests and why, what it has, and of which kind the tests are."""
    section = Section("target")
    configured = resolved.settings.python if resolved else ""
    source = resolved.sources["python"] if resolved else "default"
    try:
        choice = interpreter.choose(configured, source, root, environment, sys.executable)
    except TestdError as error:
        section.error(error)
        return section
    section.fact("interpreter", choice.path, choice.source)
    asked = _ask(choice.path, environment)
    if isinstance(asked, Problem):
        section.problems.append(asked)
        return section
    version, implementation, packages = asked
    section.fact("python", f"{implementation} {version}")
    if tuple(int(part) for part in version.split(".")[:2]) < (3, 8):
        section.problem(
            f"{choice.path} is Python {version}; 3.8 is the oldest that works", "Choose a newer interpreter."
        )
    _kind(section, root, resolved, packages, choice.path)
    _forking(section, resolved)
    return section


def _kind(section: Section, root: str, resolved: Resolved | None, packages: Mapping[str, str], python: str) -> None:
    found = kind.detect(root, pytest="pytest" in packages)
    configured = resolved.settings.kind if resolved else "auto"
    name, reason = (found.kind, found.reason) if configured == "auto" else (configured, resolved.sources["kind"])  # type: ignore[union-attr]
    section.fact("kind", name, reason)
    section.fact("pytest", packages.get("pytest", "not installed"))
    if name == "pytest" and "pytest" not in packages:
        section.problem(f"{python} has no pytest", f"{python} -m pip install pytest, or choose another interpreter "
                        'with python = "…" under [tool.testd].')  # fmt: skip
    present = [f"{plugin} {packages[plugin]}" for plugin in _PLUGINS if plugin in packages]
    if present:
        section.fact("beside it", ", ".join(present))
    for plugin, note in _PLUGINS.items():
        if note and plugin in packages:
            section.fact("note", f"{plugin}: {note}")


def _forking(section: Section, resolved: Resolved | None) -> None:
    if not hasattr(os, "fork"):
        section.fact("warm workers", "no: this system cannot fork; every job is a new process")
    elif resolved and not resolved.settings.fork:
        section.fact("warm workers", "no: fork is off", resolved.sources["fork"])
    elif resolved and resolved.settings.mode == "bin":
        section.fact("warm workers", "no: mode is bin", resolved.sources["mode"])
    else:
        caution = "; on macOS set fork = false if tests crash in system libraries" if sys.platform == "darwin" else ""
        section.fact(
            "warm workers", f"yes; a suite that starts threads while it is collected falls back to bin{caution}"
        )


def _ask(python: str, environment: Mapping[str, str]) -> tuple[str, str, dict[str, str]] | Problem:
    """Ask an interpreter what it is and which distributions it has."""
    fix = "Repair or remake the environment."
    try:
        done = subprocess.run(
            [python, "-c", _PROBE], env=dict(environment), capture_output=True, text=True, timeout=PROBE_DEADLINE,
            check=False, stdin=subprocess.DEVNULL, cwd="/",
        )  # fmt: skip
        if done.returncode == 0:
            version, implementation, found = json.loads(done.stdout)
            return str(version), str(implementation), dict(found)
        return Problem(f"{python} does not run as a Python interpreter", fix, done.stderr.strip())
    except subprocess.TimeoutExpired:
        return Problem(f"{python} gave no answer for {PROBE_DEADLINE:g} s", fix)
    except (OSError, ValueError) as error:
        return Problem(f"{python} does not run as a Python interpreter", fix, str(error))


def _without_file(environment: Mapping[str, str]) -> Resolved | None:
    try:
        return resolve(os.devnull, environment)
    except TestdError:
        return None


def _nearest_existing(path: str) -> Path:
    return next(each for each in (Path(path), *Path(path).parents) if each.exists())


__all__ = ["Fact", "Problem", "Section", "check_up"]
