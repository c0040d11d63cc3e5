"""The parts of a workflow's run that need no process: turns, what is kept, where code is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anyio
import msgspec
import pytest

from testd_daemon.agent.workflow.kept import MOST_KEPT, Facts, Kept, Note
from testd_daemon.agent.workflow.sources import Repository, Source, repository, source
from testd_daemon.agent.workflow.turns import Turns
from testd_daemon.errors import EnvironmentFault, UsageError
from testd_daemon.workflows.progress import Finished
from testd_daemon.workflows.status import FunctionStatus
from testd_protocol.workflows import WorkflowFile

pytestmark = pytest.mark.anyio
FACTS = Facts(invocation="i", timestamp="t", document="w.json")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


# ── turns ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _hold(turns: Turns, name: str, said: list[str], go: anyio.Event) -> None:
    async with turns.turn():
        said.append(name)
        await go.wait()


async def test_who_has_no_turn_waits_and_gets_one_in_order() -> None:
    turns, said, events = Turns(2, 4), [], [anyio.Event() for _ in range(4)]
    async with anyio.create_task_group() as tasks:
        for number, event in enumerate(events):
            tasks.start_soon(_hold, turns, str(number), said, event)
        await anyio.wait_all_tasks_blocked()
        assert said == ["0", "1"]
        events[1].set()
        await anyio.wait_all_tasks_blocked()
        assert said == ["0", "1", "2"]
        for event in events:
            event.set()
    assert said == ["0", "1", "2", "3"]


async def test_who_waits_for_the_store_makes_room_for_others_up_to_a_limit() -> None:
    turns, said, go = Turns(1, 2), [], anyio.Event()

    async def waits() -> None:
        async with turns.turn():
            with turns.aside():
                await go.wait()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(waits)
        await anyio.wait_all_tasks_blocked()
        for name in ("a", "b"):
            tasks.start_soon(_hold, turns, name, said, go)
        await anyio.wait_all_tasks_blocked()
        assert said == ["a"]  # the second would be the third that is there
        go.set()
    assert said == ["a", "b"]


async def test_who_is_cancelled_while_it_waits_takes_no_turn() -> None:
    turns, said, go = Turns(1, 1), [], anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_hold, turns, "a", said, go)
        await anyio.wait_all_tasks_blocked()
        with anyio.move_on_after(0):
            async with turns.turn():
                said.append("never")
        tasks.start_soon(_hold, turns, "b", said, go)
        go.set()
    assert said == ["a", "b"]


# ── what is kept ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_noted_is_there_in_the_next_process(tmp_path: Path) -> None:
    kept = Kept.begin(str(tmp_path), "r1", b"{}", FACTS)
    for note in (
        Note(what="begun"), Note(function="a", what="returned", value=True), Note(function="b", what="lost"),
        Note(function="a", what="completed", value=True, sequence=3), Note(function="c", what="failed", why="boom"),
        Note(function="d", what="returned"),
    ):  # fmt: skip
        kept.note(note)
    kept.close()
    found = Kept.find(str(tmp_path), "r1")
    assert found is not None
    assert found.begun
    assert (found.document, found.facts) == (b"{}", FACTS)
    assert found.finished == {
        "a": Finished(FunctionStatus.COMPLETED, True), "c": Finished(FunctionStatus.FAILED, why="boom"),
    }  # fmt: skip
    assert found.returned == {"a": True, "d": None}
    assert (found.lost("b"), found.lost("a")) == (1, 0)


def test_a_line_that_was_cut_off_says_nothing(tmp_path: Path) -> None:
    kept = Kept.begin(str(tmp_path), "r1", b"{}", FACTS)
    kept.note(Note(function="a", what="completed"))
    kept.close()
    with (kept.folder / "journal.jsonl").open("ab") as file:
        file.write(msgspec.json.encode(Note(function="b", what="completed"))[:-5])
    found = Kept.find(str(tmp_path), "r1")
    assert found is not None
    assert list(found.finished) == ["a"]
    found.note(Note(function="c", what="completed"))  # it goes on behind the piece
    found.close()
    again = Kept.find(str(tmp_path), "r1")
    assert again is not None
    assert list(again.finished) == ["a", "c"]


def test_a_run_that_never_began_is_not_found_and_old_ones_go(tmp_path: Path) -> None:
    assert Kept.find(str(tmp_path), "r1") is None
    for number in range(MOST_KEPT + 3):
        Kept.begin(str(tmp_path), f"r{number}", b"{}", FACTS).close()
    assert len(list((tmp_path / "workflows").iterdir())) == MOST_KEPT
    assert Kept.find(str(tmp_path), f"r{MOST_KEPT + 2}") is not None


# ── what it costs others ─────────────────────────────────────────────────────────────────────────────────────────────


def test_an_agent_that_runs_no_workflow_loads_nothing_of_them() -> None:
    look = (
        "import sys, testd_daemon.agent.agent, testd_daemon.cli.workflow\n"
        "print([name for name in sys.modules if name.startswith(('boto', 'testd_daemon.workflows', "
        "'testd_daemon.agent.workflow'))])"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


# ── where code is ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("entry", "meant"), [
    ("eve/code", Repository("eve/code")),
    ("eve/code/a/b", Repository("eve/code", "", "a/b")),
    ("eve/code/main/a/b.py", Repository("eve/code", "main", "a/b.py")),
    ("https://host/eve/code", Repository("https://host/eve/code")),
    ("https://host/eve/code.git", Repository("https://host/eve/code.git")),
])  # fmt: skip
def test_what_an_entry_of_a_repository_means(entry: str, meant: Repository) -> None:
    assert repository(entry) == meant


def test_an_entry_that_is_none_is_told() -> None:
    with pytest.raises(UsageError, match="names no repository"):
        repository("code")


def _file(**keys: object) -> WorkflowFile:
    return msgspec.convert(
        {
            "WorkflowName": "W", "FunctionInvoke": "a", "ActionList": {"a": {"FaaSServer": "s", "FunctionName": "f"}},
            "ComputeServers": {"s": {}}, "DataStores": {"S3": {"Bucket": "b"}}, "DefaultDataStore": "S3", **keys,
        },
        WorkflowFile,
    )  # fmt: skip


def test_code_is_beside_the_workflow_where_nothing_is_said(tmp_path: Path) -> None:
    beside = tmp_path / "flows"
    beside.mkdir()
    assert source(_file(), "f", tmp_path, beside) == Source("flows", "beside the workflow")
    (beside / "functions").mkdir()
    assert source(_file(), "f", tmp_path, beside) == Source("flows/functions", "beside the workflow")


def test_a_repository_that_is_elsewhere_has_to_be_fetched(tmp_path: Path) -> None:
    file = _file(FunctionGitRepo={"f": ["eve/code/functions"]})
    assert source(file, "f", tmp_path, tmp_path) == [Repository("eve/code", "", "functions")]
    (tmp_path / "functions").mkdir()
    assert source(file, "f", tmp_path, tmp_path) == Source("functions", "eve/code is here")


def test_a_local_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"there is no x\.py"):
        source(_file(FunctionLocalFile={"f": "x.py"}), "f", tmp_path, tmp_path)
