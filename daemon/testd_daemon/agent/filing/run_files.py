"""What came of items: back into their run files as it comes, and told to an endpoint. Blocks; runs in a thread.

A file is written whole, so that whoever reads it meets each item either before or behind its run. Where several targets
ran an item, all of them are in its `targets`, and what the item itself holds is that of the first one in their order.
A file that somebody has rewritten or removed meanwhile is theirs: nothing more is written into it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

from testd.functions import documents
from testd_daemon.agent.filing.identities import Identities, Identity
from testd_daemon.agent.filing.keeper import Filed
from testd_daemon.agent.filing.posting import post
from testd_daemon.writing import write

__all__ = ["RunFiles"]

#: What came of an item, and what a run writes beside it.
_OWN = ("executed_function", "executed_functions", "error")
_WRITTEN = (*_OWN, "signal_error", "targets")


class _RewrittenError(OSError):
    """A file is no longer the one that is run."""


class RunFiles:
    """The run files of one run."""

    def __init__(self, workspace: str, produced: Callable[[str], None], identities: Identities) -> None:
        """Know of none yet; `produced` is told of each before it is written."""
        self._workspace = workspace
        self._produced = produced
        self._identities = identities
        self._files: dict[str, _RunFile] = {}

    def plan(self, target: str, ids: Sequence[str]) -> list[str]:
        """Take what is to run on a target; what an earlier run wrote into these items goes."""
        del target
        told = [self._begin(name, items) for name, items in _by_file(ids).items()]
        return [text for text in told if text]

    def _begin(self, name: str, items: Sequence[str]) -> str:
        try:
            if name not in self._files:
                path = os.path.join(self._workspace, name)
                self._files[name] = _RunFile(path, self._identities)
                self._produced(path)
            self._files[name].clear(items)
            self._files[name].write()
        except (OSError, ValueError) as error:
            self._files.pop(name, None)
            why = error.strerror if isinstance(error, OSError) else error
            return f"{name}: what comes of it cannot be written back: {why}"
        return ""

    def keep(self, outcomes: Sequence[Filed]) -> list[str]:
        """Write what came of items."""
        return self._do(_RunFile.take, outcomes)

    def tell(self, outcomes: Sequence[Filed]) -> list[str]:
        """Tell the endpoints; where that fails, the item says so."""
        return self._do(_RunFile.signal, outcomes)

    def _do(self, step: Callable[[_RunFile, Sequence[Filed]], bool], outcomes: Sequence[Filed]) -> list[str]:
        """Do something with the outcomes of each file, and write it if that changed it."""
        told = []
        for name in dict.fromkeys(outcome.file for outcome in outcomes if outcome.file in self._files):
            file = self._files[name]
            try:
                if step(file, [outcome for outcome in outcomes if outcome.file == name]):
                    file.write()
            except OSError as error:
                told.append(f"{name}: what came of it cannot be written back: {error.strerror}")
                if isinstance(error, _RewrittenError):
                    del self._files[name]
        return told

    def finish(self) -> list[str]:
        """Let go of the files: all was written when it came."""
        for file in self._files.values():
            self._identities.left(file.path)
        return []


class _RunFile:
    """One file while it is being run."""

    def __init__(self, path: str, identities: Identities) -> None:
        """Read it. Raises OSError and ValueError."""
        self.path = path
        self._identities = identities
        self._begun: set[str] = set()  # items of which something came in this run
        with open(path, encoding="utf-8-sig") as file:
            self._identity = Identity.of(os.fstat(file.fileno()))
            text = file.read()
        if identities.foreign(path, self._identity):
            raise _rewritten()
        identities.read(path, self._identity)
        self._document = json.loads(text)
        self._indent = 2 if "\n" in text.strip() else None
        names = [part.name for part in documents.read_text(text).parts]
        items = zip(names, self._document["functions_to_run"], strict=True)
        self._items: dict[str, dict[str, Any]] = {name: item for name, item in items if isinstance(item, dict)}

    def clear(self, names: Sequence[str]) -> None:
        """Take out what an earlier run wrote, unless this one has begun to write."""
        for name in names:
            item = self._items.get(name, {})
            if name not in self._begun:
                for key in _WRITTEN:
                    item.pop(key, None)

    def take(self, outcomes: Sequence[Filed]) -> bool:
        """Put what came of items in its place."""
        for outcome in outcomes:
            self._take(outcome)
        return True

    def _take(self, outcome: Filed) -> None:
        item, told = self._items.get(outcome.name, {}), outcome.told()
        self._begun.add(outcome.name)
        if not outcome.order:
            item.update(told)
            return
        targets = item.setdefault("targets", {})
        targets[outcome.row.target] = told
        first = min(targets, key=outcome.order.index)
        for key in _OWN:
            item.pop(key, None)
        item.update(targets[first])

    def signal(self, outcomes: Sequence[Filed]) -> bool:
        """Tell the endpoint that items are through; say whether that left something to be written."""
        endpoint = self._document.get("signal_endpoint")
        identity = os.path.splitext(os.path.basename(self.path))[0]
        failed = False
        for item in [self._items.get(outcome.name, {}) for outcome in outcomes] if endpoint else []:
            problem = post(endpoint, {"run_file_id": identity, "execution_id": item.get("execution_id")})
            if problem:
                item["signal_error"] = problem
                failed = True
        return failed

    def write(self) -> None:
        """Write the file, unless somebody else has. Raises OSError."""
        text = json.dumps(self._document, indent=self._indent, ensure_ascii=False) + "\n"
        before = self._identity
        try:
            write(self.path, text, self._replace, lambda found: self._replaced(Identity.of(found), before))
        except FileNotFoundError:
            raise _RewrittenError(0, "the file was removed while it was run") from None

    def _replace(self, draft: os.stat_result) -> None:
        if Identity.of(os.stat(self.path)) != self._identity:
            raise _rewritten()
        self._identity = Identity.of(draft)
        self._identities.written(self.path, self._identity)

    @staticmethod
    def _replaced(found: Identity, before: Identity) -> None:
        """Somebody may have put another file there since it was looked at: that one stays."""
        if found != before:
            raise _rewritten()


def _rewritten() -> _RewrittenError:
    return _RewrittenError(0, "the file was rewritten while it was run")


def _by_file(ids: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for test in ids:
        file, _, name = test.partition("::")
        found.setdefault(file, []).append(name)
    return found
