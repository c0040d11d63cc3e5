"""Children: started, signalled, reaped; and nothing that they started survives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from testd_daemon.errors import describe_status
from testd_daemon.process import Patience, Tail, become_subreaper, owned, start, stop_all

QUICK = Patience(ask=0.2, term=0.2, kill=10.0)
STUBBORN = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', file=sys.stderr, flush=True);"
    "signal.pause(); signal.pause(); signal.pause()"
)


def python(code, **options):
    return start([sys.executable, "-c", code], name="child", stderr=subprocess.PIPE, **options)


async def says(child, text):
    while text not in child.stderr.text:
        await anyio.lowlevel.checkpoint()


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_child_that_ends_is_reaped_with_its_status():
    async def main():
        child = python("import sys; sys.exit('last words')")
        async with owned(child):
            assert await child.wait() == 1
            assert await child.wait() == 1
        assert child.stderr.text == "last words"
        assert "exited with status 1" in repr(child)

    anyio.run(main)


def test_the_last_words_are_there_when_the_end_is_known():
    """An end was told without what ssh had said about it: the pipe was read in the loop's next round only."""

    async def main():
        child = python("import sys; sys.exit('last words')")
        await child.wait()  # nobody drains it
        assert child.stderr.text == "last words"
        child.close_pipes()

    anyio.run(main)


def test_several_wait_for_the_same_child():
    async def main():
        child = python("input()", stdin=subprocess.PIPE)
        found = []

        async def wait():
            found.append(await child.wait())

        async with owned(child), anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            child.stdin.write(b"\n")
            child.stdin.close()
        assert found == [0, 0, 0]

    anyio.run(main)


def test_asked_first_then_told_then_killed():
    async def main():
        steps = []
        child = python(STUBBORN)

        async def ask():
            steps.append(child.status)

        async with owned(child, ask=ask, patience=QUICK):
            await says(child, "up")
        assert steps == [None]
        assert child.status == -signal.SIGKILL

    anyio.run(main)


def test_a_child_that_does_as_asked_gets_no_signal():
    async def main():
        child = python("input()", stdin=subprocess.PIPE)

        async def ask():
            child.stdin.close()

        async with owned(child, ask=ask, patience=Patience(ask=30.0)):
            pass
        assert child.status == 1  # EOFError, not a signal

    anyio.run(main)


def test_many_are_stopped_together_and_none_is_waited_for_before_all_are_told():
    async def main():
        children = [python(STUBBORN) for _ in range(4)]
        async with anyio.create_task_group() as tasks:
            for child in children:
                tasks.start_soon(child.drain_stderr)
            for child in children:
                await says(child, "up")
            await stop_all(children, patience=QUICK)
        assert [child.status for child in children] == [-signal.SIGKILL] * 4
        for child in children:
            child.close_pipes()

    anyio.run(main)


@pytest.mark.parametrize("session", [False, True])
def test_what_a_child_started_goes_with_it(tmp_path, session):
    """A grandchild in the group is killed as the child is reaped; one in its own session when the child is killed."""
    note = tmp_path / "pid"
    code = (
        f"import subprocess, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"p = subprocess.Popen(['sleep', '1000'], start_new_session={session});"
        f"open({str(note)!r}, 'w').write(str(p.pid));"
        "import sys; print('up', file=sys.stderr, flush=True); signal.pause(); signal.pause()"
    )

    async def main():
        child = python(code)
        async with owned(child, patience=QUICK):
            await says(child, "up")
        grandchild = int(note.read_text())
        with anyio.fail_after(20):
            while alive(grandchild):
                await anyio.lowlevel.checkpoint()

    anyio.run(main)


def test_an_error_in_the_block_comes_out_as_it_is():
    async def main():
        child = python("input()", stdin=subprocess.PIPE)
        with pytest.raises(KeyError):
            async with owned(child, patience=QUICK):
                raise KeyError("mine")
        assert child.status == -signal.SIGTERM

    anyio.run(main)


def test_cancellation_stops_the_child_and_is_not_swallowed():
    async def main():
        child = python(STUBBORN)
        with anyio.CancelScope() as scope:
            async with owned(child, patience=QUICK):
                await says(child, "up")
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught
        assert child.status == -signal.SIGKILL

    anyio.run(main)


def test_a_program_that_is_not_there():
    with pytest.raises(FileNotFoundError):
        start(["/no/such/program"], name="child")


def test_a_tail_keeps_whole_lines_at_the_end():
    tail = Tail(20)
    tail.feed(b"first line\n" * 10)
    assert tail.text == "first line"
    tail.feed(b"second\n\xff third\n")
    assert tail.text == "second\n� third"
    assert Tail().text == ""


def test_statuses_have_names():
    assert describe_status(-9) == "was killed by SIGKILL"
    assert describe_status(-77) == "was killed by signal 77"
    assert describe_status(3) == "exited with status 3"
    assert describe_status(None) == "ended"


@pytest.mark.skipif(sys.platform != "linux", reason="there are no subreapers elsewhere")
def test_a_subreaper_gets_the_orphans():
    pid = os.fork()
    if pid == 0:
        try:
            code = 0 if become_subreaper() else 1
            middle = os.fork()
            if middle == 0:
                if os.fork() == 0:
                    os._exit(7)
                os._exit(0)
            found = {os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(2)}
            os._exit(code if found == {0, 7} else 2)
        finally:
            os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


#: Adopts an orphan with a session of its own, has a child that it waits for itself, and reaps only the first.
ADOPTS = """
import sys, time
from testd_daemon.process import become_subreaper, children_of_this, reap_adopted, start

become_subreaper()
own = start(["true"], name="own")
leaves = start(["sh", "-c", "setsid true & exit 0"], name="leaves")
give_up = time.monotonic() + 60
while not leaves.reap() or children_of_this() != {own.pid}:
    reap_adopted()
    assert time.monotonic() < give_up, children_of_this()
while not own.reap():
    pass
assert (own.status, leaves.status) == (0, 0), (own.status, leaves.status)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="there are no subreapers elsewhere")
def test_what_was_adopted_is_reaped_and_who_waits_for_a_child_still_gets_it():
    """Each container that podman ran left zombies behind, for as long as the agent lived."""
    done = subprocess.run([sys.executable, "-c", ADOPTS], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
