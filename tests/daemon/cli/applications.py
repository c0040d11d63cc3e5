"""Traced applications as processes, and what the daemon has of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

RUNNERS = Path(__file__).resolve().parents[3] / "runners"
SHOP = """
from testd import traced

@traced
def child(x): return 2 * x

@traced
def parent(xs): return [child(x) for x in xs]

@traced
def boom(): raise ValueError("bad value 42")
"""


class Application:
    """Programs in a project, and the traces that they leave."""

    def __init__(self, cli):
        self.cli = cli
        (cli.project / "pyproject.toml").write_text("[tool.testd]\n")
        (cli.project / "shop.py").write_text(SHOP)

    def write(self, code, name="app.py"):
        (self.cli.project / name).write_text(code)

    def environment(self, **more):
        return {**self.cli.environment, "PYTHONPATH": str(RUNNERS), "TESTD_TRACE": "1", **more}

    def run(self, code, *options, python=sys.executable, **more):
        """Run a program to its end, connected, and expect it to end well and say nothing."""
        self.write(code)
        done = subprocess.run(
            [python, *options, "app.py"], cwd=self.cli.project, env=self.environment(**more), text=True,
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def start(self, code, *options, python=sys.executable, **more):
        """Start a program with pipes; the test ends it."""
        self.write(code)
        return subprocess.Popen(
            [python, *options, "app.py"], cwd=self.cli.project, env=self.environment(**more), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def daemon(self):
        """See to it that there is a daemon, with an agent for the project; return the daemon's process id."""
        assert self.traces() == []
        return json.loads(self.cli.run("status", "--format", "json").stdout)["pid"]

    def traces(self, *options):
        """Return the entries that are kept, the newest first."""
        done = self.cli.run("traces", "--format", "json", "--limit", "9999", *options)
        assert (done.returncode, done.stderr) == (0, "")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def executed(self, trace):
        """Return the executed function of a trace."""
        done = self.cli.run("trace", "--json", trace)
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    def dropped(self):
        """Return what `testd traces` says of drops."""
        return [line for line in self.cli.run("traces").stdout.splitlines() if "did not get here" in line]


def handler_is_gone(pid):
    """Whether a process has ended; for `until`."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def until(condition):
    """Look until something is there, and return it."""
    give_up = time.monotonic() + 60.0
    while not (found := condition()):
        assert time.monotonic() < give_up, "what the test waits for never came"
        time.sleep(0.01)
    return found
