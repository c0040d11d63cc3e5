"""Which failures are one and the same on several targets.

Runs in the client; loaded with the first failure of a run on several targets. Imports re.

Two failures of a test are the same when verdict and phase are, and what they say and the project's line that they come
from are, once everything is taken out that differs from target to target by nature: folders, addresses, versions of
the interpreter.
"""

from __future__ import annotations

import re

from testd_daemon.reports import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

#: Of a message so many characters are compared and kept: a rendered value may be megabytes long.
_COMPARED = 4000
_KEPT = 300

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]+\b")
#: The folders of an absolute path; its last part stays.
_FOLDERS = re.compile(r"(?<![\w./~+-])(?:/[\w.@+~%=-]+)+/(?=[\w.@+~%=-])")
#: `python3.12`, `Python 3.12.1`, `py312`, `cpython-312`, `v22.1.0` of Node.js.
_VERSION = re.compile(r"(?i)\b(python|pypy|cpython)[ -]?\d+(?:\.\d+)*\b|\bpy3\d+\b|\bv\d+\.\d+\.\d+\b")
_LIBRARY = ("site-packages", "dist-packages", "node_modules", "/lib/python", "<")


class Failure:
    """One failure of one test, on as many targets as have it."""

    def __init__(self, verdict: str, test: str, message: str) -> None:
        """Take what is told at the end."""
        self.verdict = verdict
        self.test = test
        self.message = message
        self.targets: list[str] = []


class Failures:
    """Every failure of a run."""

    def __init__(self) -> None:
        """Start with none."""
        self._by_test: dict[str, dict[int, Failure]] = {}

    def add(self, row: Sequence[Any]) -> Failure:
        """Take a row of a bad verdict; give the failure that it is, with this target among its targets."""
        test, target, verdict, detail = row[0], row[1], row[2], row[6] or {}
        of_test = self._by_test.setdefault(test, {})
        key = hash(signature(verdict, detail))
        failure = of_test.get(key)
        if failure is None:
            first = (str(detail.get("message") or "").splitlines() or [""])[0]
            failure = of_test[key] = Failure(verdict, test, safe.line(first[:_KEPT]))
        if target not in failure.targets:
            failure.targets.append(target)
        return failure

    def of(self, test: str) -> list[Failure]:
        """List the different failures of a test."""
        return list(self._by_test.get(test, {}).values())

    def __iter__(self) -> Iterator[Failure]:
        """Go through all of them, test by test."""
        for of_test in self._by_test.values():
            yield from of_test.values()


def signature(verdict: str, detail: Mapping[str, Any]) -> tuple[str, ...]:
    """Give what two failures of a test have in common when they are the same."""
    message = str(detail.get("message") or "")
    if not message:  # the last line of a traceback says where and what
        message = (str(detail.get("text") or "").rstrip().splitlines() or [""])[-1]
    return verdict, str(detail.get("phase") or ""), normal(message[:_COMPARED]), _line(detail.get("frames") or ())


def normal(text: str) -> str:
    """Take out of a message what differs from target to target by nature."""
    text = _ADDRESS.sub("0x…", text)
    text = _FOLDERS.sub("…/", text)
    return _VERSION.sub(lambda match: f"{(match[1] or '').lower()}…", text)


def _line(frames: Sequence[Mapping[str, Any]]) -> str:
    """Give the project's own line that is nearest to the failure: those of libraries differ by version."""
    for frame in reversed(frames):
        file = str(frame.get("file") or "")
        if file and not any(part in file for part in _LIBRARY):
            return f"{normal(file)}:{frame.get('line')}"
    return ""


__all__ = ["Failure", "Failures", "normal", "signature"]
