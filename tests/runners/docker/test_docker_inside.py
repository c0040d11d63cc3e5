"""What user code finds in a container, and what it leaves outside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from contained import Contained
from launched import Launched, Place
from places import PLACES

from interpreters import found
from testd_protocol.messages import Outcome, WorkerExited
from testd_runners import bundle

#: Making images takes longer than any test.
pytestmark = pytest.mark.timeout(900)

SUITE = """
import getpass, os, pathlib, tempfile

def writes():
    pathlib.Path("written").mkdir()
    pathlib.Path("written", "file").write_text("x")

def knows_itself():
    assert os.getuid() == 1234
    assert getpass.getuser() == "testd"
    assert os.access(os.path.expanduser("~"), os.W_OK)
    with tempfile.NamedTemporaryFile() as file:
        assert file.name.startswith("/tmp/")

def has_shared_memory():
    state = os.statvfs("/dev/shm")
    assert state.f_frsize * state.f_blocks == 1 << 30
    import multiprocessing
    assert multiprocessing.Semaphore(1).acquire()
"""


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Place:
    """The image that is like the official ones, as a user that it does not know."""
    containers = PLACES["docker"]
    (full, _) = containers.names(list(found()))
    place = containers.place(full, request)
    return place._replace(options={**place.options, "user": "1234:1234"})


@pytest.mark.skipif(os.geteuid() != 0, reason="left out: only root can give a folder to another user")
def test_what_tests_write_belongs_to_the_user(place: Place, tmp_path: Path) -> None:
    root = tmp_path / 'a, "b" and: c'
    root.mkdir()
    os.chown(root, 1234, 1234)
    (root / "all_test.py").write_text(SUITE)
    cache = tmp_path / "cache"
    Path(bundle.unpack(str(cache))).chmod(0o755)  # a user's own cache is the user's; this one is root's
    with Launched(place, root, cache) as runner:
        ids = runner.collect()
        runner.work(list(range(len(ids))))
        seen: list[object] = []
        runner.until(WorkerExited, seen)
        outcomes = [message for message in seen if isinstance(message, Outcome)]
        assert [outcome.verdict for outcome in outcomes] == ["passed"] * 3, [outcome.detail for outcome in outcomes]
    found = os.stat(root / "written" / "file")
    assert (found.st_uid, found.st_gid) == (1234, 1234)


def image(contained: Contained) -> str:
    return contained.engine.image("full", list(found())[-1])


def test_limits_hold_and_a_test_that_takes_too_much_memory_is_named(contained: Contained) -> None:
    contained.configure(docker=image(contained), memory="96MiB", cpus=0.5, network="none")
    contained.write(
        "test_limits.py",
        """
import os

def test_takes_all_memory():
    taken = []
    while True:
        taken.append(b"x" * 20_000_000)

def test_is_alone():
    assert os.listdir("/sys/class/net") == ["lo"]

def test_has_half_a_processor():
    first, second = "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu.max"
    with open(first if os.path.exists(first) else second) as file:
        assert file.read().split()[0] == "50000"
""",
    )
    told = contained.run()
    assert told.verdicts == {
        "test_limits.py::test_takes_all_memory": "crashed",
        "test_limits.py::test_is_alone": "passed",
        "test_limits.py::test_has_half_a_processor": "passed",
    }, told.reason
    (detail,) = [event["detail"] for event in told.of("outcome") if event["verdict"] == "crashed"]
    assert any(text in str(detail) for text in ("no memory was left of the 96 MiB", "MiB, more than its limit of"))


def test_a_collection_that_takes_too_much_memory_is_named(contained: Contained) -> None:
    contained.configure(docker=image(contained), memory="96MiB")
    text = "TAKEN = [bytes([n + 1]) * 20_000_000 for n in range(50)]\n\ndef test_it():\n    pass\n"
    contained.write("test_large.py", text)
    told = contained.run()
    assert told.code != 0
    assert not told.verdicts
    assert "the kernel killed it: no memory was left of the 96 MiB" in told.reason


def test_a_distributions_own_python_and_pytest(contained: Contained) -> None:
    contained.configure(docker=contained.engine.image("debian"), python="3")
    contained.write("test_it.py", "import sys\n\ndef test_it():\n    assert sys.executable == '/usr/bin/python3'\n")
    told = contained.run()
    assert told.verdicts == {"test_it.py::test_it": "passed"}, told.reason


def test_the_environment_is_the_images_and_what_is_configured(contained: Contained) -> None:
    contained.write(
        "testd.toml",
        f'passthrough = ["PASSED_*"]\nenvironment = {{SET = "1"}}\n[targets.box]\ndocker = "{image(contained)}"\n',
    )
    contained.write(
        "test_environment.py",
        """
import os

def test_environment():
    assert os.environ["SET"] == "1"
    assert os.environ["PASSED_ON"] == "2"
    assert "NOT_PASSED_ON" not in os.environ
    assert "DOCKER_HOST" not in os.environ
    assert "/usr/local/bin" in os.environ["PATH"]
""",
    )
    told = contained.run(PASSED_ON="2", NOT_PASSED_ON="3")
    assert told.verdicts == {"test_environment.py::test_environment": "passed"}, told.reason


def test_a_container_is_warm_until_something_in_it_changes(contained: Contained) -> None:
    name = "testd-test/moving:now"
    contained.engine.run("tag", image(contained), name)
    contained.configure(docker=name)
    contained.write("helper.py", "VALUE = 1\n")
    contained.write("test_value.py", "from helper import VALUE\n\ndef test_value():\n    assert VALUE == 1\n")

    def run() -> tuple[dict[str, str], bool, str]:
        told = contained.run()
        assert told.of("target"), told.reason
        (target,) = told.of("target")
        return told.verdicts, target["warm"], target["reason"]

    passed, failed = {"test_value.py::test_value": "passed"}, {"test_value.py::test_value": "failed"}
    assert run() == (passed, False, "first run")
    verdicts, warm, reason = run()
    assert (verdicts, warm) == (passed, True), reason
    contained.write("helper.py", "VALUE = 22\n")
    assert run() == (failed, False, "helper.py changed")
    verdicts, warm, reason = run()
    assert (verdicts, warm) == (failed, True), reason
    before = contained.containers()
    container = contained.engine.run("create", "--entrypoint", "python3", image(contained))
    contained.engine.run("commit", "--change", "ENV REBUILT=1", container, name)
    contained.engine.run("rm", container)
    assert run() == (failed, False, "image changed")
    assert set(contained.containers()) - set(before), "the other image has another container"
