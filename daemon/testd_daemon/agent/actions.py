"""What a scheduler asks its shell to do. Pure; runs in the agent."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Action", "Assign", "Cause", "Complete", "Exit", "Finish", "Settle", "Start", "Stop"]

Cause = Literal["exit", "signal", "timeout", "job timeout", "memory", "stopped", "lost"]


class Start(msgspec.Struct, frozen=True):
    """Start a worker in a slot. `first` is its first job: a process of its own (mode bin) collects that job's file."""

    worker: int
    slot: int
    first: tuple[int, ...]


class Assign(msgspec.Struct, frozen=True):
    """Give a worker its next job."""

    worker: int
    job: int
    tests: tuple[int, ...]


class Finish(msgspec.Struct, frozen=True):
    """Tell a worker that no more jobs come."""

    worker: int


class Stop(msgspec.Struct, frozen=True):
    """End a worker now; a patient one behind the test that it runs."""

    worker: int
    patient: bool = False


class Settle(msgspec.Struct, frozen=True):
    """Report an outcome that no worker reported. `exit` is the end of the worker that it is put down to."""

    position: int
    verdict: Literal["crashed", "timed out", "error", "cancelled"]
    slot: int = 0
    exit: Exit | None = None
    reason: str = ""


class Complete(msgspec.Struct, frozen=True):
    """Every test has its outcome and every worker is gone."""

    reason: str = ""


Action = Start | Assign | Finish | Stop | Settle | Complete


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker ended. `position` is the test that ran, None where none did."""

    completed: bool
    position: int | None = None
    cause: Cause = "exit"
    status: int | None = None
    signal: int = 0
    seconds: float = 0.0
    memory: int = 0
    stderr: str = ""
    stacks: str = ""
