"""Which runners are kept and which go, told by stand-ins for runners: what ends a real one is tested elsewhere."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from testd_daemon.agent import memory, pool
from testd_daemon.agent.pool import MEMORY_SHARE, MOST_RUNS, Pool
from testd_daemon.agent.runner import Runner
from testd_daemon.agent.runner_state import RunnerEvent
from testd_daemon.agent.spec import Spec
from testd_daemon.config.units import machine_memory
from testd_protocol.framing import encode
from testd_protocol.messages import Ping, Pong, Ready
from testd_runners.launcher import Command


class Stand:
    """A runner as the pool sees it."""

    def __init__(self, *, held: int = 0, runs: int = 1, age: float = 0.0, users: int = 0) -> None:
        self.users, self.runs, self.alive, self.private = users, runs, True, False
        self.started_at, self.used_at, self.most_age = time.time() - age, time.monotonic(), 0.0
        self.asked = 0
        self.held, self.why, self.spec = held, "", SimpleNamespace(target="py3")

    def memory(self) -> int:
        return self.held

    def at_rest(self) -> float:
        return self.held * 1024 / machine_memory()

    def ask_memory(self) -> None:
        self.asked += 1

    def kill(self, reason: str) -> None:
        self.alive, self.why = False, reason


TOO_MUCH = int(machine_memory() * MEMORY_SHARE) // 1024 + 1


def spec(launcher: str) -> Spec:
    return Spec(
        target="box", launcher=launcher, runtime="python3", kind="pytest", mode="worker", root="/w", arguments=(),
        fork=True, memory_limit=0, output_limit=0, capture_limit=0, significant={}, environment={},
    )  # fmt: skip


def keeping(*runners: Any, tasks: Any = None) -> Pool:
    made = Pool(tasks, "/nowhere")  # no runner is started here
    made._runners += runners
    return made


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"held": TOO_MUCH}, "MiB between runs"),
        ({"runs": MOST_RUNS}, f"it served {MOST_RUNS} runs"),
        ({"age": 7200.0}, "it was old"),
        ({"held": TOO_MUCH - 1, "age": 60.0}, ""),
    ],
    ids=["large", "worn", "old", "neither"],
)
def test_a_runner_that_is_given_back_goes_or_stays(
    what: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "LEISURE", 0)
    runner = Stand(users=1, **what)

    async def give_back() -> None:
        async with anyio.create_task_group() as tasks:
            await keeping(runner, tasks=tasks).release(runner, idle=4, age=3600)  # type: ignore[arg-type]

    anyio.run(give_back)
    assert runner.alive is not bool(said)
    assert said in runner.why


def test_what_a_runner_holds_is_looked_at_once_the_end_of_the_run_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look into /proc for each of its processes made every run end 4 ms later."""
    looked: list[Stand] = []
    monkeypatch.setattr(Stand, "at_rest", lambda runner: looked.append(runner) or 0.0)

    async def give_back() -> None:
        async with anyio.create_task_group() as tasks:
            runner = Stand(users=1)
            await keeping(runner, tasks=tasks).release(runner, idle=4, age=3600)  # type: ignore[arg-type]
            assert not looked

    anyio.run(give_back)
    assert looked


def test_what_somebody_uses_stays_whatever_it_holds() -> None:
    runner = Stand(held=TOO_MUCH, runs=MOST_RUNS, users=2)
    keeping(runner).retire(runner)  # type: ignore[arg-type]
    assert runner.alive


def test_what_is_kept_is_looked_at_time_after_time_until_nothing_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "TEND_INTERVAL", 0)
    grown, kept = Stand(), Stand()
    made = keeping(grown, kept)
    looked = []

    def look(runner: Stand) -> float:
        looked.append(runner)
        if len(looked) > 4:
            made._runners.clear()
        return runner.held * 1024 / machine_memory()

    monkeypatch.setattr(Stand, "at_rest", look)
    grown.held = TOO_MUCH
    anyio.run(made._tend)
    assert (grown.alive, kept.alive) == (False, True)
    assert looked.count(kept) > 1
    assert kept.asked > 1  # what runs elsewhere says what it holds only when it is asked


@pytest.mark.parametrize("launcher", ["docker", "ssh"])
def test_a_runner_elsewhere_holds_what_it_says_and_not_what_its_client_here_does(launcher: str) -> None:
    """`testd status` showed the memory of ssh, and a host's runner that had grown was kept."""

    async def scene() -> None:
        runner = Runner(spec(launcher), Command(("unused",), {}, "/"))
        process = runner._process
        process._machine.advance(RunnerEvent.SPAWNED)
        process._machine.advance(RunnerEvent.CONFIGURED)
        process.ready = Ready(pid=7, memory=1000)
        assert (runner.memory(), runner.at_rest()) == (0, 0.0)
        runner.ask_memory()
        assert [parcel.frame for parcel in process._outbox] == [encode(Ping(id=0))]
        runner.heard(Pong(id=0, memory=300))
        assert (runner.memory(), runner.at_rest()) == (300, 0.3)
        runner.users = 1  # what workers hold in a run is no reason to end it afterwards
        runner.heard(Pong(id=1, memory=900))
        assert (runner.memory(), runner.at_rest()) == (900, 0.3)

    anyio.run(scene)


def test_memory_of_processes() -> None:
    own = memory.of_process(os.getpid())
    assert 1024 < own <= memory.of_tree(os.getpid())
    ballast = bytearray(os.urandom(32 * 1024 * 1024))
    assert memory.of_process(os.getpid()) > own + 16 * 1024
    del ballast
    assert memory.of_process(2**22 + 1) == 0
