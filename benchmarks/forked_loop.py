"""A pytest plugin (`-p forked_loop`): the floor of a warm run, measured.

After the collection it forks one process for each processor. They run the tests with pytest's own protocol, block after
block as they are free, and report nothing to anybody. How long that took is printed: what every test runner would need
that keeps the collection and lets the environment's own pytest run each test.

Runs in the environment of a suite; standard library and pytest only.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

__all__ = ["pytest_runtestloop", "pytest_terminal_summary"]

#: Blocks for each process: enough to end together.
_BLOCKS = 24
_took = pytest.StashKey[float]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    """Run the tests in forked processes, and time it."""
    started = time.perf_counter()
    processors = os.cpu_count() or 1
    size = -(-len(session.items) // min(_BLOCKS * processors, 255))
    blocks = [session.items[begin : begin + size] for begin in range(0, len(session.items), size)]
    reader, writer = os.pipe()
    os.write(writer, bytes(range(len(blocks))))
    os.close(writer)
    children = [os.fork() or _work(reader, blocks) for _ in range(processors)]
    for child in children:
        _, status = os.waitpid(child, 0)
        if status:
            raise RuntimeError(f"a process of the forked loop ended with {status}")
    os.close(reader)
    session.config.stash[_took] = time.perf_counter() - started
    return True


def _work(reader: int, blocks: list[list[pytest.Item]]) -> int:
    """Run what is taken from the pipe, and end."""
    status = 1
    try:
        items = _items(reader, blocks)
        item = next(items, None)
        while item is not None:
            following = next(items, None)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            item = following
        status = 0
    finally:
        os._exit(status)


def _items(reader: int, blocks: list[list[pytest.Item]]) -> Iterator[pytest.Item]:
    while number := os.read(reader, 1):
        yield from blocks[number[0]]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print it on a line of its own."""
    terminalreporter.write_line(f"test loop: {config.stash[_took]:.4f} s")
