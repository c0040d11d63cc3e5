"""`testd run` on several targets as a process: what a person reads, what programs read, the exit status."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import xml.etree.ElementTree as ET

from fake_handler import DEADLINE
from test_run_against_fake import completed, event, read_until, ready

NAMES = ("py3.9", "py3.13", "box")


def rows(target, *verdicts):
    detail = {"message": "assert 1 == 2"}
    return [
        [f"t.py::test_{number}", target, verdict, 0.01, 0, 0, detail if verdict == "failed" else None]
        for number, verdict in enumerate(verdicts)
    ]


def plan(**tests):
    targets = {name: tests.get(name.replace(".", "_")) for name in NAMES}
    return event("Planned", tests=sum(count or 0 for count in targets.values()), targets=targets)


def script(handler):
    yield plan()
    yield ready(target="py3.13")
    yield plan(py3_13=2)
    yield event("Outcomes", rows=rows("py3.13", "passed", "passed"))
    yield event("TargetUnavailable", target="box", message="no such image", hint="Pull it.", detail="", required=False)
    yield ready(target="py3.9", warm=False, reason="cold: first run")
    yield plan(py3_13=2, py3_9=2)
    yield event("Outcomes", rows=rows("py3.9", "passed", "failed"))
    yield completed(1, passed=3, failed=1)


def test_text_and_junit(cli):
    with cli.fake(script) as handler:
        done = cli.run("run", "--target", "all", "--junitxml", "r.xml")
    assert handler.requests[0]["targets"] == ["all"]
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[:3] == [
        "py3.13  2 passed (warm)",
        "unavailable: box: no such image",
        "    Pull it.",
    ]
    assert "again: testd run --target py3.9 t.py::test_1\n" in done.stdout
    assert "  F      ·      -   1 test fails only on py3.9\n" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("(cold on py3.9); fails only on py3.9: t.py::test_1")
    suites = ET.parse(cli.project / "r.xml").getroot()
    assert [(suite.get("name"), suite.get("tests"), suite.get("failures")) for suite in suites] == [
        ("py3.9", "2", "1"),
        ("py3.13", "2", "0"),
        ("box", "1", "0"),
    ]


def test_json(cli):
    with cli.fake(script):
        done = cli.run("run", "--format", "json")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["target"] for line in told if line["event"] == "outcome"] == ["py3.13", "py3.13", "py3.9", "py3.9"]
    assert [line["target"] for line in told if line["event"] == "unavailable"] == ["box"]


def test_attached_behind_the_first_plan_the_targets_are_still_told_apart(cli):
    with cli.fake(script):
        done = cli.run("attach", "r1", "--after", "3")
    assert done.returncode == 1
    assert "FAILED t.py::test_1 [py3.9]" in done.stdout
    assert "py3.13  2 passed\n" in done.stdout
    assert done.stdout.endswith("\n3 targets: 1 failed, 3 passed in 0.50 s (cold)\n")


def test_on_a_terminal_each_target_has_a_live_line(cli, ended):
    def slow(handler):
        yield from list(script(handler))[:5]
        handler.wait(handler.go_on)
        yield from list(script(handler))[5:]

    controller, terminal = pty.openpty()
    try:
        with cli.fake(slow) as handler:
            cli.environment |= {"TERM": "xterm", "COLUMNS": "80", "LINES": "40"}
            process = subprocess.Popen(cli.command("run"), cwd=cli.project, env=cli.environment, stdout=terminal)
            ended(process)
            shown = read_until(controller, b"unavailable: no such image")
            handler.go_on.set()
            shown += read_until(controller, b"0.50 s")
            process.wait(DEADLINE)
    finally:
        os.close(terminal)
        os.close(controller)
    assert process.returncode == 1
    assert b"2 done" in shown
    assert b"waiting" in shown
    assert shown.count(b"\x1b[?25l") == shown.count(b"\x1b[?25h") == 1
