"""What a test leaves behind, and what only seems to be left."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from testd.runner.leaks import Leaks


@pytest.fixture
def leaks(tmp_path, monkeypatch) -> Leaks:
    monkeypatch.chdir(tmp_path)
    leaks = Leaks()
    leaks.start()
    return leaks


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    gate = threading.Event()
    yield gate
    gate.set()


def _thread(gate: threading.Event, **options) -> threading.Thread:
    thread = threading.Thread(target=gate.wait, **options)
    thread.start()
    return thread


def test_nothing_left_is_nothing_told(leaks):
    leaks.before_call()
    leaks.after_call()
    assert leaks.check() == []


def test_a_thread_is_told_once(leaks, gate):
    leaks.before_call()
    _thread(gate, name="first", daemon=True)
    leaks.after_call()
    assert leaks.check() == ["thread 'first' still alive (daemon), running threading.Event.wait"]
    assert leaks.check() == []


def test_a_thread_that_replaced_another_one_is_seen(leaks, gate):
    ended = threading.Event()
    first = _thread(ended, name="first")
    assert len(leaks.check()) == 1
    ended.set()
    first.join()
    _thread(gate, name="second")
    assert leaks.check() == ["thread 'second' still alive, running threading.Event.wait"]


def test_a_thread_that_is_about_to_end_is_none(leaks, gate):
    _thread(gate)
    gate.set()
    assert leaks.check() == []


def test_a_class_of_its_own_is_named(leaks, gate):
    class Server(threading.Thread):
        def run(self):
            gate.wait()

    Server(name="server").start()
    [line] = leaks.check()
    assert line.endswith("test_a_class_of_its_own_is_named.<locals>.Server.run")


def test_what_fixtures_have_made_before_the_body_is_no_leak(leaks, gate):
    _thread(gate)
    child = subprocess.Popen(["sleep", "60"])
    try:
        leaks.before_call()
        leaks.after_call()
        assert leaks.check() == []
    finally:
        child.kill()
        child.wait()


def test_watchdogs_are_no_leaks(leaks, gate):
    _thread(gate, name="pytest_timeout tests/a_test.py::slow", daemon=True)
    assert leaks.check() == []


def test_a_child_process_is_told_once_with_its_command(leaks):
    child = subprocess.Popen(["sleep", "61"])
    try:
        assert leaks.check() == [f"child process {child.pid} still running: sleep 61"]
        assert leaks.check() == []
    finally:
        child.kill()
        child.wait()


def test_a_child_that_has_ended_is_none_and_is_not_reaped(leaks):
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert leaks.check() == []
    assert child.wait() == 0


def test_children_are_found_without_a_list_from_the_kernel(leaks, monkeypatch):
    from testd.runner import leaks as module

    child = subprocess.Popen(["sleep", "62"])
    listdir = os.listdir
    monkeypatch.setattr(module.os, "listdir", lambda path: listdir(path if path != "/proc/self/task" else "/nowhere"))
    try:
        assert leaks.check() == [f"child process {child.pid} still running: sleep 62"]
    finally:
        child.kill()
        child.wait()


def test_a_pending_task_is_named_with_its_place(leaks):
    async def waits():
        await asyncio.Event().wait()

    loop = asyncio.new_event_loop()
    try:
        task = loop.create_task(waits(), name="left")
        loop.run_until_complete(asyncio.sleep(0))
        [line] = leaks.check()
        assert line.startswith("task 'left' still pending: test_a_pending_task_is")
        assert "<locals>.waits at " in line
        assert f"{__file__}:" in line
        assert leaks.check() == []
        task.cancel()
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    finally:
        loop.close()


def test_a_directory_that_the_body_left_is_restored(leaks, tmp_path):
    leaks.before_call()
    os.chdir("/")
    leaks.after_call()
    assert leaks.check() == [f"working directory left at /; set back to {tmp_path}"]
    assert os.getcwd() == str(tmp_path)


def test_a_directory_that_a_fixture_set_stays(leaks, tmp_path):
    os.chdir("/")
    leaks.before_call()
    leaks.after_call()
    assert leaks.check() == []
    assert os.getcwd() == "/"


def test_a_directory_that_a_fixture_puts_back_is_no_leak(leaks, tmp_path):
    leaks.before_call()
    os.chdir("/")
    leaks.after_call()
    os.chdir(tmp_path)  # monkeypatch.chdir, in its teardown
    assert leaks.check() == []


def test_a_directory_that_was_deleted(leaks, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    leaks.before_call()
    os.chdir(gone)
    gone.rmdir()
    leaks.after_call()
    assert leaks.check() == [f"working directory left at a directory that no longer exists; set back to {tmp_path}"]


def test_a_directory_that_one_cannot_go_back_to(leaks, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    os.chdir(home)
    leaks.before_call()
    os.chdir("/")
    home.rmdir()
    leaks.after_call()
    assert leaks.check() == [f"working directory left at /; could not go back to {home}: No such file or directory"]
