"""`testd watch` as a process, against a handler that says what the test wants: lines, events, and a real terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from fake_handler import DEADLINE
from test_run_against_fake import EXPENSIVE, event, planned, ready
from typist import Typist

A, B, C = (f"tests/test_it.py::test_{name}" for name in "abc")
ECHO = 3


def generation(number, cause="start", *changed):
    return event("GenerationStarted", generation=number, cause=cause, changed=list(changed), more=0, at=0.0)


def outcomes(**verdicts):
    details = {"failed": {"phase": "call", "kind": "assertion", "message": "assert 1 == 2", "text": "E  assert 1 == 2"}}
    rows = [
        [f"tests/test_it.py::test_{name}", "py3.11", verdict, 0.01, 0, 1, details.get(verdict)]
        for name, verdict in verdicts.items()
    ]
    return event("Outcomes", rows=rows)


def standing(number, *failing, tests=3):
    counts = {"passed": tests - len(failing), **({"failed": len(failing)} if failing else {})}
    rows = [[test, "py3.11", "failed", "assert 1 == 2"] for test in failing]
    return event("Standing", generation=number, tests=tests, counts=counts, failing=rows, more=0)


def ended(number, exit_code=0, reason="", **counts):
    return event(
        "RunCompleted", exit_code=exit_code, counts=counts, duration=0.5, reason=reason, hint="", detail="",
        generation=number,
    )  # fmt: skip


def first(*failing):
    verdicts = {name: "failed" if f"tests/test_it.py::test_{name}" in failing else "passed" for name in "abc"}
    counts = {"passed": 3 - len(failing), **({"failed": len(failing)} if failing else {})}
    yield from (generation(1), ready(), planned(3), outcomes(**verdicts))
    yield from (standing(1, *failing), ended(1, int(bool(failing)), **counts))


def second(*failing):
    yield from (generation(2, "change", "src/it.py"), ready(), planned(1), outcomes(a="passed"))
    yield from (standing(2, *failing), ended(2, 0, passed=1))


CANCELLED = ended(0, 1, "cancelled by `testd cancel`")


def plain(handler):
    yield from first(A, B)
    yield from second(B)
    yield CANCELLED


def test_without_a_terminal_there_are_plain_lines(cli):
    with cli.fake(plain) as handler:
        done = cli.run("watch", "tests", "-k", "it", "--target", "py3.11")
    assert handler.requests[0]["watch"] is True
    assert (handler.requests[0]["paths"], handler.requests[0]["keyword"]) == (["tests"], "it")
    lines = done.stdout.splitlines()
    assert lines[0] == "first run: 3 tests"
    assert [line for line in lines if line.startswith("── FAILED")]
    assert "2 failed, 1 passed in 0.50 s (warm)" in lines
    at = lines.index("src/it.py changed: 1 of 3 tests affected")
    assert lines[at - 1] == ""
    assert lines[at + 1 : at + 4] == [
        "still failing, not run this time:",
        f"  FAILED {B} - assert 1 == 2",
        "1 failed, 2 passed; 1 ran in 0.50 s (warm)",
    ]
    assert (done.returncode, done.stderr) == (1, "")
    assert "\x1b" not in done.stdout


def test_events_as_json(cli):
    with cli.fake(plain):
        done = cli.run("watch", "--format", "json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["event"] for each in events if each["event"] not in ("target", "plan", "outcome")] == [
        "accepted", "generation", "standing", "completed", "generation", "standing", "completed", "completed",
    ]  # fmt: skip
    assert [each["generation"] for each in events if each["event"] == "completed"] == [1, 2, 0]
    standings = [each["failing"] for each in events if each["event"] == "standing"]
    assert standings[1] == [{"test": B, "target": "py3.11", "verdict": "failed", "message": "assert 1 == 2"}]


def test_a_generation_that_was_superseded_is_no_result(cli):
    def script(_):
        yield from first()
        yield from (generation(2, "change", "src/it.py"), planned(2), outcomes(a="failed"), standing(2, A))
        yield ended(2, 1, "superseded: src/it.py changed", failed=1)
        yield from (generation(3, "change", "src/it.py"), planned(2), outcomes(a="passed", b="passed"))
        yield from (standing(3), ended(3, passed=2), ended(0, 0, "the workspace is gone"))

    with cli.fake(script):
        done = cli.run("watch")
    lines = done.stdout.splitlines()
    assert "superseded: src/it.py changed" in lines
    assert not any(line.startswith("1 failed") for line in lines)
    assert "3 passed; 2 ran in 0.50 s" in lines
    assert done.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_quits_with_the_status_of_the_last_generation(cli, ended, number):
    def script(handler):
        yield from first(A)
        handler.wait(handler.go_on)

    with cli.fake(script) as handler:
        process = cli.start("watch", start_new_session=True)
        ended(process)
        while "(warm)" not in process.stdout.readline():
            pass
        process.send_signal(number)
        out, err = process.communicate(timeout=DEADLINE)
        handler.wait(handler.left)
        handler.go_on.set()
    assert (process.returncode, out, err) == (1, "", "")


def test_quitting_before_anything_is_known_is_an_interruption(cli, ended):
    def script(handler):
        yield generation(1)
        yield outcomes(a="failed")
        handler.wait(handler.go_on)

    with cli.fake(script) as handler:
        process = cli.start("watch")
        ended(process)
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=DEADLINE)
        handler.go_on.set()
    assert process.returncode == 2


def test_attach_to_a_watch_is_a_watch(cli):
    runs = [
        {"run": "r1", "workspace": str(cli.project), "state": "running", "accepted_at": 1.0, "counts": {}, "tests": 3,
         "exit_code": None, "detach": False, "watch": True},
    ]  # fmt: skip
    with cli.fake(plain, status={"runs": runs}) as handler:
        done = cli.run("attach")
        status = cli.run("status")
        refused = cli.run("attach", "--junitxml", "r.xml")
    assert "src/it.py changed: 1 of 3 tests affected" in done.stdout
    assert done.returncode == 1
    assert any(message["type"] == "Attach" for message in handler.messages)
    assert "watching" in status.stdout
    assert refused.returncode == 4
    assert "is a watch" in refused.stderr


def test_what_is_refused_is_told(cli):
    fault = {"code": "journal", "message": "the disk is full", "hint": "", "detail": "", "exit_code": 3, "id": 0}
    with cli.fake(fault=fault):
        done = cli.run("watch")
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "testd: the disk is full\n")


def test_a_dumb_terminal_gets_plain_lines_and_keeps_its_modes(cli):
    with cli.fake(plain), typist(cli, TERM="dumb") as person:
        status, seen = person.ended()
        assert status == 1
        assert "src/it.py changed: 1 of 3 tests affected" in seen
        assert person.glass.modes == set()
        assert person.modes == person.before


# ── a terminal ───────────────────────────────────────────────────────────────────────────────────────────────────────


def typist(cli, *arguments, columns=80, rows=24, stdin=None, **environment):
    for name in ("COLUMNS", "LINES"):
        cli.environment.pop(name, None)
    environment = {"TERM": "xterm", "NO_COLOR": "1", "LC_ALL": "C.UTF-8", **environment}
    return Typist(
        cli.command("watch", *arguments), columns=columns, rows=rows, stdin=stdin, cwd=cli.project,
        env={**cli.environment, **environment},
    )  # fmt: skip


def obedient(*failing):
    """Give a script that begins with these failures and then does what it is asked for, until it is told to end."""

    def script(handler):
        yield from first(*failing)
        number = 1
        while (what := handler.steered()) != "end":
            if what == "output":
                continue
            number += 1
            yield from (generation(number, "all" if what == "again" else what), planned(3))
            yield from (outcomes(a="passed", b="passed", c="passed"), standing(number), ended(number, passed=3))

    return script


@pytest.fixture
def fake(cli):
    """Give a fake handler with a script that ends when the test does."""
    handlers = []

    def start(script, **settings):
        handler = cli.fake(script, **settings)
        handlers.append(handler)
        return handler

    yield start
    for handler in handlers:
        handler.steers.put({"what": "end"})
        handler.go_on.set()
        with handler:
            pass


def test_a_page_for_each_generation_and_keys_below_it(cli, fake):
    fake(obedient(A, B))
    with typist(cli) as person:
        seen = person.until("? help")
        assert seen[0] == "first run: 3 tests"
        assert seen[-2:] == [
            "2 failed, 1 passed in 0.50 s (warm)",
            "watching 3 tests · a/enter all · f failed · d details · q quit · ? help",
        ]
        assert person.modes[ECHO] & termios.ECHO == 0
        person.type("a")
        seen = person.until("all tests: 3 tests")
        seen = person.until("? help")
        assert seen == [
            "all tests: 3 tests",
            "3 passed in 0.50 s",
            "watching 3 tests · a/enter all · p files · t tests · q quit · ? help",
        ]
        assert "2 failed, 1 passed in 0.50 s (warm)" in person.glass.everything()
        person.type("q")
        status, seen = person.ended()
        assert status == 0
        assert "watching" not in seen[-1]
        assert person.modes == person.before
        assert (person.glass.hidden, person.glass.modes - {"?25"}) == (False, set())


@pytest.mark.parametrize(("key", "what"), [("\r", "all"), ("f", "failed"), ("u", "snapshots"), ("r", "again")])
def test_keys_ask_the_daemon(cli, fake, key, what):
    handler = fake(obedient(A))
    with typist(cli) as person:
        person.until("? help")
        person.type(key)
        person.until("3 passed")
        person.type(b"\x03")
        assert person.ended()[0] == 0
    assert [message["what"] for message in handler.messages if message["type"] == "Steer"] == [what]


def test_a_filter_is_typed_and_shown(cli, fake):
    handler = fake(obedient())
    with typist(cli, columns=100) as person:
        person.until("? help")
        person.type("p")
        person.until("files:")
        person.type("test_it")
        seen = person.until("3 tests match")
        assert seen[-1] == "files: test_it  3 tests match  enter runs, escape leaves"
        assert person.glass.column == len("files: test_it")
        person.type(b"\x7f\x7f\x7f")
        person.until("files: test ")
        person.type("\r")
        person.until("· files test ·")
        person.type("t")
        person.until("\ntests: ")
        person.type(b"\x1b")
        person.until("? help")
        person.type("q")
        person.ended()
    steer = next(message for message in handler.messages if message["type"] == "Steer")
    assert (steer["what"], steer["patterns"], steer["keyword"]) == ("filter", ["test"], "")


def test_one_failure_after_the_other_and_back(cli, fake):
    fake(obedient(A, B))
    with typist(cli) as person:
        person.until("? help")
        page = person.glass.seen()
        person.type("d")
        seen = person.until("failure 1 of 2")
        assert seen[0].startswith(f"── FAILED {A} ──")
        assert seen[2] == f"again: testd run {A}"
        person.type(b"\x1b[C")
        seen = person.until("failure 2 of 2")
        assert seen[0].startswith(f"── FAILED {B} ")
        person.type(b"\x1b")
        person.until("? help")
        assert person.glass.seen() == page
        person.type("?")
        assert "keys" in person.until("any key: back")[0]
        person.type("q")
        person.until("? help")
        person.type("q")
        person.ended()


def test_pasted_text_and_sequences_do_nothing(cli, fake):
    handler = fake(obedient(A))
    with typist(cli) as person:
        person.until("? help")
        person.type(b"\x1b[200~quit\r\x1b[201~")
        person.until("pasted text is no key")
        person.type(b"\x1b[15;2~")
        person.type("x")
        person.until("x is no key here")
        person.type("f")
        person.until("3 passed")
        person.type("q")
        person.ended()
    assert [message["what"] for message in handler.messages if message["type"] == "Steer"] == ["failed"]


def test_keys_work_while_tests_run(cli, fake):
    def script(handler):
        yield from (generation(1), ready(), planned(3), outcomes(a="failed"))
        assert handler.steered() == "all"
        yield standing(1, A, tests=1)
        yield ended(1, 1, "superseded: somebody asked for something else", failed=1)
        yield from (generation(2, "all"), planned(3), outcomes(a="passed"))
        assert handler.steered() == "filter"
        yield from (standing(2), ended(2, passed=3))
        handler.steered()

    fake(script)
    with typist(cli) as person:
        person.until("1/3")  # a live line
        person.type("a")
        person.until("all tests: 3 tests")
        person.type("t")
        person.until("\ntests: ")
        person.type("it")
        person.until("\ntests: it")
        person.type("\r")
        person.until("tests it")
        person.type("q")
        assert person.ended()[0] == 0


def test_live_lines_and_a_line_that_is_typed_do_not_get_into_each_others_way(cli, fake):
    def script(handler):
        yield from (generation(1), ready(), planned(3), outcomes(a="passed"))
        handler.wait(handler.go_on)
        yield outcomes(b="failed")
        handler.steered()

    handler = fake(script)
    with typist(cli) as person:
        person.until("1/3")
        person.type("p")
        seen = person.until("files:")
        assert seen[0] == "first run: 3 tests"
        assert "1/3" in seen[1]
        handler.go_on.set()
        seen = person.until("2/3")
        assert seen[1].startswith(f"── FAILED {B} ──")
        assert seen[-1].startswith("files:")
        person.type(b"\x03")
        assert person.ended()[0] == 2
        assert person.modes == person.before


def test_a_small_terminal_and_one_that_changes_its_size(cli, fake):
    fake(obedient(A))
    with typist(cli, columns=20, rows=8) as person:
        seen = person.until("watching 3 tests")
        assert max(map(len, seen)) <= 20
        person.resize(100, 8)
        person.process.send_signal(signal.SIGWINCH)
        person.until("? help")
        person.resize(30, 8)
        person.process.send_signal(signal.SIGWINCH)
        person.until("f failed", gone=True)
        person.type("q")
        assert person.ended()[0] == 1


def test_without_clearing_nothing_is_erased(cli, fake):
    fake(obedient(A))
    with typist(cli, "--no-clear") as person:
        person.until("? help")
        person.type("a")
        seen = person.until("3 passed")
        assert "1 failed, 2 passed in 0.50 s (warm)" in seen
        person.type("q")
        person.ended()
        assert person.glass.gone == []


def test_the_configuration_says_whether_to_clear(cli, fake):
    (cli.project / "pyproject.toml").write_text("[tool.testd]\nclear = false\n")
    fake(obedient(A))
    with typist(cli) as person:
        person.until("? help")
        person.type("a")
        assert "1 failed, 2 passed in 0.50 s (warm)" in person.until("3 passed")
        person.type("q")
        person.ended()


def test_standard_input_that_is_no_terminal_has_no_keys(cli, fake):
    fake(obedient(A))
    with typist(cli, stdin=subprocess.DEVNULL) as person:
        person.until("no keys: standard input is no terminal · Ctrl-C quits")
        person.process.send_signal(signal.SIGINT)
        assert person.ended()[0] == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_whatever_ends_it_the_terminal_is_as_it_was(cli, fake, number):
    fake(obedient(A))
    with typist(cli) as person:
        person.until("? help")
        person.type("p")
        person.until("files:")
        person.process.send_signal(number)
        assert person.ended()[0] == 1
        assert person.modes == person.before
        assert person.glass.modes - {"?25"} == set()


def test_an_error_of_our_own_leaves_the_terminal_as_it_was(cli, fake):
    """A report that raises must not leave a terminal without echo behind."""

    def script(handler):
        yield from first(A)
        handler.steered()
        yield event("GenerationStarted", generation=2, cause="all")  # no message of a handler: fields are missing
        yield event("Outcomes", rows=[["too", "short"]])

    fake(script)
    with typist(cli) as person:
        person.until("? help")
        person.type("a")
        status, seen = person.ended()
        assert status == 3
        assert "internal error" in "\n".join(seen)
        assert person.modes == person.before


def test_stopped_and_continued(cli, fake):
    fake(obedient(A))
    script = Path(__file__).with_name("job_control.py")
    for name in ("COLUMNS", "LINES"):
        cli.environment.pop(name, None)
    environment = {**cli.environment, "TERM": "xterm", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
    command = [sys.executable, str(script), *cli.command("watch")]
    with Typist(command, cwd=cli.project, env=environment) as person:
        person.until("? help")
        person.type(b"\x1a")
        person.until("stopped: echo is on")
        person.type("\r")
        person.until("? help")
        person.type("a")
        person.until("3 passed")
        person.type("q")
        person.until("ended with 0: echo is on")
        assert person.ended()[0] == 0


def test_the_handler_dies_and_the_watch_goes_on(cli, fake):
    lives = []

    def script(handler):
        yield from first(A)
        if not lives:
            lives.append(handler)
            handler.steered()
            handler.cut()
            return
        yield from second()
        handler.steered()

    handler = fake(script)
    with typist(cli) as person:
        person.until("? help")
        person.type("a")
        person.until("src/it.py changed")
        person.until("3 passed; 1 ran")
        person.type("q")
        assert person.ended()[0] == 0
    attached = [message for message in handler.messages if message["type"] == "Attach"]
    assert len(attached) == 1
    assert attached[0]["after"] == 6


def test_a_watch_that_is_cancelled_elsewhere_ends(cli, fake):
    def script(handler):
        yield from first(A)
        handler.wait(handler.go_on)
        yield CANCELLED

    handler = fake(script)
    with typist(cli) as person:
        person.until("? help")
        handler.go_on.set()
        status, seen = person.ended()
        assert status == 1
        assert "cancelled by `testd cancel`" in seen
        assert person.modes == person.before


def test_a_quick_watch_imports_nothing_that_is_expensive(cli):
    with cli.fake(plain):
        done = cli.run("watch", PYTHONPROFILEIMPORTTIME="1")
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "testd_daemon.cli.watching" in imported
    assert imported & EXPENSIVE == set()
    assert os.path.exists(cli.project)


def test_what_could_not_be_done_is_told_above_a_line_that_is_typed(cli, fake):
    """It goes to standard error elsewhere, which knows nothing of the lines at the bottom of a terminal."""

    def script(handler):
        yield from first(A)
        handler.steered()
        yield generation(2, "filter")
        handler.wait(handler.go_on)
        yield ended(2, 4, "no test expression: 'and'")
        handler.steered()

    handler = fake(script)
    with typist(cli) as person:
        person.until("? help")
        person.type("a")
        person.until("another filter")
        person.type("t")
        person.until("\ntests: ")
        handler.go_on.set()
        person.until("another filter\ntestd: no test expression: 'and'\ntests:")
        person.type(b"\x03")
        assert person.ended()[0] == 4


def test_it_says_that_it_starts_and_leaves_in_order_before_there_is_a_run(cli, fake):
    """Whoever interrupts a daemon that does not accept is left with a terminal as it was."""
    fake(lambda _: iter(()), silent=True)
    with typist(cli) as person:
        person.until("starting")
        person.process.send_signal(signal.SIGINT)
        assert person.ended() == (2, [])
        assert person.modes == person.before
        assert not person.glass.hidden


def test_a_watch_that_waits_costs_nothing(cli, fake):
    fake(obedient(A))
    with typist(cli) as person:
        person.until("? help")
        switches = [waits_of(person.process.pid) for _ in range(2) if person.look(0.5) is None]
        assert switches[0] == switches[1]
        person.type("q")
        person.ended()


def waits_of(pid):
    """How often a process has waited for something and gone on."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return next(line for line in file if line.startswith("voluntary"))
