"""What the project's own options, plugins and tests find of pytest's session in a real runner."""

import sys
from pathlib import Path

import psutil
import pytest

from house import survivors
from runners.driver import PATIENCE, runner, write

VERDICTS = """
import pytest
def test_passes(tmp_path): assert tmp_path.is_dir()
def test_fails(): assert 0
@pytest.fixture
def broken(): raise RuntimeError
def test_broken(broken): pass
@pytest.mark.xfail
def test_xfail(): assert 0
def test_skip(): pytest.skip()
"""
EXPECTED = {
    "test_passes": "passed",
    "test_fails": "failed",
    "test_broken": "error",
    "test_xfail": "xfailed",
    "test_skip": "skipped",
}


def verdicts(folder: Path, **settings: object) -> dict[str, str]:
    with runner(folder, **settings) as driver:
        return {name: outcome["verdict"] for name, outcome in driver.run_all().items()}


@pytest.mark.parametrize("options", ["-p no:terminal", "--collect-only --setup-plan", "--pdb --trace --maxfail=1"])
def test_options_about_the_run_itself_leave_the_verdicts_alone(tmp_path: Path, options: str) -> None:
    """Without the terminal plugin a failure killed its worker; with `--setup-plan` tests ran without their fixtures."""
    (tmp_path / "pytest.ini").write_text(f"[pytest]\naddopts = {options}\n")
    assert verdicts(write(tmp_path, test_v=VERDICTS)) == EXPECTED


def test_the_session_is_as_plugins_know_it(tmp_path: Path) -> None:
    """The session came after `pytest_configure`, and had no exit status before its end."""
    write(
        tmp_path,
        conftest="""
import pytest
def pytest_configure(config):
    config.early = config.pluginmanager.getplugin("session")
def pytest_sessionfinish(session, exitstatus):
    with open("status", "w") as file:
        print(repr(exitstatus), session.exitstatus is exitstatus, file=file)
""",
        test_s="""
import os, pytest
def test_session(request):
    session = request.session
    assert request.config.early is session
    assert session.exitstatus is pytest.ExitCode.OK
    assert session.testscollected == 2
    assert os.environ.get("PYTEST_VERSION") == (pytest.__version__ if pytest.version_tuple >= (8, 2) else None)
def test_fails(): assert 0
""",
    )
    assert verdicts(tmp_path) == {"test_session": "passed", "test_fails": "failed"}
    assert (tmp_path / "status").read_text() == f"{pytest.ExitCode.TESTS_FAILED!r} True\n"


def test_the_main_thread_has_the_id_of_its_process(tmp_path: Path) -> None:
    """After a fork Python leaves the parent's native id in the main thread."""
    text = """
import os, threading
def test_id(): assert threading.main_thread().native_id == threading.get_native_id()
"""
    assert verdicts(write(tmp_path, test_t=text)) == {"test_id": "passed"}


COVERAGE = """
import pytest
class Coverage:
    cov_controller = None
    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self, item):
        self.cov_controller.pause()
        yield
        self.cov_controller.resume()
def pytest_addoption(parser, pluginmanager):
    parser.addoption("--cov", dest="cov_source")
    parser.addoption("--no-cov", action="store_true")
    pluginmanager.register(Coverage(), "_cov")
"""


def test_a_test_may_pause_coverage_that_is_not_measured(tmp_path: Path) -> None:
    """pytest-cov pauses for `no_cover` without asking whether it is on: such tests failed."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --cov=code\n")
    text = """
def test_off(pytestconfig):
    assert pytestconfig.option.no_cov
    assert not pytestconfig.pluginmanager.getplugin("_cov").cov_controller
"""
    with runner(write(tmp_path, conftest=COVERAGE, test_c=text)) as driver:
        found = driver.collect()
        assert driver.run([0]).verdicts() == {0: "passed"}
    assert "coverage is not measured" in found["notices"][0]


SHARED = """
import pytest
def pytest_addhooks(pluginmanager):
    class Declared:
        @staticmethod
        def pytest_configure_node(node): "As pytest-xdist declares it."
    pluginmanager.add_hookspecs(Declared)
def pytest_configure(config):
    config.shared = None if hasattr(config, "workerinput") else "made once"
def pytest_configure_node(node):
    node.workerinput.update(shared=node.config.shared, name="db_" + node.gateway.id)
@pytest.fixture(scope="session")
def shared(request):
    return request.config.workerinput["shared"], request.config.workerinput["name"]
"""


@pytest.mark.parametrize("mode", ["worker", "bin"])
def test_sharing_workers_get_what_conftest_files_give_to_xdists(tmp_path: Path, mode: str) -> None:
    """Fixtures look in `workerinput` for what `pytest_configure_node` puts there: it was never called."""
    text = "def test_w(shared): assert shared == ('made once', 'db_gw0')\n"
    with runner(write(tmp_path, conftest=SHARED, test_w=text), mode=mode) as driver:
        ids = driver.collect()["ids"]
        assert driver.run([0], workers=2, paths=["test_w.py"], ids=ids).verdicts() == {0: "passed"}


LOGS = """
import logging, time
def test_log(): logging.getLogger().warning("logged")
def test_slow(): time.sleep(0.2)
"""


def test_files_that_the_stem_opened_are_each_workers_own(tmp_path: Path) -> None:
    """A warm run wrote to the log file of an earlier one, though that was removed; stacks went to the stem's output."""
    (tmp_path / "pytest.ini").write_text("[pytest]\nlog_file = it.log\nfaulthandler_timeout = 0.05\n")
    log = tmp_path / "it.log"
    with runner(write(tmp_path, test_l=LOGS)) as driver:
        driver.collect()
        driver.run([0])
        driver.run([0])
        assert log.read_text().count("logged") == 1
        log.unlink()
        driver.run([0])
        assert log.read_text().count("logged") == 1
        driver.run([0], workers=2)
        assert log.read_text().count("logged") == 2, "what several workers write is kept"
        driver.run([1], stream=True)
    shown = [message for message in driver.seen("Output") if "test_slow" in message["text"]]
    assert shown
    assert shown[0]["worker"] == 5


DAEMON = """
import os, sys, time

def start_daemon(ready, pids):
    if os.fork():
        os.wait()
        return
    os.setsid()  # heads a session and a group, in which the daemon stays
    if os.fork():
        os._exit(0)
    with open(pids, "w") as file:
        file.write(str(os.getpid()))
    os.write(ready, b"up")
    os.close(ready)
    time.sleep(600)

def test_starts(tmp_path_factory):
    reader, writer = os.pipe()
    start_daemon(writer, "daemon.pid")
    os.close(writer)
    assert os.read(reader, 2) == b"up"

def test_uses():
    pid = int(open("daemon.pid").read())
    deadline = time.monotonic() + 1  # long enough for whoever would kill it
    while time.monotonic() < deadline:
        os.kill(pid, 0)
        assert open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] != "Z"
        time.sleep(0.01)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks in /proc")
@pytest.mark.parametrize("mode", ["worker", "bin"])
def test_a_daemon_that_a_test_starts_lives_as_long_as_the_workers(tmp_path: Path, mode: str) -> None:
    """Its first process ends at once, and was reaped by the runner, which killed the whole group."""
    with runner(write(tmp_path, test_d=DAEMON), mode=mode) as driver:
        ids = driver.collect()["ids"]
        assert driver.run([0, 1], paths=["test_d.py"], ids=ids).verdicts() == {0: "passed", 1: "passed"}
        pid = int((tmp_path / "daemon.pid").read_text())
        assert not survivors([psutil.Process(pid)] if psutil.pid_exists(pid) else [], PATIENCE)
