"""The Node.js versions that tests run on: those on this machine, and npm's `node` packages in a cache of the tests.

`TESTD_TEST_NODES` (`18,20,22`) names those that have to be here: one that is missing and cannot be installed fails,
nothing is skipped; `nodes` in `TESTD_TEST_NEEDS` means all that are supported. Without them, what is found is used,
what is missing is installed where npm is, and the rest is told as left out.
"""

from __future__ import annotations

import fcntl
import functools
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

#: The major versions that the runner is tried on.
SUPPORTED = ("18", "20", "22")
#: Seconds for npm to fetch one version, and to say whether its registry has it at all.
INSTALL_DEADLINE = 600
ASK_DEADLINE = 30
#: By its own settings npm tries a registry that does not answer for more than a minute.
_QUICKLY = [
    "--fetch-retries=1", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=1000", "--fetch-timeout=10000",
]  # fmt: skip
#: Version → why it is left out, once `found` has looked.
left_out: dict[str, str] = {}


def cache() -> Path:
    """Return the folder outside of the project in which tests keep what they install."""
    return Path(os.environ.get("TESTD_TEST_CACHE") or Path.home() / ".cache" / "testd-tests")


@functools.cache
def found() -> dict[str, str]:
    """Return major version → path of each Node.js that answers.

    Raises:
        AssertionError: one that `TESTD_TEST_NODES` asks for is not here and cannot be installed.
    """
    wanted = [name.strip() for name in os.environ.get("TESTD_TEST_NODES", "").split(",") if name.strip()]
    if "nodes" in os.environ.get("TESTD_TEST_NEEDS", "").split(","):
        wanted = wanted or list(SUPPORTED)
    here: dict[str, str] = {}
    problems: dict[str, str] = {}
    for version in wanted or SUPPORTED:
        path, problems[version] = _find(version)
        if path:
            here[version] = path
    missing = [version for version in wanted if version not in here]
    assert not missing, f"the tests need Node.js {', '.join(missing)}: {problems[missing[0]]}"
    left_out.update({version: problems[version] for version in SUPPORTED if not wanted and version not in here})
    return here


def _find(version: str) -> tuple[str, str]:
    """Return the path of a Node.js of a major version, or nothing and why."""
    installed = cache() / "node" / version / "node_modules" / "node" / "bin" / "node"
    for candidate in (shutil.which("node"), str(installed)):
        if candidate and _answers(candidate, version):
            return candidate, ""
    npm = shutil.which("npm")
    if npm is None:
        return "", "it is not on PATH, and there is no npm to install it with"
    problem = _once(installed, lambda: _answers(str(installed), version) or _install(npm, version))
    return ("", problem) if problem else (str(installed), "")


def _once(installed: Path, make: Callable[[], bool | str]) -> str:
    """Make something that is kept, and return why that failed.

    Of the processes of one test session (pytest-xdist gives them one id) the first one makes it, and what has failed
    fails for all of them; the next session tries again.
    """
    folder = installed.parents[3]
    folder.mkdir(parents=True, exist_ok=True)
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")
    with (folder / ".lock").open("a+", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        tried, _, problem = lock.read().partition("\n")
        if not session or tried != session or installed.exists():
            made = make()
            problem = "" if made is True else str(made)
            lock.truncate(0)
            lock.write(f"{session}\n{problem}")
        return problem


def _install(npm: str, version: str) -> bool | str:
    """Have npm fetch a version into the cache. Returns why it could not."""
    folder = cache() / "node" / version
    asked = _npm(npm, ["view", f"node@{version}", "version", *_QUICKLY], ASK_DEADLINE)
    if asked:
        return f"npm cannot find it: {asked}"
    options = ["--no-audit", "--no-fund", "--prefix", str(folder)]
    problem = _npm(npm, ["install", *options, f"node@{version}"], INSTALL_DEADLINE, cwd=folder)
    if problem:
        return f"npm could not install it: {problem}"
    installed = folder / "node_modules" / "node" / "bin" / "node"
    return _answers(str(installed), version) or f"{installed} does not run"


def _npm(npm: str, arguments: list[str], deadline: float, cwd: Path | None = None) -> str:
    """Run npm, and return in a line what went wrong."""
    command = [npm, "--json", "--loglevel=error", "--no-update-notifier", *arguments]
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=deadline, check=False)
    except subprocess.TimeoutExpired:
        return f"no answer within {deadline:g} s to npm {' '.join(arguments[:2])}"
    if not done.returncode:
        return ""
    try:
        return str(json.loads(done.stdout)["error"]["summary"]).splitlines()[0]
    except (ValueError, LookupError, TypeError):
        return done.stderr.strip()[-500:] or f"npm exited with status {done.returncode}"


def _answers(path: str, version: str) -> bool:
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and answer.stdout.startswith(f"v{version}.")
