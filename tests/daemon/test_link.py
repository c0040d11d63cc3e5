"""Links over sockets and pipes, on a real event loop."""

from __future__ import annotations

import os
import socket

import anyio
import msgspec
import pytest

import testd_daemon.link
from testd_daemon.errors import LinkClosed
from testd_daemon.link import Link
from testd_protocol.framing import FrameError, ProtocolError, Unknown, decoder, encode
from testd_protocol.messages import ClientMessage, Fault, Ping, Shutdown

PINGS = decoder(ClientMessage)


def over_sockets():
    ours, theirs = socket.socketpair()
    return Link(ours, PINGS), Link(theirs, PINGS)


def over_pipes():
    (read_a, write_a), (read_b, write_b) = os.pipe(), os.pipe()
    return Link.over_pipes(read_a, write_b, PINGS), Link.over_pipes(read_b, write_a, PINGS)


@pytest.fixture(params=[over_sockets, over_pipes])
def make(request):
    return request.param


def test_messages_arrive_whole_and_in_order(make):
    async def main():
        here, there = make()
        async with here, there, anyio.create_task_group() as tasks:

            async def send():
                for number in range(5000):
                    await here.send(Ping(id=number))

            tasks.start_soon(send)
            got = []
            while len(got) < 5000:
                got += [message.id for message in await there.receive()]
            assert got == list(range(5000))

    anyio.run(main)


def test_a_message_larger_than_any_buffer(make):
    async def main():
        here, there = make()
        async with here, there, anyio.create_task_group() as tasks:
            tasks.start_soon(here.send, Shutdown(reason="x" * 5_000_000))
            (message,) = await there.receive()
            assert len(message.reason) == 5_000_000

    anyio.run(main)


def test_the_end_is_told_after_the_last_message(make):
    async def main():
        here, there = make()
        async with there:
            await here.send(Ping(id=1))
            await here.aclose()
            await here.aclose()  # twice is harmless
            assert await there.receive() == [Ping(id=1)]
            for _ in range(2):
                with pytest.raises(LinkClosed, match="the other end"):
                    await there.receive()
            with pytest.raises(LinkClosed):  # noqa: PT012  a socket's peer may be gone one message later
                while True:
                    await there.send(Ping(id=2))
        with pytest.raises(LinkClosed, match="closed on this side"):
            await here.send(Ping(id=3))

    anyio.run(main)


def test_closing_wakes_whoever_waits(make):
    async def main():
        here, there = make()
        async with there, anyio.create_task_group() as tasks:

            async def close():
                await anyio.wait_all_tasks_blocked()
                here.close()

            tasks.start_soon(close)
            with pytest.raises(LinkClosed, match="closed on this side"):
                await here.receive()

    anyio.run(main)


def test_an_unknown_type_comes_as_such_and_what_is_no_message_is_an_error():
    async def main():
        ours, theirs = socket.socketpair()
        async with Link(ours, PINGS) as here:
            theirs.sendall(encode(Fault(code="x", message="y")) + encode(Ping(id=1)))
            unknown, ping = await here.receive()
            assert isinstance(unknown, Unknown)
            assert (unknown.type, ping) == ("Fault", Ping(id=1))
            theirs.sendall(b"\0\0\0\1\xc1")
            with pytest.raises(ProtocolError):
                await here.receive()
            theirs.sendall(b"\0\0\0\0")
            with pytest.raises(FrameError, match="0 bytes"):
                await here.receive()
            theirs.close()

    anyio.run(main)


def test_a_cancelled_sender_never_breaks_a_frame(make):
    async def main():
        here, there = make()
        async with here, there:
            with anyio.move_on_after(0):  # the kernel takes a part of it, then it must wait, and is cancelled
                await here.send(Shutdown(reason="x" * 9_000_000))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(here.send, Ping(id=7))
                got = await there.receive()
                while len(got) < 2:
                    got += await there.receive()
            assert [type(message) for message in got] == [Shutdown, Ping]

    anyio.run(main)


def test_many_senders_at_once(make):
    async def main():
        here, there = make()
        async with here, there, anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(here.send, Shutdown(reason=str(number) * 300_000))
            got = []
            while len(got) < 20:
                got += await there.receive()
            assert sorted({len(message.reason) for message in got}) == [300_000, 600_000]
            assert all(len(set(message.reason)) <= 2 for message in got)

    anyio.run(main)


def test_a_flood_is_read_in_few_turns_and_first_messages_at_once(monkeypatch):
    """The pauses are recorded, not waited for: none at first, then longer ones to the limit; none after a silence."""
    pauses, clock = [], [1000.0]

    async def sleep(seconds):
        pauses.append(seconds)
        clock[0] += seconds

    async def main():
        monkeypatch.setattr(testd_daemon.link.anyio, "sleep", sleep)
        monkeypatch.setattr(testd_daemon.link.time, "monotonic", lambda: clock[0])
        ours, theirs = socket.socketpair()
        with theirs:
            async with Link(ours, PINGS, coalesce=0.003) as here:
                for silence in (1, 0, 0, 0, 0, 0, 1, 0, 0, 0):
                    clock[0] += silence
                    theirs.sendall(encode(Ping(id=1)) + encode(Ping(id=2)))
                    assert len(await here.receive()) == 2

    anyio.run(main)
    assert pauses == [0.001, 0.002, 0.003, 0.001]


def test_the_messages_union_may_be_one_type():
    async def main():
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.sendall(encode(Ping(id=1)))
            async with Link.from_fd(ours.detach(), msgspec.msgpack.Decoder(Ping)) as here:
                assert await here.receive() == [Ping(id=1)]

    anyio.run(main)
