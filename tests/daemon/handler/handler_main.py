"""Starts a real handler with the fake agent and short deadlines: `handler_main.py [handler's options]`.

HANDLER_TEST in the environment is JSON: what differs from the settings, with those of `deadlines` under that key.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import testd_protocol.version

if "HANDLER_VERSION" in os.environ:  # before anything has read it
    testd_protocol.version.__version__ = os.environ["HANDLER_VERSION"]

from testd_daemon.errors import TestdError
from testd_daemon.handler import __main__ as entry
from testd_daemon.process import Patience

AGENT = Path(__file__).with_name("fake_agent.py")


def main():
    arguments = sys.argv[1:]
    if "--detach" in arguments:
        arguments.remove("--detach")
        entry._detach()
    settings = None
    try:
        settings = entry.read_settings(arguments, dict(os.environ))
        change = json.loads(os.environ.get("HANDLER_TEST", "{}"))
        deadlines = replace(settings.deadlines, **change.pop("deadlines", {}))
        settings = replace(
            settings,
            agent_command=(sys.executable, str(AGENT)),
            deadlines=deadlines,
            patience=Patience(1, 0.5, 5),
            **change,
        )
        return entry.run(settings)
    except TestdError as error:
        entry._tell_failure(settings.ready_fd if settings else None, error)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
