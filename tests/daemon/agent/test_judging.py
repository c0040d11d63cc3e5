"""The judge as the agent has it: questions in their turn, and what becomes of one that ends the process."""

from __future__ import annotations

import json
import os
import signal
import sys

import anyio
import psutil
import pytest

from testd_daemon.agent.judging import Judging
from testd_protocol.messages import Judge

pytestmark = pytest.mark.anyio


def question(number, source):
    document = json.dumps({"code": source, "executed": {"output": 4}})
    return Judge(id=number, worker=7, document=document)


async def answers(judging, *sources, meanwhile=None):
    """Ask, and return what came of each by its number, once all have come."""
    came, there = {}, anyio.Event()

    def answer(judged):
        assert judged.worker == 7
        came[judged.id] = json.loads(judged.document)
        if len(came) == len(sources):
            there.set()

    for number, source in enumerate(sources):
        judging.ask(question(number, source), answer)
    if meanwhile is not None:
        await meanwhile()
    with anyio.fail_after(60):
        await there.wait()
    return came


def processes():
    return [child for child in psutil.Process().children() if "testd_daemon.judge" in child.cmdline()]


async def test_questions_are_answered_by_one_process():
    async with anyio.create_task_group() as tasks:
        judging = Judging(tasks)
        assert await answers(judging, "(call) => call.output === 4", "() => false") == {
            0: {"failure": ""}, 1: {"failure": "The assertion's code returned false."},
        }  # fmt: skip
        first = processes()
        assert await answers(judging, "() => true") == {0: {"failure": ""}}
        assert processes() == first
        tasks.cancel_scope.cancel()
    assert not processes()


async def test_a_process_that_ends_costs_the_question_that_it_was_asked():
    async def kill():
        with anyio.fail_after(60):
            while not processes():
                await anyio.lowlevel.checkpoint()
        os.kill(processes()[0].pid, signal.SIGKILL)

    async with anyio.create_task_group() as tasks:
        found = await answers(Judging(tasks), "() => { for (;;) {} }", "() => true", meanwhile=kill)
        assert found[0] == {"mistake": "the process that judges ended with exit status -9"}
        assert found[1] == {"failure": ""}
        tasks.cancel_scope.cancel()


async def test_a_process_that_cannot_be_started_costs_no_more_than_an_answer(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    async with anyio.create_task_group() as tasks:
        found = await answers(Judging(tasks), "() => true")
    assert "cannot be started" in found[0]["mistake"]


async def test_many_questions_are_on_their_way_at_once_and_each_has_its_answer():
    sources = [f"() => {{ throw new Error('{number}') }} // {'x' * 5000}" for number in range(50)]
    async with anyio.create_task_group() as tasks:
        found = await answers(Judging(tasks), *sources)
        assert found == {number: {"failure": str(number)} for number in range(50)}
        tasks.cancel_scope.cancel()
