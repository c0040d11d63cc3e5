"""Tools in watch mode: save a file, and time until the tool has said what that does.

Runs in testd's environment (psutil). An edit changes the body of one function and no verdict.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import queue
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import psutil

from measuring import MeasureError

__all__ = ["Answer", "Edit", "Floor", "Testd", "Watched", "Watcher"]

#: Seconds for a tool to come up with its first run, and to answer to an edit.
START_DEADLINE, ANSWER_DEADLINE = 300.0, 120.0
#: Seconds that pass after an answer before the next edit: whoever prepares something may do so.
SETTLE = 1.0
_SUMMARY = re.compile(r"\b(\d+) (?:passed|failed|error|skipped|deselected)|no tests ran")


class Answer(NamedTuple):
    """What came of an edit. Seconds since the file was written."""

    first: float  # the first verdict; the same as `last` for a tool that is read by its summary
    last: float
    tests: int


class Making(Protocol):
    """Something that changes a file."""

    def make(self) -> None:
        """Write it with other content."""


class Edit:
    """Edits one function of a file again and again, and puts the file back."""

    def __init__(self, file: Path, function: str) -> None:
        """Find where the body of `function` (a qualified name) begins. Raises ValueError."""
        self.file = file
        self._text = file.read_text(encoding="utf-8")
        self._line, self._indent = _body(self._text, function)
        self._count = 0

    def make(self) -> None:
        """Write the file with another body, as an editor does: whole, in its place."""
        self._count += 1
        lines = self._text.splitlines(keepends=True)
        lines.insert(self._line - 1, f"{self._indent}_edited = {self._count}\n")
        self.file.write_text("".join(lines), encoding="utf-8")

    def __enter__(self) -> Edit:  # noqa: PYI034  typing has no Self in 3.10
        return self

    def __exit__(self, *_: object) -> None:
        self.file.write_text(self._text, encoding="utf-8")


def _body(text: str, function: str) -> tuple[int, str]:
    """Return the line of the first statement of a function behind its docstring, and its indentation."""
    found: ast.AST = ast.parse(text)
    for name in function.split("."):
        *_, found = (  # the last one: what comes before it are overloads
            node
            for node in ast.walk(found)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == name
        )
    assert isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef)
    first = found.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    statement = found.body[1] if documented and len(found.body) > 1 else first
    decorators = getattr(statement, "decorator_list", ())
    return min(node.lineno for node in (statement, *decorators)), " " * statement.col_offset


class Watched:
    """A tool in watch mode, as a process whose lines are read. `with` starts and ends it."""

    def __init__(self, name: str, command: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self._command = list(command)
        self._cwd = cwd
        self._environment = {**environment, "PYTHONUNBUFFERED": "1"}
        self._lines: queue.SimpleQueue[tuple[float, str]] = queue.SimpleQueue()

    def __enter__(self) -> Watched:  # noqa: PYI034  typing has no Self in 3.10
        self._process = subprocess.Popen(
            self._command, cwd=self._cwd, env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.answer(0.0, START_DEADLINE)
        except BaseException:  # nobody has it yet who could end it
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        children = psutil.Process(self._process.pid).children(recursive=True)
        family = [self._process.pid, *(child.pid for child in children)]
        self._process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(10)
        self._reader.join(10)

    def time(self, edit: Making) -> Answer:
        """Make an edit and wait for the answer."""
        self.rest()
        time.sleep(SETTLE)
        while not self._lines.empty():
            self._lines.get()
        began = time.perf_counter()
        edit.make()
        return self.answer(began, ANSWER_DEADLINE)

    def rest(self) -> None:
        """Wait until it can hear of a change."""

    def answer(self, began: float, deadline: float) -> Answer:
        """Wait for the summary of a run. Raises MeasureError."""
        for at, line in self._until(deadline):
            if _SUMMARY.search(line) and " in " in line:
                return Answer(at - began, at - began, sum(map(int, re.findall(r"(\d+) (?:passed|failed|error)", line))))
        raise AssertionError

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put((time.perf_counter(), line))

    def _until(self, deadline: float) -> Iterator[tuple[float, str]]:
        give_up = time.perf_counter() + deadline
        seen: list[str] = []
        while True:
            try:
                at, line = self._lines.get(timeout=max(0.0, give_up - time.perf_counter()))
            except queue.Empty:
                text = "".join(seen[-20:])
                raise MeasureError(f"{self.name} said nothing to an edit within {deadline:g} s:\n{text}") from None
            seen.append(line)
            yield at, line


class Watcher(Watched):
    """pytest-watcher: runs pytest when a file changes."""

    def __init__(self, python: Path, cwd: Path, environment: Mapping[str, str], paths: Sequence[str] = ()) -> None:
        command = [str(python), "-m", "pytest_watcher", ".", "--now", *paths, "-q"]
        super().__init__("pytest-watcher", command, cwd, environment)

    def rest(self) -> None:
        """Wait until its pytest has left: a change before that is lost to it. Raises MeasureError."""
        _, still = psutil.wait_procs(psutil.Process(self._process.pid).children(), timeout=ANSWER_DEADLINE)
        if still:
            raise MeasureError(f"{self.name}: pytest printed its summary and did not end")


class Testd(Watched):
    """`testd watch`, read by its events."""

    __test__ = False  # the name must not make pytest collect it

    def __init__(self, testd: Path, cwd: Path, environment: Mapping[str, str], paths: Sequence[str] = ()) -> None:
        super().__init__("testd", [str(testd), "watch", "--format", "json", *paths], cwd, environment)
        self.ran: list[str] = []  # the tests of the last answer

    def __enter__(self) -> Testd:  # noqa: PYI034  typing has no Self in 3.10
        super().__enter__()
        return self

    def answer(self, began: float, deadline: float) -> Answer:
        """Wait for the end of a generation that nothing superseded. Raises MeasureError."""
        first = 0.0
        self.ran = []
        for at, line in self._until(deadline):
            event = json.loads(line) if line.startswith("{") else {"event": ""}
            if event["event"] == "outcome":
                first = first or at
                self.ran.append(event["test"])
            elif event["event"] == "completed" and not event["reason"].startswith("superseded"):
                return Answer((first or at) - began, at - began, len(self.ran))
        raise AssertionError


class Floor:
    """One interpreter that stays, and loads again what an edit concerns (`warm_loop.py`). `with` starts and ends it."""

    def __init__(self, python: Path, cwd: Path, environment: Mapping[str, str]) -> None:
        self._command = [str(python), str(Path(__file__).with_name("warm_loop.py"))]
        self._cwd, self._environment = cwd, environment

    def __enter__(self) -> Floor:  # noqa: PYI034  typing has no Self in 3.10
        self._process = subprocess.Popen(
            self._command, cwd=self._cwd, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, start_new_session=True,
        )  # fmt: skip
        try:
            self._said()
        except BaseException:  # nobody has it yet who could end it
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def time(self, edit: Edit, tests: Sequence[str]) -> float:
        """Make an edit and have these tests run; return the seconds that took. Raises MeasureError."""
        time.sleep(SETTLE)
        began = time.perf_counter()
        edit.make()
        assert self._process.stdin is not None
        print(json.dumps({"file": str(edit.file), "tests": list(tests)}), file=self._process.stdin, flush=True)
        self._said()
        return time.perf_counter() - began

    def _said(self) -> None:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_DEADLINE)
        line = self._process.stdout.readline() if ready else ""
        if not line or json.loads(line)["code"] not in (0, 1, 5):
            raise MeasureError(f"the floor: {line or 'no answer'}")
