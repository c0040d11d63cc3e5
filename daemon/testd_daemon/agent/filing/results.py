"""The results of suites: into a file or a folder, and posted, each suite's when its last case is through.

What came of cases is in the ledger before anybody is told of it, so results hold everything even if the agent that
begins them is not the one that ends them.

Blocks; runs in a thread.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

from testd.functions import documents
from testd_daemon.agent.filing.keeper import Filed
from testd_daemon.agent.filing.ledger import Entry, Ledger
from testd_daemon.agent.filing.posting import post
from testd_daemon.writing import write

__all__ = ["SuiteResults"]

_Key = tuple[str, str]  # target, file
_HEAD = ("id", "name", "description")


class SuiteResults:
    """The suites of one run. `place` is an absolute path, or empty; `url` is posted to unless it is empty."""

    def __init__(
        self, workspace: str, place: str, url: str, produced: Callable[[str], None], ledger: Ledger
    ) -> None:
        """Know of what is in the ledger; `produced` is told of each file before it is written."""
        self._produced = produced
        self._workspace = workspace
        self._place = place
        self._url = url
        self._suites: dict[_Key, _Suite] = {}
        self._to_post: list[_Suite] = []
        self._ledger = ledger
        for entry in ledger.read():
            self._take(entry)

    def plan(self, target: str, ids: Sequence[str]) -> list[str]:
        """Take what is to run on a target."""
        names: dict[str, list[str]] = {}
        for test in ids:
            file, _, name = test.partition("::")
            names.setdefault(file, []).append(name)
        return self._note([{"target": target, "file": file, "names": found} for file, found in names.items()])

    def keep(self, outcomes: Sequence[Filed]) -> list[str]:
        """Take these, and give out each suite that is complete."""
        entries = [
            {"target": each.row.target, "file": each.file, "name": each.name, "told": each.told(),
             "several": bool(each.order)}
            for each in outcomes
        ]  # fmt: skip
        told = self._note(entries)
        for suite in dict.fromkeys(self._suite(entry) for entry in entries):
            if suite.complete:
                told += self._give_out(suite)
                self._to_post.append(suite)
        return told

    def tell(self, outcomes: Sequence[Filed]) -> list[str]:
        """Post each suite that has become complete."""
        del outcomes
        complete, self._to_post = self._to_post, []
        told = []
        for suite in complete if self._url else ():
            problem = post(self._url, suite.given)
            told += self._note([{"target": suite.target, "file": suite.file, "posted": True}])
            told += [f"the result of {suite.file} could not be posted: {problem}"] if problem else []
        return told

    def finish(self) -> list[str]:
        """Write what an interrupted run has of its suites, and what another agent has left."""
        begun = [suite for suite in self._suites.values() if suite.took and not suite.given]
        told = [text for suite in begun for text in self._give_out(suite)]
        self._to_post = [suite for suite in begun if suite.complete and not suite.posted]
        told += self.tell([])
        if self._place and not self._in_folder and not self._given:
            told += self._write(self._place, [])
        self._ledger.close()
        return told

    def _note(self, entries: list[Entry]) -> list[str]:
        """Take entries that were not in the ledger, and put them there."""
        for entry in entries:
            self._take(entry)
        try:
            self._ledger.keep(entries)
        except OSError as error:
            return [f"results may lack something if the agent ends: {error.strerror}"]
        return []

    def _suite(self, entry: Entry) -> _Suite:
        key = entry["target"], entry["file"]
        if key not in self._suites:
            self._suites[key] = _Suite(self._workspace, entry["file"], entry["target"])
        return self._suites[key]

    def _take(self, entry: Entry) -> None:
        """Take what is to run of a suite, what came of a case, or that a result was posted."""
        suite = self._suite(entry)
        suite.expected |= dict.fromkeys(entry.get("names", ()))
        suite.posted = suite.posted or "posted" in entry
        if entry.get("name") in suite.expected:
            suite.took[entry["name"]] = entry["told"]
            suite.several = entry["several"]

    @property
    def _in_folder(self) -> bool:
        return self._place.endswith(os.sep) or os.path.isdir(self._place)

    @property
    def _given(self) -> list[dict[str, Any]]:
        """The results that there are, in the order of the suites."""
        return [suite.given for suite in self._suites.values() if suite.given]

    def _give_out(self, suite: _Suite) -> list[str]:
        result = suite.given = suite.result()
        told = []
        if self._place and self._in_folder:
            below = [suite.target] if suite.several else []
            name = suite.file.removesuffix(documents.SUFFIX) + ".result.json"
            told += self._write(os.path.join(self._place, *below, name), result)
        elif self._place:
            told += self._write(self._place, self._given)
        return told

    def _write(self, path: str, value: Any) -> list[str]:
        path = os.path.normpath(path)
        self._produced(path)
        try:
            write(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
        except OSError as error:
            return [f"results cannot be written to {path}: {error.strerror}"]
        return []


class _Suite:
    """One suite on one target."""

    def __init__(self, workspace: str, file: str, target: str) -> None:
        self.file = file
        self.target = target
        self.several = False  # it runs on other targets, too
        self.expected: dict[str, None] = {}
        self.took: dict[str, dict[str, Any]] = {}
        self.given: dict[str, Any] = {}  # its result, once that was given out
        self.posted = False
        self._path = os.path.join(workspace, file)

    @property
    def complete(self) -> bool:
        """Whether all of its cases that were to run are through."""
        return bool(self.took) and len(self.took) == len(self.expected)

    def result(self) -> dict[str, Any]:
        """Return its `TestSuiteResult`."""
        try:
            document = documents.read(self._path)
        except documents.DocumentError:  # it has been changed meanwhile: what the cases tell is there
            document = documents.Document("suite", {}, [])
        cases = {part.name: part.value for part in document.parts if isinstance(part.value, dict)}
        results = [
            _case_result(cases.get(name, {}), name, self.took[name]) for name in self.expected if name in self.took
        ]
        head: dict[str, Any] = {key: document.head[key] for key in _HEAD if key in document.head}
        return {
            "id": "", "name": self.file, **head, "test_case_results": results,
            "successful": all(found["successful"] for found in results), "file": self.file, "target": self.target,
        }  # fmt: skip


def _case_result(case: dict[str, Any], name: str, told: dict[str, Any]) -> dict[str, Any]:
    """Return the `TestCaseResult` of what came of a case; of one that could not be run only the error is known."""
    if "successful" in told:
        return told
    kept = {key: case.get(key) for key in ("id", "name", "function_to_execute", "input_to_pass")}
    kept = {**kept, "id": kept["id"] or name, "name": kept["name"] or name}
    return {
        **kept, "executed_function": None, "assertions": [], "children": [], "failure_message": told["error"],
        "successful": False, "error": told["error"],
    }  # fmt: skip
