"""`testd pytest` where no daemon says what is to be executed: the same choice of an interpreter, made here.

Runs in the client, and only there: it imports the configuration.
"""

from __future__ import annotations

import os
import sys

from testd import workspace
from testd_daemon.agent.commands import program_of
from testd_daemon.agent.interpreter import choose
from testd_daemon.config import resolve
from testd_daemon.errors import TestdError


def command_line(arguments: list[str], reason: str) -> list[str]:
    """Return program and arguments. Raises TestdError: no interpreter, or a configuration that names none."""
    environment = dict(os.environ)
    try:
        root, _ = workspace.find(os.getcwd())  # noqa: PTH109
        settings = resolve(root, environment, {}).base
        python = choose(
            settings.settings.python, settings.sources["python"], root, environment, sys.executable or ""
        ).path
    except OSError:
        python = sys.executable
    except TestdError as error:
        error.detail = error.detail or reason
        raise
    program = program_of(python)
    return [*([program] if program else [python, "-m", "pytest"]), *arguments]


__all__ = ["command_line"]
