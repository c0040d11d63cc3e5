"""What is remembered, and that nothing about it can harm a run."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from testd_daemon.agent.history import CHANGES_KEPT, RUNS_KEPT, WEIGHT, History, RunRecord, TestRecord


def run(name: str, *tests: tuple[str, str, float], at: float = 0.0, code: int = 0) -> RunRecord:
    records = [TestRecord(test, verdict, seconds, f"why {verdict}") for test, verdict, seconds in tests]
    return RunRecord(name, "py3", at or time.time(), 1.0, code, {"passed": len(tests)}, records)


def with_history(path: Path, work: Callable[[History], Awaitable[Any]]) -> Any:
    async def body() -> Any:
        history = History(str(path))
        await history.open()
        try:
            return await work(history)
        finally:
            await history.close()

    return anyio.run(body)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "history.sqlite"


def test_durations_are_averaged_and_survive(path: Path) -> None:
    async def first(history: History) -> None:
        await history.record(run("r1", ("a", "passed", 1.0)))
        await history.record(run("r2", ("a", "passed", 2.0)))
        assert (await history.known("py3")).durations["a"] == pytest.approx(1 + WEIGHT)

    async def later(history: History) -> None:
        known = await history.known("py3")
        assert known.durations["a"] == pytest.approx(1 + WEIGHT)
        assert known.verdicts == {"a": "passed"}
        assert (await history.known("py2")).durations == {}

    with_history(path, first)
    with_history(path, later)


def test_the_last_verdict_decides_what_failed(path: Path) -> None:
    async def work(history: History) -> None:
        await history.record(run("r1", ("a", "failed", 1), ("b", "crashed", 1), ("c", "passed", 1)))
        await history.record(run("r2", ("a", "passed", 1)))
        assert (await history.known("py3")).failing() == {"b"}

    with_history(path, work)


def test_a_tests_history_has_its_state_and_the_changes_newest_first(path: Path) -> None:
    async def work(history: History) -> None:
        for number, verdict in enumerate(["passed", "passed", "failed", "failed", "passed"]):
            await history.record(run(f"r{number}", ("t.py::a", verdict, 1.0), at=1000.0 + number))
        state, *changes = await history.report("t.py::a", 10)
        assert (state.run, state.verdict, state.runs, state.failures) == ("", "passed", 5, 2)
        assert [(change.run, change.verdict, change.at) for change in changes] == [
            ("r4", "passed", 1004.0),
            ("r2", "failed", 1002.0),
        ]
        assert changes[1].message == "why failed"

    with_history(path, work)


def test_a_part_of_a_name_finds_it_and_wildcards_are_text(path: Path) -> None:
    async def work(history: History) -> None:
        await history.record(run("r", ("t.py::test_a[%]", "passed", 1), ("t.py::testXa", "passed", 1)))
        assert [entry.test for entry in await history.report("test_a", 10)] == ["t.py::test_a[%]"]
        assert [entry.test for entry in await history.report("[%]", 10)] == ["t.py::test_a[%]"]
        assert await history.report("nothing", 10) == []

    with_history(path, work)


def test_runs_newest_first_with_counts(path: Path) -> None:
    async def work(history: History) -> None:
        await history.record(run("r1", ("a", "passed", 1)))
        await history.record(run("r2", ("a", "passed", 1), code=1))
        found = await history.report("", 10)
        assert [(entry.run, entry.verdict, entry.test) for entry in found] == [
            ("r2", "failed", ""),
            ("r1", "passed", ""),
        ]
        assert found[0].counts == {"passed": 1}
        assert len(await history.report("", 1)) == 1

    with_history(path, work)


def test_old_things_are_forgotten(path: Path) -> None:
    async def work(history: History) -> None:
        await history.record(run("old", ("gone", "failed", 1), at=1.0))
        connection = history._connection
        assert connection is not None
        connection.execute("UPDATE runs SET number = ?", (RUNS_KEPT * 50 - 1,))
        connection.execute("UPDATE changes SET number = ?", (CHANGES_KEPT * 2,))
        connection.execute("INSERT INTO runs VALUES (1, 'older', 'py3', 0, 0, 0, '{}')")
        await history.record(run("new", ("here", "failed", 1)))
        assert [entry.run for entry in await history.report("", 10)] == ["new", "old"]
        assert connection.execute("SELECT test FROM tests").fetchall() == [("here",)]

    with_history(path, work)


def test_a_broken_file_is_put_aside(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database" * 1000)

    async def work(history: History) -> None:
        await history.record(run("r", ("a", "passed", 1)))
        assert len(await history.report("", 10)) == 1
        assert history.problem == ""

    with_history(path, work)
    assert path.with_name("history.sqlite.broken").read_bytes().startswith(b"this is no")


def test_a_file_of_another_version_is_put_aside(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()

    async def work(history: History) -> None:
        await history.record(run("r", ("a", "passed", 1)))
        assert history.problem == ""

    with_history(path, work)
    assert path.with_name("history.sqlite.broken").exists()


def test_a_full_disk_is_noted_and_nothing_is_raised(path: Path) -> None:
    async def work(history: History) -> None:
        await history.record(run("r1", ("a", "passed", 1)))
        assert history._connection is not None
        (pages,) = history._connection.execute("PRAGMA page_count").fetchone()
        history._connection.execute(f"PRAGMA max_page_count = {pages}")
        await history.record(run("r2", *((f"test number {n}", "passed", 1.0) for n in range(5000))))
        assert "full" in history.problem
        assert len(history.complaints()) == 1
        assert history.complaints() == [], "it is told once"
        assert [entry.run for entry in await history.report("", 10)] == ["r1"]
        assert len((await history.known("py3")).durations) == 5001, "scheduling still profits from it"

    with_history(path, work)


def test_a_folder_that_cannot_be_made_is_noted(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")

    async def work(history: History) -> None:
        await history.record(run("r", ("a", "failed", 1)))
        assert history.problem
        assert await history.report("", 10) == []
        assert (await history.known("py3")).failing() == {"a"}

    with_history(tmp_path / "state" / "history.sqlite", work)


def test_in_memory_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def work(history: History) -> None:
        await history.record(run("r", ("a", "passed", 1)))
        assert len(await history.report("", 10)) == 1

    with_history(Path(":memory:"), work)
    assert list(tmp_path.iterdir()) == []
