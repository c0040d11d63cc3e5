"""The JUnit report: one XML file, written at once when the run is over, whatever ended it.

The shape is pytest's `xunit2`: `testsuites/testsuite/testcase`, `classname` and `name` from the node id, one of
`failure`, `error` and `skipped` in a case. A test that crashed, timed out or never ended is an `error`.

A run on several targets has a suite for each, named as the target is. Their cases have the target in their names:
those who read such files tell tests apart by `classname` and `name` alone. docs/matrix.md says who reads what.

Runs in the client, when asked for: imports the standard library and our own helpers.
"""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testd_daemon.errors import UsageError
from testd_daemon.reports.base import Report
from testd_daemon.reports.junit_suite import Suite, listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Body = Mapping[str, Any]


#: The totals of a document, and what of `TargetReady` becomes properties of a suite.
_SUMS = ("tests", "failures", "errors", "skipped")
_PROPERTIES = ("python", "framework", "mode", "kind")


class JunitReport(Report):
    """A run as a JUnit XML file."""

    def __init__(self, path: str, clock: Any = time.time) -> None:
        """Write to `path` in the end. Raises UsageError now where that cannot work."""
        self._path = Path(path)
        self._started_at = clock()
        self._clock = clock
        self._suites: dict[str, Suite] = {}
        self._targets: dict[str, Body] = {}
        self._several = False
        self._duration: float | None = None
        self._broken: OSError | None = None
        _check(self._path)

    def on_plan(self, body: Body) -> None:
        """Keep which targets there are, in their order."""
        for target in body.get("targets") or {}:
            self._suite(str(target))

    def on_target(self, body: Body) -> None:
        """Keep what a target is."""
        self._targets.setdefault(str(body["target"]), body)
        self._suite(str(body["target"]))

    def on_unavailable(self, body: Body) -> None:
        """Tell a target that is not usable as a case of its own: an error, or skipped where it is not required."""
        target, verdict = str(body["target"]), "error" if body.get("required") else "unavailable"
        said = "\n".join(str(body[key]) for key in ("hint", "detail") if body.get(key))
        detail = {"message": f"target {target} is not usable: {body['message']}", "text": said}
        self._add([f"target {target}", target, verdict, 0.0, 0, 0, detail])

    def on_outcomes(self, body: Body) -> None:
        """Keep a case for each outcome."""
        for row in body["rows"]:
            self._add(row)

    def on_completed(self, body: Body) -> None:
        """Keep how long it took."""
        self._duration = float(body["duration"])

    def close(self) -> None:
        """Write the file beside its place, then move it there: nobody ever reads half of it."""
        try:
            if self._broken is not None:
                raise self._broken
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
        finally:
            for suite in self._suites.values():
                suite.close()

    def _suite(self, target: str) -> Suite:
        suite = self._suites.get(target)
        if suite is None:
            suite = self._suites[target] = Suite(self._path.absolute().parent)
            self._several = len(self._suites) > 1
        return suite

    def _add(self, row: Any) -> None:
        if self._broken is not None:
            return
        suite = self._suite(row[1])
        try:
            suite.add(row, f" [{row[1]}]" if self._several else "")
        except OSError as error:  # the run goes on; it is told at its end
            self._broken = error

    def _document(self) -> Iterator[str]:
        duration = self._clock() - self._started_at if self._duration is None else self._duration
        yield '<?xml version="1.0" encoding="utf-8"?>\n'
        if not self._several:
            suite = next(iter(self._suites.values()), Suite(self._path.parent))
            yield '<testsuites name="testd run">'
            yield from suite.element(self._attributes("testd", duration), {})
        else:
            sums = {key: sum(suite.totals[key] for suite in self._suites.values()) for key in _SUMS}
            totals = {key: str(count) for key, count in sums.items()}
            yield f"<testsuites {listed({'name': 'testd run', **totals, 'time': f'{duration:.3f}'})}>"
            for target, suite in self._suites.items():
                body = self._targets.get(target, {})
                properties = {key: str(body[key]) for key in _PROPERTIES if body.get(key)}
                attributes = self._attributes(target, suite.seconds, str(body.get("host") or ""))
                yield from suite.element(attributes, {"target": target, **properties})
                yield "\n"
        yield "</testsuites>\n"

    def _attributes(self, name: str, seconds: float, host: str = "") -> dict[str, str]:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self._started_at)) + "+00:00"
        return {
            "name": name,
            "time": f"{seconds:.3f}",
            "timestamp": moment,
            "hostname": host or socket.gethostname(),
        }


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


__all__ = ["JunitReport"]
