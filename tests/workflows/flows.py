"""Workflows from outside: a workspace with functions, the command as a process, a real daemon, and what it left."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

from house import House

#: A run that is not over by then hangs.
DEADLINE = 120.0
BUCKET = "bucket"

__all__ = ["BUCKET", "DEADLINE", "Flow", "Told", "document", "git"]


def document(actions: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Make a workflow's document. An action is what it invokes, or a map of its keys; its function has its name."""
    first = next(iter(actions))
    listed = {}
    for name, action in actions.items():
        keys = action if isinstance(action, dict) and "True" not in action else {"InvokeNext": action}
        listed[name] = {"FaaSServer": "gh", "FunctionName": name.replace("-", "_"), "Type": "Python", **keys}
    return {
        "WorkflowName": "Flow",
        "FunctionInvoke": first,
        "FaaSrLog": "FaaSrLog",
        "DefaultDataStore": "S3",
        "LoggingDataStore": "S3",
        "ActionList": listed,
        "ComputeServers": {"gh": {"FaaSType": "GitHubActions", "UserName": "u", "ActionRepoName": "r"}},
        "DataStores": {"S3": {"Bucket": BUCKET, "Endpoint": "https://s3.example.invalid", "Region": "us-east-1"}},
        **more,
    }


def git(folder: Path, *arguments: str) -> None:
    """Run git as somebody."""
    who = ["-c", "user.name=eve", "-c", "user.email=eve@example.invalid", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


class Told:
    """What a run told, as JSON events, and what is in its store as long as the daemon lives."""

    def __init__(self, code: int, lines: str, errors: str) -> None:
        self.code = code
        self.errors = errors
        self.events: list[dict[str, Any]] = [json.loads(line) for line in lines.splitlines()]

    def of(self, name: str) -> list[dict[str, Any]]:
        """Return the events of a kind."""
        return [event for event in self.events if event["event"] == name]

    @property
    def completed(self) -> dict[str, Any]:
        """The last event."""
        assert self.events, self.errors
        assert self.events[-1]["event"] == "completed", self.events[-1]
        return self.events[-1]

    @property
    def plan(self) -> dict[str, Any]:
        """What the workflow is, and where its store is, as it was told last."""
        return self.of("workflow")[-1]

    @property
    def statuses(self) -> dict[str, str]:
        """The last status of each function."""
        return {event["function"]: event["status"] for event in self.of("function")}

    @property
    def history(self) -> dict[str, list[str]]:
        """All statuses of each function, in order."""
        found: dict[str, list[str]] = {}
        for event in self.of("function"):
            found.setdefault(event["function"], []).append(event["status"])
        return found

    @property
    def verdicts(self) -> dict[str, str]:
        """The verdict of each row; none may come twice."""
        rows = [event["test"] for event in self.of("outcome")]
        assert len(rows) == len(set(rows)), rows
        return {event["test"]: event["verdict"] for event in self.of("outcome")}

    def message(self, function: str) -> str:
        """Return what is said of a function's failure, in one line."""
        (row,) = [event for event in self.of("outcome") if event["test"] == function]
        return row["detail"]["message"] if row["detail"] else ""

    def why(self, function: str) -> str:
        """Return why a function has its last status."""
        return [event["why"] for event in self.of("function") if event["function"] == function][-1]

    def printed(self, function: str) -> str:
        """Return what a function printed and logged, live."""
        return "".join(event["text"] for event in self.of("output") if event["test"] == function)

    @cached_property
    def client(self) -> Any:
        """A client of the run's store."""
        import boto3

        store = self.plan["store"]
        return boto3.client(
            "s3", endpoint_url=store["endpoint"], region_name="us-east-1", aws_access_key_id=store["access_key"],
            aws_secret_access_key=store["secret_key"],
        )  # fmt: skip

    def failures(self) -> str:
        """Return all that is said of functions that failed, and of the run, for whoever reads a test's failure."""
        texts = [f"{event['test']}: {(event['detail'] or {}).get('text')}" for event in self.of("outcome")]
        return "\n".join([*texts, str(self.events[-1:]), self.errors])

    def stored(self, prefix: str = "") -> list[str]:
        """Return all keys of the store."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def left(self) -> list[str]:
        """Return what the run left below its folder, seen from there."""
        folder = self.plan["folder"] + "/"
        return sorted(key[len(folder) :] for key in self.stored(folder))

    def text(self, key: str) -> str:
        """Return an object's content."""
        return self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()

    def log(self, function: str) -> str:
        """Return a function's log."""
        return self.text(f"{self.plan['folder']}/{function}.txt")


class Flow:
    """A workspace with a workflow, and the daemon that runs it."""

    def __init__(self, house: House, root: Path) -> None:
        self.house = house
        self.root = root
        self.running: list[Running] = []
        self.marks = root  # where functions leave marks
        self.environment = dict(house.environment)
        (root / "testd.toml").touch()

    def functions(self, text: str, name: str = "functions/all.py") -> None:
        """Write a file of functions."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def workflow(self, actions: Mapping[str, Any], **more: Any) -> None:
        """Write the workflow's document."""
        (self.root / "workflow.json").write_text(json.dumps(document(actions, **more)))

    def command(self, *arguments: str) -> list[str]:
        """Return a command line."""
        return [sys.executable, "-m", "testd_daemon.cli", *arguments]

    def run(self, *arguments: str, **environment: str) -> Told:
        """Run the workflow to its end."""
        done = subprocess.run(
            self.command("workflow", "run", "workflow.json", "--format", "json", *arguments), cwd=self.root,
            env={**self.environment, **environment}, capture_output=True, text=True, timeout=DEADLINE, check=False,
        )  # fmt: skip
        return Told(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> Running:
        """Begin to run the workflow."""
        return self._begin("workflow", "run", "workflow.json", "--format", "json", *arguments)

    def attach(self, run: str) -> Running:
        """Follow a run from its beginning."""
        return self._begin("attach", run, "--format", "json")

    def _begin(self, *arguments: str) -> Running:
        process = subprocess.Popen(
            self.command(*arguments), cwd=self.root, env=self.environment, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, bufsize=0,
        )  # fmt: skip
        self.running.append(Running(process))
        return self.running[-1]

    @staticmethod
    def wait(condition: Callable[[], bool]) -> None:
        """Wait for what nothing tells of."""
        give_up = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < give_up, "it did not come"
            time.sleep(0.01)

    def agent(self) -> int:
        """Return the process id of the workspace's agent."""
        return self._one("testd_daemon.agent")

    def handler(self) -> int:
        """Return the process id of the handler."""
        return self._one("testd_daemon.handler")

    def processes(self, part: str) -> list[int]:
        """Return the processes that have a text in their command line."""
        found = {process.pid: _line(process) for process in self.house.processes()}
        return [pid for pid, line in found.items() if any(part in word for word in line)]

    def runner(self) -> int:
        """Return the process of the one runner: the agent's child that is no store."""
        agent = self.agent()
        children = [process for process in self.house.processes() if _parent(process) == agent]
        (found,) = [process.pid for process in children if not any("store.server" in word for word in _line(process))]
        return found

    def close(self) -> None:
        """End the commands that a test has not waited for."""
        for running in self.running:
            running.process.kill()
            running.process.communicate(timeout=DEADLINE)

    def _one(self, module: str) -> int:
        (found,) = [process.pid for process in self.house.processes() if module in _line(process)]
        return found


def _line(process: psutil.Process) -> list[str]:
    """Return a command line; none of a process that has just ended."""
    try:
        return process.cmdline() if process.status() != psutil.STATUS_ZOMBIE else []
    except psutil.Error:
        return []


def _parent(process: psutil.Process) -> int:
    """Return the parent of a process that lives."""
    try:
        return process.ppid() if process.status() != psutil.STATUS_ZOMBIE else 0
    except psutil.Error:
        return 0


class Running:
    """A run under way. Its pipes have no buffer: `communicate` would not see what is in one."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._lines: list[str] = []

    def until(self, **wanted: Any) -> dict[str, Any]:
        """Read events until one has these keys; return it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.append(line.decode())
            event: dict[str, Any] = json.loads(line)
            if all(event.get(key) == value for key, value in wanted.items()):
                return event
        raise AssertionError(f"no event has {wanted}: {''.join(self._lines[-20:])}")

    def seen(self, **wanted: Any) -> dict[str, Any]:
        """Return the last event so far that has these keys."""
        events = [json.loads(line) for line in self._lines]
        return [event for event in events if all(event.get(key) == value for key, value in wanted.items())][-1]

    def interrupt(self) -> None:
        """Send the command what Ctrl-C sends."""
        self.process.send_signal(signal.SIGINT)

    def end(self) -> Told:
        """Wait for the end."""
        out, errors = self.process.communicate(timeout=DEADLINE)
        return Told(self.process.returncode, "".join(self._lines) + out.decode(), errors.decode())
