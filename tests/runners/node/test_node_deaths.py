"""Tests that end, hang or break the thread or the process they run in: each is told, and the others are unharmed."""

from __future__ import annotations

import os
import signal

import psutil
import pytest
from javascript import Project

from testd_protocol.messages import FinishWorker, Outcome, Output, RunJob, StartWorker, StopWorker, WorkerExited

PATIENCE = 60.0
#: Not the pipes and sockets that are the runner's own.
WAITING = "what keeps it waiting: a promise that nothing can settle any more\n"
HOSTILE = """
    import { execSync, spawn } from 'node:child_process';
    import { closeSync } from 'node:fs';
    export const fine = () => {};
    export const exits = () => process.exit(7);
    export const exits_well = () => process.exit(0);
    export const aborts = () => { process.kill(process.pid, 'SIGABRT'); for (;;); };
    export const spins = () => { for (;;); };
    export const waits = () => new Promise(() => {});
    export const keeps_signals = () => { process.on('SIGUSR1', () => {}); for (;;); };
    export const blocks = () => { execSync('sleep 1000'); };
    export const eats = () => { const kept = []; for (;;) kept.push(new Array(1e5).fill({})); };
    export const buffers = () => { const kept = []; for (;;) kept.push(Buffer.alloc(1e7, 1)); };
    export const recurses = () => { const again = () => again(); again(); };
    export const says_pid = () => { console.log(`pid ${process.pid}`); };
    export const closes = () => { for (let fd = 3; fd < 20; fd++) { try { closeSync(fd); } catch {} } };
    export const breaks_builtins = () => {
      const broken = () => { throw new Error('broken'); };
      Array.prototype.map = Map.prototype.get = JSON.stringify = process.exit = globalThis.setImmediate = broken;
    };
"""


@pytest.fixture
def hostile(project: Project) -> Project:
    project.write(a_test_mjs=HOSTILE)
    return project


@pytest.mark.every_node
@pytest.mark.parametrize("alone", [False, True], ids=["worker", "bin"])
def test_process_exit_in_a_test_ends_its_worker_alone(hostile: Project, alone: bool) -> None:
    with hostile.collected() as runner:
        for name, status in (("exits", 7), ("exits_well", 0)):
            came = runner.run("fine", name, "fine", alone=alone)
            assert list(came.outcomes) == ["fine"]
            exited = came.exited
            assert (exited.completed, exited.cause, exited.status, runner.ids[exited.test]) == (
                False, "exit", status, f"a.test.mjs::{name}"
            )  # fmt: skip
        assert runner.run("fine", alone=alone).exited.completed


@pytest.mark.every_node
@pytest.mark.parametrize("alone", [False, True], ids=["worker", "bin"])
def test_the_end_of_the_process_names_its_signal(hostile: Project, alone: bool) -> None:
    with hostile.collected() as runner:
        exited = runner.run("fine", "aborts", alone=alone).exited
        assert (exited.completed, exited.cause, exited.signal) == (False, "signal", signal.SIGABRT)
        assert runner.run("fine", alone=alone).exited.completed


@pytest.mark.every_node
@pytest.mark.parametrize("alone", [False, True], ids=["worker", "bin"])
def test_a_test_that_never_ends_is_ended_and_it_is_told_where_it_was(hostile: Project, alone: bool) -> None:
    """A process of its own in an endless loop answers nobody: its inspector is opened from outside."""
    with hostile.collected() as runner:
        for name, line, why in (("spins", 8, "most recent call first"), ("waits", 9, WAITING)):
            exited = runner.run("fine", name, timeout=0.5, alone=alone).exited
            assert (exited.cause, runner.ids[exited.test]) == ("timeout", f"a.test.mjs::{name}")
            assert f", line {line} in {name}" in exited.stacks
            assert why in exited.stacks
            assert "Debugger" not in exited.stderr  # what the inspector itself says is not the test's
        assert runner.run("fine", alone=alone).exited.completed


def test_a_thread_that_cannot_be_ended_takes_its_host_along(hostile: Project) -> None:
    with hostile.collected() as runner:
        exited = runner.run("fine", "blocks", timeout=0.5).exited
        assert (exited.cause, runner.ids[exited.test]) == ("timeout", "a.test.mjs::blocks")
        assert runner.run("fine").exited.completed


@pytest.mark.parametrize("name", ["blocks", "keeps_signals"])
def test_a_process_of_its_own_that_cannot_be_asked_is_killed(hostile: Project, name: str) -> None:
    with hostile.collected() as runner:
        exited = runner.run("fine", name, timeout=0.5, alone=True).exited
        assert (exited.cause, runner.ids[exited.test]) == ("timeout", f"a.test.mjs::{name}")


@pytest.mark.parametrize("name", ["eats", "buffers"])
@pytest.mark.parametrize("alone", [False, True], ids=["worker", "bin"])
def test_a_test_that_takes_too_much_memory_is_ended_for_it(hostile: Project, name: str, alone: bool) -> None:
    with hostile.collected(memory_limit=256 * 1024) as runner:
        exited = runner.run("fine", name, alone=alone).exited
        assert (exited.completed, exited.cause) == (False, "memory")
        assert runner.run("fine", alone=alone).exited.completed


def test_two_threads_of_a_host_do_not_harm_each_other(hostile: Project) -> None:
    with hostile.collected() as runner:
        spinning = runner.order(["spins"])
        assert runner.run("fine").exited.completed
        assert runner.run("exits").exited.status == 7
        runner.launched.send(StopWorker(worker=spinning, grace=0.1))
        assert runner.came(spinning).exited.cause == "stopped"


def test_when_a_host_dies_with_several_tests_none_is_blamed(hostile: Project) -> None:
    with hostile.collected() as runner:
        spinning = runner.order(["spins"])
        aborting = runner.order(["aborts"])
        exits = [runner.launched.until(WorkerExited) for _ in range(2)]
        assert {exited.worker for exited in exits} == {spinning, aborting}
        assert {exited.cause for exited in exits} == {"lost"}
        assert {runner.ids[exited.test].rpartition("::")[2] for exited in exits} == {"spins", "aborts"}


@pytest.mark.parametrize("alone", [False, True], ids=["worker", "bin"])
def test_broken_builtins_and_closed_descriptors_are_not_a_pass(hostile: Project, alone: bool) -> None:
    with hostile.collected() as runner:
        assert runner.run("fine", "recurses", alone=alone).verdicts() == {"fine": "passed", "recurses": "failed"}
        came = runner.run("breaks_builtins", "recurses", alone=alone)
        assert "recurses" not in came.outcomes or came.outcomes["recurses"].verdict == "failed"
        assert "recurses" in came.outcomes or not came.exited.completed
        exited = runner.run("fine", "closes", alone=alone).exited
        assert not exited.completed
        assert runner.run("fine", alone=alone).exited.completed


def test_a_worker_stops_between_two_tests_when_it_is_told(hostile: Project) -> None:
    with hostile.collected() as runner:
        runner.launched.send(
            StartWorker(worker=100, collection=runner.collection),
            RunJob(job=100, worker=100, tests=[runner.ids.index("a.test.mjs::fine")]),
        )
        runner.launched.until(Outcome)
        runner.launched.send(StopWorker(worker=100, grace=PATIENCE))
        assert runner.launched.until(WorkerExited).completed


@pytest.mark.parametrize("alone", [False, True], ids=["worker", "bin"])
def test_nothing_survives_a_runner_that_is_killed(hostile: Project, alone: bool) -> None:
    with hostile.collected() as runner:
        runner.launched.send(
            StartWorker(worker=100, collection=runner.collection, paths=["a.test.mjs"] if alone else [], stream=True),
            RunJob(
                job=100, worker=100, tests=[runner.ids.index(f"a.test.mjs::{name}") for name in ("says_pid", "spins")],
                ids=["a.test.mjs::says_pid", "a.test.mjs::spins"] if alone else [],
            ),
            FinishWorker(worker=100),
        )  # fmt: skip
        said = runner.launched.until(Output)
        host = psutil.Process(int(said.text.split()[1]))
        os.kill(runner.launched.process.pid, signal.SIGKILL)
        host.wait(PATIENCE)


@pytest.mark.every_node
def test_a_host_that_is_killed_is_replaced(hostile: Project) -> None:
    with hostile.collected() as runner:
        pid = int(runner.run("says_pid", stream=True).output.split()[1])
        psutil.Process(pid).kill()
        again = runner.run("says_pid", stream=True)
        if not again.exited.completed:  # it had been given to the host before that was known to be gone
            again = runner.run("says_pid", stream=True)
        assert int(again.output.split()[1]) != pid
