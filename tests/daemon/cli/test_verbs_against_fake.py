"""status, history, cancel, stop, logs, daemon: what they show and what they exit with."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys

import pytest
from fake_handler import DEADLINE

from testd_daemon.cli import logs
from testd_daemon.cli.gone import wait_until_gone
from testd_daemon.errors import DeadlineExpired


def a_run(run="r1", exit_code=None, **fields):
    return {
        "run": run,
        "workspace": "/w",
        "state": "running" if exit_code is None else "finished",
        "accepted_at": 1.0,
        "counts": {"passed": 3, "failed": 1},
        "tests": 10,
        "exit_code": exit_code,
        "detach": False,
        **fields,
    }


AGENT = {
    "workspace": "/w",
    "state": "ready",
    "pid": 42,
    "restarts": 1,
    "memory": 51200,
    "runners": [
        {
            "target": "py3.11",
            "state": "busy",
            "pid": 43,
            "python": "3.11.7",
            "tests": 1203,
            "memory": 102400,
            "age": 61.0,
        }
    ],
}


def test_status_without_a_daemon(cli):
    done, told = cli.run("status"), cli.run("status", "--format", "json")
    assert (done.returncode, done.stdout) == (0, "no daemon is running; `testd run` starts one\n")
    assert json.loads(told.stdout) == {"running": False}


def test_status_as_a_table(cli):
    with cli.fake(status={"agents": [AGENT], "runs": [a_run(), a_run("r2", 1, accepted_at=2.0)]}):
        done = cli.run("status")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert re.match(
        r"testd \S+  pid \d+, started \d+ days ago, 40 MiB, 1 client, ends when idle for 3 h 00 min", lines[0]
    )
    assert "/w  ready, pid 42, 50 MiB, restarted 1 time" in lines
    assert "  py3.11   busy, Python 3.11.7, 1,203 tests warm, 100 MiB, pid 43, for 1 min 01 s" in lines
    assert re.match(r"  r2  finished  .* days ago  1 failed, 3 passed  /w", lines[-2])
    assert re.match(r"  r1  running   .* days ago  4 of 10 tests, 1 failed, 3 passed  /w", lines[-1])


def test_status_as_json(cli):
    with cli.fake(status={"agents": [AGENT], "runs": [a_run()]}):
        told = json.loads(cli.run("status", "--format", "json").stdout)
    assert told["running"] is True
    assert told["agents"] == [AGENT]
    assert "type" not in told


def test_cancel_takes_the_only_run(cli):
    with cli.fake(status={"runs": [a_run(), a_run("r2", 0)]}) as handler:
        done = cli.run("cancel")
        assert (done.returncode, done.stdout) == (0, "run r1 is being cancelled\n")
        handler.wait(handler.cancelled)
        assert cli.run("cancel", "r2").stdout == "run r2 is over already\n"
    assert [message["run"] for message in handler.messages if message["type"] == "Cancel"] == ["r1"]


@pytest.mark.parametrize(
    ("runs", "operands", "said"),
    [
        ([], [], "no run is going on"),
        ([a_run("a"), a_run("b")], [], "2 runs are going on\nName one: a, b"),
        ([a_run("abcd")], ["abce"], "unknown run: abce\nDid you mean abcd?"),
    ],
)
def test_cancel_that_cannot_be(cli, runs, operands, said):
    with cli.fake(status={"runs": runs}):
        done = cli.run("cancel", *operands)
    assert done.returncode == 4
    assert said in done.stderr


def test_commands_that_need_a_daemon_say_so(cli):
    for arguments in (["attach"], ["cancel"]):
        done = cli.run(*arguments)
        assert done.returncode == 3
        assert done.stderr.startswith("testd: ")
        assert "Traceback" not in done.stderr


def entry(**fields):
    return {
        "run": "",
        "test": "",
        "target": "py3.11",
        "verdict": "",
        "at": 1.0,
        "duration": 0.5,
        "counts": {},
        "message": "",
        "runs": 0,
        "failures": 0,
        **fields,
    }


def test_history_of_runs_and_of_a_test(cli):
    runs = [entry(run="r2", counts={"passed": 3, "failed": 1}), entry(run="r1", verdict="cancelled")]
    with cli.fake(history=runs):
        said = cli.run("history").stdout.splitlines()
        told = [json.loads(line) for line in cli.run("history", "--format", "json").stdout.splitlines()]
    assert re.fullmatch(r"r2  +\d+ days ago +0.50 s  1 failed, 3 passed", said[0])
    assert told == runs
    tests = [
        entry(test="t.py::test_a", verdict="failed", runs=7, failures=2),
        entry(test="t.py::test_a", run="r2", verdict="failed", message="assert 1 == 2\nmore"),
    ]
    with cli.fake(history=tests) as handler:
        said = cli.run("history", "test_a", "--limit", "5").stdout.splitlines()
    assert said[0] == "failed    t.py::test_a  0.50 s, 2 of 7 runs not passed"
    assert re.fullmatch(r"    became failed +\d+ days ago  in run r2  assert 1 == 2", said[1])
    asked = next(message for message in handler.messages if message["type"] == "History")
    assert (asked["workspace"], asked["test"], asked["limit"]) == (str(cli.project), "test_a", 5)


def test_history_of_several_targets_names_them(cli):
    runs = [entry(run="r1", target="py3.9", counts={"failed": 1}), entry(run="r1", target="box", counts={"passed": 1})]
    with cli.fake(history=runs):
        said = cli.run("history").stdout.splitlines()
    assert [line.rpartition("  ")[2] for line in said] == ["1 failed [py3.9]", "1 passed [box]"]


def test_history_says_what_had_changed(cli):
    known = {"generation": 12, "previous": 9, "changed": ["a.py", "b\x1b.py"], "more": 3, "commit": "c0ffee" * 6}
    changes = [
        entry(test="t.py::test_a", run="r3", verdict="failed", **known),
        entry(test="t.py::test_a", run="r2", verdict="passed", **{**known, "changed": [], "more": 0, "commit": ""}),
        entry(test="t.py::test_a", run="r1", verdict="failed", **{**known, "previous": 0}),
        entry(test="t.py::test_a", run="r0", verdict="failed", generation=0, commit=""),
    ]
    with cli.fake(history=changes):
        said = cli.run("history", "test_a").stdout.splitlines()
    assert [line for line in said if line.startswith("        ")] == [
        "        generation 12, at commit c0ffeec0ffee: changed since then a.py, b^[.py and 3 more",
        "        generation 12: nothing had changed in the workspace",
        "        generation 12, at commit c0ffeec0ffee",
    ]


def test_flaky_tests(cli):
    found = [
        entry(test="t.py::test_a", verdict="passed", runs=70, failures=12, flips=9, message="the moon\nis up"),
        entry(test="t.py::test_b", target="box", verdict="failed", runs=3, failures=2, flips=1),
    ]
    with cli.fake(history=found) as handler:
        said = cli.run("flaky", "--limit", "2").stdout.splitlines()
        told = [json.loads(line) for line in cli.run("flaky", "--format", "json").stdout.splitlines()]
    assert re.fullmatch(r" 9 times  t.py::test_a \[py3.11\]  last \d+ days ago; 12 of 70 runs not passed", said[0])
    assert said[1] == "          the moon"
    assert re.fullmatch(r"  1 time  t.py::test_b \[box\]  last \d+ days ago; 2 of 3 runs not passed", said[2])
    assert told == found
    asked = next(message for message in handler.messages if message["type"] == "History")
    assert (asked["flaky"], asked["test"], asked["limit"]) == (True, "", 2)
    with cli.fake():
        assert cli.run("flaky").stdout.startswith("no test is known to have changed its verdict")
        assert cli.run("flaky", "test_a").returncode == 4


def test_history_that_is_empty(cli):
    with cli.fake():
        assert cli.run("history").stdout == "nothing has run here yet\n"
        assert cli.run("history", "x").stdout == "no test with 'x' has run here yet\n"


def test_stop_without_a_daemon(cli):
    done = cli.run("stop")
    assert (done.returncode, done.stdout) == (0, "no daemon is running\n")


def test_stop_waits_until_the_process_is_gone(cli, ended):
    """The handler's pid is that of a child of ours that ends when it is told to."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    ended(child)
    with cli.fake(status={"pid": child.pid}) as handler:
        process = cli.start("stop")
        ended(process)
        handler.wait(handler.shut_down)
        assert process.poll() is None
        child.communicate(b"\n", timeout=DEADLINE)
        out, _ = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out) == (0, "the daemon has ended\n")


def test_a_daemon_that_stays_is_told_with_what_to_do():
    with pytest.raises(DeadlineExpired) as raised:
        wait_until_gone(os.getpid(), 0.01)
    assert f"(pid {os.getpid()})" in raised.value.message
    assert "kill -9" in raised.value.hint


def log_file(cli, text):
    path = cli.home / "state" / "log" / "handler.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_logs(cli):
    assert "nothing has been logged yet" in cli.run("logs").stderr
    path = log_file(cli, "".join(f"line {n}\n" for n in range(300)))
    assert cli.run("logs", "--path").stdout == f"{path}\n"
    assert cli.run("logs", "-n", "2").stdout == "line 298\nline 299\n"
    assert len(cli.run("logs").stdout.splitlines()) == 200


def test_logs_followed_across_a_rotation(cli, ended):
    path = log_file(cli, "old\n")
    process = cli.start("logs", "-f")
    ended(process)
    assert process.stdout.readline() == "old\n"
    with path.open("a") as file:
        file.write("added\n")
    assert process.stdout.readline() == "added\n"
    path.rename(path.with_suffix(".1"))
    path.write_text("new\n")
    assert process.stdout.readline() == "new\n"
    process.terminate()
    process.communicate(timeout=DEADLINE)


@pytest.mark.parametrize("lines", [0, 1, 3, 5000, 10_000])
def test_the_tail_of_a_log_is_read_from_its_end(lines):
    whole = [f"{n} {'x' * (n % 97)}\n".encode() for n in range(5000)] + [b"no end"]
    file = io.BytesIO(b"".join(whole))
    assert logs.tail(file, lines) == b"".join(whole[len(whole) - min(lines, len(whole)) :])
    assert file.read() == b""
