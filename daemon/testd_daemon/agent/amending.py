"""Functions exchanged in the processes that have loaded them, in the place of new processes. Runs in the agent.

Whether that comes to the same is the runner's to say, which knows what has run (`testd/runner/amending.py`); here it is
seen to that nothing else has changed under a checkpoint, and that all of what lies above it is amended, too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Final

import anyio
import anyio.lowlevel

from testd_daemon.agent.collection import Collection
from testd_daemon.agent.freshness import Checkpoint, Record
from testd_daemon.agent.runner import Runner
from testd_daemon.errors import ProcessCrashed, TestdError
from testd_protocol.messages import Amend, Amended

__all__ = ["amend"]

#: Seconds for `Amend`: files are compiled, and what was made of them is looked for.
DEADLINE: Final = 30.0
#: Files that have changed at once, above which it is not tried.
MOST_FILES: Final = 20


async def amend(
    runner: Runner, collections: Iterable[Collection] = (), sent: Callable[[], None] = lambda: None
) -> int:
    """Amend *configured*, with what was collected above it, and these collections, where that is all they need.

    To be called under the runner's lock, while nobody works on it. What cannot be amended is as stale as before, or
    gone. What is amended depends on another record then: who has the old one knows what was loaded before. `sent` is
    called when the order is given. Returns when the files were read (wall clock, ns), 0 where nothing was amended.
    """
    below = _below(runner)
    wanted: dict[Collection | None, list[str]] = {}
    if below:
        wanted = {None: below, **dict.fromkeys(_broadest(runner), below)}
    if below is not None:
        for found in (found for found in collections if found.number in runner.collections):
            own = _amendable(found.record, [found])
            if own:
                wanted[found] = list(dict.fromkeys([*wanted.get(found, []), *own]))
    read: list[int] = []
    async with anyio.create_task_group() as asking:
        for collection, paths in wanted.items():
            asking.start_soon(_amend, runner, collection, paths, bool(below), read)
        await anyio.lowlevel.checkpoint()
        with contextlib.suppress(ProcessCrashed):
            await runner.flushed()
        sent()
    return min(read, default=0)


def _broadest(runner: Runner) -> list[Collection]:
    """Return the collection with the most tests, and let go of the others: each is a process, and is stale by now."""
    broadest = sorted(runner.collections.values(), key=lambda found: len(found.ids))[-1:]
    for other in list(runner.collections.values()):
        if other not in broadest:
            runner.drop(other)
    return broadest


async def _amend(
    runner: Runner, collection: Collection | None, paths: list[str], below: bool, read: list[int]
) -> None:  # fmt: skip
    """Amend one process; `read` gets when. A collection that cannot take what has changed `below` it goes."""
    order = Amend(id=next(runner.numbers), collection=collection.number if collection else 0, paths=paths)
    try:
        answer = await runner.ask(order, order.id, "exchanging functions", DEADLINE)
    except TestdError:  # it is told by whoever uses the runner next
        return
    assert isinstance(answer, Amended)
    if answer.reason:
        runner.refusals.setdefault(answer.reason)
        if collection is not None and below:
            runner.drop(collection)
        return
    read.append(answer.at)
    if collection is None:
        runner.below.amend(answer.files)
    else:
        collection.record = collection.record.amended(answer.files)


def _below(runner: Runner) -> list[str] | None:
    """Return the Python files that have changed under *configured*; None where that is not all that has changed."""
    if not (runner.alive and runner.shares_files and runner.spec.launcher != "node" and runner.spec.mode == "worker"):
        return None
    records = runner.below.records
    if any(records[checkpoint].change() for checkpoint in (Checkpoint.STARTED, Checkpoint.PLUGINS)):
        return None
    return _amendable(records[Checkpoint.CONFIGURED], runner.collections.values())


def _amendable(record: Record, collections: Iterable[Collection]) -> list[str] | None:
    """Return the Python files that have changed under a checkpoint; None where that is not all that has changed.

    One that has tests (in docstrings, say) is no such file: where these stand has been told.
    """
    changes = record.changes()
    sources = all(change.endswith(".py") and record.loaded(change) is not None for change in changes)
    if not sources or len(changes) > MOST_FILES:
        return None
    has_tests = any(change in found.index for found in collections for change in changes)
    return None if has_tests else [str(change) for change in changes]
