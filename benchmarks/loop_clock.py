"""A pytest plugin (`-p loop_clock`): tells how long the test loop took, without start, collection and end.

Runs in the environment of a suite; standard library and pytest only.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

__all__ = ["pytest_runtestloop", "pytest_terminal_summary"]

_took = pytest.StashKey[float]()


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[None]:
    """Time the loop, with what other plugins wrap around it."""
    started = time.perf_counter()
    yield
    session.config.stash[_took] = time.perf_counter() - started


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print it on a line of its own."""
    terminalreporter.write_line(f"test loop: {config.stash[_took]:.4f} s")
