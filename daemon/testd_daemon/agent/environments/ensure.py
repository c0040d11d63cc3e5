"""Have an environment: the one that is there, or make it. Runs in the agent, on its event loop."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import subprocess
import time
from collections.abc import Callable
from typing import Final

import anyio
import anyio.to_thread

from testd_daemon.agent.environments import declaration, store
from testd_daemon.agent.environments.build import StepFailed, perform
from testd_daemon.agent.environments.builder import Builder, Step, choose
from testd_daemon.agent.environments.declaration import Declaration
from testd_daemon.agent.environments.lock import Lock, held
from testd_daemon.agent.environments.request import EnvironmentRequest
from testd_daemon.agent.environments.store import Failure, Made, Place
from testd_daemon.errors import DeadlineExpired, EnvironmentFault

__all__ = ["ensure", "known"]

#: Times that an environment is made whose declaration changes meanwhile: somebody edits it, a build writes to it.
ATTEMPTS: Final = 3
#: Seconds that an interpreter may take to say whether it has a pip.
PROBE_DEADLINE: Final = 20.0
#: Seconds after which a failure is tried again that the network is to blame for.
PASSING: Final = 30.0
#: The oldest pip that installs into an environment other than its own, and the oldest Python that is supported.
_LEAST_PIP: Final = (22, 3)
_LEAST_PYTHON: Final = (3, 8)
_NETWORK: Final = re.compile(
    r"NewConnectionError|Temporary failure in name resolution|Name or service not known|Network is unreachable"
    r"|Connection (refused|reset)|ConnectTimeout|Read ?timed out|Max retries exceeded|dns error|tcp connect error"
    r"|error sending request|operation timed out|failed to lookup address|No route to host|proxy",
    re.IGNORECASE,
)
_NO_ROOM: Final = re.compile(r"No space left on device|os error 28|Disk quota exceeded")
_NO_ENSUREPIP: Final = re.compile(r"ensurepip is not|No module named '?ensurepip|No module named '?venv")


async def ensure(request: EnvironmentRequest, tell: Callable[[str], None]) -> str:
    """Return the path of the interpreter of an environment that holds what the request declares.

    Where there is none it is made, and `tell` gets a line for each step, which begins with the target's name. Raises
    EnvironmentFault where the declaration is wrong or the environment cannot be made; one that failed is not tried
    again until something has changed.
    """
    _check(request)
    for _ in range(ATTEMPTS):
        wanted = await anyio.to_thread.run_sync(declaration.read, request)
        place = Place(request.cache, wanted.name)
        if place.whole() is not None or await _made(request, wanted, place, tell):
            return place.python
        tell(f"{request.target}: what it is made of changed meanwhile")
    raise EnvironmentFault(
        f"no environment: what it is made of has changed while it was made, {ATTEMPTS} times",
        hint="something writes to the files that the declaration reads; a build must not change its own inputs",
    )


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
        raise _unwritable(request, error) from error
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
    surroundings = _surroundings(builder)
    _stop_if_hopeless(request, place.failure(), surroundings)
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
        failure = _explain(request, builder, error, surroundings)
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
        if not builder.uv or not _NETWORK.search(error.detail):
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
    with contextlib.suppress(TimeoutError, OSError, ValueError), anyio.fail_after(PROBE_DEADLINE):
        done = await anyio.run_process(ask, env=environment, check=False, stdin=subprocess.DEVNULL)
        version = done.stdout.decode("ascii", "replace").split(".")
        return done.returncode == 0 and (int(version[0]), int(version[1])) >= _LEAST_PIP
    return False


# ── what went wrong ──────────────────────────────────────────────────────────────────────────────────────────────────


def _stop_if_hopeless(request: EnvironmentRequest, failure: Failure | None, surroundings: str) -> None:
    """Raise what was raised the last time, if nothing has changed since."""
    if failure is None or request.again or failure.surroundings != surroundings:
        return
    age = max(0.0, time.time() - failure.at)
    if failure.passing and age > PASSING:
        return
    said = f"{age:.0f} s" if age < 120 else f"{age / 60:.0f} min" if age < 7200 else f"{age / 3600:.0f} h"
    raise EnvironmentFault(
        f"{failure.message} (tried {said} ago, and nothing has changed since)", hint=failure.hint, detail=failure.detail
    )


def _surroundings(builder: Builder) -> str:
    """Return a text that changes when the installer or what steers it does: its settings, proxies, certificates."""
    names = ("PIP_", "UV_", "SSL_", "REQUESTS_", "CURL_")
    steering = sorted(
        (name, value)
        for name, value in builder.environment.items()
        if name.startswith(names) or name.lower().endswith("_proxy")
    )
    return hashlib.blake2b(repr((builder.uv, steering)).encode(), digest_size=10).hexdigest()


def _explain(
    request: EnvironmentRequest, builder: Builder, error: StepFailed | TimeoutError, surroundings: str
) -> Failure:
    detail = error.detail if isinstance(error, StepFailed) else ""
    said = error.message if isinstance(error, StepFailed) else f"making it took longer than {request.deadline:g} s"
    where = f" ({request.source})" if request.source else ""
    passing = bool(_NETWORK.search(detail)) or isinstance(error, TimeoutError)
    if _NO_ROOM.search(detail):
        passing = True
        hint = f"there is no room in {request.cache}: make some, or set TESTD_CACHE_DIR to another folder"
    elif _NO_ENSUREPIP.search(detail):
        hint = f"{request.python} has no pip of its own and cannot make one: install uv, or the system's python3-venv"
    elif passing:
        hint = "the package index cannot be reached: connect, or name an environment that you have with python"
    else:
        hint = f"change what the target declares{where}; `testd run --fresh` tries once more"
    return Failure(
        message=f"no environment: {said}", hint=hint, detail=detail, surroundings=surroundings,
        at=time.time(), passing=passing,
    )  # fmt: skip


def _unwritable(request: EnvironmentRequest, error: OSError) -> EnvironmentFault:
    return EnvironmentFault(
        f"no environment: {error}",
        hint=f"check {request.python} and {request.cache}, or set TESTD_CACHE_DIR to another folder",
    )
