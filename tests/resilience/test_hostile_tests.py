"""Tests that do their worst: each gets a clear outcome of its own, and the tests beside it are unharmed."""

from __future__ import annotations

import fcntl
import os
import pickle
import textwrap
from pathlib import Path
from typing import Any

import psutil
import pytest
from hostile import CASES, MEMORY_LIMIT, PATIENCE, TIMEOUT
from suite_under_fire import Fire, Told

from house import House

#: How long a run of all cases may take, in seconds: dozens of new processes, on a busy machine.
ALL_DEADLINE = 300.0


class Hurt:
    """What was said about all cases, in two runs, and which processes of theirs were left."""

    def __init__(self, runs: list[Told], left: list[str]) -> None:
        self.runs, self.left = runs, left

    @property
    def outcomes(self) -> dict[str, dict[str, Any]]:
        """The outcome of each test; fails if a test has two."""
        found = [event for told in self.runs for event in told.of("outcome")]
        assert len(found) == len({event["test"] for event in found})
        return {event["test"]: event for event in found}


@pytest.fixture(scope="module", params=[(), ("-s",), ("--mode", "bin")], ids=["worker", "live", "bin"])
def hurt(request: Any, shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Hurt:
    """All cases at once, each between two innocent tests; whichever worker comes first runs them for all.

    Those that have much to do run by themselves: on a busy machine it would take them longer than the limit at which
    those that hang are killed.
    """
    kept = shared_folder / f"hurt{'-'.join(request.param)}"
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            done = kept.with_suffix(".new")
            done.write_bytes(pickle.dumps(suffer(tmp_path_factory.mktemp("hostile"), request.param)))
            done.rename(kept)
    hurt: Hurt = pickle.loads(kept.read_bytes())
    return hurt


def suffer(folder: Path, options: tuple[str, ...]) -> Hurt:
    """Run all cases with a daemon of their own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TESTD_", "PYTEST_"))}
    with House(inherited) as house:
        fire = Fire(house, folder / "project")
        try:
            return run_all(fire, options)
        finally:
            fire.end()


def run_all(fire: Fire, options: tuple[str, ...]) -> Hurt:
    """Write all cases and run them."""
    fire.write("testd.toml", f'jobs = 2\nmemory_limit = "{MEMORY_LIMIT}"\n')
    for name, case in CASES.items():
        body = textwrap.indent(case.body.strip("\n"), "    ")
        fire.write(f"test_{name}.py", f"def test_before(): pass\n\ndef test_bad():\n{body}\n\ndef test_after(): pass\n")
    runs, left = [], []
    for laborious, limit in ((False, TIMEOUT), (True, PATIENCE)):
        files = [f"test_{name}.py" for name, case in CASES.items() if case.laborious is laborious]
        command = ["run", "--format", "json", "--timeout", str(limit), *options, *files]
        runs.append(fire.told(fire.start(*command), deadline=ALL_DEADLINE))
        runner = fire.verb("status")["agents"][0]["runners"][0]["pid"]
        below = psutil.Process(runner).children(recursive=True)
        left += [str(found) for found in below if "signal.pause" in str(found.cmdline())]
    return Hurt(runs, left)


@pytest.mark.timeout(3 * ALL_DEADLINE)  # whichever test comes first waits for the runs of all
def test_every_test_has_one_outcome_and_the_innocent_pass(hurt: Hurt) -> None:
    verdicts = {test: event["verdict"] for test, event in hurt.outcomes.items()}
    assert len(verdicts) == 3 * len(CASES)
    harmed = {test: verdict for test, verdict in verdicts.items() if verdict != "passed" and "test_bad" not in test}
    assert harmed == {}, [told.notices for told in hurt.runs]
    assert [told.completed["exit_code"] for told in hurt.runs] == [1, 1]


@pytest.mark.timeout(3 * ALL_DEADLINE)
@pytest.mark.parametrize("name", CASES)
def test_the_guilty_are_told(hurt: Hurt, name: str) -> None:
    event = hurt.outcomes[f"test_{name}.py::test_bad"]
    case = CASES[name]
    assert event["verdict"] in case.verdicts, event
    if case.said:
        assert case.said in str(event["detail"]), event["detail"]


@pytest.mark.timeout(3 * ALL_DEADLINE)
def test_nothing_that_was_left_behind_lives_on(hurt: Hurt) -> None:
    assert hurt.left == []


USAGE = {
    "a path": (["nowhere.py"], 4, "file or directory not found: nowhere.py"),
    "a node id": (["test_a.py::test_none"], 4, "test_none"),
    "an expression": (["-k", "a and ("], 4, "-k"),
    "nothing selected": (["-k", "nothing_like_this"], 5, ""),
    "an empty folder": (["empty"], 5, ""),
    "an unknown option": (["--no-such-option"], 4, "--no-such-option"),
}


@pytest.mark.parametrize("name", USAGE)
def test_what_is_asked_wrongly(fire: Fire, name: str) -> None:
    arguments, code, said = USAGE[name]
    fire.write("test_a.py", "def test_a(): pass\n")
    (fire.project / "empty").mkdir()
    client = fire.start("run", *arguments)
    out, err = client.communicate(timeout=60)
    assert client.returncode == code, out + err
    assert said in err
    assert "Traceback" not in out + err


BROKEN = {
    "syntax": ({"test_b.py": "def test_b(:\n"}, 1, "SyntaxError"),
    "import": ({"test_b.py": "import no_such_module\n"}, 1, "No module named 'no_such_module'"),
    "exit": ({"test_b.py": "import sys\nsys.exit(3)\n"}, 1, "SystemExit: 3"),
    "exit in exports": ({"testd.toml": 'kind = "exports"\n', "test_b.py": "raise SystemExit\n"}, 1, "SystemExit"),
    "exit of pytest": ({"test_b.py": "import pytest\npytest.exit('enough', returncode=7)\n"}, 1, "Exit: enough"),
    "exit below": ({"sub/conftest.py": "import sys\nsys.exit(3)\n", "sub/test_b.py": ""}, 1, "SystemExit: 3"),
    "exit above": ({"conftest.py": "import sys\nsys.exit(3)\n"}, 3, "SystemExit: 3 at conftest.py:2"),
    "exit above with success": ({"conftest.py": "raise SystemExit\n"}, 5, "SystemExit at conftest.py:1"),
    "exit above with a text": ({"conftest.py": "raise SystemExit('bye')\n"}, 1, "SystemExit: bye at conftest.py:1"),
    "exit of pytest above": ({"conftest.py": "import pytest\npytest.exit('enough')\n"}, 4, "Exit: enough"),
    "exit in a hook": (
        {"conftest.py": "import pytest\ndef pytest_sessionstart():\n    pytest.exit('enough', 7)\n"}, 7,
        "pytest.exit: enough (at conftest.py:3)",
    ),
    "interrupt": ({"test_b.py": "raise KeyboardInterrupt\n"}, 2, "KeyboardInterrupt at test_b.py:1"),
    "interrupt above": ({"conftest.py": "raise KeyboardInterrupt\n"}, 2, "KeyboardInterrupt at conftest.py:1"),
    "interrupt in exports": (
        {"testd.toml": 'kind = "exports"\n', "test_b.py": "raise KeyboardInterrupt\n"}, 2,
        "KeyboardInterrupt at test_b.py:1",
    ),
    "death": ({"test_b.py": "import os\nos._exit(7)\n"}, 3, "exit status 7"),
    "fault": ({"test_b.py": "import ctypes\nctypes.string_at(0)\n"}, 3, "SIGSEGV"),
    "conftest": ({"conftest.py": "import no_such_module\n"}, 4, "No module named 'no_such_module'"),
    "options": ({"pytest.ini": "[pytest]\naddopts = --no-such-option\n"}, 4, "--no-such-option"),
    "plugin": ({"pytest.ini": "[pytest]\naddopts = -p no_such_plugin\n"}, 4, "no_such_plugin"),
    "key": ({"testd.toml": "jobz = 3\n"}, 4, "did you mean jobs?"),
    "toml": ({"testd.toml": "jobs = = 3\n"}, 4, "testd.toml"),
    "jobs": ({"testd.toml": "jobs = 100000\n"}, 4, "jobs"),
    "python": ({"testd.toml": 'python = "/nowhere/python"\n'}, 4, "/nowhere/python"),
    "session": (
        {"conftest.py": "def pytest_sessionfinish(session):\n    if session.testscollected: 1 / 0\n"}, 1,
        "before its session was torn down",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_told_and_the_next_run_is_well(fire: Fire, name: str) -> None:
    files, code, said = BROKEN[name]
    fire.write("test_a.py", "def test_a(): pass\n")
    (fire.project / "sub").mkdir()
    for file, text in files.items():
        fire.write(file, text)
    client = fire.start("run")
    out, err = client.communicate(timeout=60)
    assert client.returncode == code, out + err
    assert said in out + err
    assert "testd failed" not in out + err
    for file in files:
        (fire.project / file).unlink()
    well = fire.run()
    assert (well.code, well.counts) == (0, {"passed": 1}), well.events


@pytest.mark.parametrize("mode", ["worker", "bin"])
@pytest.mark.parametrize("last", ["import sys; sys.exit(3)", "import pytest; pytest.exit('enough')"])
def test_a_file_that_ends_the_process_harms_no_other(fire: Fire, last: str, mode: str) -> None:
    for name in ("test_a.py", "test_c.py"):
        fire.write(name, "def test_well(): pass\n")
    fire.write("test_b.py", f"def test_lost(): pass\n{last}\n")
    told = fire.run("--mode", mode)
    assert told.verdicts == {"test_a.py::test_well": "passed", "test_c.py::test_well": "passed", "test_b.py": "error"}
    (error,) = [event for event in told.of("outcome") if event["test"] == "test_b.py"]
    assert "test_b.py:2: in <module>" in error["detail"]["text"]


def test_a_conftest_that_is_new_is_seen_by_a_warm_run(fire: Fire) -> None:
    """A file that pytest only asked for at its start was no dependency: a new one was not loaded until the next one."""
    fire.write("test_a.py", "import os\n\ndef test_a(): assert os.environ.get('TOLD') == 'yes'\n")
    assert fire.run().counts == {"failed": 1}
    assert fire.run().of("target")[0]["warm"] is True
    fire.write("conftest.py", "import os\n\ndef pytest_configure(): os.environ['TOLD'] = 'yes'\n")
    told = fire.run()
    assert told.of("target")[0]["warm"] is False
    assert told.counts == {"passed": 1}
    (fire.project / "conftest.py").unlink()
    assert fire.run().counts == {"failed": 1}
    fire.write("pytest.ini", "[pytest]\npython_functions = check_*\n")
    assert fire.run().counts == {}


def test_no_pytest_in_the_environment(fire: Fire, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    made = fire.start("--without-pip", str(bare), testd=("-m", "venv"))
    made.communicate(timeout=60)
    fire.write("test_a.py", "import pytest\n\ndef test_a(): pass\n")
    client = fire.start("run", VIRTUAL_ENV=str(bare))
    _, err = client.communicate(timeout=60)
    assert client.returncode == 4
    assert f"no pytest in {bare}/bin/python" in err
    assert "-m pip install pytest" in err


def test_a_test_that_removes_its_project(fire: Fire) -> None:
    fire.write("test_a.py", "import shutil, os\n\ndef test_a(): shutil.rmtree(os.getcwd())\n\ndef test_b(): pass\n")
    told = fire.run()
    assert told.verdicts["test_a.py::test_b"] == "passed"
    assert len(told.verdicts) == 2
    told.completed  # noqa: B018 - looks at how the run ended
    fire.project.mkdir(exist_ok=True)
    fire.write("test_a.py", "def test_c(): pass\n")
    again = fire.run()
    assert again.counts == {"passed": 1}, str(again.completed)


def test_bin_mode_without_a_working_directory(fire: Fire) -> None:
    fire.write("testd.toml", 'mode = "bin"\njobs = 1\n')
    fire.write("test_a.py", "import shutil, os\n\ndef test_a(): shutil.rmtree(os.getcwd())\n")
    fire.write("test_b.py", "def test_b(): pass\n")
    told = fire.run()
    assert set(told.verdicts) == {"test_a.py::test_a", "test_b.py::test_b"}
    assert told.code == 1
