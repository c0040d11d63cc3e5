"""Have an environment: the one that is there, or make it. Runs in the agent, on its event loop."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

import anyio
import anyio.to_thread

from testd_daemon import command
from testd_daemon.agent.environments import declaration, store
from testd_daemon.agent.environments.build import StepFailed, perform
from testd_daemon.agent.environments.builder import Builder, Step, choose
from testd_daemon.agent.environments.declaration import Declaration
from testd_daemon.agent.environments.failing import explain, is_network, stop_if_hopeless, surroundings, unwritable
from testd_daemon.agent.environments.lock import Lock, held
from testd_daemon.agent.environments.request import EnvironmentRequest
from testd_daemon.agent.environments.store import Failure, Made, Place
from testd_daemon.errors import DeadlineExpired, EnvironmentFault

__all__ = ["ensure", "known"]

#: Times that an environment is made whose declaration changes meanwhile: somebody edits it, a build writes to it.
ATTEMPTS: Final = 3
#: Seconds that an interpreter may take to say whether it has a pip.
PROBE_DEADLINE: Final = 20.0
#: The oldest pip that installs into an environment other than its own, and the oldest Python that is supported.
_LEAST_PIP: Final = (22, 3)
_LEAST_PYTHON: Final = (3, 8)


async def ensure(
    request: EnvironmentRequest, tell: Callable[[str], None], turns: anyio.Semaphore | None = None
) -> str:
    """Return the path of the interpreter of an environment that holds what the request declares.

    Where there is none it is made, and `tell` gets a line for each step, which begins with the target's name; `turns`
    has one for each environment that may be made at the same time, those that wait for one are told. Raises
    EnvironmentFault where the declaration is wrong or the environment cannot be made; one that failed is not tried
    again until something has changed.
    """
    _check(request)
    for _ in range(ATTEMPTS):
        wanted = await anyio.to_thread.run_sync(declaration.read, request)
        place = Place(request.cache, wanted.name)
        if place.whole() is not None:
            return place.python
        async with _turn(turns, request, tell):
            made = await _made(request, wanted, place, tell)
        if made:
            return place.python
        tell(f"{request.target}: what it is made of changed meanwhile")
    raise EnvironmentFault(
        f"no environment: what it is made of has changed while it was made, {ATTEMPTS} times",
        hint="something writes to the files that the declaration reads; a build must not change its own inputs",
    )


@contextlib.asynccontextmanager
async def _turn(
    turns: anyio.Semaphore | None, request: EnvironmentRequest, tell: Callable[[str], None]
) -> AsyncIterator[None]:
    """Have a turn for the length of a block. It comes before the lock: who waits for that counts the holder's time."""
    if turns is None:
        yield
        return
    try:
        turns.acquire_nowait()
    except anyio.WouldBlock:
        tell(f"{request.target}: waiting until another environment is ready: each takes a processor")
        await turns.acquire()
    try:
        yield
    finally:
        turns.release()


async def _made(request: EnvironmentRequest, wanted: Declaration, place: Place, tell: Callable[[str], None]) -> bool:
    """Make an environment under its lock; tell whether it is the one that is wanted still."""

    def say(text: str) -> None:
        tell(f"{request.target}: {text}")

    def waiting(pid: int) -> None:
        say(f"waiting for another process{f' ({pid})' if pid else ''} that makes the same environment")

    try:
        os.makedirs(place.home, mode=0o700, exist_ok=True)
        async with held(
            place.lock, name=f"the environment of {request.target}", deadline=request.deadline, waiting=waiting
        ) as lock:
            return place.whole() is not None or await _make(request, wanted, place, lock, say)
    except OSError as error:
        raise unwritable(request, error) from error
    except DeadlineExpired as error:
        raise EnvironmentFault(f"no environment: {error.message}", hint=error.hint) from error


def known(request: EnvironmentRequest) -> Made | Failure | None:
    """Return what there is of an environment: what it is, why it could not be made, or None. Nothing is made.

    Raises EnvironmentFault where the declaration is wrong.
    """
    _check(request)
    place = Place(request.cache, declaration.read(request).name)
    return place.whole() or place.failure()


def _check(request: EnvironmentRequest) -> None:
    if tuple(int(part) for part in request.version.split(".")[:2]) < _LEAST_PYTHON:
        raise EnvironmentFault(
            f"{request.python} is Python {request.version}; 3.8 is the oldest that works",
            hint="choose a newer interpreter",
        )


async def _make(
    request: EnvironmentRequest, wanted: Declaration, place: Place, lock: Lock, say: Callable[[str], None]
) -> bool:
    """Make an environment. Returns False, with nothing left of it, where its declaration has changed meanwhile."""
    builder = await anyio.to_thread.run_sync(choose, request.environment)
    around = surroundings(builder)
    stop_if_hopeless(request, place.failure(), around)
    began = time.monotonic()
    done = False
    try:
        await anyio.to_thread.run_sync(place.clear)
        with anyio.fail_after(request.deadline):
            by = await _build(request, wanted, place, builder, lock, say)
        if (await anyio.to_thread.run_sync(declaration.read, request)).name != wanted.name:
            return False
        made = Made(
            workspace=request.workspace, target=request.target, python=request.python, version=request.version,
            installed=wanted.arguments, by=by, made=time.time(),
        )  # fmt: skip
        place.finish(made)
        done = True
    except (StepFailed, TimeoutError) as error:
        failure = explain(request, error, around)
        place.fail(failure)
        raise EnvironmentFault(failure.message, hint=failure.hint, detail=failure.detail) from error
    finally:
        if not done:
            with anyio.CancelScope(shield=True):  # a folder of this size is gone in a moment
                await anyio.to_thread.run_sync(place.clear)
    say(f"the environment is ready, after {time.monotonic() - began:.1f} s")
    await anyio.to_thread.run_sync(store.sweep, request.cache)
    return True


async def _build(
    request: EnvironmentRequest, wanted: Declaration, place: Place, builder: Builder, lock: Lock,
    say: Callable[[str], None],
) -> str:  # fmt: skip
    """Carry out every step; return what did it."""
    has_pip = bool(not builder.uv and await _has_pip(request.python, builder.environment))
    for step in builder.steps(request.python, place.folder, wanted.arguments, wanted.shown, has_pip=has_pip):
        say(step.does)
        await _perform(request, step, builder, lock, say)
    return builder.name


async def _perform(
    request: EnvironmentRequest, step: Step, builder: Builder, lock: Lock, say: Callable[[str], None]
) -> None:
    name = f"{os.path.basename(step.argv[0])} of {request.target}"
    try:
        await perform(step, name=name, cwd=request.workspace, environment=builder.environment, lock=lock, tell=say)
    except StepFailed as error:
        if not builder.uv or not is_network(error.detail):
            raise
        say("the package index cannot be reached; trying what uv has kept of it")
        offline = {**builder.environment, "UV_OFFLINE": "1"}
        try:
            await perform(step, name=name, cwd=request.workspace, environment=offline, lock=lock, tell=say)
        except StepFailed:
            raise error from None  # that there is no network says more than what is not kept


async def _has_pip(python: str, environment: dict[str, str]) -> bool:
    """Tell whether an interpreter has a pip that can install into another environment."""
    ask = [python, "-c", "import pip; print(pip.__version__)"]
    with contextlib.suppress(TimeoutError, OSError, ValueError, IndexError):
        done = await command.run(ask, deadline=PROBE_DEADLINE, env=environment)
        version = done.output.split(".")
        return done.status == 0 and (int(version[0]), int(version[1])) >= _LEAST_PIP
    return False
