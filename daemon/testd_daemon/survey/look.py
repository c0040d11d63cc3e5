"""Look at everything on which tests could run, all at once, each thing with a deadline of its own.

Runs in `testd targets`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import anyio
import msgspec

from testd_daemon.agent import nodes, pythons
from testd_daemon.config import Target
from testd_daemon.survey import configured, engines, hosts, interpreters
from testd_daemon.survey.configured import Asked
from testd_daemon.survey.found import Found

__all__ = ["DEADLINE", "everything"]

#: Seconds for each interpreter, engine and so on to say what it is. They are asked together.
DEADLINE = 5.0
#: Interpreters that are started at once: more would only make each of them late.
_AT_ONCE = 16


async def everything(asked: Asked, targets: Iterable[Target]) -> list[Found]:
    """Return the targets and all that was found, in this order: targets, Pythons, Node.js, engines, hosts."""
    environment, deadline = asked.environment, asked.deadline
    node_paths = nodes.everywhere(environment, asked.workspace)
    questions: list[Callable[[], Awaitable[Found]]] = [
        *(partial(configured.look, target, asked) for target in targets),
        *(partial(interpreters.python, path, environment, deadline) for path in pythons.everywhere(environment)),
        *(partial(interpreters.node, path, environment, deadline) for path in node_paths),
        *(partial(engines.engine, name, environment, deadline) for name in engines.ENGINES),
        *(partial(_host, host, place, asked) for host, place in hosts.configured(environment)),
    ]
    return _named(await _all(questions), environment)


def _named(found: list[Found], environment: Mapping[str, str]) -> list[Found]:
    """Leave the name of a version to the interpreter that `--target` takes for it; the others have their paths."""
    taken = {each.name: next(pythons.of_version(each.name, environment), "") for each in found if each.kind == "python"}
    return [
        each
        if each.kind != "python" or not taken[each.name] or _same(each.place, taken[each.name])
        else msgspec.structs.replace(each, name="")
        for each in found
    ]


def _same(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return False


async def _host(host: str, place: str, asked: Asked) -> Found:
    if asked.check:
        return await hosts.check(host, place, asked.environment)
    return Found(kind="host", name=f"ssh:{host}", place=place, usable=None)


async def _all(questions: list[Callable[[], Awaitable[Found]]]) -> list[Found]:
    answers: dict[int, Found] = {}
    limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def ask(number: int) -> None:
        async with limiter:
            answers[number] = await questions[number]()

    async with anyio.create_task_group() as tasks:
        for number in range(len(questions)):
            tasks.start_soon(ask, number)
    return [answers[number] for number in range(len(questions))]
