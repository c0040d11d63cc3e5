"""One daemon for everybody: started twice at once, in two versions, on a stale socket, on a disk that is full."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest
from suite_under_fire import DEADLINE, TESTS, Fire, gone

SOURCES = Path(__file__).resolve().parent.parent.parent


def test_a_stale_socket(fire: Fire) -> None:
    fire.house.runtime.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(fire.house.runtime / "testd.sock"))
    fire.write("test_a.py", "def test_a(): pass\n")
    assert fire.run().code == 0


def test_clients_that_start_at_once_share_one_daemon(fire: Fire) -> None:
    fire.fill()
    clients = [fire.start("run", "--format", "json") for _ in range(4)]
    for client in clients:
        told = fire.told(client)
        assert (told.code, told.counts) == (0, {"passed": TESTS}), told.err
    handlers = [found for found in fire.house.processes() if "testd_daemon.handler" in found.cmdline()]
    assert [found.pid for found in handlers] == [fire.verb("status")["pid"]]


@pytest.fixture
def other(tmp_path: Path) -> str:
    """An interpreter with another version of testd: the same code, and a number of its own."""
    copy, environment = tmp_path / "copy", tmp_path / "other"
    for part in ("daemon", "protocol", "runners"):
        shutil.copytree(SOURCES / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    version = copy / "protocol" / "testd_protocol" / "version.py"
    text = version.read_text()
    assert '__version__ = "' in text
    version.write_text(text.replace('__version__ = "', '__version__ = "7.'))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True, timeout=DEADLINE)
    (packages,) = environment.glob("lib/python*/site-packages")
    paths = [str(copy / part) for part in ("daemon", "runners", "protocol")]
    paths += {str(Path(str(module.__file__)).parent.parent) for module in (msgspec, psutil, pytest)}
    (packages / "other.pth").write_text("\n".join(paths))
    return str(environment / "bin" / "python")


def test_two_versions(fire: Fire, other: str) -> None:
    def start(*arguments: str) -> subprocess.Popen[str]:
        return fire.start(*arguments, python=other)

    fire.fill()
    fire.close_gate()
    first = fire.start("run", "--format", "json")
    fire.at_gate()
    refused = start("run")
    _, err = refused.communicate(timeout=DEADLINE)
    assert refused.returncode == 3
    assert "7." in err, "both versions are named, and what to do"
    assert "testd stop" in err or "wait" in err, err
    fire.open_gate()
    told = fire.told(first)
    assert (told.code, told.counts) == (0, {"passed": TESTS}), "nobody's run ends for another version"

    before = psutil.Process(fire.verb("status")["pid"])
    below = before.children(recursive=True)
    told = fire.told(start("run", "--format", "json"))
    assert (told.code, told.counts) == (0, {"passed": TESTS}), "an idle daemon gives way"
    gone([before, *below])
    assert fire.run().code == 0, "and again the other way"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Give small disks of their own, really full when they are full."""
    mounted: list[Path] = []

    def mount(size: str) -> Path:
        path = tmp_path / f"disk{len(mounted)}"
        path.mkdir(mode=0o700)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip("nothing can be mounted here")
        mounted.append(path)
        return path

    yield mount
    for path in mounted:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


LOUD = """
import os, pytest

@pytest.mark.parametrize("n", range(300))
def test_loud(n):
    print(os.urandom(10_000).hex())
    assert "loud" not in os.environ.get("SAID", "")
"""


def test_a_full_disk_for_the_journal(fire: Fire, disk: Callable[[str], Path]) -> None:
    state = str(disk("1m"))
    fire.write("test_loud.py", LOUD)
    fire.environment["TESTD_STATE_DIR"] = state
    told = fire.run(SAID="loud")
    assert told.completed["exit_code"] == 3
    assert "no room for the journal" in told.completed["reason"]
    assert "TESTD_STATE_DIR" in told.completed["hint"]
    assert set(told.counts) == {"failed"}
    assert told.counts["failed"] == told.completed["counts"]["failed"] < 300
    subprocess.run(["mount", "-o", "remount,size=64m", state], check=True)
    again = fire.run()
    assert (again.code, again.counts) == (0, {"passed": 300}), again.err


FILLS = """
import os, pytest, tempfile

def test_fills():
    with tempfile.TemporaryFile(buffering=0) as file:
        while True:
            file.write(bytes(1 << 20))

@pytest.mark.parametrize("n", range(50))
def test_beside(n):
    pass
"""


def test_a_test_that_fills_the_folder_for_temporary_files(fire: Fire, disk: Callable[[str], Path]) -> None:
    fire.write("test_fills.py", FILLS)
    told = fire.run(TMPDIR=str(disk("4m")))
    assert told.counts == {"passed": 50, "failed": 1}, told.events
    assert told.verdicts["test_fills.py::test_fills"] == "failed"


def test_more_workers_than_there_is_work(fire: Fire) -> None:
    fire.fill()
    told = fire.run("--jobs", "64")
    assert (told.code, told.counts) == (0, {"passed": TESTS}), told.err


def test_what_a_client_leaves_in_the_runtime_folder(fire: Fire) -> None:
    fire.write("test_a.py", "def test_a(): pass\n")
    fire.run()
    assert os.listdir(fire.house.runtime) == ["testd.sock"]
    stopped = fire.start("stop")
    stopped.communicate(timeout=DEADLINE)
    assert os.listdir(fire.house.runtime) == []
