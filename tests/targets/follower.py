"""A watch from outside, on one target: `testd watch --format json`, and what its generations came to."""

from __future__ import annotations

import json
from typing import Any

from mixed import Mixed, Told

__all__ = ["Follower"]


class Follower:
    """A watch of one target. `standing` is the verdict that each test has by all that was told."""

    def __init__(self, project: Mixed, target: str) -> None:
        self._client = project.start("watch", "--format", "json", "--target", target)
        self._target = target
        self.standing: dict[str, str] = {}

    def after(self, *changed: str) -> dict[str, str]:
        """Wait for the generation of these files, and return what ran in it: test → verdict.

        One that was superseded, because a write was seen in two halves, is no generation of its own.
        """
        events: list[dict[str, Any]] = []
        while not events or events[-1]["event"] != "completed" or events[-1]["reason"].startswith("superseded"):
            events.append(self._event())
        told = Told(events[-1]["exit_code"], events, "")
        assert set(told.of("generation")[-1]["changed"]) == set(changed)
        ran = told.verdicts().get(self._target, {})
        self.standing.update(ran)
        (*_, standing) = told.of("standing")
        failing = {event["test"]: event["verdict"] for event in standing["failing"]}
        self.standing = {test: verdict for test, verdict in self.standing.items() if verdict == "passed"} | failing
        return ran

    def _event(self) -> dict[str, Any]:
        assert self._client.stdout is not None
        line = self._client.stdout.readline()
        assert line, f"the watch ended: {self._client.communicate()[1]}"
        event: dict[str, Any] = json.loads(line)
        return event
