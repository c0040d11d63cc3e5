"""The real agent with real runners: warmth, selection, verdicts, exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from testd_protocol.framing import frame
from testd_protocol.messages import AgentReport, Fault, History, HistoryReport, Ping, Pong, Probe, Unsupported

MIXED = """
import pytest

def test_good(): pass
def test_bad(): assert 1 == 2
@pytest.mark.skip(reason="later")
def test_skip(): pass
@pytest.mark.xfail
def test_x(): assert 0
@pytest.mark.parametrize("n", [1, 2, 3])
def test_p(n): assert n < 3
"""
OTHER = "class TestC:\n    def test_m(self):\n        pass\n\ndef test_z():\n    pass\n"

Make = Callable[..., Path]
StartAgent = Callable[..., Any]


def test_verdicts_counts_and_what_is_told_before_them(project: Make, agent: StartAgent) -> None:
    driver = agent(project(test_a_py=MIXED, sub__test_b_py=OTHER))
    first = driver.run()
    assert first.verdicts == {
        "test_good": "passed", "test_bad": "failed", "test_skip": "skipped", "test_x": "xfailed",
        "test_p[1]": "passed", "test_p[2]": "passed", "test_p[3]": "failed",
        "TestC::test_m": "passed", "test_z": "passed",
    }  # fmt: skip
    assert first.completed.exit_code == 1
    assert first.completed.counts == {"passed": 5, "failed": 2, "skipped": 1, "xfailed": 1}
    assert (first.ready.warm, first.ready.reason, first.ready.kind) == (False, "first run", "pytest")
    assert first.ready.target == "py{}.{}".format(*sys.version_info)
    assert first.planned.tests == 9
    assert first.planned.expected is None
    kinds = [type(event).__name__ for event in first.events]
    assert kinds[:2] == ["TargetReady", "Planned"]
    assert kinds[-1] == "RunCompleted"
    assert [report.final for report in first.reports] == [False] * (len(kinds) - 1) + [True]

    second = driver.run()
    assert second.verdicts == first.verdicts
    assert second.ready.warm
    assert second.ready.reason.startswith("9 tests kept since ")
    assert second.planned.expected is not None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda root: (root / "test_a.py").write_text("def test_new(): pass\n"), "test_a.py changed"),
        (lambda root: (root / "helper.py").write_text("VALUE = 2\n"), "helper.py changed"),
        (lambda root: (root / "conftest.py").write_text("x = 1\n"), "conftest.py changed"),
        (lambda root: (root / "test_c.py").write_text("def test_new(): pass\n"), " changed"),
        (lambda root: (root / "pytest.ini").write_text("[pytest]\n"), "pytest.ini changed"),
    ],
    ids=["test", "import", "conftest", "new file", "configuration"],
)
def test_a_change_makes_it_cold_and_is_named(
    project: Make, agent: StartAgent, change: Callable[[Path], Any], reason: str
) -> None:
    root = project(
        test_a_py="import helper\ndef test_a(): assert helper.VALUE == 1\n", helper_py="VALUE = 1\n", conftest_py=""
    )
    driver = agent(root)
    assert driver.run().completed.exit_code == 0
    assert driver.run().ready.warm
    change(root)
    third = driver.run()
    assert not third.ready.warm
    assert third.ready.reason.endswith(reason)
    expected = {"test_a": "failed"} if "helper" in reason else {"test_a": "passed"}
    if reason.startswith("test_a"):
        expected = {"test_new": "passed"}
    if reason == " changed":
        expected["test_new"] = "passed"
    assert third.verdicts == expected


def test_a_file_from_the_beginning_of_time_is_looked_at(project: Make, agent: StartAgent) -> None:
    """Archives that are built reproducibly hold such files. They did not count, and old code ran after an edit."""
    root = project(test_a_py="import helper\ndef test_a(): assert helper.VALUE == 1\n", helper_py="VALUE = 1\n")
    for path in root.iterdir():
        os.utime(path, (0, 0))
    driver = agent(root)
    assert driver.run().verdicts == {"test_a": "passed"}
    assert driver.run().ready.warm
    (root / "helper.py").write_text("VALUE = 2\n")
    third = driver.run()
    assert (third.verdicts, third.ready.reason) == ({"test_a": "failed"}, "helper.py changed")


@pytest.mark.parametrize("broken", ["def f(:\n", "raise ValueError\n"])
def test_a_module_that_could_not_be_loaded_is_looked_at_again(project: Make, agent: StartAgent, broken: str) -> None:
    """A module that fails to load is not among the loaded ones; once repaired, its old errors were told for ever."""
    root = project(test_a_py="import sub.helper\ndef test_a(): pass\n", sub____init___py="from . import helper\n")
    (root / "sub/helper.py").write_text(broken)
    os.utime(root / "sub/helper.py", (1_600_000_000,) * 2)
    driver = agent(root)
    assert driver.run().verdicts == {"test_a.py": "error"}
    (root / "sub/helper.py").write_text("")
    second = driver.run()
    assert (second.verdicts, second.ready.reason) == ({"test_a": "passed"}, "sub/helper.py changed")


def test_other_permissions_of_what_was_loaded_make_it_cold(project: Make, agent: StartAgent) -> None:
    root = project(test_a_py="import helper\ndef test_a(): pass\n", helper_py="")
    driver = agent(root)
    driver.run()
    (root / "helper.py").chmod(0o200)
    second = driver.run()
    assert (second.ready.warm, second.ready.reason) == (False, "helper.py changed")
    readable = os.access(root / "helper.py", os.R_OK)  # root may read everything
    assert second.verdicts == ({"test_a": "passed"} if readable else {"test_a.py": "error"})


def test_an_environment_variable_makes_it_cold_and_is_named(project: Make, agent: StartAgent) -> None:
    driver = agent(project(test_a_py="import os\ndef test_a(): assert os.environ.get('DEPTH') == '1'\n"))
    assert driver.run(environment={"DEPTH": "1"}).completed.exit_code == 0
    second = driver.run(environment={"DEPTH": "2"})
    assert (second.ready.warm, second.ready.reason) == (False, "environment changed: DEPTH")
    assert second.completed.exit_code == 1
    third = driver.run(environment={"DEPTH": "1", "TMUX_PANE": "%7"})
    assert third.ready.warm, "the first runner is still there, and a terminal's number does not matter"


def test_selection(project: Make, agent: StartAgent) -> None:
    driver = agent(project(test_a_py=MIXED, sub__test_b_py=OTHER))
    driver.run()
    for paths, request, expected in [
        (["test_a.py::test_p"], {}, {"test_p[1]", "test_p[2]", "test_p[3]"}),
        (["test_a.py::test_p[2]", "sub/test_b.py:2"], {}, {"test_p[2]", "TestC::test_m"}),
        (["test_a.py"], {"keyword": "good or x"}, {"test_good", "test_x"}),
        ([], {"keyword": "TestC"}, {"TestC::test_m"}),
    ]:
        found = driver.run(*paths, **request)
        assert set(found.verdicts) == expected
        assert found.ready.warm, f"{paths} are in what is kept"
    folder = driver.run("sub")
    assert set(folder.verdicts) == {"TestC::test_m", "test_z"}
    assert folder.ready.reason == "these paths were not collected yet"
    assert driver.run("test_b.py", cwd=f"{driver.workspace}/sub").completed.counts == {"passed": 2}


@pytest.mark.parametrize(
    ("paths", "request_", "exit_code", "reason", "hint"),
    [
        (["tset_a.py"], {}, 4, "file or directory not found: tset_a.py", "test_a.py"),
        (["test_a.py::test_godo"], {}, 4, "not found: test_a.py::test_godo", "test_a.py::test_good"),
        (["test_a.py:1"], {}, 4, "no test at or above the line: test_a.py:1", "the first test is at line 4"),
        ([], {"keyword": "nothing_like_it"}, 5, "", ""),
        ([], {"keyword": "not ("}, 4, "", ""),
        ([], {"jobs": 0}, 4, "--jobs: 0 is no number of workers", "auto"),
        ([], {"targets": ["nod-22"]}, 4, "--target: unknown target 'nod-22'", "none is configured"),
        ([], {"environment": {"VIRTUAL_ENV": "/nowhere"}}, 4, "VIRTUAL_ENV is /nowhere", "unset VIRTUAL_ENV"),
        ([], {"environment": {"TESTD_PYTHON": "2.4"}}, 4, "environment variable TESTD_PYTHON", "install it"),
        ([], {"environment": {"TESTD_PYTHON": "/bin/true"}}, 4, "/bin/true does not run as a Python", "repair"),
    ],
)
def test_bad_input(
    project: Make, agent: StartAgent, paths: list[str], request_: dict[str, Any], exit_code: int, reason: str, hint: str
) -> None:
    result = agent(project(test_a_py=MIXED)).run(*paths, **request_)
    assert result.completed.exit_code == exit_code
    assert reason in result.completed.reason
    assert hint in result.completed.hint
    assert result.rows == []


def test_a_broken_configuration_is_told_and_mended(project: Make, agent: StartAgent) -> None:
    root = project(test_a_py="def test_a(): pass\n", testd_toml="jbos = 2\n")
    driver = agent(root)
    wrong = driver.run().completed
    assert (wrong.exit_code, wrong.reason, wrong.hint) == (
        4, f"{driver.workspace}/testd.toml:1: unknown key jbos", "did you mean jobs?"
    )  # fmt: skip
    (root / "testd.toml").write_text("jobs = 2\n")
    assert driver.run().completed.exit_code == 0


def test_no_pytest_there(project: Make, agent: StartAgent, tmp_path: Path) -> None:
    import venv

    venv.create(tmp_path / "bare", with_pip=False)
    driver = agent(project(test_a_py="import pytest\n"))
    completed = driver.run(environment={"VIRTUAL_ENV": str(tmp_path / "bare")}).completed
    assert completed.exit_code == 4
    assert completed.reason.startswith(f"no pytest in {tmp_path}/bare/bin/python")
    assert "-m pip install pytest" in completed.hint


def test_no_tests_is_5(project: Make, agent: StartAgent) -> None:
    result = agent(project()).run()
    assert (result.completed.exit_code, result.planned.tests) == (5, 0)


def test_a_file_that_cannot_be_collected_is_one_error_and_the_others_run(project: Make, agent: StartAgent) -> None:
    root = project(test_a_py="import nothing_like_it\n", test_b_py="def test_b(): pass\n", test_c_py="def :\n")
    driver = agent(root)
    result = driver.run()
    assert result.verdicts == {"test_a.py": "error", "test_c.py": "error", "test_b": "passed"}
    assert result.completed.exit_code == 1
    assert result.planned.tests == 3
    assert result.row("test_a.py").detail is not None
    stopped = driver.run(maxfail=1)
    assert stopped.verdicts == {"test_a.py": "error", "test_c.py": "error", "test_b": "cancelled"}
    assert stopped.completed.reason == "stopped after 2 collection errors"
    only = driver.run("test_b.py")
    assert (only.verdicts, only.completed.exit_code) == ({"test_b": "passed"}, 0)


def test_a_broken_conftest_is_told(project: Make, agent: StartAgent) -> None:
    root = project(conftest_py="import nothing_like_it\n", test_a_py="def test_a(): pass\n")
    driver = agent(root)
    completed = driver.run().completed
    assert completed.exit_code == 4
    assert "nothing_like_it" in completed.reason + completed.detail
    (root / "conftest.py").write_text("")
    assert driver.run().completed.exit_code == 0


def test_maxfail(project: Make, agent: StartAgent) -> None:
    tests = "".join(f"def test_{n}(): assert {n} != 2\n" for n in range(6))
    driver = agent(project(test_a_py=tests))
    result = driver.run(maxfail=1)
    assert result.verdicts == {
        "test_0": "passed", "test_1": "passed", "test_2": "failed",
        "test_3": "cancelled", "test_4": "cancelled", "test_5": "cancelled",
    }  # fmt: skip
    assert result.completed.exit_code == 1
    assert result.completed.reason == "stopped after 1 failure"


def test_last_failed(project: Make, agent: StartAgent) -> None:
    root = project(test_a_py="def test_1(): pass\ndef test_2(): assert 0\n", test_b_py="def test_3(): pass\n")
    driver = agent(root)
    nothing = driver.run("test_b.py", last_failed=True)
    assert nothing.verdicts == {"test_3": "passed"}
    assert "--last-failed: no previously failed tests, all are run" in nothing.notices
    driver.run()
    again = driver.run(last_failed=True)
    assert again.verdicts == {"test_2": "failed"}
    assert again.planned.deselected == 2
    (root / "test_a.py").write_text("def test_1(): pass\ndef test_2(): pass\n")
    assert driver.run(last_failed=True).verdicts == {"test_2": "passed"}
    assert set(driver.run(last_failed=True).verdicts) == {"test_1", "test_2", "test_3"}


def test_history_outlives_the_agent(project: Make, agent: StartAgent) -> None:
    root = project(test_a_py="def test_1(): assert 0\n")
    with agent(root) as driver:
        driver.run()
    driver = agent(root)
    driver.send(History(workspace=driver.workspace, test="test_1", id=7))
    report = driver.receive()
    assert isinstance(report, HistoryReport)
    assert report.id == 7
    assert [(entry.test, entry.verdict, entry.run) for entry in report.entries] == [
        ("test_a.py::test_1", "failed", ""), ("test_a.py::test_1", "failed", "run1"),
    ]  # fmt: skip
    assert driver.run(last_failed=True).verdicts == {"test_1": "failed"}


def test_bin_mode_has_the_same_verdicts_in_new_processes(project: Make, agent: StartAgent) -> None:
    root = project(
        test_a_py=MIXED, sub__test_b_py=OTHER,
        test_pid_py="import os\ndef test_p(): print('pid', os.getpid())\n",
        test_pid2_py="import os\ndef test_q(): print('pid', os.getpid())\n",
    )  # fmt: skip
    driver = agent(root)
    warm, alone = driver.run(jobs=1), driver.run(mode="bin", stream=True, jobs=2)
    assert alone.verdicts == warm.verdicts
    assert alone.ready.mode == "bin"
    pids = {line.split()[-1] for line in alone.output.splitlines() if line.startswith("pid ")}
    assert len(pids) == 2


def test_what_must_not_be_forked_runs_in_new_processes_and_says_why(project: Make, agent: StartAgent) -> None:
    threaded = "import threading\nthreading.Thread(target=threading.Event().wait, name='mine', daemon=True).start()\n"
    driver = agent(project(test_a_py=threaded + "def test_a(): pass\n", test_b_py="def test_b(): pass\n"))
    result = driver.run()
    assert result.verdicts == {"test_a": "passed", "test_b": "passed"}
    assert result.ready.mode == "bin"
    assert any("mine" in notice for notice in result.notices)


def test_fresh_is_new_and_is_not_kept(project: Make, agent: StartAgent) -> None:
    driver = agent(project(test_a_py="def test_a(): pass\n"))
    driver.run()
    fresh = driver.run(fresh=True)
    assert (fresh.ready.warm, fresh.ready.reason) == (False, "a new runner was asked for")
    after = driver.run()
    assert after.ready.warm
    assert "1 test kept" in after.ready.reason


def test_output_is_live_in_parallel(project: Make, agent: StartAgent) -> None:
    tests = "import time\ndef test_{0}():\n    print('here {0}')\n    time.sleep(0.2)\n"
    driver = agent(project(test_a_py=tests.format("a"), test_b_py=tests.format("b")))
    driver.run(stream=True, jobs=2)
    result = driver.run(stream=True, jobs=2)
    assert {"here a", "here b"} <= set(result.output.splitlines())
    assert result.ready.jobs == 2
    assert all(row.target.startswith("py") for row in result.rows)


def test_what_an_earlier_agent_finished_is_not_run_again(project: Make, agent: StartAgent) -> None:
    driver = agent(project(test_a_py="def test_1(): assert 0\ndef test_2(): pass\n"))
    target = driver.run().ready.target
    run = driver.submit(finished=[f"{target}\0test_a.py::test_1"], counts={"failed": 1})
    result = driver.follow(run)
    assert result.verdicts == {"test_2": "passed"}
    assert result.planned.tests == 2
    assert (result.completed.exit_code, result.completed.counts) == (1, {"failed": 1, "passed": 1})
    every = [f"{target}\0test_a.py::test_{n}" for n in (1, 2)]
    done = driver.follow(driver.submit(finished=every, counts={"failed": 1, "passed": 1}))
    assert done.rows == []
    assert done.completed.exit_code == 1


def test_two_runs_at_once_share_a_runner(project: Make, agent: StartAgent) -> None:
    tests = "".join(f"def test_{n}(): pass\n" for n in range(200))
    driver = agent(project(test_a_py=tests, test_b_py=tests))
    one, two = driver.submit("test_a.py"), driver.submit("test_b.py")
    result = driver.follow(one, two)
    assert len(result.rows) == 400
    assert len({row.test for row in result.rows}) == 400
    driver.send(Probe(id=3))
    report = driver.receive()
    assert isinstance(report, AgentReport)
    assert len(report.status.runners) == 1
    assert report.status.runners[0].python == "{}.{}.{}".format(*sys.version_info)


def test_exports_are_found_and_run(tmp_path: Path, agent: StartAgent) -> None:
    root = tmp_path / "exports"
    root.mkdir()
    (root / "adds_test.py").write_text(
        "from testd.assertions import is_\n\ndef adds():\n    is_(1 + 1, 2)\n\ndef fails():\n    is_(1, 2)\n"
    )
    result = agent(root).run()
    assert result.verdicts == {"adds": "passed", "fails": "failed"}
    assert result.ready.kind == "exports"


def test_the_projects_own_configuration_counts(project: Make, agent: StartAgent) -> None:
    root = project(
        tests__test_a_py="def test_a(): pass\n", other__test_b_py="def test_b(): pass\n",
        testd_toml='paths = ["other"]\n[environment]\nMINE = "1"\n',
        other__test_c_py="import os\ndef test_c(): assert os.environ['MINE'] == '1'\n",
    )  # fmt: skip
    result = agent(root).run()
    assert result.verdicts == {"test_b": "passed", "test_c": "passed"}


def test_the_link_answers_whatever_comes(project: Make, agent: StartAgent) -> None:
    driver = agent(project(test_a_py="def test_a(): pass\n"))
    driver.send(Ping(id=5))
    assert driver.receive() == Pong(id=5)
    driver.send_bytes(frame(msgspec.msgpack.encode({"type": "Tomorrow", "x": 1})))
    assert driver.receive() == Unsupported(of="Tomorrow")
    driver.send_bytes(
        frame(msgspec.msgpack.encode({"type": "Configure", "workspace": "/", "state_dir": "/", "cache_dir": "/"}))
    )
    refused = driver.receive()
    assert isinstance(refused, Fault)
    assert "SERVING" in refused.message
    assert driver.run().completed.exit_code == 0


def test_ephemeral_leaves_no_history(project: Make, agent: StartAgent, tmp_path: Path) -> None:
    with agent(project(test_a_py="def test_a(): pass\n"), ephemeral=True) as driver:
        driver.run()
    state = tmp_path / "state"
    assert not state.exists() or os.listdir(state) == []
