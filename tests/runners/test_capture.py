"""Capture at descriptor level, and how it cuts."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testd.runner.capture import Capture, clean, read_limited, shorten


@contextlib.contextmanager
def _capturing(limit: int = 1000) -> Iterator[Capture]:
    """Capture in a block: pytest's own capture changes the descriptors between fixtures and tests."""
    capture = Capture(limit)
    capture.start()
    try:
        yield capture
    finally:
        capture.stop()


def test_everything_that_leads_to_the_descriptors_is_taken_in_its_order():
    with _capturing() as capture:
        print("python")
        os.write(1, b"descriptor\n")
        subprocess.run([sys.executable, "-c", "print('child')"], check=True)
        sys.stdout.buffer.write(b"bytes\n")
        sys.stderr.write("error\n")
        assert capture.take() == ("python\ndescriptor\nchild\nbytes\n", "error\n")
        assert capture.take() == ("", "")


def test_what_cannot_be_encoded_and_what_is_no_text():
    with _capturing() as capture:
        print("lone \ud800")
        os.write(2, b"\xff\xfe")
        assert capture.take() == ("lone \\ud800\n", "\ufffd\ufffd")


@pytest.mark.parametrize("limit", [0, 1, 7, 100])
def test_a_flood_is_cut_in_the_middle_and_says_by_how_much(limit):
    with _capturing(limit) as capture:
        os.write(1, b"a" * 5000 + b"b" * 5000)
        out, err = capture.take()
        os.write(1, b"x")
        assert os.fstat(1).st_size == 1, "the file was not emptied"
    lead = "\n" if limit > 1 else ""
    expected = f"{'a' * (limit // 2)}{lead}[... {10_000 - limit} bytes left out ...]\n{'b' * (limit - limit // 2)}"
    assert (out, err) == (expected, "")


@pytest.mark.parametrize("spoil", ["close", "redirect", "replace", "none", "close the stream"])
def test_no_test_can_spoil_the_next_ones_output(spoil):
    with _capturing() as capture:
        other = -1
        if spoil == "close":
            os.close(1)
        elif spoil == "redirect":
            other = os.open(os.devnull, os.O_WRONLY)
            os.dup2(other, 1)
        elif spoil == "replace":
            sys.stdout = io.StringIO()
        elif spoil == "none":
            sys.stdout = None
        else:
            sys.stdout.close()
        capture.take()
        print("seen")
        os.write(1, b"this too\n")
        assert capture.take() == ("seen\nthis too\n", "")
        if other >= 0:
            os.close(other)


def test_a_stream_that_a_test_put_in_front_is_flushed_into_its_own_output():
    with _capturing() as capture:
        with open(1, "w", closefd=False) as mine:
            sys.stdout = mine
            print("held back")
            assert capture.take() == ("held back\n", "")
        assert sys.stdout is not mine


def test_stop_restores_descriptors_and_streams():
    stdout, stderr = sys.stdout, sys.stderr
    before = [(os.fstat(fd).st_dev, os.fstat(fd).st_ino) for fd in (1, 2)]
    open_before = len(os.listdir("/dev/fd"))
    capture = Capture(10)
    capture.start()
    capture.start()
    assert os.fstat(capture.stdout_fd).st_ino == before[0][1]
    capture.stop()
    capture.stop()
    assert [(os.fstat(fd).st_dev, os.fstat(fd).st_ino) for fd in (1, 2)] == before
    assert (sys.stdout, sys.stderr) == (stdout, stderr)
    assert len(os.listdir("/dev/fd")) == open_before
    assert capture.take() == ("", "")


def test_descriptors_that_were_closed_are_closed_again(tmp_path):
    script = (
        "import os, sys\nfrom testd.runner.capture import Capture\nos.close(1)\ncapture = Capture(100)\n"
        "capture.start()\nprint('x')\ntaken = capture.take()\ncapture.stop()\n"
        "try: os.fstat(1)\nexcept OSError: sys.exit(taken != ('x\\n', ''))\nsys.exit(5)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_no_file_is_left_and_none_can_be_made(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    capture = Capture(10)
    capture.start()
    try:
        assert list(tmp_path.iterdir()) == []
    finally:
        capture.stop()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    monkeypatch.setattr("testd.runner.capture._FOLDERS", (str(tmp_path / "missing"),))
    with pytest.raises(OSError, match="no folder for a temporary file of captured output"):
        Capture(10).start()


@given(st.text(), st.integers(0, 40))
def test_shortening_keeps_to_the_limit_and_to_whole_characters(text, limit):
    data = text.encode()
    made = shorten(text, limit)
    if len(data) <= limit:
        assert made == text
        return
    head, _, rest = made.partition("[... ")
    left_out, _, tail = rest.partition(" bytes left out ...]\n")
    kept = head.removesuffix("\n") if not text.startswith(head) else head
    assert text.startswith(kept)
    assert text.endswith(tail)
    assert len(kept.encode()) + int(left_out) + len(tail.encode()) == len(data)
    assert len(kept.encode()) + len(tail.encode()) <= limit


@given(st.binary(max_size=60), st.integers(0, 70))
def test_reading_and_shortening_agree(data, limit):
    text = data.decode("utf-8", "ignore")
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(text.encode())
        assert read_limited(file.fileno(), limit) == shorten(text, limit)


def test_clean_leaves_nothing_that_utf8_cannot_carry():
    assert clean("plain é") == "plain é"
    assert clean("a\udc80b") == "a\\udc80b"
    assert shorten("\ud800", 100) == "\\ud800"
