"""What a run leaves in a store: its keys, and the lines of its logs, written and read. Pure.

All keys of a run are below its folder, `{log root}/{workflow}/{timestamp}/{invocation}`. They, and the lines that a
monitor relies on, are those of the public system: whoever watches that one can watch us, and the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Final

from testd_daemon.errors import UsageError

__all__ = [
    "DEFAULT_LOG_ROOT", "DONE", "FAILED", "candidate_key", "completed_line", "done_key", "entries", "failed",
    "folder", "invocation_from_date", "invocations", "invoked_line", "line", "log_key", "object_key",
    "returned", "returned_line", "seconds_of", "started_line", "store_path", "timestamp",
]  # fmt: skip

#: The log root of a workflow that names none.
DEFAULT_LOG_ROOT: Final = "FaaSrLog"
#: What a completion holds.
DONE: Final = b"True"
_TIMESTAMP: Final = "%Y-%m-%dT%H-%M-%S"
_INSTANCE: Final = re.compile(r"(?P<action>[^()]+)\((?P<rank>\d+)\)")

_ENTRY: Final = re.compile(r"^\[(\d+(?:\.\d+)?)\] ", re.MULTILINE)
#: A line that says that its function failed. Anywhere else than at its beginning it is part of what somebody wrote.
FAILED: Final = re.compile(r"^\[\d+(?:\.\d+)?\] \[ERROR\] ", re.MULTILINE)
#: The lines of all platforms that say that another function was triggered.
_INVOKED: Final = re.compile(
    r"^\[\d+(?:\.\d+)?\] \[\w+\] \[scheduler\.py\] [('\"]*[\w ]+: "
    r"(?:Success?fully invoked:? |Successfully submitted jobs?: )(?P<name>[A-Za-z][A-Za-z0-9-]*)",
    re.MULTILINE,
)
_RETURNED: Final = re.compile(
    r"^\[\d+(?:\.\d+)?\] \[\w+\] \[faasr_entry\.py\] Finished execution of \S+ with result (?P<result>\w+)$",
    re.MULTILINE,
)


# --- keys --------------------------------------------------------------------------------------------------------


def folder(root: str, workflow: str, timestamp: str, invocation: str) -> str:
    """Return the folder of a run; a blank log root is the default one."""
    return f"{root.strip() or DEFAULT_LOG_ROOT}/{workflow}/{timestamp}/{invocation}"


def log_key(folder: str, name: str) -> str:
    """Return the key of the log of a function: `sync` or, with ranks, `sync(2)`."""
    return f"{folder}/{name}.txt"


def done_key(folder: str, name: str) -> str:
    """Return the key that says that a function (`sync`, `sync(2)`) has completed."""
    match = _INSTANCE.fullmatch(name)
    stem = f"{match['action']}.{match['rank']}" if match else name
    return f"{folder}/function_completions/{stem}.done"


def candidate_key(folder: str, action: str) -> str:
    """Return the key in which those that would run a join are entered, the first of them runs it."""
    return f"{folder}/{action}.candidate"


def object_key(folder: str, name: str) -> str:
    """Return the key of a file as functions name it. Doubled slashes and `.` go, one in front stays."""
    return store_path(str(PurePosixPath(folder or ".", name)))


def store_path(path: str) -> str:
    """Return a path with the slashes of keys."""
    return path.replace("\\", "/")


# --- invocations -------------------------------------------------------------------------------------------------


def timestamp(now: datetime) -> str:
    """Return a moment, in local time, as an invocation's timestamp."""
    return now.strftime(_TIMESTAMP)


def invocation_from_date(form: str, timestamp: str) -> str:
    """Return the id that a form (`%Y%m%d`) gives an invocation. Raises UsageError for a timestamp of another form."""
    try:
        return datetime.strptime(timestamp, _TIMESTAMP).strftime(form)  # noqa: DTZ007  local, as it was made
    except ValueError as error:
        raise UsageError(
            f"InvocationTimestamp: {timestamp!r} is not a timestamp", hint="2026-11-21T20-56-38 would be one"
        ) from error


# --- lines of a log ----------------------------------------------------------------------------------------------


def line(seconds: float, level: str, file: str, message: str) -> str:
    """Return a line of a log; the seconds count from the start of its function."""
    return f"[{round(seconds, 3)}] [{level}] [{file}] {message}"


def started_line(seconds: float, function: str, type: str) -> str:  # noqa: A002
    """Return the line that says that user code begins."""
    return line(seconds, "INFO", "executor.py", f"Starting function: {function} ({type})")


def completed_line(seconds: float, name: str) -> str:
    """Return the line that says that a function's completion is in the store."""
    return line(seconds, "DEBUG", "executor.py", f"Put {done_key('', name)[1:]} file in S3")


def returned_line(seconds: float, action: str, result: bool | None) -> str:
    """Return the line with a function's return value."""
    return line(seconds, "DEBUG", "faasr_entry.py", f"Finished execution of {action} with result {result}")


def invoked_line(seconds: float, action: str) -> str:
    """Return the line that says that another function was triggered: one for each of its ranks."""
    return line(seconds, "INFO", "scheduler.py", f"GitHub Action: Successfully invoked: {action}")


def entries(text: str) -> list[str]:
    """Take a log apart, each entry with the raw lines that follow it; those before the first one are an entry, too."""
    starts = [match.start() for match in _ENTRY.finditer(text)]
    bounds = [0, *(at for at in starts if at), len(text)]
    found = [text[begin:end] for begin, end in pairwise(bounds)]
    return [entry.removesuffix("\n") for entry in found if entry]


def seconds_of(entry: str) -> float | None:
    """Return when an entry was written, in seconds from its function's start; None for lines without."""
    match = _ENTRY.match(entry)
    return float(match[1]) if match else None


def failed(text: str) -> bool:
    """Say whether a log tells that its function failed."""
    return FAILED.search(text) is not None


def invocations(text: str, workflow: str, actions: Collection[str] = ()) -> set[str]:
    """Return the actions that a log says were triggered, on whatever platform.

    Some write the workflow's name in front; an action of `actions` that is called like that is meant itself.
    """
    found = {match["name"] for match in _INVOKED.finditer(text)}
    return {name if name in actions else name.removeprefix(f"{workflow}-") for name in found}


def returned(text: str) -> str:
    """Return the result that a log tells: True, False or None; empty where it tells none."""
    match = _RETURNED.search(text)
    return match["result"] if match else ""
