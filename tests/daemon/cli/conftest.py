"""A project folder, an environment of its own, and the command as a process in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from fake_handler import DEADLINE, FakeHandler


class Cli:
    """`testd` from outside."""

    def __init__(self, home, project, cache):
        self.home = home
        self.project = project
        self.runtime = home / "run"
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("TESTD_", "PYTEST_", "FORCE_", "NO_COLOR"))
            },
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # hypothesis' plugin costs a second at each start
            "TESTD_RUNTIME_DIR": str(self.runtime),
            "TESTD_STATE_DIR": str(home / "state"),
            "TESTD_CACHE_DIR": str(cache),
            "HOME": str(home),
            "COLUMNS": "100",
        }
        self.environment.pop("VIRTUAL_ENV", None)

    def command(self, *arguments):
        return [sys.executable, "-m", "testd_daemon.cli", *arguments]

    def run(self, *arguments, cwd=None, **environment):
        """Run a command to its end."""
        return subprocess.run(
            self.command(*arguments),
            cwd=cwd or self.project,
            env={**self.environment, **environment},
            timeout=DEADLINE * 3,
            capture_output=True,
            check=False,
            text=True,
            encoding="utf-8",
        )

    def start(self, *arguments, **options):
        """Start a command; the test ends it."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.project,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )

    def fake(self, script=None, **answers):
        """Be the handler."""
        return FakeHandler(self.runtime, script, **answers)


@pytest.fixture
def cli(tmp_path, runner_cache):
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    home = tmp_path / "h"
    home.mkdir()
    made = Cli(home, project, runner_cache)
    yield made
    made.run("stop")  # a daemon that a test has started


@pytest.fixture
def ended():
    """End what a test has started, whatever happened to it."""
    started = []
    yield started.append
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate(timeout=DEADLINE)
