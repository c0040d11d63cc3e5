"""The one place that chooses a suite, and which checkpoints its start has. Imports only the kind that was asked for."""

from importlib.util import find_spec
from typing import Any, Tuple

from testd.runner.settings import Settings, SuiteFault

__all__ = ["checkpoints", "choose"]


def checkpoints(kind: str) -> "Tuple[str, ...]":
    """Return the names of what a kind's start goes through, from the first; collections are forked from the last."""
    return ("started", "plugins", "configured") if kind == "pytest" else ("started", "configured")


def choose(settings: Settings) -> Any:
    """Return the suite of the kind that the settings name, not yet started.

    Raises:
        SuiteFault: there is no such kind.
    """
    kind = settings.otherwise if settings.otherwise and find_spec("pytest") is None else settings.kind
    if kind == "pytest":
        from testd.runner.pytest_suite import PytestSuite

        return PytestSuite(settings)
    if kind == "exports":
        from testd.runner.exports_suite import ExportsSuite

        return ExportsSuite(settings)
    if kind == "cases":
        from testd.runner.cases_suite import CasesSuite

        return CasesSuite(settings)
    if kind == "workflow":
        from testd.invocation.suite import FunctionsSuite

        return FunctionsSuite(settings)
    raise SuiteFault("config", f"unknown kind of suite {kind!r}", "use pytest, exports, cases or workflow")
