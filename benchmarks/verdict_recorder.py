"""Run `python -m pytest` as it is, and write the verdict on each test to a JSON file.

Runs in the interpreter of the project under comparison; imports the standard library and that interpreter's pytest.
`python verdict_recorder.py FILE [PYTEST ARGUMENTS]`. The file holds `{"verdicts": {node id: [verdict, …]}}`: for each
test the worst of its reports, in testd's words. A file that cannot be collected is an `error` under its own id, and one
that is skipped as a whole is `skipped` under it.

PYTEST_DONT_REWRITE (the plugin is this very module, which is imported before pytest could rewrite it)
"""

# ruff: noqa: PTH100, PTH105, PTH109, PTH123
# Nothing is imported here that `python -m pytest` might not import itself.

from __future__ import annotations

import json
import os
import runpy
import sys
from typing import Any

#: Worst first: what is the verdict on a test whose phases ended differently.
ORDER = ("failed", "error", "skipped", "xfailed", "xpassed", "passed")

verdicts: dict[str, list[str]] = {}
_reports: dict[str, list[str]] = {}
_repeated: set[str] = set()  # the attempt that is being made was not the last one: a plugin says so
_target = ""
_others = ""  # what the suite itself has in PYTEST_PLUGINS


def classify(report: Any) -> str | None:
    """Return the verdict that one report of one phase stands for, or None where it says nothing about the test."""
    if report.outcome == "rerun":
        return None
    if getattr(report, "context", None) is not None and report.outcome != "failed":
        return None  # a subtest: only its failure reaches the verdict on its test
    if hasattr(report, "wasxfail"):
        return "xfailed" if report.outcome == "skipped" else "xpassed"
    around = report.when in {"setup", "teardown"}  # plugins that take a test over have other names for its call
    if report.outcome == "failed":
        return "error" if around else "failed"
    if report.outcome == "skipped":
        return "skipped"
    return None if around else "passed"


def worst(found: list[str]) -> str:
    """Return the worst verdict of `found`; a test without any has not completed."""
    return min(found, key=ORDER.index) if found else "error"


def pytest_addoption() -> None:
    """Take back what loaded this plugin: the processes that a suite starts could not import it."""
    if _others:
        os.environ["PYTEST_PLUGINS"] = _others
    else:
        os.environ.pop("PYTEST_PLUGINS", None)


def pytest_runtest_logreport(report: Any) -> None:
    """Remember what this phase says."""
    if report.outcome == "rerun":
        _repeated.add(report.nodeid)
    verdict = classify(report)
    found = _reports.setdefault(report.nodeid, [])
    if verdict is not None:
        found.append(verdict)


def pytest_runtest_logfinish(nodeid: str) -> None:
    """Give the test its verdict, unless it is tried again."""
    found = _reports.pop(nodeid, [])
    if nodeid in _repeated:
        _repeated.discard(nodeid)
    else:
        verdicts.setdefault(nodeid, []).append(worst(found))


def pytest_collectreport(report: Any) -> None:
    """Record what cannot be collected, or asks to be skipped as a whole: pytest counts both in its summary."""
    if report.outcome != "passed":
        verdicts.setdefault(report.nodeid, []).append("error" if report.outcome == "failed" else "skipped")


def pytest_sessionfinish() -> None:
    """Write the file, whole or not at all."""
    temporary = _target + ".part"
    with open(temporary, "w", encoding="utf-8") as stream:
        json.dump({"verdicts": verdicts}, stream)
    os.replace(temporary, _target)


def main() -> None:
    """Become `python -m pytest`: its module search path, its arguments, its `__main__`."""
    global _target, _others
    _target = os.path.abspath(sys.argv[1])
    name = "verdict_recorder"
    sys.modules[name] = sys.modules["__main__"]
    sys.path[0] = os.getcwd()
    _others = os.environ.get("PYTEST_PLUGINS", "")
    os.environ["PYTEST_PLUGINS"] = ",".join(part for part in (_others, name) if part)
    del sys.argv[1]
    runpy.run_module("pytest", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
