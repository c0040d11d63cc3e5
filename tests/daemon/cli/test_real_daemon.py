"""The command line with everything behind it: a real handler, agent and runner on a real project."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET

import psutil
import pytest
from fake_handler import DEADLINE

from house import survivors

TESTS = """
import pathlib, pytest, time

def test_passes():
    pass

def test_fails():
    print("said before")
    assert 1 == 2

@pytest.mark.skip(reason="no moon")
def test_is_skipped():
    pass

def test_waits():
    flag = pathlib.Path("wait")
    if flag.exists():
        flag.with_name("waiting").touch()
        while True:
            time.sleep(0.01)
"""


@pytest.fixture
def project(cli):
    (cli.project / "test_it.py").write_text(TESTS)
    return cli


def lives(pid):
    """A process that has ended and that nobody has reaped yet does not live: init may take its time."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def private_folders(base):
    return [name for name in os.listdir(base) if name.startswith("testd-run-")]


def relatives(folder):
    """Every process that works on this test's project: those that have its folder in their command line or state."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            state = process.environ().get("TESTD_STATE_DIR", "")
            if str(folder) in " ".join(process.cmdline()) or state.startswith(str(folder)):
                found.append(process)
    return found


def wait_for(path):
    """The test's own deadline kills a wait that never ends: the file is made by a running test."""
    watched = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, time, pathlib\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.01)",
            path,
        ],
        timeout=DEADLINE * 2,
        check=False,
    )
    assert watched.returncode == 0


def test_cold_then_warm_with_every_report(project):
    done = project.run("run", "--junitxml", "r.xml")
    assert done.returncode == 1, done.stderr
    assert "── FAILED test_it.py::test_fails ──" in done.stdout
    assert "── Captured stdout call ──\nsaid before\n" in done.stdout
    assert "again: testd run test_it.py::test_fails\n" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.startswith("1 failed, 2 passed, 1 skipped in ")
    assert last.endswith("(cold: first run)")
    suite = ET.parse(project.project / "r.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "1", "1")

    told = project.run("run", "--format", "json")
    events = [json.loads(line) for line in told.stdout.splitlines()]
    (target,) = [each for each in events if each["event"] == "target"]
    assert target["warm"] is True, target["reason"]
    assert {each["test"]: each["verdict"] for each in events if each["event"] == "outcome"} == {
        "test_it.py::test_passes": "passed",
        "test_it.py::test_fails": "failed",
        "test_it.py::test_is_skipped": "skipped",
        "test_it.py::test_waits": "passed",
    }
    assert events[-1]["event"] == "completed"
    assert events[-1]["exit_code"] == told.returncode == 1

    listed = project.run("run", "-v", "test_it.py::test_is_skipped")
    assert "test_it.py::test_is_skipped (no moon)" in listed.stdout
    assert ": warm: " in listed.stdout


def test_the_command_that_is_offered_works_from_a_folder_below(project):
    below = project.project / "sub"
    below.mkdir()
    told = project.run("run", "../test_it.py", cwd=below)
    (again,) = [line for line in told.stdout.splitlines() if line.startswith("again: testd run ")]
    repeated = project.run(*again.split()[2:], cwd=below)
    assert repeated.returncode == 1
    assert repeated.stdout.splitlines()[-1].startswith("1 failed in ")


def test_detach_attach_history_status_stop(project):
    run = project.run("run", "--detach").stdout.splitlines()[0]
    followed = project.run("attach", run)
    assert followed.returncode == 1, followed.stderr
    assert followed.stdout.splitlines()[-1].startswith("1 failed, 2 passed, 1 skipped in ")
    assert project.run("attach").stdout == followed.stdout
    assert run in project.run("history").stdout
    assert project.run("history", "test_fails").stdout.startswith("failed    test_it.py::test_fails")
    status = json.loads(project.run("status", "--format", "json").stdout)
    assert [(each["run"], each["exit_code"]) for each in status["runs"]] == [(run, 1)]
    assert project.run("cancel", run).stdout == f"run {run} is over already\n"
    stopped = project.run("stop")
    assert (stopped.returncode, stopped.stdout) == (0, "the daemon has ended\n")
    assert not lives(status["pid"])
    assert os.listdir(project.runtime) == []


def test_an_unknown_run_is_told(project):
    project.run("run", "-q")
    done = project.run("attach", "nonsense")
    assert done.returncode == 4, done.stderr
    assert done.stderr.startswith("testd: ")
    assert "nonsense" in done.stderr


@pytest.mark.parametrize("private", [False, True])
def test_an_interruption_cancels_reports_and_leaves_the_run_over(project, ended, private, tmp_path):
    (project.project / "wait").touch()
    project.environment["TMPDIR"] = str(tmp_path)
    process = project.start("run", "-v", *(["--no-daemon"] if private else []))
    ended(process)
    wait_for(project.project / "waiting")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=DEADLINE * 2)
    assert process.returncode == 2, err
    assert out.splitlines()[-1].startswith("1 failed, 1 passed, 1 skipped, 1 cancelled in ")
    assert private_folders(tmp_path) == []


def test_without_a_daemon_nothing_is_left(project, tmp_path):
    done = project.run("run", "--no-daemon", TMPDIR=str(tmp_path))
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[-1].startswith("1 failed, 2 passed, 1 skipped in ")
    assert private_folders(tmp_path) == []
    assert not project.runtime.exists()
    assert not (project.home / "state").exists()
    assert relatives(tmp_path) == []


def test_a_private_daemon_does_not_survive_its_client(project, ended, tmp_path):
    (project.project / "wait").touch()
    project.environment["TMPDIR"] = str(tmp_path)
    process = project.start("run", "--no-daemon")
    ended(process)
    wait_for(project.project / "waiting")
    theirs = [each for each in relatives(tmp_path) if each.pid != process.pid]
    assert theirs
    process.kill()
    process.wait(DEADLINE)
    assert survivors(theirs, DEADLINE) == []
    assert private_folders(tmp_path) == []


def test_doctor_without_a_daemon(project):
    done = project.run("doctor")
    assert done.returncode == 0, done.stdout
    assert f"  workspace      {project.project}  (pyproject.toml)\n" in done.stdout
    assert "(the interpreter of the testd command)" in done.stdout
    assert done.stdout.endswith("no problems found\n")
    assert not project.runtime.exists()


def test_doctor_with_a_broken_configuration_and_no_pytest(project):
    bare = project.home / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True, timeout=DEADLINE * 3)
    (project.project / "testd.toml").write_text('jobz = 3\nmode = "wroker"\n')
    done = project.run("doctor", VIRTUAL_ENV=str(bare))
    assert done.returncode == 1
    assert "testd.toml:1: unknown key jobz (did you mean jobs?)" in done.stdout
    assert "'wroker' is none of these" in done.stdout
    assert f"{bare}/bin/python has no pytest" in done.stdout
    assert f"{bare}/bin/python -m pip install pytest" in done.stdout
    assert done.stdout.endswith("2 problems found\n")
    told = json.loads(project.run("doctor", "--format", "json", VIRTUAL_ENV=str(bare)).stdout)
    assert [section["title"] for section in told["sections"]] == [
        "testd",
        "folders",
        "daemon",
        "configuration",
        "target",
    ]
    assert sum(len(section["problems"]) for section in told["sections"]) == 2


def test_doctor_tells_where_values_come_from(project):
    (project.project / "testd.toml").write_text("jobs = 3\n")
    said = project.run("doctor", TESTD_TIMEOUT="5").stdout
    assert "testd.toml:1)" in said
    assert "(environment variable TESTD_TIMEOUT)" in said
    assert "memory_limit" not in said
    assert "memory_limit" in project.run("doctor", "-v").stdout


def test_doctor_finds_an_interpreter_that_is_not_there(project):
    (project.project / "testd.toml").write_text('python = "/nowhere/python"\n')
    done = project.run("doctor")
    assert done.returncode == 1
    assert "'/nowhere/python': no such interpreter" in done.stdout


def test_a_folder_that_cannot_hold_the_socket_is_a_problem(project):
    deep = project.home / ("x" * 100)
    done = project.run("doctor", TESTD_RUNTIME_DIR=str(deep))
    assert done.returncode == 1
    assert "the path of the socket has" in done.stdout
    refused = project.run("run", TESTD_RUNTIME_DIR=str(deep))
    assert refused.returncode == 3
    assert "set TESTD_RUNTIME_DIR to a shorter folder" in refused.stderr


def test_a_wrong_path_is_told_with_status_4(project):
    done = project.run("run", "test_ti.py")
    assert done.returncode == 4
    assert done.stdout == ""
    assert "file or directory not found: test_ti.py" in done.stderr


def test_the_daemon_verb_is_the_handler_in_the_foreground(project, ended):
    process = project.start("daemon", "--idle-exit", "0")
    ended(process)
    wait_for(project.runtime / "testd.sock")
    assert json.loads(project.run("status", "--format", "json").stdout)["pid"] == process.pid
    process.terminate()
    process.communicate(timeout=DEADLINE)
    assert process.returncode == 0
    assert os.listdir(project.runtime) == []
