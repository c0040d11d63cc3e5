"""The figures of past runs, in a file for each workflow, a line a run. Blocks: in the agent it runs in a thread."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Final

import msgspec

from testd_daemon.workflows.measures.figures import RunFigures
from testd_daemon.writing import write

__all__ = ["file_of", "keep", "kept"]

#: What is kept of a workflow: so many runs, and no more than so many bytes.
RUNS_KEPT: Final = 200
BYTES_KEPT: Final = 8 * 1024 * 1024
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(RunFigures)
_writing = threading.Lock()  # two runs of one workspace may end at once


def file_of(state: Path, workflow: str) -> Path:
    """Return the file of a workflow; `state` is the workspace's folder of state."""
    return state / "figures" / f"{workflow}.jsonl"


def keep(path: Path, figures: RunFigures) -> None:
    """Add a run, and let go of the oldest beyond the limits. Raises OSError."""
    with _writing:
        lines = [*_lines(path), _encoder.encode(figures)][-RUNS_KEPT:]
        room = BYTES_KEPT
        first = len(lines)
        while first and len(lines[first - 1]) < room:
            first -= 1
            room -= len(lines[first]) + 1
        write(str(path), "".join(f"{line.decode()}\n" for line in lines[first:]))


def kept(path: Path) -> list[RunFigures]:
    """Return the runs that are kept, the newest first; what cannot be read is left out."""
    found = []
    for line in reversed(_lines(path)):
        with contextlib.suppress(msgspec.MsgspecError):
            found.append(_decoder.decode(line))
    return found


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines()
    except OSError:
        return []
