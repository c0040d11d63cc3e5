"""Launchers describe; the bundle is the same everywhere and appears whole."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from testd_runners import bundle
from testd_runners.choose import KINDS, choose
from testd_runners.launcher import CHANNEL, LaunchSettings, with_channel


def test_a_subprocess_is_described() -> None:
    command = choose("subprocess").command(LaunchSettings("/py", "/cache/testd-1", "/work", {"A": "1"}))
    assert command.argv == ("/py", "/cache/testd-1", "--fd", CHANNEL)
    assert with_channel(command, 7) == ["/py", "/cache/testd-1", "--fd", "7"]
    assert (command.env, command.cwd, command.channel, command.cleanup) == ({"A": "1"}, "/work", "socketpair", ())


def test_an_unknown_kind_names_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"no launcher of kind 'rocket'; there are: .*subprocess"):
        choose("rocket")
    assert all(name == launcher.kind for name, launcher in KINDS.items())


def test_the_zip_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    name, data = bundle.archive()
    assert bundle.archive() == (name, data)
    (tmp_path / name).write_bytes(data)
    with zipfile.ZipFile(tmp_path / name) as found:
        names = found.namelist()
        assert all(entry.date_time == (1980, 1, 1, 0, 0, 0) for entry in found.infolist())
    assert names == sorted(names)
    assert {"__main__.py", "testd/__init__.py", "testd/msgpack.py"} <= set(names)
    assert not any("__pycache__" in entry or entry.startswith(("testd_", "testd/../")) for entry in names)


def test_the_zip_runs(tmp_path: Path) -> None:
    name, data = bundle.archive()
    (tmp_path / name).write_bytes(data)
    done = subprocess.run([sys.executable, "-I", str(tmp_path / name)], capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "usage: testd.runner" in done.stderr


def test_other_content_has_another_name(tmp_path: Path) -> None:
    package = tmp_path / "testd"
    package.mkdir()
    (package / "__init__.py").write_text("a = 1\n")
    first = bundle.unpack(str(tmp_path / "cache"), str(package))
    (package / "__init__.py").write_text("a = 2\n")
    second = bundle.unpack(str(tmp_path / "cache"), str(package))
    assert first != second
    assert Path(first, "testd", "__init__.py").read_text() == "a = 1\n"
    assert Path(second, "testd", "__init__.py").read_text() == "a = 2\n"


def test_a_file_of_the_bundle_never_looks_new(tmp_path: Path) -> None:
    """A runner's own code once made every first warm run cold: it seemed to have changed while it was loaded."""
    folder = bundle.unpack(str(tmp_path))
    times = {os.stat(Path(top, name)).st_mtime for top, _, names in os.walk(folder) for name in names}
    assert len(times) == 1
    assert times.pop() < 400_000_000


def test_agents_that_unpack_at_once_get_the_same_whole_folder(tmp_path: Path) -> None:
    found: list[str] = []
    together = threading.Barrier(4)

    def unpack() -> None:
        together.wait(30)
        found.append(bundle.unpack(str(tmp_path)))

    threads = [threading.Thread(target=unpack) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert os.listdir(tmp_path) == [Path(found[0]).name]


def test_a_cache_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(OSError, match="cache"):
        bundle.unpack(str(tmp_path / "cache"))
