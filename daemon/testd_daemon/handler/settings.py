"""What a handler is told at its start, and every deadline that it keeps. Imported by the handler alone."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from testd_daemon.process import Patience
from testd_daemon.runtime import Folders

__all__ = ["Deadlines", "Settings"]


@dataclass(frozen=True)
class Deadlines:
    """How long the handler waits, in seconds, and what for."""

    hello: float = 10.0  # a client's first message: whoever connects and says nothing is no client
    send: float = 600.0  # one chunk to a client: it may be stopped at a terminal, but not for ever
    probe: float = 0.005  # an agent's own account for `testd status`, which must be quick: else the last one is shown
    account: float = 0.25  # for which an agent's account stands before it is asked for another
    answer: float = 10.0  # an agent's answer to a question about what it keeps
    ready: float = 30.0  # a started agent, until it takes instructions
    heartbeat: float = 5.0  # between two pings, and only while there is a run
    pong: float = 15.0  # silence of an agent that has a run, before it is held to hang
    reclaim: float = 10.0  # after a handler was replaced: for the client of a run to come back
    drain: float = 3.0  # at the end: for runs to be cancelled and for clients to be told
    instance: float = 15.0  # for another handler that is starting or ending
    orphans: float = 1.0  # for what a dead agent left behind to notice


@dataclass(frozen=True)
class Settings:
    """One handler's settings. Tests start handlers with other agents and shorter deadlines."""

    folders: Folders
    idle_exit: float = 3 * 3600.0  # seconds without a run or a client; 0: never
    ready_fd: int | None = None
    agent_command: tuple[str, ...] = (sys.executable, "-m", "testd_daemon.agent")
    deadlines: Deadlines = field(default_factory=Deadlines)
    patience: Patience = field(default_factory=Patience)  # of stopping an agent
    backoff: tuple[float, ...] = (0.05, 0.5, 2.0)  # seconds before each restart without progress; then it gives up
    max_restarts: int = 20  # of one agent during one run, with progress or without
    window: int = 4 * 1024 * 1024  # bytes of a run's newest events in memory; older ones are read from the journal
    keep_runs: int = 20  # finished runs in the journal
    keep_bytes: int = 256 * 1024 * 1024
    max_pages: int = 0  # of the journal's database; 0: no limit
