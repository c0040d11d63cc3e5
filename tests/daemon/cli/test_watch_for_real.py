"""`testd watch` in a terminal, with everything behind it: edits, keys, and who else looks."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest
from fake_handler import DEADLINE
from typist import Typist

TESTS = """
from code_of_it import value

def test_value():
    print("said")
    assert value == 1

def test_other():
    pass
"""


@pytest.fixture
def project(cli):
    (cli.project / "test_it.py").write_text(TESTS)
    (cli.project / "test_more.py").write_text("def test_more():\n    pass\n")
    (cli.project / "code_of_it.py").write_text("value = 1\n")
    for name in ("COLUMNS", "LINES"):
        cli.environment.pop(name, None)
    cli.environment |= {"TERM": "xterm", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
    return cli


def person_at(cli, *arguments):
    return Typist(cli.command(*arguments), cwd=cli.project, env=cli.environment)


def edit(cli, text, name="code_of_it.py"):
    (cli.project / name).write_text(text)


def test_an_edit_is_shown_and_its_repair(project):
    with person_at(project, "watch") as person:
        seen = person.until("? help")
        assert seen[0].startswith("first run: 3 tests")
        edit(project, "value = 2\n")
        person.until("code_of_it.py changed: ")
        seen = person.until("f failed")
        assert any(line.startswith("── FAILED test_it.py::test_value") for line in seen)
        person.type("d")
        assert "assert 2 == 1" in "\n".join(person.until("failure 1 of 1"))
        edit(project, "value = 1\n")
        person.until("failure", gone=True)
        assert person.until("? help")[-2].startswith("3 passed")
        person.type("q")
        assert person.ended()[0] == 0


def test_keys_choose_what_runs(project):
    edit(project, "value = 2\n")
    with person_at(project, "watch") as person:
        person.until("f failed")
        person.type("f")
        person.until("what failed: 1 of 3 tests")
        assert "1 failed, 2 passed; 1 ran" in "\n".join(person.until("? help"))
        person.type("p")
        person.until("files:")
        person.type("more")
        person.until("1 test matches")
        person.type("\r")
        person.until("another filter: 1 ")
        assert "still failing, not run this time:" in person.until("· files more ·")
        person.type("o")
        person.until("what tests print is shown")
        person.type("c")
        person.until("another filter: 3 ")
        assert "said" in "\n".join(person.until("? help"))
        person.type("q")
        assert person.ended()[0] == 1


def test_several_look_at_one_watch_and_it_ends_for_all(project):
    with person_at(project, "watch") as one, person_at(project, "watch") as other:
        one.until("? help")
        other.until("? help")
        status = json.loads(project.run("status", "--format", "json").stdout)
        (run,) = status["runs"]
        assert run["watch"] is True
        with person_at(project, "attach") as third:
            third.until("? help")
            edit(project, "value = 2\n")
            for each in (one, other, third):
                each.until("f failed")
            third.type("q")
            assert third.ended()[0] == 1
        other.type("f")
        one.until("what failed: 1 of 3 tests")
        assert project.run("cancel").returncode == 0
        for each in (one, other):
            status, seen = each.ended()
            assert status == 1
            assert "cancelled by `testd cancel`" in seen


def test_the_last_to_leave_ends_it(project):
    with person_at(project, "watch") as one, person_at(project, "watch") as other:
        one.until("? help")
        other.until("? help")
        one.type("q")
        one.ended()
        other.type("a")
        other.until("all tests: 3 tests")
        other.until("? help")
        other.process.send_signal(signal.SIGTERM)
        assert other.ended()[0] == 0
    done = project.run("cancel")
    assert "no run is going on" in done.stderr or "is over already" in done.stdout or done.returncode == 4


def test_the_daemon_dies_and_the_watch_goes_on(project):
    with person_at(project, "watch") as person:
        person.until("? help")
        pid = json.loads(project.run("status", "--format", "json").stdout)["pid"]
        subprocess.run(["kill", "-9", str(pid)], check=True)
        edit(project, "value = 2\n")
        person.until("f failed")
        person.type("q")
        assert person.ended()[0] == 1


def test_events_without_a_terminal(project, ended):
    process = project.start("watch", "--format", "json", start_new_session=True)
    ended(process)
    lines = []

    def until(event):
        while True:
            lines.append(json.loads(process.stdout.readline()))
            if lines[-1]["event"] == event:
                return lines[-1]

    assert until("generation")["cause"] == "start"
    assert until("standing")["counts"] == {"passed": 3}
    assert until("completed")["generation"] == 1
    edit(project, "value = 2\n")
    assert until("generation")["changed"] == ["code_of_it.py"]
    standing = until("standing")
    assert [failing["test"] for failing in standing["failing"]] == ["test_it.py::test_value"]
    assert until("completed")["exit_code"] == 1
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=DEADLINE)
    assert process.returncode == 1
