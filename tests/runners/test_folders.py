"""Temporary folders of tests: removed in time, and swept after a crash."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from testd import folders

SOURCE = str(Path(folders.__file__).resolve().parent.parent)
CRASH = "import os, testd.folders; print(testd.folders.Folder().path, flush=True); os._exit(9) if {crash} else input()"


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(folders.tempfile, "tempdir", str(tmp_path))
    return tmp_path


def _start(place: Path, *, crash: bool) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CRASH.format(crash=crash)], env={"PYTHONPATH": SOURCE, "TMPDIR": str(place)}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )


def _age(path: Path) -> None:
    os.utime(path, (0, 0))


def test_a_folder_is_new_empty_and_goes(place):
    folder = folders.Folder()
    assert list(folder.path.iterdir()) == []
    (folder.path / "file").write_text("x")
    folder.remove()
    assert list(place.iterdir()) == []


def test_what_a_crash_left_is_swept_and_what_is_held_is_not(place):
    with _start(place, crash=True) as crashed, _start(place, crash=False) as alive:
        left, held = Path(crashed.stdout.readline().strip()), Path(alive.stdout.readline().strip())
        assert crashed.wait(timeout=60) == 9
        folders.sweep(str(place))
        assert left.exists(), "a folder of the last minute may not be locked yet"
        _age(left)
        _age(held)
        folders.sweep(str(place))
        assert (left.exists(), held.exists()) == (False, True)
        alive.communicate("\n", timeout=60)


def test_nothing_else_is_swept(place):
    (place / "testd-test-file").write_text("x")
    (place / "another").mkdir()
    (place / "target").mkdir()
    (place / "testd-test-link").symlink_to(place / "target")
    for path in place.iterdir():
        os.utime(path, (0, 0), follow_symlinks=False)
    folders.sweep(str(place))
    assert sorted(path.name for path in place.iterdir()) == ["another", "target", "testd-test-file", "testd-test-link"]
