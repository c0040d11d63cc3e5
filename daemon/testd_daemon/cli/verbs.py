"""The table of verbs: the one place that knows them all. A verb's module is imported when it was chosen.

Each module has `OPERANDS`, `EPILOG` where it needs one, `arguments(parser)` and `main(options) -> exit status`; one
that is VERBATIM has `main(words) -> exit status` alone.
Runs in the client, on the quick path: imports nothing.
"""

from __future__ import annotations

#: Verb, its module, and what it does, in the order in which help lists them.
VERBS: dict[str, tuple[str, str]] = {
    "run": ("testd_daemon.cli.run", "run tests, warm where that is possible"),
    "watch": ("testd_daemon.cli.watch", "run tests, and what each change of a file affects from then on"),
    "list": ("testd_daemon.cli.list", "list tests without running them"),
    "suite": ("testd_daemon.cli.suite", "run, watch and list suites of cases, and make them of recorded calls"),
    "run-file": ("testd_daemon.cli.run_file", "run the functions that a file names, and write into it what came"),
    "workflow": ("testd_daemon.cli.workflow", "run workflows of functions around an object store, and look at them"),
    "record": ("testd_daemon.cli.record", "run a program, and keep what its traced functions do"),
    "traces": ("testd_daemon.cli.traces", "list what traced functions did, or forget it"),
    "trace": ("testd_daemon.cli.trace", "show a recorded call and all that it called"),
    "pytest": ("testd_daemon.cli.pytest", "pytest itself, warm: a drop-in for the command"),
    "attach": ("testd_daemon.cli.attach", "follow a run that was started elsewhere"),
    "cancel": ("testd_daemon.cli.cancel", "end a run early"),
    "status": ("testd_daemon.cli.status", "show the daemon, its runners and its runs"),
    "why": ("testd_daemon.cli.why", "show whether a test is affected by what has changed, and by what"),
    "history": ("testd_daemon.cli.history", "show past runs, or how a test has fared"),
    "flaky": ("testd_daemon.cli.flaky", "show tests that change their verdict by themselves"),
    "logs": ("testd_daemon.cli.logs", "show what the daemon has logged"),
    "doctor": ("testd_daemon.cli.doctor", "show what testd finds here, and what is wrong with it"),
    "targets": ("testd_daemon.cli.targets", "show on what tests can run here, and why not"),
    "stop": ("testd_daemon.cli.stop", "end the daemon and everything that it started"),
    "daemon": ("testd_daemon.cli.daemon", "run the daemon in the foreground (for service managers)"),
}


def help_text() -> str:
    """Give what `testd` alone prints."""
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {summary}" for verb, (_, summary) in VERBS.items())
    return (
        "usage: testd VERB [OPTIONS]\n\n"
        "A test daemon: keeps runners warm and runs your tests.\n\n"
        f"verbs:\n{verbs}\n\n"
        "options:\n"
        "  -h, --help     show this, or with a verb what the verb takes\n"
        "  -V, --version  show the version\n\n"
        "Start with `testd run`: it needs no configuration, and starts the daemon when none runs.\n"
    )


__all__ = ["VERBS", "help_text"]
