"""Run cases for what comes of them, not for a report. Runs in the client."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from testd_daemon.cli.follow import INTERRUPTED, Follower
from testd_daemon.cli.interrupts import Interrupts, Leave
from testd_daemon.client.sync import Client
from testd_daemon.errors import UsageError
from testd_daemon.reports.base import Report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from testd_daemon.reports.base import Body

__all__ = ["results_of"]


class _Faults(Report):
    """Keeps what kept a run from being carried out."""

    def __init__(self) -> None:
        self.reason = self.hint = ""

    def fault(self, fault: Body) -> None:
        self.reason, self.hint = fault["message"], fault["hint"]

    def on_unavailable(self, body: Body) -> None:
        self.reason, self.hint = f"{body['target']}: {body['message']}", body["hint"]

    def on_completed(self, body: Body) -> None:
        self.reason, self.hint = self.reason or body["reason"], self.hint or body["hint"]


def results_of(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Run cases, and return the `TestSuiteResult` of each suite.

    Raises:
        UsageError: none could be run.
        Leave: the user wants no more.
    """
    with tempfile.TemporaryDirectory(prefix="testd-results-") as folder:
        place = Path(folder) / "results.json"
        faults = _Faults()
        with Interrupts() as interrupts, Client.connect(start=True) as client:
            run = client.submit({**request, "kind": "cases", "results": str(place)})
            status = Follower(client, faults, interrupts, owner=True).follow(run)
        if status == INTERRUPTED:
            raise Leave
        if status not in (0, 1):
            raise UsageError(faults.reason or "no case was run", hint=faults.hint)
        found: list[dict[str, Any]] = json.loads(place.read_text(encoding="utf-8"))
        return found
