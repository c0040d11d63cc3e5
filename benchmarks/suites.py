"""Real test suites of other projects: pinned source distributions, each unpacked beside an environment of its own.

Run by people and by `scripts/test`; imports the standard library only, so that any Python from 3.10 on can run it.

    python benchmarks/suites.py                     prepare the seven of the fidelity check
    python benchmarks/suites.py --all               those and the ones that need more care
    python benchmarks/suites.py click --root DIR    one of them, elsewhere

The cache is `$TESTD_SUITES`, or `~/.cache/testd-suites`. What is there already is kept; a suite whose pins changed is
built again. Source distributions come from the package index through pip: nothing of them is kept in this repository.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

__all__ = [
    "EVERY",
    "PYTEST",
    "SEVEN",
    "Prepared",
    "Suite",
    "SuiteError",
    "beside",
    "choose",
    "default_root",
    "environ",
    "environment_only",
    "main",
    "prepare",
]

#: Installing one suite's requirements on a slow machine with an empty cache, compiling included.
INSTALL_DEADLINE = 600.0
PYTEST = "pytest==9.2.0"
PEERS = ("pytest-xdist==3.8.0", "karva==0.0.1a13")
#: Part of the fingerprint: a change to how suites are prepared rebuilds them.
LAYOUT = 1


class SuiteError(Exception):
    """A suite could not be prepared: which one, at what step, and what the step said."""


@dataclass(frozen=True, kw_only=True)
class Suite:
    """One project: its pinned release, what its tests need, and what its authors pass to pytest."""

    name: str
    version: str
    requirements: tuple[str, ...] = (PYTEST,)
    environment: dict[str, str] = field(default_factory=dict)
    long: bool = False  # its tests take longer than those of all others together: what uses it begins with it
    jobs: int | None = None  # at most so many workers at once: some tests cannot run beside each other
    peers: bool = False  # with the runners that testd is measured against; they would load into plain pytest too

    def with_peers(self) -> Suite:
        """Return the same suite with the peers in its environment."""
        return replace(self, requirements=(*self.requirements, *PEERS), peers=True)

    @property
    def fingerprint(self) -> str:
        """What the prepared environment depends on, as a short hash."""
        source = [LAYOUT, self.name, self.version, self.requirements, sys.version_info[:3], sys.base_prefix]
        return hashlib.sha256(json.dumps(source).encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Where a prepared suite is."""

    suite: Suite
    project: Path
    venv: Path

    @property
    def python(self) -> Path:
        """The interpreter of the suite's environment."""
        return self.venv / "bin" / "python"

    def environ(self) -> dict[str, str]:
        """Return the variables under which to run the suite: its environment activated, its own options set."""
        return environ(self.venv) | self.suite.environment


def environ(venv: Path) -> dict[str, str]:
    """Return this process's variables with `venv` activated, without what would change how pytest or testd runs."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "PYTHON", "TESTD_"))}
    path = f"{venv / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return kept | {"VIRTUAL_ENV": str(venv), "PATH": path}


SEVEN = (
    Suite(name="click", version="8.5.1"),
    Suite(name="h11", version="0.16.0"),
    Suite(name="itsdangerous", version="2.2.0", requirements=(PYTEST, "freezegun==1.5.5")),
    Suite(name="markupsafe", version="3.0.4"),
    Suite(name="marshmallow", version="4.4.0", requirements=(PYTEST, "simplejson==4.3.0")),
    Suite(
        name="packaging",
        version="26.3",
        long=True,
        requirements=(PYTEST, "hypothesis==6.170.15", "pretend==1.0.9", "tomli_w==1.2.0"),
    ),
    # One test writes a file of the project that another one reads: beside each other, either may find it empty.
    Suite(name="tomlkit", version="0.15.2", requirements=(PYTEST, "PyYAML==6.0.3"), jobs=1),
)

#: With their traps: a test server that never ends, hypothesis in every test, a release that needs an older pytest, a
#: library that takes longer to import than the tests to run.
OTHERS = (
    Suite(
        name="attrs",
        version="26.1.0",
        requirements=(PYTEST, "hypothesis==6.170.15", "cloudpickle==3.1.2", "pympler==1.1"),
    ),
    Suite(
        name="flask",
        version="3.1.3",
        requirements=("pytest==8.4.2", "werkzeug==3.1.9", "asgiref==3.13.0", "greenlet==3.5.6", "python-dotenv==1.2.4"),
    ),
    Suite(name="jinja2", version="3.1.6", requirements=(PYTEST, "trio==0.35.0")),
    Suite(name="numpy-financial", version="1.0.0", requirements=(PYTEST, "numpy==2.3.5")),
    Suite(
        name="werkzeug",
        version="3.1.9",
        requirements=(
            PYTEST,
            "cffi==2.1.1",
            "cryptography==50.0.2",
            "ephemeral-port-reserve==1.1.4",
            "pytest-timeout==2.4.0",
            "watchdog==6.0.0",
        ),
        environment={"PYTEST_ADDOPTS": "-m 'not dev_server'"},
    ),
)
EVERY = SEVEN + OTHERS


def prepare(suite: Suite, root: Path) -> Prepared:
    """Unpack `suite` below `root` and build its environment, unless both are there already.

    The environment's marker is written last: an interrupted preparation is done again, never trusted.
    Raises SuiteError.
    """
    project = root / "projects" / f"{suite.name}-{suite.version}"
    venv = root / "environments" / (suite.name if not suite.peers else f"{suite.name}-peers")
    _unpack(suite, root, project)
    # Editable: the tests of a project in development see its sources, not a copy of them.
    _environment(suite, venv, ["--editable", str(project), *suite.requirements])
    return Prepared(suite=suite, project=project, venv=venv)


def beside(suite: Suite, plain: Prepared, root: Path, what: str) -> Prepared:
    """Build one more environment for a prepared suite, with other requirements; `what` tells it from its own.

    Raises SuiteError.
    """
    venv = root / "environments" / f"{suite.name}-{what}"
    _environment(suite, venv, ["--editable", str(plain.project), *suite.requirements])
    return Prepared(suite=suite, project=plain.project, venv=venv)


def environment_only(suite: Suite, root: Path, project: Path) -> Prepared:
    """Build the environment of `suite` for a project that needs no installation. Raises SuiteError."""
    venv = root / "environments" / suite.name
    _environment(suite, venv, suite.requirements)
    return Prepared(suite=suite, project=project, venv=venv)


def _environment(suite: Suite, venv: Path, requirements: Iterable[str]) -> None:
    marker = venv / ".prepared"
    with contextlib.suppress(OSError):
        if marker.read_text() == suite.fingerprint:
            return
    shutil.rmtree(venv, ignore_errors=True)
    python, pip = str(venv / "bin" / "python"), [sys.executable, "-m", "pip"]
    if find_spec("ensurepip"):
        _run(suite, "create its environment", [sys.executable, "-m", "venv", str(venv)])
        pip[0] = python
    else:  # a system's Python may have been packaged without it
        _run(suite, "create its environment", [sys.executable, "-m", "venv", "--without-pip", str(venv)])
        pip += ["--python", python]
    _run(suite, "install its requirements", [*pip, "install", "--quiet", *requirements])
    marker.write_text(suite.fingerprint)


def _unpack(suite: Suite, root: Path, project: Path) -> None:
    if project.is_dir():
        return
    archives = root / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    pattern = f"{suite.name}-{suite.version}.tar.gz"
    if not (archives / pattern).is_file():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-binary", ":all:", "--no-deps"]
        _run(suite, "download it", [*command, "--dest", str(archives), f"{suite.name}=={suite.version}"])
    project.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=project.parent, prefix=".unpack-") as folder:
        with tarfile.open(archives / pattern) as archive:
            _extract(archive, Path(folder))
        (content,) = Path(folder).iterdir()
        content.rename(project)


def _extract(archive: tarfile.TarFile, folder: Path) -> None:
    if hasattr(tarfile, "data_filter"):
        archive.extractall(folder, filter="data")
        return
    for member in archive.getmembers():  # Pythons without extraction filters: refuse what they would refuse
        if member.name.startswith("/") or ".." in Path(member.name).parts or not (member.isfile() or member.isdir()):
            raise SuiteError(f"{archive.name!r}: will not unpack {member.name}")
    archive.extractall(folder)


def _run(suite: Suite, step: str, command: list[str]) -> None:
    """Run a preparation step; what it printed is part of the error, not of our output."""
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, encoding="utf-8", errors="replace", timeout=INSTALL_DEADLINE
        )
    except subprocess.TimeoutExpired as error:
        raise SuiteError(f"{suite.name}: could not {step} within {INSTALL_DEADLINE:.0f} s") from error
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise SuiteError(f"{suite.name}: could not {step} (exit {done.returncode}): {shlex.join(command)}\n{tail}")


def default_root() -> Path:
    """Return the cache: outside of the repository, shared by its clones."""
    chosen = os.environ.get("TESTD_SUITES")
    if chosen:
        return Path(chosen).expanduser().resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "testd-suites"


def choose(names: Iterable[str], every: bool = False) -> Iterator[Suite]:
    """Yield the suites of these names; without names the seven, or every one. Raises SuiteError."""
    known = {suite.name: suite for suite in EVERY}
    wanted = list(names)
    for name in wanted:
        if name not in known:
            raise SuiteError(f"unknown suite {name!r}: choose from {', '.join(sorted(known))}")
    if wanted:
        yield from (known[name] for name in dict.fromkeys(wanted))
    else:
        yield from EVERY if every else SEVEN


def main() -> int:
    """Prepare suites and print where they are."""
    parser = argparse.ArgumentParser(description="Prepare real test suites to run testd on.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a suite; none: the seven of the fidelity check")
    parser.add_argument("--all", action="store_true", help="every suite")
    parser.add_argument("--root", type=Path, default=default_root(), help="where to keep them (%(default)s)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # the step that runs ends as well
    try:
        for suite in choose(options.names, options.all):
            found = prepare(suite, options.root.resolve())
            extra = "".join(f" {key}={shlex.quote(value)}" for key, value in suite.environment.items())
            print(f"{suite.name} {suite.version}: cd {found.project} && VIRTUAL_ENV={found.venv}{extra}", flush=True)
    except SuiteError as error:
        print(f"suites: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
