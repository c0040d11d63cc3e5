"""Why an environment could not be made, and whether to try again. Runs in the agent."""

from __future__ import annotations

import hashlib
import re
import time
from typing import Final

from testd_daemon.agent.environments.build import StepFailed
from testd_daemon.agent.environments.builder import Builder
from testd_daemon.agent.environments.request import EnvironmentRequest
from testd_daemon.agent.environments.store import Failure
from testd_daemon.errors import EnvironmentFault

__all__ = ["explain", "is_network", "stop_if_hopeless", "surroundings", "unwritable"]

#: Seconds after which a failure is tried again that the network is to blame for.
PASSING: Final = 30.0
_NETWORK: Final = re.compile(
    r"NewConnectionError|Temporary failure in name resolution|Name or service not known|Network is unreachable"
    r"|Connection (refused|reset)|ConnectTimeout|Read ?timed out|Max retries exceeded|dns error|tcp connect error"
    r"|error sending request|operation timed out|failed to lookup address|No route to host|proxy",
    re.IGNORECASE,
)
_NO_ROOM: Final = re.compile(r"No space left on device|os error 28|Disk quota exceeded")
_NO_ENSUREPIP: Final = re.compile(r"ensurepip is not|No module named '?ensurepip|No module named '?venv")


def is_network(printed: str) -> bool:
    """Tell whether what an installer printed says that it reached nobody."""
    return _NETWORK.search(printed) is not None


def stop_if_hopeless(request: EnvironmentRequest, failure: Failure | None, around: str) -> None:
    """Raise what was raised the last time, if nothing has changed since."""
    if failure is None or request.again or failure.surroundings != around:
        return
    age = max(0.0, time.time() - failure.at)
    if failure.passing and age > PASSING:
        return
    said = f"{age:.0f} s" if age < 120 else f"{age / 60:.0f} min" if age < 7200 else f"{age / 3600:.0f} h"
    raise EnvironmentFault(
        f"{failure.message} (tried {said} ago, and nothing has changed since)", hint=failure.hint, detail=failure.detail
    )


def surroundings(builder: Builder) -> str:
    """Return a text that changes when the installer or what steers it does: its settings, proxies, certificates."""
    names = ("PIP_", "UV_", "SSL_", "REQUESTS_", "CURL_")
    steering = sorted(
        (name, value)
        for name, value in builder.environment.items()
        if name.startswith(names) or name.lower().endswith("_proxy")
    )
    return hashlib.blake2b(repr((builder.uv, steering)).encode(), digest_size=10).hexdigest()


def explain(request: EnvironmentRequest, error: StepFailed | TimeoutError, around: str) -> Failure:
    """Return what is told of a build that failed, now and by the next run."""
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
        message=f"no environment: {said}", hint=hint, detail=detail, surroundings=around,
        at=time.time(), passing=passing,
    )  # fmt: skip


def unwritable(request: EnvironmentRequest, error: OSError) -> EnvironmentFault:
    """Return the fault for what the system did not let us do."""
    return EnvironmentFault(
        f"no environment: {error}",
        hint=f"check {request.python} and {request.cache}, or set TESTD_CACHE_DIR to another folder",
    )
