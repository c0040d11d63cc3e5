"""A file that appears whole or not at all."""

from __future__ import annotations

import os
import stat

import pytest

from testd_daemon.writing import exchange, write


def test_a_file_is_replaced_and_keeps_its_permissions(tmp_path):
    path = tmp_path / "new" / "file.txt"
    write(str(path), "one")
    path.chmod(0o640)
    write(str(path), "two")
    assert path.read_text() == "two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [each.name for each in path.parent.iterdir()] == ["file.txt"]


def test_what_is_no_file_is_written_to_and_stays_what_it_is():
    """`-o /dev/stdout` put a file in the place of the device."""
    master, slave = os.openpty()
    try:
        name = os.ttyname(slave)
        write(name, "some text")
        assert os.read(master, 100) == b"some text"
        assert stat.S_ISCHR(os.stat(name).st_mode)
    finally:
        os.close(slave)
        os.close(master)


def test_a_file_whose_writer_objects_stays_as_it_is(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("one")

    def object_to(_: os.stat_result) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        write(str(path), "two", object_to)
    assert path.read_text() == "one"
    assert [each.name for each in tmp_path.iterdir()] == ["file.txt"]


def test_a_file_that_somebody_puts_there_at_the_same_moment_stays(tmp_path):
    """A run file that was rewritten between the look at it and the writing was lost."""
    path, other = tmp_path / "file.txt", tmp_path / "other.txt"
    path.write_text("one")
    other.write_text("somebody's")
    if not exchange(path, other):
        pytest.skip("this file system cannot exchange files")
    exchange(path, other)
    known = path.stat().st_ino

    def check(found: os.stat_result) -> None:
        if found.st_ino != known:
            raise OSError(0, "rewritten")

    with pytest.raises(OSError, match="rewritten"):
        write(str(path), "ours", lambda _: os.replace(other, path), check)
    assert path.read_text() == "somebody's"
    assert [each.name for each in tmp_path.iterdir()] == ["file.txt"]
    known = path.stat().st_ino
    write(str(path), "ours", None, check)
    assert path.read_text() == "ours"


def test_files_that_are_not_there_cannot_be_exchanged(tmp_path):
    (tmp_path / "one").touch()
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "one", tmp_path / "none")
