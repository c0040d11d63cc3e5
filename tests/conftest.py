"""Fixtures for tests of whole daemons: each has folders of its own, and nothing of it may outlive its test."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))  # the comparison is tested, and used

from container_engine import Engine, NoEngine, engine
from house import House
from podman_engine import podman
from ssh_hosts import Hosts, NoHosts, hosts

# How long an example takes, or is drawn, depends on what else the machine does: neither is a fault.
settings.register_profile("testd", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("testd")

# A script that starts the tests in the background makes them ignore interrupts, nohup the end of their terminal, and
# what they start would inherit that. A handler, other than the order to ignore, is not inherited.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)

#: What would change how a daemon under test behaves, or where it looks.
_NOT_INHERITED = ("TESTD_", "PYTEST_", "XDG_", "VIRTUAL_ENV", "NOTIFY_SOCKET", "LISTEN_", "WATCHDOG_")
_KEPT = ("TESTD_TEST_PYTHONS",)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the workers of one session (pytest-xdist) have in common."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def runner_cache(shared_folder: Path) -> Path:
    """One cache for the daemons of tests, with the runner's code, which the first one compiles.

    A test that has something installed there takes one of its own.
    """
    cache = shared_folder / "cache"
    cache.mkdir(mode=0o700, exist_ok=True)
    return cache


@pytest.fixture
def house(runner_cache: Path) -> Iterator[House]:
    """A daemon's folders (`runtime`, `environment`, `processes()`). Fails the test if a process or a file survives."""
    inherited = {key: value for key, value in os.environ.items() if key in _KEPT or not key.startswith(_NOT_INHERITED)}
    inherited["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # hypothesis' plugin costs a second at each start
    with House(inherited) as house:
        house.environment["TESTD_CACHE_DIR"] = str(runner_cache)
        yield house
        house.stop()
        left = sorted(path.name for path in house.runtime.iterdir()) if house.runtime.is_dir() else []
        assert not left, f"left in the runtime folder: {left}"


@pytest.fixture
def daemon_env(house: House) -> dict[str, str]:
    """The variables under which a client finds the test's own daemon, and no other."""
    return house.environment


def _leave_out(need: str, why: str) -> NoReturn:
    """Leave a test out, and say so; fail where `TESTD_TEST_NEEDS` (`engine,hosts`) says that it must run."""
    if need in os.environ.get("TESTD_TEST_NEEDS", "").split(","):
        pytest.fail(f"TESTD_TEST_NEEDS has {need}: {why}")
    pytest.skip(f"left out, {why}")


@pytest.fixture(scope="session")
def rscript() -> str:
    """The program that runs functions in R."""
    found = shutil.which("Rscript")
    if found is None:
        _leave_out("r", "there is no Rscript here")
    return found


@pytest.fixture(scope="session")
def container_engine() -> Iterator[Engine]:
    """A real container engine, started when the first test asks for it."""
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(engine())
        except NoEngine as error:
            _leave_out("engine", f"no container engine: {error}")
        yield found


@pytest.fixture(scope="session")
def podman_engine() -> Iterator[Engine]:
    """A real podman."""
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(podman())
        except NoEngine as error:
            _leave_out("podman", f"no podman: {error}")
        yield found


@pytest.fixture(scope="session")
def ssh_hosts(shared_folder: Path) -> Iterator[Hosts]:
    """Two machines that ssh reaches; they see nothing of the tests' temporary folders."""
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(hosts(shared_folder, "build1", "build2"))
        except NoHosts as error:
            _leave_out("hosts", f"no hosts for ssh: {error}")
        yield found
