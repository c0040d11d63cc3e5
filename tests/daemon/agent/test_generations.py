"""On which state of the workspace verdicts changed: what is written down, what is shown, and what counts as flaky."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio

from testd_daemon.agent.freshness import GRANULARITY_NS
from testd_daemon.agent.generations import checked_out
from testd_daemon.agent.history import History, RunRecord, Stamp, TestRecord
from testd_protocol.messages import History as AskHistory
from testd_protocol.messages import HistoryEntry, HistoryReport

Make = Callable[..., Path]
StartAgent = Callable[..., Any]


async def note(history: History, at: float, generation: int, verdict: str, differing: dict[int, list[str]]) -> None:
    """Have a run of one test in the history, on a generation of the workspace."""
    record = RunRecord(f"r{at:g}", "py3", at, 1.0, 0, {}, [TestRecord("t.py::a", verdict, 1.0, f"why {at:g}")])
    changes = await history.record(record)
    earlier = await history.earlier(changes)
    assert earlier >= set(differing)
    await history.stamp(record, changes, Stamp(generation, at, "c0ffee", differing))


def test_a_change_has_its_generation_and_what_differs_from_the_outcome_before() -> None:
    async def work() -> None:
        history = History(":memory:")
        await history.open()
        await note(history, 1, 3, "failed", {})
        await note(history, 2, 5, "passed", {3: ["a.py", "b.py"]})
        await note(history, 3, 7, "passed", {5: ["b.py"]})
        await note(history, 4, 9, "failed", {7: [f"{n:02}.py" for n in range(25)]})
        _, *changes = await history.report("t.py::a", 10)
        said = [(found.generation, found.previous, found.more) for found in changes]
        assert said == [(9, 7, 5), (5, 3, 0), (3, 0, 0)]
        assert changes[0].changed == [f"{n:02}.py" for n in range(20)]
        assert changes[1].changed == ["a.py", "b.py"]
        assert changes[0].commit == "c0ffee"
        assert await history.flaky(10) == []
        assert history.problem == ""
        await history.close()

    anyio.run(work)


def test_flaky_is_what_changes_while_nothing_else_does() -> None:
    async def work() -> None:
        history = History(":memory:")
        await history.open()
        await note(history, 1, 3, "passed", {})
        await note(history, 2, 3, "failed", {})
        await note(history, 3, 5, "passed", {3: []})  # another generation, with the same contents
        await note(history, 4, 6, "failed", {5: ["a.py"]})
        (found,) = await history.flaky(10)
        assert (found.test, found.target, found.flips, found.verdict, found.runs, found.failures, found.at) == (
            "t.py::a", "py3", 2, "failed", 4, 2, 3.0,
        )  # fmt: skip
        assert found.message == "why 3"
        await history.close()

    anyio.run(work)


def test_generations_that_are_counted_anew_are_compared_with_nothing() -> None:
    async def work() -> None:
        history = History(":memory:")
        await history.open()
        await note(history, 1, 30, "passed", {})
        await note(history, 2, 2, "failed", {})
        change = (await history.report("t.py::a", 10))[1]
        assert (change.generation, change.previous, change.changed) == (2, 0, [])
        assert await history.flaky(10) == []
        await history.close()

    anyio.run(work)


VERSION_1 = """
CREATE TABLE tests (
    target TEXT NOT NULL, test TEXT NOT NULL, duration REAL NOT NULL, verdict TEXT NOT NULL,
    runs INTEGER NOT NULL, failures INTEGER NOT NULL, at REAL NOT NULL, run TEXT NOT NULL,
    PRIMARY KEY (target, test)) WITHOUT ROWID;
CREATE TABLE changes (
    number INTEGER PRIMARY KEY, target TEXT NOT NULL, test TEXT NOT NULL, verdict TEXT NOT NULL,
    run TEXT NOT NULL, at REAL NOT NULL, duration REAL NOT NULL, message TEXT NOT NULL);
CREATE INDEX changes_of_a_test ON changes (test);
CREATE TABLE runs (
    number INTEGER PRIMARY KEY, run TEXT NOT NULL, target TEXT NOT NULL, at REAL NOT NULL, duration REAL NOT NULL,
    exit_code INTEGER NOT NULL, counts TEXT NOT NULL);
INSERT INTO tests VALUES ('py3', 't.py::a', 0.5, 'failed', 7, 2, 1.0, 'r0');
INSERT INTO changes VALUES (4, 'py3', 't.py::a', 'failed', 'r0', 1.0, 0.5, 'why');
INSERT INTO runs VALUES (9, 'r0', 'py3', 1.0, 2.0, 1, '{}');
PRAGMA user_version = 1;
"""


def test_a_file_without_generations_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript(VERSION_1)
    connection.close()

    async def work() -> None:
        history = History(str(path))
        await history.open()
        state, change = await history.report("t.py::a", 10)
        assert (state.runs, state.failures, change.run, change.generation) == (7, 2, "r0", 0)
        assert [entry.run for entry in await history.report("", 10)] == ["r0"]
        await history.known("py3")
        await note(history, time.time(), 3, "passed", {})
        assert (await history.report("t.py::a", 10))[1].generation == 3
        assert history.problem == ""
        await history.close()

    anyio.run(work)
    assert not path.with_name("history.sqlite.broken").exists()


def git(folder: Path, *arguments: str) -> str:
    """Run git without anybody's configuration."""
    identity = ["-c", "user.name=eve", "-c", "user.email=eve@example.org", "-c", "commit.gpgsign=false"]
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()


def test_the_commit_that_is_checked_out(tmp_path: Path) -> None:
    assert checked_out(str(tmp_path)) == ""
    repository = tmp_path / "repository"
    (repository / "below").mkdir(parents=True)
    git(repository, "init", "-q")
    assert checked_out(str(repository)) == "", "nothing is committed yet"
    git(repository, "commit", "-q", "--allow-empty", "-m", "one")
    first = git(repository, "rev-parse", "HEAD")
    assert checked_out(str(repository / "below")) == first
    git(repository, "pack-refs", "--all")
    assert checked_out(str(repository)) == first
    git(repository, "worktree", "add", "-q", "-b", "other", str(tmp_path / "tree"))
    git(tmp_path / "tree", "commit", "-q", "--allow-empty", "-m", "two")
    assert checked_out(str(tmp_path / "tree")) == git(tmp_path / "tree", "rev-parse", "HEAD") != first
    git(repository, "checkout", "-q", "--detach")
    assert checked_out(str(repository)) == first
    (repository / ".git" / "HEAD").write_text("nonsense")
    assert checked_out(str(repository)) == ""


# ── from outside ─────────────────────────────────────────────────────────────────────────────────────────────────────


def ask(driver: Any, test: str = "", *, flaky: bool = False) -> list[HistoryEntry]:
    driver.send(AskHistory(workspace=driver.workspace, test=test, flaky=flaky, id=1))
    report = driver.receive()
    assert isinstance(report, HistoryReport)
    return report.entries


def stamped(driver: Any, test: str, changes: int) -> list[HistoryEntry]:
    """The changes of a test's verdict, once each has its generation: it comes a moment behind the run."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = [entry for entry in ask(driver, test) if entry.run]
        if len(found) == changes and all(entry.generation for entry in found):
            return found
    raise AssertionError(f"{test} has no {changes} changes with generations: {found}")


def edit(file: Path, text: str) -> None:
    """Write a file long enough before a run: one that is written as the run begins counts as later."""
    file.write_text(text)
    while time.time_ns() - file.stat().st_ctime_ns < 2 * GRANULARITY_NS:
        pass


def test_what_changed_when_a_test_began_to_fail(project: Make, agent: StartAgent) -> None:
    folder = project(
        test_a_py="import source\n\ndef test_a():\n    assert source.N == 1\n", source_py="N = 0\n", other_py=""
    )
    driver = agent(folder)
    driver.run()
    (first,) = stamped(driver, "test_a", 1)
    assert (first.verdict, first.previous, first.changed) == ("failed", 0, [])
    edit(folder / "source.py", "N = 1\n")
    driver.run()
    second, _ = stamped(driver, "test_a", 2)
    assert second.verdict == "passed"
    assert second.previous == first.generation < second.generation
    assert "source.py" in second.changed
    assert "other.py" not in second.changed
    edit(folder / "source.py", "N = 2\n")
    driver.run()
    third, *_ = stamped(driver, "test_a", 3)
    assert third.verdict == "failed"
    assert "source.py" in third.changed
    assert ask(driver, flaky=True) == []


def test_a_flaky_test_is_found_from_outside(project: Make, agent: StartAgent, tmp_path: Path) -> None:
    text = f"import os\n\ndef test_a():\n    assert not os.path.exists({str(tmp_path / 'moon')!r}), 'the moon is up'\n"
    driver = agent(project(test_a_py=text))
    driver.run()
    (tmp_path / "moon").touch()
    driver.run()
    first = stamped(driver, "test_a", 1)
    (tmp_path / "moon").unlink()
    driver.run()
    assert [entry.changed for entry in stamped(driver, "test_a", 2)] == [[], []]
    (found,) = ask(driver, flaky=True)
    assert (found.test, found.runs, found.failures) == ("test_a.py::test_a", 3, 1)
    assert found.flips in (1, 2)
    assert first[0].message.startswith("AssertionError: the moon is up")
