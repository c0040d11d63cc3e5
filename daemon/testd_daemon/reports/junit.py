"""The JUnit report: one XML file, written at once when the run is over, whatever ended it.

The shape is pytest's `xunit2`: `testsuites/testsuite/testcase`, `classname` and `name` from the node id, one of
`failure`, `error` and `skipped` in a case. A test that crashed, timed out or never ended is an `error`.

Runs in the client, when asked for: imports the standard library and our own helpers. The XML is written by hand, since
an element tree of 60,000 tests would cost more than the run.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testd_daemon.errors import UsageError
from testd_daemon.reports.base import Report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Body = Mapping[str, Any]

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_TEXT = str.maketrans(_ESCAPES)
_MARKUP = str.maketrans({**_ESCAPES, '"': "&quot;", "\n": "&#10;", "\t": "&#9;"})
#: What XML 1.0 cannot hold, even escaped.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PHASES = {
    "setup": "failed on setup with ",
    "teardown": "failed on teardown with ",
    "collect": "collection failure: ",
}
#: What needs no escape at all: nearly every name.
_PLAIN = re.compile(r"[\w .,:;/\[\]()=+-]*", re.ASCII)
_SKIPPED = {"skipped": "pytest.skip", "xfailed": "pytest.xfail", "cancelled": "testd.cancelled"}


class JunitReport(Report):
    """A run as a JUnit XML file."""

    def __init__(self, path: str, clock: Any = time.time) -> None:
        """Write to `path` in the end. Raises UsageError now where that cannot work."""
        self._path = Path(path)
        self._started_at = clock()
        self._clock = clock
        self._cases: list[str] = []
        self._totals = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
        self._duration: float | None = None
        _check(self._path)

    def on_outcomes(self, body: Body) -> None:
        """Keep a case for each outcome."""
        for row in body["rows"]:
            self._cases.append(self._case(row))

    def on_completed(self, body: Body) -> None:
        """Keep how long it took."""
        self._duration = float(body["duration"])

    def close(self) -> None:
        """Write the file beside its place, then move it there: nobody ever reads half of it."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.writelines(self._document())
                Path(temporary).chmod(0o666 & ~_umask())
                os.replace(temporary, self._path)  # noqa: PTH105 - the temporary name is a string
            except BaseException:
                with contextlib.suppress(OSError):
                    Path(temporary).unlink()
                raise
        except OSError as error:
            raise UsageError(f"{self._path}: the JUnit report cannot be written: {error.strerror}") from error

    def _document(self) -> list[str]:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self._started_at)) + "+00:00"
        duration = self._clock() - self._started_at if self._duration is None else self._duration
        totals = " ".join(f'{name}="{count}"' for name, count in self._totals.items())
        host = _value(socket.gethostname())
        suite = f'name="testd" {totals} time="{duration:.3f}" timestamp="{moment}" hostname="{host}"'
        return [
            '<?xml version="1.0" encoding="utf-8"?>\n<testsuites name="testd run">',
            f"<testsuite {suite}>\n",
            *self._cases,
            "</testsuite></testsuites>\n",
        ]

    def _case(self, row: Sequence[Any]) -> str:
        test, target, verdict, duration, _, _, detail = row[:7]
        classname, name = names(test)
        self._totals["tests"] += 1
        inside = (
            self._result(verdict, detail or {}) + "".join(_printed(detail)) if detail or verdict != "passed" else ""
        )
        return (
            f'<testcase classname="{_value(classname)}" name="{_value(name)}" time="{duration:.3f}"><properties>'
            f'<property name="target" value="{_value(target)}"/></properties>{inside}</testcase>\n'
        )

    def _result(self, verdict: str, detail: Body) -> str:
        message, text = str(detail.get("message") or ""), str(detail.get("text") or "")
        if verdict in ("passed", "xpassed"):
            return ""
        if verdict in _SKIPPED:
            self._totals["skipped"] += 1
            kind = _SKIPPED[verdict]
            return f'<skipped type="{kind}" message="{_value(message or verdict)}">{_body(text)}</skipped>'
        if detail.get("leaks"):
            text += "\n\nleft behind:\n" + "\n".join(map(str, detail["leaks"]))
        if detail.get("stacks"):
            text += f"\n\n{detail['stacks']}"
        if verdict == "failed":
            self._totals["failures"] += 1
            return f'<failure message="{_value(message or verdict)}">{_body(text)}</failure>'
        self._totals["errors"] += 1
        plain = "" if verdict == "error" else f"{verdict}: "
        said = _PHASES.get(str(detail.get("phase") or ""), plain) + message
        return f'<error message="{_value(said or verdict)}">{_body(text)}</error>'


def names(test: str) -> tuple[str, str]:
    """Split a node id into `classname` and `name` as pytest does.

    `a/test_b.py::C::test_d[x]` becomes `a.test_b.C` and `test_d[x]`.
    """
    path, bracket, parameters = test.partition("[")
    file, colons, rest = path.partition("::")
    if not colons:
        return "", test  # a file that could not be collected
    *classes, name = rest.split("::")
    return ".".join([file.replace("/", ".").removesuffix(".py"), *classes]), name + bracket + parameters


def _printed(detail: Body | None) -> list[str]:
    """Give what the test printed: pytest's sections, under their headings, apart by stream."""
    streams: dict[str, list[str]] = {"system-out": [], "system-err": []}
    for section in (detail or {}).get("sections") or ():
        element = "system-err" if "stderr" in str(section["name"]) else "system-out"
        streams[element].append(f" {section['name']} ".center(80, "-") + f"\n{section['text']}")
    return [f"<{element}>{_body(chr(10).join(texts))}</{element}>" for element, texts in streams.items() if texts]


def _legal(text: str) -> str:
    return _ILLEGAL.sub(lambda match: f"#x{ord(match[0]):02X}", text)


def _value(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    return _legal(text).translate(_MARKUP)


def _body(text: str) -> str:
    return _legal(text).translate(_TEXT)


def _umask() -> int:
    mask = os.umask(0o077)  # there is no way to only read it
    os.umask(mask)
    return mask


def _check(path: Path) -> None:
    if path.is_dir():
        raise UsageError(f"--junitxml {path}: this is a folder", hint="Give the path of a file.")
    nearest = next(parent for parent in [*path.absolute().parents] if parent.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise UsageError(f"--junitxml {path}: cannot write in {nearest}", hint="Give a path in a folder of yours.")


__all__ = ["JunitReport", "names"]
