"""What is said of a function whose process did not live to report. Pure; runs in the agent."""

from __future__ import annotations

from typing import NamedTuple

from testd_daemon.agent.verdicts import hung_in, signal_name
from testd_protocol.messages import Detail, Section, Verdict, WorkerExited

__all__ = ["Ending", "explain"]


class Ending(NamedTuple):
    """How a function ended: the verdict of its row, and what there is to say."""

    verdict: Verdict
    detail: Detail | None = None

    @property
    def message(self) -> str:
        """One line: what went wrong."""
        return self.detail.message if self.detail is not None else ""

    @property
    def text(self) -> str:
        """All of it."""
        return (self.detail.text or self.detail.message) if self.detail is not None else ""


def explain(end: WorkerExited, timeout: float) -> Ending:
    """Return what became of a function, by the end of its process."""
    message = _cause(end, timeout)
    late = end.cause == "timeout"
    if late:
        message += hung_in(end.stacks)
    sections = [Section(name="Captured output", text=end.stderr)] if end.stderr else []
    text = "\n".join(filter(None, (message, end.stderr.rstrip(), end.stacks.rstrip())))
    detail = Detail(
        phase="call", kind="timeout" if late else "crash", message=message, text=text, sections=sections,
        stacks=end.stacks,
    )  # fmt: skip
    return Ending("timed out" if late else "crashed", detail)


def _cause(end: WorkerExited, timeout: float) -> str:
    after = f" after {end.seconds:.2f} s" if end.seconds else ""
    match end.cause:
        case "timeout" | "job timeout":
            return f"the function took longer than its limit of {timeout:g} s and was killed"
        case "memory":
            return f"the function's process used {end.memory // 1024} MiB, more than its limit"
        case "signal":
            return f"the function's process was killed by {signal_name(end.signal)}{after}"
        case "exit":
            return f"the function's process exited with status {end.status}{after}; a function ends by returning"
        case _:
            return f"the function's process was {end.cause}{after}"
