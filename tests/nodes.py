"""The Node.js versions that tests run on: those on this machine, and npm's `node` packages in a cache of the tests.

`TESTD_TEST_NODES` (`18,20,22`) names those that have to be here: one that is missing and cannot be installed fails,
nothing is skipped; `nodes` in `TESTD_TEST_NEEDS` means all that are supported. Without them, what is found is used,
what is missing is installed where npm is, and the rest is told as left out.
"""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
from pathlib import Path

#: The major versions that the runner is tried on.
SUPPORTED = ("18", "20", "22")
#: Seconds for npm to fetch one version.
INSTALL_DEADLINE = 600
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
    folder = cache() / "node" / version
    installed = folder / "node_modules" / "node" / "bin" / "node"
    for candidate in (shutil.which("node"), str(installed)):
        if candidate and _answers(candidate, version):
            return candidate, ""
    npm = shutil.which("npm")
    if npm is None:
        return "", "it is not on PATH, and there is no npm to install it with"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:  # another test process may be at it
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _answers(str(installed), version):
            options = ["--no-audit", "--no-fund", "--silent", "--prefix", str(folder)]
            command = [npm, "install", *options, f"node@{version}"]
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_DEADLINE, check=False
            )
            if done.returncode:
                return "", f"npm could not install it: {done.stderr.strip()[-500:]}"
    return (str(installed), "") if _answers(str(installed), version) else ("", f"{installed} does not run")


def _answers(path: str, version: str) -> bool:
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and answer.stdout.startswith(f"v{version}.")
