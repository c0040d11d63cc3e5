"""`testd workflow VERB`: run workflows, and see how they go, what they are, and where their time went.

Runs in the client.
"""

from __future__ import annotations

import sys

from testd_daemon.cli import group

#: What follows is parsed by the verb that it names.
VERBATIM = True
#: Verb below this one, the module that does the work, and what it does.
VERBS = {
    "run": ("testd_daemon.cli.workflow_run", "run a workflow's functions here, in the order of its graph"),
    "graph": ("testd_daemon.cli.workflow_graph", "show what follows what, as text, as SVG or as JSON"),
    "status": ("testd_daemon.cli.workflow_status", "show how a run stands, function by function"),
    "logs": ("testd_daemon.cli.workflow_logs", "show what functions of a run have logged, and what comes"),
    "metrics": ("testd_daemon.cli.workflow_metrics", "show where the time of a run went, also beside earlier ones"),
    "clean": ("testd_daemon.cli.workflow_clean", "remove the buckets that a run has made for itself"),
    "cancel": ("testd_daemon.cli.workflow_cancel", "end a run early"),
}


def main(words: list[str]) -> int:
    """Carry out what the first word says. Returns the exit status."""
    from testd_daemon.cli.arguments import Parser
    from testd_daemon.cli.entry import parse

    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(help_text())
        return 0
    module = group.module_of("workflow", VERBS, words[0])
    parser = Parser(f"workflow {words[0]}", VERBS[words[0]][1], module.OPERANDS, getattr(module, "EPILOG", ""))
    module.arguments(parser)
    return int(module.main(parse(parser, words[1:])))


def help_text() -> str:
    """Give what `testd workflow` alone prints."""
    return group.help_text("workflow", "FILE|RUN", VERBS, "`testd workflow VERB --help` lists what each takes.")


__all__ = ["VERBATIM", "VERBS", "help_text", "main"]
