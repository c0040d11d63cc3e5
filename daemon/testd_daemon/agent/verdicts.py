"""What is said about a test whose worker did not live to report it, and how a run ends. Pure; runs in the agent."""

from __future__ import annotations

import re
import signal

from testd_daemon.agent.actions import Exit, Settle
from testd_daemon.agent.plan import BAD
from testd_protocol.messages import Detail, FailureKind, Section

__all__ = ["exit_code", "explain", "hung_in", "signal_name"]

_FRAME = re.compile(r'File "(.+)", line (\d+) in (.+)')
_LIBRARIES = ("/lib/python3", "<frozen ", "/testd/runner/")


def explain(action: Settle, *, timeout: float, job_timeout: float, memory_limit: int) -> Detail | None:
    """Return the detail of an outcome that no worker reported; None for one that was only cancelled."""
    if action.verdict == "cancelled":
        return None
    end = action.exit
    if end is None or action.reason:
        text = "\n".join(filter(None, (action.reason, end.stderr if end is not None else "")))
        message = action.reason.partition("\n")[0]
        return Detail(kind="crash", message=message, text=text, stacks=end.stacks if end is not None else "")
    message = _cause(end, timeout, job_timeout, memory_limit)
    if action.verdict == "timed out":
        message += hung_in(end.stacks)
    sections = [Section(name="Captured output", text=end.stderr)] if end.stderr else []
    text = "\n".join(filter(None, (message, end.stacks.rstrip())))
    kind: FailureKind = "timeout" if action.verdict == "timed out" else "crash"
    return Detail(phase="call", kind=kind, message=message, text=text, sections=sections, stacks=end.stacks)


def hung_in(stacks: str) -> str:
    """Return the innermost function outside of libraries that the dumped thread was in, as a part of a sentence."""
    _, _, thread = stacks.partition("Current thread ")
    frames = _FRAME.findall(thread.partition("\n\n")[0])
    own = [frame for frame in frames if not any(part in frame[0] for part in (*_LIBRARIES, "/site-packages/"))]
    for file, line, function in own or [frame for frame in frames if "/site-packages/" in frame[0]]:
        return f" in {function} ({file}:{line})"
    return ""


def _cause(end: Exit, timeout: float, job_timeout: float, memory_limit: int) -> str:
    after = f" after {end.seconds:.2f} s"
    memory = f", with {end.memory // 1024} MiB of memory" if end.memory else ""
    match end.cause:
        case "timeout":
            return f"the test took longer than its limit of {timeout:g} s and was killed"
        case "job timeout":
            return f"the test ran when its job reached the limit of {job_timeout:g} s, and was killed"
        case "memory":
            return f"the test's worker used {end.memory // 1024} MiB, more than its limit of {memory_limit // 1024} MiB"
        case "signal":
            return f"the test's worker was killed by {signal_name(end.signal)}{after}{memory}"
        case "exit":
            hint = "; a test must not end the process it runs in" if end.status == 0 else ""
            return f"the test's worker exited with status {end.status}{after}{memory}{hint}"
        case "stopped":
            return f"the test's worker was stopped{after}"
        case _:
            return f"the test's worker was lost{after}"


def signal_name(number: int) -> str:
    """Return what a signal is called, and what it means."""
    try:
        found = signal.Signals(number)
    except ValueError:
        return f"signal {number}"
    return f"{found.name} ({signal.strsignal(found) or number})"


def exit_code(counts: dict[str, int], *, selected: int, interrupted: bool, broken: bool = False) -> int:
    """Return pytest's exit code: 2 for a run that was interrupted, 1 where a test is bad, 5 where there was none.

    `broken`: the session of a worker was not torn down to its end.
    """
    if interrupted:
        return 2
    if broken or any(counts.get(verdict) for verdict in BAD):
        return 1
    return 0 if selected else 5
