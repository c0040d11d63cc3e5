"""`python -m testd_daemon.handler`: be the handler in the foreground.

--ready-fd N     write `ready` to this descriptor once clients can connect, or `error: …` if they never can
--private DIR    keep everything in DIR, serve one client, and end with it
--idle-exit S    end after so many seconds without a run or a client; 0: never (also TESTD_IDLE_EXIT)
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace

from testd_daemon.errors import TestdError, UsageError
from testd_daemon.handler.settings import Settings
from testd_daemon.runtime import folders, private_folders

__all__ = ["main", "read_settings", "run"]

_OPTIONS = ("--detach", "--idle-exit", "--private", "--ready-fd")


def main(arguments: list[str]) -> int:
    """Run the handler and return its exit status: 0 after an orderly end or if there is one already."""
    if "--help" in arguments or "-h" in arguments:
        sys.stdout.write(__doc__ or "")
        return 0
    ready_fd = None
    detach = "--detach" in arguments
    try:
        settings = read_settings([each for each in arguments if each != "--detach"], dict(os.environ))
        ready_fd = settings.ready_fd
        if detach:
            _detach()
        return run(settings)
    except TestdError as error:
        _tell_failure(ready_fd, error)
        return error.exit_code


def run(settings: Settings) -> int:
    """Run the handler with these settings until it ends."""
    import shutil

    import anyio  # after the options were read: a wrong one is told at once

    from testd_daemon.handler.server import serve

    if settings.ready_fd is not None:
        os.set_inheritable(settings.ready_fd, False)
    try:
        anyio.run(serve, settings, os.environ)
    finally:
        if settings.folders.ephemeral:
            shutil.rmtree(settings.folders.runtime, ignore_errors=True)
    return 0


def read_settings(arguments: list[str], environ: dict[str, str]) -> Settings:
    """Read the options and the environment. Raises UsageError."""
    options = _read_options(arguments)
    private = options.get("--private")
    settings = Settings(folders=private_folders(private, environ) if private else folders(environ))
    idle = options.get("--idle-exit", environ.get("TESTD_IDLE_EXIT", ""))
    if idle:
        settings = replace(settings, idle_exit=_number("--idle-exit (TESTD_IDLE_EXIT)", idle))
    if "--ready-fd" in options:
        settings = replace(settings, ready_fd=int(_number("--ready-fd", options["--ready-fd"])))
    return settings


def _detach() -> None:
    """Leave the starter's session. Nothing has been started or opened yet, so that a fork is harmless."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():  # not the leader of the session: no terminal that is opened can become ours
        os._exit(0)


def _read_options(arguments: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name not in _OPTIONS:
            raise UsageError(f"the handler has no option {name!r}", hint=f"it has {', '.join(_OPTIONS)}")
        if not equals:
            if not rest:
                raise UsageError(f"{name} needs a value")
            value = rest.pop(0)
        found[name] = value
    return found


def _number(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e9:
        raise UsageError(f"{name} is {value!r}", hint="it must be a number, 0 or more")
    return number


def _tell_failure(ready_fd: int | None, error: TestdError) -> None:
    text = f"error: {error}"
    sys.stderr.write(f"testd handler: {text}\n")
    if ready_fd is not None:
        os.write(ready_fd, text.encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
