"""A folder of run files, from outside: what somebody puts there is run once, whatever is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from applications import handler_is_gone, until

CODE = """
import os, time

def double(x):
    _note(x)
    return 2 * x

def wait(name):
    _note(name)
    while not os.path.exists(name):
        time.sleep(0.01)
    return name

def _note(what):
    descriptor = os.open("calls", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, f"{what}\\n".encode())
    os.close(descriptor)
"""


def item(name, function, *given, **more):
    meta = {"module_name": "work", "function_name": function, "file_name": "work.py"}
    return {"execution_id": name, "function_meta": meta, "input_to_pass": [*given, {}], **more}


class Folder:
    """A project with such a folder, and what is in it."""

    def __init__(self, cli):
        self.cli = cli
        self.path = cli.project / "jobs"
        (cli.project / "pyproject.toml").write_text('[tool.testd]\nrun_files = "jobs"\n')
        (cli.project / "work.py").write_text(CODE)

    def served(self):
        """See to it that the agent of the project serves the folder."""
        assert self.cli.run("history").returncode == 0
        until(self.path.is_dir)

    def put(self, name, *items, **more):
        """Have a file appear whole; return its path."""
        self.path.mkdir(exist_ok=True)
        draft = self.cli.project / f"{name}.draft"
        draft.write_text(json.dumps({"functions_to_run": list(items), **more}))
        draft.rename(self.path / name)
        return self.path / name

    def items(self, path):
        return json.loads(path.read_text())["functions_to_run"]

    def through(self, path):
        """Wait until each item of a file has what came of it; return these."""
        return until(lambda: self._through(path))

    def _through(self, path):
        found = [each.get("executed_function", each.get("error")) for each in self.items(path)]
        return found if all(found) else None

    def outputs(self, path):
        return [each["output"] for each in self.through(path)]

    def called(self):
        """Return what the functions were called with, in the order of the calls."""
        path = self.cli.project / "calls"
        return path.read_text().split() if path.exists() else []

    def release(self, name):
        (self.cli.project / name).touch()

    def status(self):
        return json.loads(self.cli.run("status", "--format", "json").stdout)

    def at_rest(self):
        """Wait until no run goes on."""
        until(lambda: all(run["state"] == "finished" for run in self.status()["runs"]))

    def error(self, path):
        """Wait for what is said beside a file."""
        beside = Path(f"{path}.error")
        until(beside.exists)
        return beside.read_text()


@pytest.fixture
def folder(cli):
    return Folder(cli)


def test_what_is_there_and_what_comes_is_run_once_and_told_in_the_file(folder):
    before = folder.put("before.json", item("a", "double", 1), item("b", "double", "x", error=None))
    folder.served()
    assert folder.outputs(before) == [2, "xx"]
    after = folder.put("after.json", item("a", "double", 3), kept=[1])
    assert folder.outputs(after) == [6]
    assert json.loads(after.read_text())["kept"] == [1]
    folder.at_rest()
    (run, *_) = folder.status()["runs"]
    assert (run["detach"], run["counts"]) == (True, {"passed": 1})
    assert sorted(folder.called()) == ["1", "3", "x"]
    assert sorted(path.name for path in folder.path.iterdir()) == ["after.json", "before.json"]


def test_a_file_that_is_written_in_place_is_taken_when_it_is_whole(folder):
    folder.served()
    text = json.dumps({"functions_to_run": [item("a", "double", 4)]})
    path = folder.path / "slow.json"
    with path.open("w") as file:
        file.write(text[:40])
        file.flush()
        assert "slow.json: line 1, column" in folder.error(path)  # it was that for long
        file.write(text[40:])
    assert folder.outputs(path) == [8]
    until(lambda: not Path(f"{path}.error").exists())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no valid JSON"),
        ("[]", "expected a map"),
        ("{}", "holds neither test_cases (a suite) nor functions_to_run (a run file)"),
        ('{"functions_to_run": 5}', "functions_to_run: missing, or not a list"),
        ('{"id": "s", "name": "s", "test_cases": []}', "is a suite"),
        ('{"functions_to_run": [], "signal_endpoint": 5}', "signal_endpoint"),
    ],
)
def test_what_is_no_run_file_has_an_error_beside_it(folder, text, said):
    folder.served()
    path = folder.path / "bad.json"
    path.write_text(text)
    told = folder.error(path)
    assert told.startswith(f"{path}: ")
    assert said in told
    assert path.read_text() == text
    good = folder.put("good.json", item("a", "double", 1))
    assert folder.outputs(good) == [2]
    folder.put("bad.json", item("a", "double", 2))
    assert folder.outputs(path) == [4]
    until(lambda: not Path(f"{path}.error").exists())
    path.unlink()
    good.unlink()
    until(lambda: not list(folder.path.iterdir()))


def test_a_link_is_not_written_through(folder):
    folder.served()
    elsewhere = folder.cli.project / "elsewhere.json"
    elsewhere.write_text(json.dumps({"functions_to_run": [item("a", "double", 1)]}))
    (folder.path / "link.json").symlink_to(elsewhere)
    assert "is no regular file" in folder.error(folder.path / "link.json")
    assert folder.called() == []


def test_items_that_cannot_be_run_cost_nothing_of_the_others(folder):
    folder.served()
    path = folder.put(
        "mixed.json", item("a", "nothing"), {"execution_id": "b"}, item("c", "double", 1),
        item("d", "double", 9, error="x"),
    )  # fmt: skip
    nothing, wrong, right, had = folder.through(path)
    assert "Could not get function (nothing)" in nothing
    assert wrong.startswith("Invalid function config")
    assert (right["output"], had) == (2, "x")
    folder.at_rest()
    assert folder.called() == ["1"]


def test_many_at_once(folder):
    folder.served()
    paths = [folder.put(f"n{number}.json", item("a", "double", number)) for number in range(300)]
    assert [folder.outputs(path) for path in paths] == [[2 * number] for number in range(300)]
    folder.at_rest()
    assert sorted(folder.called(), key=int) == [str(number) for number in range(300)]


def test_one_that_waits_does_not_hold_up_the_next(folder):
    folder.served()
    slow = folder.put("slow.json", item("a", "wait", "gate"))
    until(folder.called)
    quick = folder.put("quick.json", item("a", "double", 1))
    assert folder.outputs(quick) == [2]
    assert "executed_function" not in folder.items(slow)[0]
    folder.release("gate")
    assert folder.outputs(slow) == ["gate"]


def test_a_file_that_is_rewritten_while_it_runs_is_run_anew(folder):
    """What came of the old one is not written into the new one, and the new one is not lost."""
    folder.served()
    path = folder.put("a.json", item("a", "double", 1), item("b", "wait", "never"), item("c", "double", 3))
    until(lambda: "never" in folder.called())
    folder.put("a.json", item("a", "double", 5), item("z", "double", 7))
    assert folder.outputs(path) == [10, 14]
    folder.at_rest()
    assert (folder.called().count("5"), folder.called().count("7"), folder.called().count("never")) == (1, 1, 1)
    assert [each["execution_id"] for each in folder.items(path)] == ["a", "z"]


def test_a_file_that_is_removed_while_it_runs_does_not_come_back(folder):
    folder.served()
    path = folder.put("a.json", item("a", "wait", "gate"))
    until(folder.called)
    path.unlink()
    folder.release("gate")
    folder.at_rest()
    assert folder.outputs(folder.put("b.json", item("a", "double", 1))) == [2]
    assert [each.name for each in folder.path.iterdir()] == ["b.json"]


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    until(lambda: handler_is_gone(pid))


@pytest.mark.parametrize("what", ["agent", "handler"])
def test_whatever_is_killed_nothing_is_lost_or_run_twice_without_need(folder, what):
    """Items with a result stay as they are, the one that ran runs again, and so do those that had not begun."""
    folder.served()
    path = folder.put("a.json", item("a", "double", 1), item("b", "wait", "gate"), item("c", "double", 3))
    until(lambda: "gate" in folder.called())
    until(lambda: "executed_function" in folder.items(path)[0])
    (first, *_) = folder.items(path)
    status = folder.status()
    kill(status["pid"] if what == "handler" else status["agents"][0]["pid"])
    if what == "handler":
        assert folder.cli.run("status").returncode == 0
        folder.served()  # anything that starts a daemon
    until(lambda: folder.called().count("gate") == 2)
    folder.release("gate")
    assert folder.outputs(path) == [2, "gate", 6]
    folder.at_rest()
    assert folder.items(path)[0] == first
    assert sorted(folder.called()) == ["1", "3", "gate", "gate"]


def test_a_daemon_that_is_stopped_leaves_the_rest_to_the_next_one(folder, ended):
    """The next one needs nobody to ask for anything: it knows which workspaces have such a folder."""
    folder.served()
    path = folder.put("a.json", item("a", "double", 1), item("b", "wait", "gate"))
    until(lambda: "gate" in folder.called())
    until(lambda: "executed_function" in folder.items(path)[0])
    assert folder.cli.run("stop").returncode == 0
    assert "error" not in folder.items(path)[1]
    later = folder.put("later.json", item("a", "double", 5))
    folder.release("gate")
    ended(folder.cli.start("daemon"))
    assert (folder.outputs(path), folder.outputs(later)) == ([2, "gate"], [10])
    assert sorted(folder.called()) == ["1", "5", "gate", "gate"]


def test_an_agent_with_nothing_to_do_is_replaced_for_the_folders_sake(folder):
    folder.served()
    assert folder.outputs(folder.put("a.json", item("a", "double", 1))) == [2]
    folder.at_rest()
    kill(folder.status()["agents"][0]["pid"])
    assert folder.outputs(folder.put("b.json", item("a", "double", 2))) == [4]


def test_a_run_that_somebody_cancels_is_not_begun_again(folder):
    folder.served()
    path = folder.put("a.json", item("a", "wait", "never"))
    until(folder.called)
    assert folder.cli.run("cancel").returncode == 0
    (told,) = folder.through(path)
    assert isinstance(told, str)
    folder.at_rest()
    assert folder.called() == ["never"]


def test_a_run_that_could_not_begin_is_told_beside_the_file_and_not_tried_for_ever(folder):
    folder.served()
    (folder.cli.project / "pyproject.toml").write_text('[tool.testd]\nrun_files = "jobs"\npython = "/nowhere"\n')
    path = folder.put("a.json", item("a", "double", 1))
    assert "/nowhere" in folder.error(path)
    folder.at_rest()
    assert len(folder.status()["runs"]) == 1


def test_the_folder_is_the_configurations(folder):
    """It may be named, and be another one, while the agent lives; without one nothing is watched."""
    folder.served()
    other = folder.cli.project / "other"
    (folder.cli.project / "pyproject.toml").write_text('[tool.testd]\nrun_files = "other"\n')
    until(other.is_dir)
    old = folder.put("old.json", item("a", "double", 1))
    folder.path = other
    assert folder.outputs(folder.put("new.json", item("a", "double", 2))) == [4]
    assert "executed_function" not in folder.items(old)[0]
    marks = folder.cli.home / "state" / "workspaces"
    assert len(list(marks.glob("*/run-files"))) == 1
    (folder.cli.project / "pyproject.toml").write_text("[tool.testd]\n")
    until(lambda: not list(marks.glob("*/run-files")))


def test_a_folder_that_is_removed_is_made_again(folder):
    folder.served()
    folder.path.rmdir()
    until(folder.path.is_dir)
    assert folder.outputs(folder.put("a.json", item("a", "double", 1))) == [2]


def test_nothing_is_done_while_nothing_happens(folder):
    """The processor time of an agent that watches does not grow."""
    folder.served()
    assert folder.outputs(folder.put("a.json", item("a", "double", 1))) == [2]
    folder.at_rest()
    agent = psutil.Process(folder.status()["agents"][0]["pid"])
    folder.outputs(folder.put("b.json", item("a", "double", 1)))
    folder.at_rest()
    until(lambda: _still(agent))


def _still(process):
    """Whether a process is not given the processor at all for a while."""
    before = process.num_ctx_switches().voluntary
    time.sleep(1.0)
    return process.num_ctx_switches().voluntary == before


def test_a_program_that_speaks_frames_has_a_run_file_carried_out(folder):
    """It knows of testd what the pages say, and nothing else: no package of ours, another language's way."""
    folder.served()
    path = folder.cli.project / "mine.json"
    path.write_text(json.dumps({"functions_to_run": [item("a", "double", 1), item("b", "nothing")]}))
    program = Path(__file__).with_name("raw_client.py")
    done = subprocess.run(
        [sys.executable, "-I", program, folder.cli.runtime / "testd.sock", folder.cli.project, path],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    assert sorted(done.stdout.splitlines()) == ["mine.json::a passed", "mine.json::b error"]
    a, b = folder.through(path)
    assert a["output"] == 2
    assert b.startswith("Could not get function (nothing)")
