"""What counts as changed since it was loaded."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from testd.runner.dependencies import listing
from testd_daemon.agent.freshness import GRANULARITY_NS, Record, settling
from testd_protocol.messages import Dependencies, Directory, Stat

LONG_AGO = 1_600_000_000 * 10**9


def stat(path: Path) -> Stat:
    found = path.stat()
    return Stat(str(path), found.st_mtime_ns, found.st_size, found.st_mode & 0o7777)


def age(path: Path, ns: int = LONG_AGO) -> Path:
    os.utime(path, ns=(ns, ns))
    return path


def directory(path: Path, *, everything: bool = False) -> Directory:
    return Directory(str(path), path.stat().st_mtime_ns, listing(str(path), everything), everything)


def record(*files: Stat, directories: tuple[Directory, ...] = (), began: int | None = None) -> Record:
    found = Record()
    message = Dependencies(checkpoint="collected", collection=1, files=list(files), directories=list(directories))
    found.add(message, time.time_ns() if began is None else began)
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "test_a.py"
    path.write_text("one")
    return age(path)


def test_nothing_changed(file: Path) -> None:
    assert record(stat(file)).change() is None


def test_new_content_is_a_change(file: Path) -> None:
    known = record(stat(file))
    file.write_text("two")
    assert known.change() == str(file)


def test_other_permissions_are_a_change(file: Path) -> None:
    """A file that could not be read any more went on to pass where it was warm: its time and size were the same."""
    known = record(stat(file))
    file.chmod(0)
    assert known.change() == str(file)


def test_permissions_that_were_not_told_are_none(file: Path) -> None:
    found = file.stat()
    assert record(Stat(str(file), found.st_mtime_ns, found.st_size)).change() is None


def test_the_same_time_with_another_size_is_a_change(file: Path) -> None:
    known = record(stat(file))
    file.write_text("longer")
    age(file)
    assert known.change() == str(file)


def test_an_older_time_is_a_change(file: Path) -> None:
    """A checkout of an older commit, a copy that keeps times."""
    known = record(stat(file))
    age(file, LONG_AGO - 10**9)
    assert known.change() == str(file)


def test_a_file_that_is_gone_is_a_change(file: Path) -> None:
    known = record(stat(file))
    file.unlink()
    assert known.change() == str(file)


def test_a_missing_file_that_appears_is_a_change(tmp_path: Path) -> None:
    path = tmp_path / "pytest.ini"
    known = record(Stat(str(path), -1, -1))
    assert known.change() is None
    path.write_text("")
    assert known.change() == str(path)


@pytest.mark.parametrize("distance", [0, GRANULARITY_NS // 2, -(10**9)])
def test_a_file_written_when_it_was_read_counts_as_changed(file: Path, distance: int) -> None:
    """Its time cannot tell whether it was read before or after: another write may get the same one."""
    assert record(stat(file), began=LONG_AGO + distance).change() == str(file)


def test_a_file_written_well_before_is_trusted(file: Path) -> None:
    assert record(stat(file), began=LONG_AGO + 2 * GRANULARITY_NS).change() is None


def test_what_the_runner_saw_change_counts_as_changed(file: Path) -> None:
    assert record(Stat(str(file), -2, 3)).change() == str(file)


def test_a_new_source_file_in_a_listed_folder_is_a_change(file: Path, tmp_path: Path) -> None:
    age(tmp_path)
    known = record(directories=(directory(tmp_path),))
    assert known.change() is None
    (tmp_path / "test_b.py").write_text("")
    assert known.change() == str(tmp_path)


def test_a_cache_in_a_listed_folder_is_none_and_is_listed_once(file: Path, tmp_path: Path) -> None:
    age(tmp_path)
    known = record(directories=(directory(tmp_path),))
    (tmp_path / "__pycache__").mkdir()
    age(tmp_path, LONG_AGO + 10**9)
    assert known.change() is None
    (tmp_path / "test_b.py").write_text("")
    age(tmp_path, LONG_AGO + 10**9)
    assert known.change() is None, "the time of the folder was taken over with its listing"


def test_a_data_file_matters_where_user_code_listed_the_folder(tmp_path: Path) -> None:
    age(tmp_path)
    known = record(directories=(directory(tmp_path, everything=True),))
    (tmp_path / "case_1.json").write_text("{}")
    assert known.change() == str(tmp_path)


def test_a_folder_that_is_gone_is_a_change(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    known = record(directories=(directory(folder),))
    folder.rmdir()
    assert known.change() == str(folder)


def test_pages_add_up(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "conftest.py"
    other.write_text("")
    known = record(stat(file))
    known.add(Dependencies(checkpoint="collected", collection=1, files=[stat(age(other))]), time.time_ns())
    assert len(known) == 2
    other.write_text("x")
    assert known.change() == str(other)


def again(known: Record, *files: Stat, directories: tuple[Directory, ...] = ()) -> Record:
    """Let the same checkpoint be reached once more."""
    message = Dependencies(checkpoint="configured", collection=0, files=list(files), directories=list(directories))
    known.add(message, time.time_ns())
    return known


def test_a_file_that_was_another_one_the_second_time_counts_as_changed(file: Path) -> None:
    """What was forked from the first load is still there, and has the old content."""
    known = record(stat(file))
    assert again(known, stat(file)).change() is None
    file.write_text("another one, of the same age")
    age(file)
    assert again(known, stat(file)).change() == str(file)


def test_a_folder_that_had_other_files_the_second_time_counts_as_changed(file: Path, tmp_path: Path) -> None:
    known = record(directories=(directory(tmp_path),))
    assert again(known, directories=(directory(tmp_path),)).change() is None
    (tmp_path / "test_b.py").write_text("")
    age(tmp_path)
    assert again(known, directories=(directory(tmp_path),)).change() == str(tmp_path)


def test_files_settle_when_the_next_write_would_have_another_time(tmp_path):
    file = tmp_path / "a.py"
    file.write_text("1")
    os.utime(file, ns=(1, time.time_ns() + 100 * 10**9))
    assert 90.0 < settling([str(file), str(tmp_path / "missing.py")]) < 101.0
    assert settling([str(tmp_path / "missing.py")]) == 0.0
