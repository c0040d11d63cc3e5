"""`testd run` as a process, against a handler that says what the test wants."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from fake_handler import DEADLINE

from testd_protocol.version import __version__


def event(kind, /, **fields):
    return {"type": kind, **fields}


def ready(**fields):
    return event(
        "TargetReady",
        **{
            "target": "py3.11",
            "warm": True,
            "reason": "warm: kept",
            "mode": "worker",
            "kind": "pytest",
            "jobs": 1,
            "python": "3.11.7",
            "framework": "pytest 9",
            **fields,
        },
    )


def planned(tests):
    return event("Planned", tests=tests, expected=None, deselected=0)


def outcomes(*verdicts, detail=None):
    rows = [[f"t.py::test_{n}", "py3.11", verdict, 0.01, 0, 1, detail] for n, verdict in enumerate(verdicts)]
    return event("Outcomes", rows=rows)


def completed(exit_code, reason="", **counts):
    return event("RunCompleted", exit_code=exit_code, counts=counts, duration=0.5, reason=reason, hint="", detail="")


def passing(_):
    yield from (ready(), planned(2), outcomes("passed", "passed"), completed(0, passed=2))


def test_a_run_is_submitted_with_what_was_asked_and_reported(cli):
    with cli.fake(passing) as handler:
        done = cli.run(
            "run",
            "tests",
            "-k",
            "a and b",
            "-x",
            "--lf",
            "-s",
            "--mode",
            "bin",
            "--fresh",
            "-j",
            "3",
            "--timeout",
            "2.5",
            "-u",
            "--target",
            "one",
            "a.py::b",
            TESTD_ODD="\udcff",
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, "2 passed in 0.50 s (warm)\n", "")
    request = handler.requests[0]
    environment = request.pop("environment")
    assert environment["HOME"] == str(cli.home)
    assert request == {
        "workspace": str(cli.project),
        "cwd": str(cli.project),
        "paths": ["tests", "a.py::b"],
        "keyword": "a and b",
        "maxfail": 1,
        "last_failed": True,
        "stream": True,
        "mode": "bin",
        "fresh": True,
        "jobs": 3,
        "timeout": 2.5,
        "detach": False,
        "update_snapshots": True,
        "targets": ["one"],
        "python": sys.executable,
            "require": None,
        "shuffle": None,
        "isolate": "",
        "verify": False,
        "profile": False,
        "affected": False,
        "since": "",
        "kind": None,
    }


def test_a_request_without_options_leaves_everything_to_the_configuration(cli):
    with cli.fake(passing) as handler:
        cli.run("run")
    request = handler.requests[0]
    assert request["paths"] == request["targets"] == []
    assert (request["keyword"], request["maxfail"], request["mode"], request["jobs"], request["timeout"]) == (
        None,
        0,
        None,
        None,
        None,
    )


@pytest.mark.parametrize("status", range(6))
def test_the_exit_status_is_the_runs(cli, status):
    with cli.fake(lambda _: iter([completed(status, reason="so it is")])):
        done = cli.run("run")
    assert done.returncode == status
    assert "so it is" in (done.stderr if status in (3, 4) else done.stdout)


def test_a_request_that_is_refused(cli):
    fault = {
        "code": "journal",
        "message": "the disk is full",
        "hint": "Free some.",
        "detail": "",
        "exit_code": 3,
        "id": 0,
    }
    with cli.fake(fault=fault):
        done = cli.run("run")
        told = cli.run("run", "--format", "json")
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "testd: the disk is full\nFree some.\n")
    assert told.returncode == 3
    assert json.loads(told.stdout)["code"] == "journal"


def test_detach_prints_the_id_first(cli):
    with cli.fake(passing) as handler:
        done = cli.run("run", "--detach")
        told = cli.run("run", "--detach", "--format", "json")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "r1"
    assert "testd attach r1" in done.stdout
    assert handler.requests[0]["detach"] is True
    assert json.loads(told.stdout) == {
        "event": "accepted",
        "run": "r1",
        "seq": 0,
        "schema": 1,
        "version": __version__,
        "workspace": str(cli.project),
    }


def test_json_and_junit_together(cli):
    with cli.fake(passing):
        done = cli.run("run", "--format", "json", "--junitxml", "out/r.xml")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["event"] for each in events] == ["accepted", "target", "plan", "outcome", "outcome", "completed"]
    assert [each["seq"] for each in events] == [0, 1, 2, 3, 3, 4]
    assert ET.parse(cli.project / "out" / "r.xml").getroot()[0].get("tests") == "2"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_cancels_and_the_summary_still_comes(cli, ended, number):
    def script(handler):
        yield from (ready(), planned(2), outcomes("failed"))
        handler.wait(handler.cancelled)
        yield completed(2, "cancelled: interrupted", failed=1, cancelled=1)

    with cli.fake(script) as handler:
        process = cli.start("run", "--junitxml", "r.xml")
        ended(process)
        assert "FAILED t.py::test_0" in process.stdout.readline()
        process.send_signal(number)
        handler.wait(handler.cancelled)
        out, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 2
    assert out.endswith("cancelled: interrupted\n1 failed, 1 cancelled in 0.50 s (warm)\n")
    assert err == ""
    assert ET.parse(cli.project / "r.xml").getroot()[0].get("tests") == "1"


def test_the_second_signal_leaves_at_once(cli, ended):
    def script(handler):
        yield from (ready(), planned(2), outcomes("failed"))
        handler.wait(handler.go_on)  # a handler that does not answer

    with cli.fake(script) as handler:
        process = cli.start("run")
        ended(process)
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        handler.wait(handler.cancelled)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE)
        handler.wait(handler.left)
        handler.go_on.set()
    assert process.returncode == 2
    assert err == ""
    assert "once more to leave at once" in out


def test_whoever_reads_the_output_may_go_away(cli, ended):
    def script(handler):
        yield from (ready(), planned(100_000))
        while not handler.left.is_set():
            yield outcomes(*["failed"] * 50)

    with cli.fake(script) as handler:
        process = cli.start("run")
        ended(process)
        process.stdout.readline()
        process.stdout.close()
        process.wait(DEADLINE)
        handler.wait(handler.left)
    assert process.returncode == 2
    assert process.stderr.read() == ""


def test_an_encoding_that_cannot_say_it_gets_escapes(cli):
    def script(_):
        detail = {"phase": "call", "kind": "assertion", "message": "✓ \udcff", "text": "✓ \udcff"}
        yield from (ready(), planned(1), outcomes("failed", detail=detail), completed(1, failed=1))

    with cli.fake(script):
        done = cli.run("run", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 1
    assert done.stdout.isascii()
    assert r"\u2713 \udcff" in done.stdout
    assert done.stdout.startswith("-- FAILED t.py::test_0 --")


def test_attach_follows_behind_an_event_and_does_not_cancel(cli, ended):
    def script(handler):
        yield from (ready(), planned(2), outcomes("failed"))
        handler.wait(handler.go_on)
        yield completed(0)

    runs = [
        {
            "run": "r1",
            "workspace": str(cli.project),
            "state": "running",
            "accepted_at": 1.0,
            "counts": {},
            "tests": 2,
            "exit_code": None,
            "detach": True,
        }
    ]
    with cli.fake(script, status={"runs": runs}) as handler:
        process = cli.start("attach", "--after", "2", "--format", "json")
        ended(process)
        assert json.loads(process.stdout.readline())["event"] == "accepted"
        assert json.loads(process.stdout.readline())["seq"] == 3
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=DEADLINE)
        handler.go_on.set()
    assert process.returncode == 2
    assert not any(message["type"] == "Cancel" for message in handler.messages)
    assert next(message for message in handler.messages if message["type"] == "Attach")["after"] == 2


def test_a_terminal_gets_colours_and_its_cursor_back(cli, ended):
    def script(handler):
        yield from (ready(), planned(2), outcomes("failed"))
        handler.wait(handler.go_on)
        yield completed(1, failed=2)

    controller, terminal = pty.openpty()
    try:
        with cli.fake(script) as handler:
            cli.environment["TERM"] = "xterm"
            process = subprocess.Popen(cli.command("run"), cwd=cli.project, env=cli.environment, stdout=terminal)
            ended(process)
            shown = read_until(controller, b"1/2")  # a live line
            handler.go_on.set()
            shown += read_until(controller, b"0.50 s")
            process.wait(DEADLINE)
    finally:
        os.close(terminal)
        os.close(controller)
    assert process.returncode == 1
    assert b"\x1b[1;31mFAILED t.py::test_0\x1b[0m" in shown
    assert shown.count(b"\x1b[?25l") == shown.count(b"\x1b[?25h") == 1


def read_until(descriptor, wanted):
    got = b""
    while wanted not in got:
        got += os.read(descriptor, 65536)
    return got


#: What a quick run must not pay for. Each of these costs milliseconds; together they cost more than a warm run.
EXPENSIVE = {
    "anyio",
    "asyncio",
    "dataclasses",
    "importlib.metadata",
    "inspect",
    "json",
    "logging",
    "msgspec",
    "multiprocessing",
    "pathlib",
    "psutil",
    "rich",
    "shutil",
    "structlog",
    "subprocess",
    "tempfile",
    "threading",
    "tomllib",
    "typing",
    "xml",
}


def test_a_quick_run_imports_nothing_that_is_expensive(cli):
    with cli.fake(passing):
        done = cli.run("run", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "testd_daemon.cli.follow" in imported  # importlib.import_module is not told, what it imports is
    assert imported & EXPENSIVE == set()
    ours = {name for name in imported if name.startswith("testd")}
    assert not any(
        name.startswith("testd_daemon.cli.") for name in ours if name.rpartition(".")[2] in {"status", "doctor"}
    )
    assert "testd_daemon.reports.failure" not in ours


def test_a_seed_is_made_up_and_told_where_none_was_given(cli):
    end = {"type": "RunCompleted", "exit_code": 5, "counts": {}, "duration": 0.0}
    with cli.fake(lambda _: iter([end])) as handler:
        told = cli.run("run", "test_a.py", "--shuffle", "--isolate", "test")
        cli.run("run", "--shuffle", "12", "test_a.py")
    first, second = handler.requests
    assert told.stdout.startswith(f"shuffled: --shuffle {first['shuffle']} repeats this order\n")
    assert 0 <= first["shuffle"] < 100_000
    assert (first["isolate"], first["paths"]) == ("test", ["test_a.py"])
    assert (second["shuffle"], second["isolate"], second["paths"]) == (12, "", ["test_a.py"])
