"""A watch in the real agent: generations, what supersedes what, how it stands and how it ends."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from agent_driver import AgentDriver, RunResult

from testd_protocol.messages import GenerationStarted, Output, RunCompleted, Standing, Started, Steer

Make = Callable[..., Path]
StartAgent = Callable[..., Any]
TESTS = "from code import value\n\ndef test_a(): assert value == 1\ndef test_b(): pass\n"
#: Runs until it is told, or superseded.
SLOW = """
import pathlib, time
def test_slow():
    deadline = time.monotonic() + 60
    while not pathlib.Path({go!r}).exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
"""


class Watching:
    """A watch and its generations."""

    def __init__(self, driver: AgentDriver, **request: Any) -> None:
        self.driver = driver
        self.run = driver.submit(watch=True, **request)

    def generation(self) -> RunResult:
        """Wait for the end of the next generation."""
        return self.driver.follow(self.run, until=lambda found: isinstance(found.events[-1], RunCompleted))

    def until(self, kind: type[Any]) -> RunResult:
        return self.driver.follow(self.run, until=lambda found: isinstance(found.events[-1], kind))

    def end(self) -> RunResult:
        self.driver.cancel(self.run, "enough")
        return self.driver.follow(self.run)


def started(found: RunResult) -> GenerationStarted:
    (event,) = found.of(GenerationStarted)
    return event


def standing(found: RunResult) -> Standing:
    (event,) = found.of(Standing)
    return event


def test_an_edit_is_a_generation_and_the_whole_stands(project: Make, agent: StartAgent) -> None:
    root = project(test_a_py=TESTS, code_py="value = 1\n")
    watch = Watching(agent(root))
    first = watch.generation()
    assert (started(first).generation, started(first).cause) == (1, "start")
    assert first.verdicts == {"test_a": "passed", "test_b": "passed"}
    assert (first.completed.generation, first.completed.exit_code) == (1, 0)
    assert [report.final for report in first.reports] == [False] * len(first.reports)
    marks = [report.mark for report in first.reports if report.mark]
    assert marks == ["begin", "end"]

    (root / "code.py").write_text("value = 2\n")
    second = watch.generation()
    assert (started(second).cause, started(second).changed) == ("change", ["code.py"])
    assert second.verdicts["test_a"] == "failed"
    assert standing(second).counts == {"passed": 1, "failed": 1}
    assert [failing.test for failing in standing(second).failing] == ["test_a.py::test_a"]
    assert (second.completed.generation, second.completed.exit_code) == (2, 1)

    last = watch.end()
    assert (last.completed.generation, last.completed.exit_code, last.completed.reason) == (0, 1, "enough")
    assert last.reports[-1].final


def test_tests_that_are_removed_do_not_stand(project: Make, agent: StartAgent) -> None:
    root = project(test_a_py=TESTS, code_py="value = 1\n", test_c_py="def test_c(): assert 0\n")
    watch = Watching(agent(root))
    assert standing(watch.generation()).counts == {"passed": 2, "failed": 1}
    (root / "test_c.py").unlink()
    assert standing(watch.generation()).counts == {"passed": 2}
    (root / "test_a.py").write_text(TESTS.replace("test_b", "test_new"))
    assert standing(watch.generation()).counts == {"passed": 2}
    (root / "test_a.py").write_text("def test_a(:\n")
    broken = watch.generation()
    assert standing(broken).counts == {"error": 1}
    (root / "test_a.py").write_text(TESTS)
    assert standing(watch.generation()).counts == {"passed": 2}
    assert watch.end().completed.exit_code == 0


def test_a_change_supersedes_what_runs(project: Make, agent: StartAgent) -> None:
    root = project(test_a_py=SLOW.format(go="go"), test_b_py="def test_b(): pass\n")
    watch = Watching(agent(root), jobs=1)
    watch.until(GenerationStarted)
    (root / "test_b.py").write_text("def test_b(): assert 0\n")
    first = watch.generation()
    assert first.completed.reason == "superseded: test_b.py changed"
    assert "cancelled" not in first.verdicts.values()
    assert "cancelled" not in standing(first).counts
    (root / "go").touch()
    found = watch.generation()
    while found.completed.reason:  # `go` is a change of its own
        found = watch.generation()
    assert standing(found).counts == {"passed": 1, "failed": 1}
    watch.end()


class Slow:
    """A watch in whose third generation, of all tests, a slow one runs before three others."""

    def __init__(self, project: Make, agent: StartAgent, tmp_path: Path, **request: Any) -> None:
        self.go = tmp_path / "go"
        self.go.touch()
        text = SLOW.format(go=str(self.go)).replace("import", "import used, ", 1)
        others = {f"test_{name}_py": f"def test_{name}(): pass\n" for name in "bcd"}
        self.root = project(test_a_py=text, used_py="", **others)
        self.watch = Watching(agent(self.root), jobs=1, **request)
        assert standing(self.watch.generation()).counts == {"passed": 4}
        self.steer("all")
        assert set(self.watch.generation().verdicts) == {"test_slow", "test_b", "test_c", "test_d"}
        self.go.unlink()
        self.steer("all")
        assert self.watch.until(Started).events[-1].test == "test_a.py::test_slow"

    def steer(self, what: Any) -> None:
        self.watch.driver.send(Steer(run=self.watch.run, what=what))

    def edit(self, name: str, text: str) -> RunResult:
        """Supersede what runs; return the end of it."""
        (self.root / name).write_text(text)
        found = self.watch.generation()
        assert found.completed.reason == f"superseded: {name} changed"
        return found

    def until_outcome(self, test: str) -> RunResult:
        return self.watch.driver.follow(
            self.watch.run, until=lambda found: any(row.test.endswith(f"::{test}") for row in found.rows)
        )


@pytest.fixture
def slow(project: Make, agent: StartAgent, tmp_path: Path) -> Slow:
    return Slow(project, agent, tmp_path)


def test_what_is_valid_goes_on_behind_a_change(slow: Slow) -> None:
    """A test of a minute never came to its end while its developer saved a file more often than that."""
    slow.edit("test_c.py", "def test_c(): assert 0\n")
    parts = [slow.until_outcome("test_c"), slow.edit("test_d.py", "def test_d(): assert 0\n")]
    parts.append(slow.until_outcome("test_d"))
    assert not any("test_slow" in part.verdicts for part in parts)
    slow.go.touch()
    rest = slow.watch.generation()
    verdicts = {test: verdict for part in (*parts, rest) for test, verdict in part.verdicts.items()}
    assert verdicts == {"test_slow": "passed", "test_b": "passed", "test_c": "failed", "test_d": "failed"}
    assert rest.completed.counts["passed"] >= 1
    assert standing(rest).counts == {"passed": 2, "failed": 2}
    (slow.root / "test_b.py").write_text("def test_b(): assert 1\n")
    last = slow.watch.generation()
    assert "test_slow" not in last.verdicts, "its record is from when it came to its end"
    assert slow.watch.end().completed.exit_code == 1


def test_what_a_change_makes_stale_is_stopped(slow: Slow) -> None:
    slow.edit("test_c.py", "def test_c(): assert 0\n")
    slow.until_outcome("test_c")
    slow.edit("used.py", "N = 1\n")
    while slow.watch.until(Started).events[-1].test != "test_a.py::test_slow":
        pass  # test_c comes once more if the change was noticed before what it uses was told
    slow.go.touch()
    assert slow.watch.generation().verdicts["test_slow"] == "passed"
    slow.watch.end()


@pytest.mark.parametrize("what", ["failed", "filter"])
def test_who_asks_for_something_else_waits_for_nothing(slow: Slow, what: str) -> None:
    slow.edit("test_c.py", "def test_c(): assert 0\n")
    slow.until_outcome("test_c")
    slow.steer(what)
    assert slow.watch.generation().completed.reason == "superseded: somebody asked for something else"
    if what == "filter":  # that is all of it, from its beginning
        slow.watch.until(Started)
        slow.go.touch()
    found = slow.watch.generation()
    assert ("test_slow" in found.verdicts) is (what == "filter")
    slow.watch.end()


def test_the_end_of_a_watch_ends_what_goes_on(slow: Slow) -> None:
    slow.edit("test_c.py", "def test_c(): assert 0\n")
    slow.until_outcome("test_c")
    assert slow.watch.end().completed.reason == "enough"


def test_a_run_of_everything_that_is_superseded_before_it_begins_comes_next(
    project: Make, agent: StartAgent
) -> None:
    """An edit while the first run was being prepared left it at what the edit affected."""
    root = project(test_a_py="def test_a(): pass\n", test_b_py="def test_b(): pass\n")
    watch = Watching(agent(root))
    watch.generation()
    watch.end()
    (root / "conftest.py").write_text("import time, pathlib\nwhile pathlib.Path('wait').exists(): time.sleep(0.01)\n")
    watch = Watching(watch.driver)
    watch.generation()
    watch.end()
    (root / "wait").touch()
    (root / "conftest.py").write_text((root / "conftest.py").read_text() + "\n")
    watch = Watching(watch.driver)
    watch.until(GenerationStarted)
    (root / "test_b.py").write_text("def test_b(): assert 1\n")
    assert watch.generation().completed.reason.startswith("superseded")
    (root / "wait").unlink()
    found = watch.generation()
    while found.completed.reason:
        found = watch.generation()
    assert set(found.verdicts) == {"test_a", "test_b"}
    watch.end()


def test_it_is_steered(project: Make, agent: StartAgent) -> None:
    root = project(test_a_py=TESTS, code_py="value = 3\n", test_c_py="def test_c(): pass\n")
    watch = Watching(agent(root))
    watch.generation()

    def steer(**what: Any) -> RunResult:
        watch.driver.send(Steer(run=watch.run, **what))
        return watch.generation()

    assert set(steer(what="all").verdicts) == {"test_a", "test_b", "test_c"}
    failed = steer(what="failed")
    assert (started(failed).cause, set(failed.verdicts)) == ("failed", {"test_a"})
    assert standing(failed).tests == 3
    assert set(steer(what="filter", patterns=["test_c"]).verdicts) == {"test_c"}
    assert set(steer(what="filter", keyword="test_b").verdicts) == {"test_b"}
    assert set(steer(what="filter").verdicts) == {"test_a", "test_b", "test_c"}
    nothing = steer(what="filter", patterns=["no such file"])
    assert nothing.verdicts == {}
    watch.end()


def test_the_same_again_is_the_same_tests(project: Make, agent: StartAgent) -> None:
    root = project(test_a_py=TESTS, code_py="value = 3\n")
    watch = Watching(agent(root))
    watch.generation()

    def steer(what: Any, **more: Any) -> RunResult:
        watch.driver.send(Steer(run=watch.run, what=what, **more))
        return watch.generation()

    again = steer("again")
    assert (started(again).cause, set(again.verdicts)) == ("start", {"test_a", "test_b"})
    steer("failed")
    (root / "code.py").write_text("value = 1\n")
    watch.generation()
    (root / "code.py").write_text("value = 3\n")
    watch.generation()
    assert set(steer("failed").verdicts) == {"test_a"}
    again = steer("again")
    assert (started(again).cause, set(again.verdicts)) == ("failed", {"test_a"})
    watch.end()


def test_output_is_live_from_the_next_generation_on(project: Make, agent: StartAgent) -> None:
    root = project(test_a_py="def test_a(): print('said')\n")
    watch = Watching(agent(root))
    assert not watch.generation().of(Output)
    watch.driver.send(Steer(run=watch.run, what="output", stream=True))
    watch.driver.send(Steer(run=watch.run, what="all"))
    assert "said" in "".join(event.text for event in watch.generation().of(Output))
    watch.driver.send(Steer(run=watch.run, what="output", stream=False))
    watch.driver.send(Steer(run=watch.run, what="all"))
    assert not watch.generation().of(Output)
    watch.end()


def test_a_broken_configuration_is_told_and_its_repair_is_a_change(project: Make, agent: StartAgent) -> None:
    root = project(test_a_py="def test_a(): pass\n", pyproject_toml="[tool.testd]\njbos = 2\n")
    watch = Watching(agent(root))
    found = watch.generation()
    assert (found.completed.exit_code, found.completed.generation) == (4, 1)
    assert "jbos" in found.completed.reason
    (root / "pyproject.toml").write_text("[tool.testd]\njobs = 2\n")
    assert watch.generation().verdicts == {"test_a": "passed"}
    watch.end()


def test_a_wrong_command_ends_the_watch(project: Make, agent: StartAgent) -> None:
    """It went on to watch what was not there, for ever."""
    root = project(test_a_py="def test_a(): pass\n")
    last = agent(root).run("nowhere", watch=True)
    assert (last.completed.exit_code, last.completed.generation) == (4, 0)
    assert last.completed.reason == "file or directory not found: nowhere"


def test_a_workspace_that_is_removed_ends_the_watch(project: Make, agent: StartAgent) -> None:
    root = project(test_a_py="def test_a(): pass\n")
    watch = Watching(agent(root))
    watch.generation()
    shutil.rmtree(root)
    found = watch.driver.follow(watch.run)
    while found.completed.generation:
        found = watch.driver.follow(watch.run)
    assert found.completed.exit_code == 4
    assert "is gone" in found.completed.reason


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it looks every second")
def test_an_agent_with_a_watch_costs_nothing(project: Make, agent: StartAgent) -> None:
    root = project(test_a_py="def test_a(): pass\n")
    watch = Watching(agent(root))
    watch.generation()
    deadline = time.monotonic() + 60

    def quiet() -> bool:
        """Whether a second passes in which the agent takes no processor time."""
        before = _ticks(watch.driver.process.pid)
        time.sleep(1.0)
        return _ticks(watch.driver.process.pid) == before

    while not quiet():
        assert time.monotonic() < deadline
    watch.end()


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
