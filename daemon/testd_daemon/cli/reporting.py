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
    from testd_daemon.reports.terminal import Terminal
    from testd_daemon.reports.text import TextReport, TextSettings


def make_report(options: Options, workspace: str, cwd: str) -> Report:
    """Make the report that `--format`, `--junitxml`, `-v` and `-q` ask for. Raises UsageError."""
    terminal = standard_output(os.environ)
    main: Report
    if options.format == "json":
        from testd_daemon.reports.json import JsonReport
        from testd_protocol.version import __version__

        main = JsonReport(terminal, {"version": __version__, "workspace": workspace})
    elif getattr(options, "workflow", False):
        main = workflow_report(options, terminal)
    else:
        main = text_report(terminal, settings_for(options, workspace, cwd))
    if not options.junitxml:
        return main
    from testd_daemon.reports.base import Several
    from testd_daemon.reports.junit import JunitReport

    return Several([main, JunitReport(options.junitxml)])


def workflow_report(options: Options, terminal: Terminal) -> Report:
    """Make the report of a workflow's run."""
    from testd_daemon.reports.workflow import WorkflowReport

    return WorkflowReport(
        terminal,
        describe(sys.stderr, os.environ),
        verbosity=max(-1, min(2, options.verbose - options.quiet)),
        follow=getattr(options, "follow", False),
    )


def settings_for(options: Options, workspace: str, cwd: str) -> TextSettings:
    """Say how a text report is to be written."""
    from testd_daemon.reports.place import Place
    from testd_daemon.reports.text import TextSettings

    return TextSettings(
        Place(workspace, cwd, getattr(options, "verb", "run")),
        verbosity=max(-1, min(2, options.verbose - options.quiet)),
        again=["--mode", options.mode] if getattr(options, "mode", None) else [],
        name_target=bool(getattr(options, "targets", ())),
    )


def text_report(terminal: Terminal, settings: TextSettings, errors: Terminal | None = None) -> TextReport:
    """Make a text report; why something could not be done goes to standard error, or to `errors`."""
    from testd_daemon.reports.text import TextReport

    return TextReport(terminal, errors or describe(sys.stderr, os.environ), settings)


__all__ = ["make_report", "settings_for", "text_report", "workflow_report"]
