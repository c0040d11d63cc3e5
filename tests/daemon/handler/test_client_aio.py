"""The asynchronous client against a real handler."""

from __future__ import annotations

import signal

import anyio
import pytest
from daemon_house import is_alive, until

from testd_daemon.client.aio import AsyncClient
from testd_daemon.errors import FaultError, HandlerUnavailable
from testd_protocol import messages as m


def request(daemon, **environment):
    return m.RunRequest(**daemon.request(**environment))


def test_a_run_and_questions(daemon):
    daemon.start()

    async def main():
        client = AsyncClient(start=False, where=daemon.folders)
        async with client.submit(request(daemon, TESTS=3)) as run:
            events = [event async for _, event in run]
        assert [type(event).__name__ for event in events] == ["Planned", *["Outcomes"] * 3, "RunCompleted"]
        async with client.attach(run.run, 3) as again:
            assert [number async for number, _ in again] == [4, 5]
        async with client.attach() as newest:
            assert newest.run == run.run
        assert (await client.status()).runs[0].counts == {"passed": 3}
        assert (await client.history(daemon.workspace, "x")).entries[0].test == "x"
        with pytest.raises(FaultError, match="there is no run 'nope'"):
            await client.cancel("nope")
        await client.shutdown()
        assert daemon.processes[0].wait() == 0
        with pytest.raises(HandlerUnavailable):
            await client.status()

    anyio.run(main)


def test_leaving_the_block_cancels(daemon):
    daemon.start()
    gate = daemon.gate()

    async def main():
        client = AsyncClient(start=False, where=daemon.folders)
        async with client.submit(request(daemon, TESTS=3, GATE=gate.at(1))) as run:
            async for _, event in run:
                if isinstance(event, m.Outcomes):
                    break
        async with client.attach(run.run) as again:
            assert [event async for _, event in again][-1].exit_code == 2

    anyio.run(main)


def test_the_handler_is_killed(daemon):
    process = daemon.start()
    gate = daemon.gate()

    async def main():
        seen, verdicts = [], []
        client = AsyncClient(where=daemon.folders)
        async with client.submit(request(daemon, TESTS=4, GATE=gate.at(2))) as run:
            async for number, event in run:
                seen.append(number)
                if isinstance(event, m.Outcomes):
                    verdicts += [row.test for row in event.rows]
                if number == 3:
                    agent = (await client.status()).agents[0].pid
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    until(lambda gone=agent: not is_alive(gone))
                elif number == 4:
                    daemon.pids.add((await client.status()).pid)
                    gate.open()
        assert seen == list(range(1, len(seen) + 1))
        assert verdicts == ["0", "1", "2", "3"]

    anyio.run(main)
