"""What is kept of a run on this machine, so that it goes on after any process was killed. Runs in the agent.

A folder for each run, below the workspace's own: the document as the run was accepted with it, what identifies the
invocation, and a journal, a line for each thing that must not happen twice. A line is one write, so that it is whole,
or the last one and cut off.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from testd_daemon.workflows.progress import Finished
from testd_daemon.workflows.status import FunctionStatus

__all__ = ["Facts", "Kept", "Note"]

#: Runs that are kept of a workspace; of each its logs, what functions have overwritten, the embedded store's content.
MOST_KEPT: Final = 20


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What identifies an invocation, and how it is carried out."""

    invocation: str
    timestamp: str
    document: str  # the name of the workflow's file, as people are told


class Note(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the journal."""

    function: str = ""
    what: Literal["begun", "lost", "returned", "completed", "failed", "timeout"]
    value: bool | None = None  # what it returned
    why: str = ""
    sequence: int = 0  # changes of the store by then


class Kept:
    """The folder of one run."""

    def __init__(self, folder: Path, facts: Facts, notes: list[Note], *, temporary: bool = False) -> None:
        """Know what is there; `begin` and `find` make one. One that is `temporary` goes with `close`."""
        self.folder = folder
        self.facts = facts
        self.notes = notes
        self._temporary = temporary
        self.work = folder / "work"  # functions' working directories, one for each call
        self._journal: Any = None

    @classmethod
    def begin(cls, state: str, run: str, document: bytes, facts: Facts) -> Kept:
        """Make the folder of a run that begins. Where no state is kept it is a temporary one."""
        if state:
            folder = _of(state, run)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sweep(folder.parent, keep=folder)
        else:
            folder = Path(tempfile.mkdtemp(prefix="testd-workflow-"))
        (folder / "workflow.json").write_bytes(document)
        whole = folder / "run.json.new"
        whole.write_bytes(msgspec.json.encode(facts))
        whole.rename(folder / "run.json")  # from here on the run is there
        return cls(folder, facts, [], temporary=not state)

    @classmethod
    def find(cls, state: str, run: str) -> Kept | None:
        """Return what is kept of a run that began in another process; None where there is nothing."""
        folder = _of(state, run)
        try:
            facts = msgspec.json.decode((folder / "run.json").read_bytes(), type=Facts)
        except (OSError, msgspec.MsgspecError):
            return None
        notes = []
        with contextlib.suppress(OSError), (folder / "journal.jsonl").open("rb") as file:
            for line in file:
                with contextlib.suppress(msgspec.MsgspecError):  # the last one may be cut off
                    notes.append(msgspec.json.decode(line, type=Note))
        return cls(folder, facts, notes)

    @property
    def document(self) -> bytes:
        """The workflow's file as the run was accepted with it."""
        return (self.folder / "workflow.json").read_bytes()

    @property
    def finished(self) -> dict[str, Finished]:
        """The functions that have ended, and how."""
        found: dict[str, Finished] = {}
        for note in self.notes:
            match note.what:
                case "completed":
                    found[note.function] = Finished(FunctionStatus.COMPLETED, note.value)
                case "failed" | "timeout":
                    found[note.function] = Finished(FunctionStatus(note.what), why=note.why)
                case "begun" | "lost" | "returned":
                    pass
        return found

    @property
    def returned(self) -> dict[str, bool | None]:
        """What functions have returned whose completion may not be in the store yet."""
        return {note.function: note.value for note in self.notes if note.what == "returned"}

    @property
    def begun(self) -> bool:
        """Whether the run has its place in the store: it is its own that something is there."""
        return any(note.what == "begun" for note in self.notes)

    def lost(self, function: str) -> int:
        """Return how often the runner of a function ended while it ran."""
        return sum(note.what == "lost" and note.function == function for note in self.notes)

    def empty(self) -> None:
        """Have nothing in the folder for working directories: a process that was killed may have left some."""
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)

    def note(self, note: Note) -> None:
        """Write a line, and be sure that it is there whatever is killed next."""
        self.notes.append(note)
        if self._journal is None:
            self._journal = (self.folder / "journal.jsonl").open("ab", buffering=0)
            if self._journal.tell():
                self._journal.write(b"\n")  # the last line may be cut off; an empty one says nothing
        self._journal.write(msgspec.json.encode(note) + b"\n")

    def close(self) -> None:
        """Close the journal, and remove what is of no use any more."""
        if self._journal is not None:
            self._journal.close()
        shutil.rmtree(self.folder if self._temporary else self.work, ignore_errors=True)


def _of(state: str, run: str) -> Path:
    return Path(state) / "workflows" / run


def _sweep(folder: Path, keep: Path) -> None:
    """Remove the oldest runs beyond the limit."""
    with contextlib.suppress(OSError):
        runs = sorted((found for found in folder.iterdir() if found != keep), key=lambda found: found.stat().st_mtime)
        for found in runs[: max(0, len(runs) + 1 - MOST_KEPT)]:
            shutil.rmtree(found, ignore_errors=True)
