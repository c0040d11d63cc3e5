"""Which of the tests that a target has collected a run is about. Runs in the agent.

    arguments → patterns → keyword → last failed → affected

Each step leaves tests out; how many is told.
"""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Sequence

from testd_daemon.agent import jobs
from testd_daemon.agent.affected import Reason, Selection, in_order, summary
from testd_daemon.agent.collection import Collection
from testd_daemon.agent.history import Known
from testd_daemon.agent.reporter import Sink
from testd_daemon.agent.runner import Runner
from testd_daemon.agent.selection import Argument, concerns, select
from testd_protocol.messages import CollectError, Notice, RunRequest

__all__ = ["Chooser", "narrowed"]


class Chooser:
    """Chooses the tests of one target of a run.

    Attributes:
        selection: which tests are affected, where the run is about them.
        owed: ids of tests that are to run although nothing affects them: a run before had no time for them.
        unaffected: whether there are tests of which none is affected.
    """

    def __init__(self, workspace: str, request: RunRequest, target: str, reporter: Sink) -> None:
        """Take what the run asks for."""
        self.selection: Selection | None = None
        self.owed: Names[str] = ()
        self.unaffected = False
        self._workspace = workspace
        self._request = request
        self._target = target
        self._reporter = reporter

    def files(self, known: Known) -> list[str] | None:
        """Return the files that are to be looked into, None for all of them."""
        if self.selection is None:
            return None
        return self.selection.files(known.verdicts, {*known.failing(), *self.owed})

    def errors(self, collection: Collection, arguments: Sequence[Argument]) -> list[CollectError]:
        """Return what could not be collected of that which is asked for."""
        return [
            error
            for error in collection.errors
            if concerns(collection.path_of(error.id), arguments)
            and (not self._request.patterns or self._matches(error.id))
        ]

    async def choose(
        self, runner: Runner, collection: Collection, arguments: Sequence[Argument], known: Known
    ) -> tuple[list[int], int]:
        """Return the indexes of the tests that are meant, and how many were left out by an expression."""
        steps = [self._given(collection, arguments)]
        if self._request.patterns:
            steps.append([n for n in steps[-1] if self._matches(collection.ids[n])])
        if self._request.keyword or self._request.filters:
            wanted = set(await runner.select(collection, self._request.keyword or "", self._request.filters))
            steps.append([n for n in steps[-1] if n in wanted])
        if self._request.last_failed:
            steps.append(self._last_failed(collection, steps[-1], known))
        if self.selection is not None:
            steps.append(self._affected(self.selection, collection, steps[-1], known))
        return steps[-1], collection.deselected + len(steps[0]) - len(steps[-1])

    def _given(self, collection: Collection, arguments: Sequence[Argument]) -> list[int]:
        if not arguments:
            return list(range(len(collection.ids)))
        return select(arguments, collection.index, collection.ids, collection.lines, collection.broken)

    def _matches(self, test: str) -> bool:
        """Tell whether the path of a test's file has one of the patterns in it."""
        file = jobs.file_of(test)
        return any(pattern in file for pattern in self._request.patterns)

    def _last_failed(self, collection: Collection, among: list[int], known: Known) -> list[int]:
        """Return those that did not pass last time; all where there is none."""
        failing = known.failing()
        kept = [n for n in among if collection.ids[n] in failing or jobs.file_of(collection.ids[n]) in failing]
        if kept or any(error.id in failing for error in collection.errors):
            self._tell(f"--last-failed: {len(kept)} previously failed test{'s' * (len(kept) != 1)}")
            return kept
        self._tell("--last-failed: no previously failed tests, all are run")
        return among

    def _affected(
        self, selection: Selection, collection: Collection, among: Sequence[int], known: Known
    ) -> list[int]:
        """Return those that are affected or have failed: files with failed tests first, then the quickest.

        Behind them comes what a run before had no time for.
        """
        failing = known.failing()
        reasons: dict[int, Reason] = {}
        for n in among:
            test = collection.ids[n]
            reason = selection.reason(test, failing, collection.root)
            if reason is not None or test in self.owed:
                reasons[n] = reason or Reason("owed")
        self.unaffected = bool(among) and not reasons
        self._tell(*summary(self._workspace, list(reasons.values()), len(among)))
        durations = jobs.Durations(known.durations)
        kept: list[int] = []
        for owed in (False, True):
            group = [n for n, reason in reasons.items() if (reason.kind == "owed") is owed]
            kept += [group[place] for place in in_order([collection.ids[n] for n in group], failing, durations)]
        return kept

    def _tell(self, text: str, detail: str = "") -> None:
        self._reporter.event(Notice(level="info", text=text, detail=detail, target=self._target))


def narrowed(files: Sequence[str] | None, arguments: Sequence[Argument]) -> Sequence[Argument]:
    """Return arguments for those files alone, of what the arguments mean, that have to be looked into."""
    if files is None or not all(argument.folder for argument in arguments):
        return arguments
    return [Argument(path, path, folder=False) for path in files if concerns(path, arguments)] or arguments
