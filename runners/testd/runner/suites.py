"""The one place that chooses a suite. Runs in stems; imports only the kind that was asked for."""

from typing import Any

from testd.runner.settings import Settings, SuiteFault

__all__ = ["choose"]


def choose(settings: Settings) -> Any:
    """Return the suite of the kind that the settings name, not yet started.

    Raises:
        SuiteFault: there is no such kind.
    """
    if settings.kind == "pytest":
        from testd.runner.pytest_suite import PytestSuite

        return PytestSuite(settings)
    if settings.kind == "exports":
        from testd.runner.exports_suite import ExportsSuite

        return ExportsSuite(settings)
    raise SuiteFault("config", f"unknown kind of suite {settings.kind!r}", "use pytest or exports")
