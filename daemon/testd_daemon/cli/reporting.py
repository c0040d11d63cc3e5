"""From options to reports: the one place that chooses.

Runs in the client, on the quick path: a report's module is imported when it was chosen.
"""

from __future__ import annotations

import os
import sys

from testd_daemon.reports.terminal import describe, standard_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from testd_daemon.cli.arguments import Options
    from testd_daemon.reports.base import Report


def make_report(options: Options, workspace: str, cwd: str) -> Report:
    """Make the report that `--format`, `--junitxml`, `-v` and `-q` ask for. Raises UsageError."""
    terminal = standard_output(os.environ)
    main: Report
    if options.format == "json":
        from testd_daemon.reports.json import JsonReport
        from testd_protocol.version import __version__

        main = JsonReport(terminal, {"version": __version__, "workspace": workspace})
    else:
        from testd_daemon.reports.place import Place
        from testd_daemon.reports.text import TextReport, TextSettings

        again = ["--mode", options.mode] if getattr(options, "mode", None) else []
        settings = TextSettings(
            Place(workspace, cwd),
            verbosity=max(-1, min(2, options.verbose - options.quiet)),
            again=again,
            name_target=bool(getattr(options, "targets", ())),
        )
        main = TextReport(terminal, describe(sys.stderr, os.environ), settings)
    if not options.junitxml:
        return main
    from testd_daemon.reports.base import Several
    from testd_daemon.reports.junit import JunitReport

    return Several([main, JunitReport(options.junitxml)])


__all__ = ["make_report"]
