"""What an image is: which content its name stands for now, and which Python and pytest it has. Runs in the agent.

Raises EnvironmentFault naming what was tried and what would be right.
"""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import anyio
import msgspec
from anyio.streams.text import TextReceiveStream

from testd_daemon.agent.engine import Answer, Engine
from testd_daemon.errors import EnvironmentFault

__all__ = ["Image", "inspect", "pulled"]

#: Seconds for a pull: images have gigabytes, and networks are slow.
PULL_DEADLINE: Final = 1800.0
#: Seconds for a container that says what Python it has.
PROBE_DEADLINE: Final = 60.0
#: Seconds between two lines that tell how far a pull is.
TELL_INTERVAL: Final = 3.0
OLDEST: Final = (3, 8)
#: What Python may be called in an image, where the target does not say: the usual name, then what is left.
NAMES: Final = ("python3", "python", *(f"python3.{minor}" for minor in range(14, 7, -1)))
_PROBE: Final = (
    "import json,platform,sys\n"
    "try:\n import importlib.util as u\n found=u.find_spec('pytest') is not None\n"
    "except ImportError:\n found=False\n"
    "print(json.dumps([platform.python_version(),platform.python_implementation(),sys.executable,found]))"
)
_ABSENT: Final = re.compile(r"executable file.* not found|no such file or directory|not found in \$PATH", re.IGNORECASE)
#: What catatonit says when it is there and the interpreter is not.
_NOT_STARTED: Final = re.compile(r"failed to exec pid1: No such file or directory")
_NO_INIT: Final = re.compile(r"docker-init|container-init|could not find .catatonit")
_LAYER: Final = re.compile(r"^[0-9a-f]{6,}: (?P<step>.+)$")


class Image(msgspec.Struct, frozen=True):
    """An image by its content."""

    id: str
    python: str  # what it calls its interpreter
    version: str  # 3.12.1
    pytest: bool


async def pulled(engine: Engine, name: str, tell: Callable[[str], None]) -> dict[str, Any]:
    """Return what the engine knows of an image, which it gets from a registry where it does not have it."""
    found = await engine.image(name)
    if found is not None:
        return found
    tell(f"{engine.name} does not have {name}: pulling it")
    answer = await _pull(engine, name, tell)
    found = await engine.image(name)
    if found is None:
        lines = answer.error.splitlines()
        raise EnvironmentFault(
            f"the image {name} is not there, and it cannot be pulled" + (f": {lines[-1]}" if lines else ""),
            hint=f"build it ({engine.name} build -t {name} …), or correct its name ({engine.name} images lists them)",
            detail=answer.error if len(lines) > 1 else "",
        )
    return found


async def _pull(engine: Engine, name: str, tell: Callable[[str], None]) -> Answer:
    progress = _Progress(name, tell)
    errors: deque[str] = deque(maxlen=20)
    try:
        with anyio.fail_after(PULL_DEADLINE):
            async with await anyio.open_process([engine.program, "pull", name], env=engine.environment) as process:
                assert process.stdout is not None
                assert process.stderr is not None
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_lines, process.stderr, errors.append)
                    await _lines(process.stdout, progress.line)
                status = await process.wait()
    except TimeoutError:
        raise EnvironmentFault(
            f"pulling {name} took longer than {PULL_DEADLINE:g} s", hint=f"pull it by hand: {engine.name} pull {name}"
        ) from None
    return Answer(status, "", "\n".join(errors))


async def _lines(stream: anyio.abc.ByteReceiveStream, take: Callable[[str], object]) -> None:
    rest = ""
    async for text in TextReceiveStream(stream, errors="replace"):
        *lines, rest = (rest + text).split("\n")
        for line in lines:
            take(line.strip())
    if rest.strip():
        take(rest.strip())


class _Progress:
    """Tells how many layers of a pull have come, now and then."""

    def __init__(self, name: str, tell: Callable[[str], None]) -> None:
        self._name = name
        self._tell = tell
        self._layers: dict[str, bool] = {}
        self._told = time.monotonic()

    def line(self, text: str) -> None:
        """Take a line that the client prints: `3f4ca61aafcd: Pull complete`."""
        match = _LAYER.match(text)
        if match is None:
            return
        self._layers[text.partition(":")[0]] = match["step"] in ("Pull complete", "Already exists")
        if time.monotonic() - self._told >= TELL_INTERVAL:
            self._told = time.monotonic()
            self._tell(f"pulling {self._name}: {sum(self._layers.values())} of {len(self._layers)} layers")


async def inspect(engine: Engine, name: str, identity: str, python: str, mount: Sequence[str]) -> Image:
    """Start a container that says which Python is in an image. `python` is the configured name or path, or empty.

    `mount` are the arguments that make the workspace visible, where that is where the interpreter is.
    """
    tried = (python,) if python else NAMES
    for candidate in tried:
        answer = await engine.ask(
            "run", "--rm", "--init", "--network", "none", "--pull", "never", "--log-driver", "none", *mount,
            "--entrypoint", candidate, identity, "-c", _PROBE, deadline=PROBE_DEADLINE,
        )  # fmt: skip
        if answer.status and _NOT_STARTED.search(answer.error):
            continue
        if answer.status and _NO_INIT.search(answer.error):
            raise EnvironmentFault(
                f"{engine.name} lacks the program that is the first process of a container",
                hint="install tini for docker, catatonit for podman",
                detail=answer.error,
            )
        if answer.status in (126, 127) and _ABSENT.search(answer.error) and "shared librar" not in answer.error:
            continue
        if answer.status == 125:  # the engine's own, not the interpreter's
            raise engine.fault(answer, f"{engine.name} cannot start a container of {name}")
        return _read(name, identity, candidate, answer)
    raise EnvironmentFault(
        f"the image {name} has no Python (looked for {', '.join(tried)})",
        hint="name the interpreter with python, such as /opt/python/bin/python3, or use an image that has one: "
        "python:3.12-slim",
    )


def _read(name: str, identity: str, python: str, answer: Answer) -> Image:
    try:
        version, _, _, pytest = json.loads(answer.out)
        numbers = tuple(int(part) for part in version.split(".")[:2])
    except (ValueError, AttributeError):
        raise EnvironmentFault(
            f"{python} in the image {name} does not run as a Python interpreter (exit status {answer.status})",
            hint="repair the image, or name another interpreter with python",
            detail="\n".join(filter(None, (answer.out[-2000:], answer.error[-2000:]))),
        ) from None
    if numbers < OLDEST:
        raise EnvironmentFault(
            f"{python} in the image {name} is Python {version}, and user code runs on "
            f"{'.'.join(map(str, OLDEST))} or newer",
            hint="use an image with a newer Python, or name another interpreter of this one with python",
        )
    return Image(identity, python, version, pytest)
