"""One invocation of a workflow: which, its id, how it is to be run and watched. Runs in the user's process."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from testd_daemon.workflows import layout
from testd_daemon.workflows.document import Workflow
from testd_daemon.workflows.testing.board import Board

__all__ = ["Invocation", "Settings"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a workflow is run and watched.

    Attributes:
        timeout: seconds without any sign of the run after which it has timed out.
        check_interval: seconds between two looks at the store.
        stream_logs: pass each entry of a log on to the Python logger of the function's name.
        isolation: none, prefix or bucket: what keeps the files of runs apart.
        join: documented or faasr: which predecessors a function waits for.
        store: embedded, document, or s3://BUCKET?endpoint=URL.
        input: a folder whose files are in the store before the first function begins.
        targets: where functions run, by name; none: as the workspace is configured.
    """

    timeout: float = 120.0
    check_interval: float = 1.0
    stream_logs: bool = False
    isolation: str = "none"
    join: str = ""
    store: str = ""
    input: str = ""
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """A workflow that is about to run, or runs. `data`: its document as it was written; `board`: how it stands."""

    workflow: Workflow
    id: str
    timestamp: str
    settings: Settings
    board: Board = field(repr=False)

    @classmethod
    def of(cls, workflow: Workflow, settings: Settings, invocation_id: str = "") -> Invocation:
        """Make an invocation with the id that the document says, else with a new one."""
        file = workflow.file
        timestamp = file.invocation_timestamp.strip() or layout.timestamp(datetime.now())  # noqa: DTZ005  as the backend
        form = file.invocation_id_from_date
        dated = layout.invocation_from_date(form, timestamp) if form else ""
        return cls(
            workflow=workflow,
            id=invocation_id or file.invocation_id.strip() or dated or str(uuid.uuid4()),
            timestamp=timestamp,
            settings=settings,
            board=Board(workflow.graph.instances),
        )

    @property
    def data(self) -> Mapping[str, Any]:
        """The document of the workflow."""
        return self.workflow.data

    @property
    def path(self) -> Path:
        """The absolute path of the workflow's file."""
        return Path(self.workflow.path).resolve()

    @property
    def folder(self) -> str:
        """The folder of logs and completions in the store."""
        return layout.folder(self.workflow.file.faasr_log, self.workflow.name, self.timestamp, self.id)

    @property
    def overrides(self) -> dict[str, str]:
        """The document's keys that have another value in this invocation."""
        return {"InvocationID": self.id, "InvocationTimestamp": self.timestamp}
