"""What every kind of runner must do, on every interpreter that is found. A new launcher joins `PLACES`, no more."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from launched import Launched, Place
from places import PLACES
from projects import NAMES

from testd.framing import frame
from testd_protocol.messages import (
    Collect,
    Collected,
    Dependencies,
    DropCollection,
    Fault,
    JobCompleted,
    Outcome,
    Output,
    Ping,
    Pong,
    RunJob,
    Select,
    Selected,
    Shutdown,
    Started,
    StartWorker,
    StopWorker,
    Unsupported,
    WorkerExited,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from interpreters import found

#: The first of a kind makes what it needs: images, hosts. Each answer has its own, shorter deadline.
pytestmark = pytest.mark.timeout(900)

ADDS, BREAKS, PRINTS, CRASHES, HANGS, LARGE = range(6)
Launch = Callable[..., Launched]


def by_number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


#: Every case runs on the oldest and the newest interpreter and on the tests' own; on all others those of `everywhere`.
FULLY = {min(found(), key=by_number), max(found(), key=by_number), "{}.{}".format(*sys.version_info)}


def everywhere(case: Callable[..., None]) -> Callable[..., None]:
    case.everywhere = True  # type: ignore[attr-defined]
    return case


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "place" in metafunc.fixturenames:
        all_of_them = getattr(metafunc.function, "everywhere", False)
        versions = [version for version in found() if all_of_them or version in FULLY]
        targets = [(kind, name) for kind, places in PLACES.items() for name in places.names(versions)]
        metafunc.parametrize("place", targets, ids="-".join, indirect=True)


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Place:
    kind, name = request.param
    return PLACES[kind].place(name, request)


@pytest.fixture
def launch(place: Place, tmp_path: Path, runner_cache: Path) -> Launch:
    root = tmp_path / "project"
    root.mkdir()
    (root / place.project.file).write_text(place.project.text)
    return lambda **settings: Launched(place, root, runner_cache, **settings)


@everywhere
def test_starts_collects_runs_and_ends(launch: Launch, place: Place) -> None:
    with launch() as runner:
        told = runner.ready.python or runner.ready.runtime.removeprefix("Node.js ")
        assert told.startswith(place.version + ".")
        assert runner.ready.pid
        assert runner.collect() == [f"{place.project.file}::{name}" for name in NAMES]
        runner.work([ADDS, BREAKS, PRINTS])
        before: list[Any] = []
        exited = runner.until(WorkerExited, before)
        outcomes = [message for message in before if isinstance(message, Outcome)]
        assert [(o.job, o.test, o.verdict) for o in outcomes] == [
            (10, ADDS, "passed"), (10, BREAKS, "failed"), (10, PRINTS, "passed"),
        ]  # fmt: skip
        detail = outcomes[1].detail
        assert detail is not None
        assert "so it is" in detail.message
        assert detail.kind == "assertion"
        assert all(o.memory > 0 and o.duration >= 0 for o in outcomes)
        assert [message for message in before if isinstance(message, JobCompleted)] == [JobCompleted(job=10, worker=1)]
        assert (exited.completed, exited.status, exited.worker) == (True, 0, 1)
        runner.send(Shutdown())
        assert runner.process.wait(30) == 0


@everywhere
def test_output_is_live_where_it_is_asked_for(launch: Launch) -> None:
    with launch() as runner:
        runner.collect()
        runner.work([PRINTS], stream=True)
        before: list[Any] = []
        runner.until(WorkerExited, before)
        texts: dict[str, str] = {}
        for message in before:
            if isinstance(message, Output):
                texts[message.stream] = texts.get(message.stream, "") + message.text
        assert texts == {"stdout": "from the test\n", "stderr": "to stderr\n"}


@everywhere
def test_a_crash_is_put_down_to_its_test_and_the_next_worker_works(launch: Launch) -> None:
    with launch() as runner:
        runner.collect()
        runner.work([ADDS, CRASHES, ADDS])
        before: list[Any] = []
        exited = runner.until(WorkerExited, before)
        assert [o.test for o in before if isinstance(o, Outcome)] == [ADDS]
        assert (exited.completed, exited.signal, exited.cause, exited.test) == (
            False, signal.SIGSEGV, "signal", CRASHES
        )  # fmt: skip
        runner.work([ADDS], worker=2)
        assert runner.until(Outcome).verdict == "passed"


@everywhere
def test_a_hanging_test_is_killed_at_its_deadline_with_its_stack(launch: Launch) -> None:
    with launch() as runner:
        runner.collect()
        runner.work([HANGS], timeout=0.3)
        exited = runner.until(WorkerExited)
        assert (exited.completed, exited.cause, exited.test) == (False, "timeout", HANGS)
        assert "hangs" in exited.stacks
        assert exited.seconds >= 0.3


def test_a_worker_is_stopped_when_it_is_told(launch: Launch) -> None:
    with launch() as runner:
        runner.collect()
        runner.work([ADDS, HANGS], stream=True)
        runner.until(Outcome)
        runner.send(StopWorker(worker=1, grace=0.3))
        exited = runner.until(WorkerExited)
        assert exited.cause == "stopped" or exited.completed
        runner.work([ADDS], worker=2)
        assert runner.until(Outcome).verdict == "passed"


def test_a_patient_stop_waits_for_the_test_that_runs(launch: Launch) -> None:
    with launch() as runner:
        runner.collect()
        runner.work([HANGS, ADDS], timeout=2.0)
        runner.until(Started)
        runner.send(StopWorker(worker=1, grace=0.1, patient=True))
        before: list[Any] = []
        exited = runner.until(WorkerExited, before)
        assert (exited.cause, exited.test) == ("timeout", HANGS), "nothing but its own limit ended it"
        assert not any(isinstance(message, Outcome) for message in before)


@everywhere
def test_nothing_is_left_when_the_agent_is_gone(launch: Launch) -> None:
    with launch() as runner:
        runner.collect()
        runner.work([ADDS, HANGS])
        runner.until(Outcome)
        assert runner.inside()
    # the end of the block has looked


def test_nothing_is_left_of_an_agent_that_has_not_read_all(launch: Launch) -> None:
    """A socket for stdin ended in an error then, which podman's client takes for no end: its container went on."""
    with launch() as runner:
        runner.collect()
        runner.work([HANGS], finish=False)
        runner.send(Ping(id=1))
        runner.line.wait()
        assert runner.inside()
    # the end of the block has looked


def test_a_last_test_waits_for_what_follows(launch: Launch) -> None:
    with launch() as runner:
        runner.collect()
        runner.work([ADDS, PRINTS], finish=False)
        assert runner.until(Outcome).test == ADDS
        runner.send(RunJob(job=11, worker=1, tests=[BREAKS]))
        assert [runner.until(Outcome).test] == [PRINTS]
        assert runner.until(JobCompleted).job == 10


def test_a_process_of_its_own_runs_the_same_tests_by_name(launch: Launch, place: Place) -> None:
    with launch() as runner:
        ids = runner.collect()
        runner.send(
            StartWorker(worker=1, collection=1, paths=[place.project.file]),
            RunJob(job=10, worker=1, tests=[LARGE, ADDS], ids=[ids[LARGE], ids[ADDS]]),
        )
        assert [runner.until(Outcome).test] == [LARGE]


def test_a_changed_file_is_seen_after_the_collection_was_dropped(launch: Launch, tmp_path: Path, place: Place) -> None:
    with launch() as runner:
        file = tmp_path / "project" / place.project.file
        seen: list[Any] = []
        runner.bring_files()
        runner.send(Collect(collection=1, paths=[]))
        runner.until(Dependencies, seen, that=lambda message: message.checkpoint == "collected")
        runner.until(Collected, seen, that=lambda page: page.done)
        file.write_text(place.project.other)
        runner.send(DropCollection(collection=1))
        assert runner.collect(2) == [f"{place.project.file}::other"]


@everywhere
def test_what_was_loaded_is_told(launch: Launch, tmp_path: Path, place: Place) -> None:
    with launch() as runner:
        runner.bring_files()
        runner.send(Collect(collection=1, paths=[]))
        seen: list[Any] = []
        runner.until(Collected, seen, that=lambda page: page.done)
        modes = {s.path: s.mode for message in seen if isinstance(message, Dependencies) for s in message.files}
        file = tmp_path / "project" / place.project.file
        assert modes.get(runner.there(file)) == file.stat().st_mode & 0o7777


def test_a_large_result_arrives_whole(launch: Launch) -> None:
    with launch() as runner:
        runner.collect()
        runner.work([LARGE])
        outcome = runner.until(Outcome)
        assert outcome.verdict == "failed"
        assert outcome.detail is not None
        assert "xxx" in outcome.detail.text


def test_select_and_its_mistakes(launch: Launch) -> None:
    with launch() as runner:
        runner.collect()
        runner.send(Select(id=7, collection=1, keyword="adds or prints"))
        assert runner.until(Selected) == Selected(id=7, tests=[ADDS, PRINTS])
        runner.send(Select(id=8, collection=1, keyword="("))
        fault = runner.until(Fault)
        assert (fault.id, fault.exit_code) == (8, 4)
        runner.send(Select(id=9, collection=99, keyword="x"))
        assert runner.until(Fault).id == 9


@everywhere
def test_unknown_messages_are_answered_and_harm_nothing(launch: Launch) -> None:
    with launch() as runner:
        runner.send_bytes(frame(msgspec.msgpack.encode({"type": "Tomorrow", "x": 1})))
        assert runner.until(Unsupported).of == "Tomorrow"
        runner.send(Ping(id=3))
        assert runner.until(Pong).id == 3
        assert len(runner.collect()) == len(NAMES)
