"""What tests there are, without a process that keeps them: for `testd list`. Runs in the agent.

After an edit to a test file that nothing else imports, just that file is collected again, and its tests take the place
of the old ones: those of the other files are what they were, since no process that made them would come to another
result. Whatever else has changed (a module that is imported, a conftest file, data, a file that is new or gone) is
answered by a whole collection. So is everything on a target that shares no disk: what it has loaded is compared there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

from testd_daemon.agent.collection import Collection
from testd_daemon.agent.jobs import file_of
from testd_daemon.agent.runner import Runner
from testd_daemon.agent.selection import Argument
from testd_daemon.agent.spec import Spec
from testd_daemon.agent.warm import sound

__all__ = ["catalogued", "spliced"]

#: More files than this part of all are not collected apart from the others.
LARGEST_PART: Final = 0.5


async def catalogued(
    runner: Runner, spec: Spec, arguments: Sequence[Argument], cold: str
) -> tuple[Collection, str]:
    """Return a collection that is right for the files as they are, and why it is cold; there may be no process behind.

    Raises what `Runner.collect` does.
    """
    known = runner.catalogue
    unmoved = runner.users > 1 or runner.below.stale() is None  # used by others: the pool has looked
    if known is not None and unmoved and known.covers(arguments):
        mended = await _mended(runner, known)
        if mended is not None:
            runner.catalogue = mended
            return mended, cold
    return await sound(runner, spec, arguments, cold)


async def _mended(runner: Runner, known: Collection) -> Collection | None:
    """Return what is known with the tests of files that changed collected again; None where that would not be right."""
    changes = known.record.changes()
    if not changes:
        return known
    files = _alone(known, changes)
    if not files:
        return None
    part = await runner.collect(_relative(files, runner.spec.root), tuple(files))
    for other in list(runner.collections.values()):
        if other is not part and other.paths and set(other.paths) <= set(part.paths):
            runner.drop(other)
    return spliced(known, part)


def _alone(known: Collection, changes: Iterable[str]) -> list[str]:
    """Return the files to collect again, none where others may be affected.

    A part that was collected a moment ago may not have told yet what its files import: they are collected along.
    """
    parts = known.parts
    for part in parts:
        known.modules.update(part.modules)
    files = dict.fromkeys(changes)
    for part in parts:
        if not len(part.modules):
            files.update(dict.fromkeys(part.paths))
    for file in files:
        modules = known.modules.modules_of(file)
        if not modules or known.modules.affected([file]) - modules or os.path.basename(file) == "conftest.py":
            return []
        if file not in known.index and file not in known.broken:
            return []
    return list(files) if len(files) <= max(1, LARGEST_PART * known.index.files) else []


def spliced(known: Collection, part: Collection) -> Collection:
    """Return `known` with the tests of the part's files in the place of those that it had; new ones come last."""
    made = Collection(0, known.paths, known.workspace)
    made.framework, made.maxfail, made.notices = part.framework, part.maxfail, known.notices
    made.forkable, made.reason, made.since = known.forkable, known.reason, part.since
    made.deselected = -1
    made.record = known.record.updated(part.record)
    made.modules, made.strangers = known.modules, known.strangers
    made.parts = [other for other in known.parts if not set(other.paths) <= set(part.paths)] + [part]
    fresh = {name: list(tests) for name, tests in _by_file(part)}
    replaced = set(part.paths)
    for name, kept in _by_file(known):
        made.extend(fresh.pop(name, ()) if known.path_of(name) in replaced else kept)
    for tests in fresh.values():
        made.extend(tests)
    made.errors = [error for error in known.errors if known.path_of(error.id) not in replaced] + part.errors
    return made


def _by_file(found: Collection) -> Iterator[tuple[str, Iterator[tuple[str, int]]]]:
    """Yield each file with its tests and their lines, as often as other files' tests come between them."""
    return groupby(zip(found.ids, found.lines, strict=True), lambda test: file_of(test[0]))


def _relative(files: Iterable[str], root: str) -> list[str]:
    return [os.path.relpath(file, root) for file in files]
