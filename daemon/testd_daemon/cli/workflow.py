"""`testd workflow VERB`: run workflows of functions around an object store, and look at them.

Runs in the client, on the quick path: each verb is a module of its own, imported when it was chosen.
"""

from __future__ import annotations

import sys

from testd_daemon.cli.arguments import nearest
from testd_daemon.errors import UsageError

#: What follows is parsed by the verb that it names.
VERBATIM = True
#: Verb below this one, the module that does the work, and what it does.
VERBS = {
    "run": ("testd_daemon.cli.workflow_run", "run a workflow's functions here, in the order of its graph"),
}


def main(words: list[str]) -> int:
    """Carry out what the first word says. Returns the exit status."""
    from testd_daemon.cli.arguments import Parser
    from testd_daemon.cli.entry import parse

    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(help_text())
        return 0
    verb = words[0]
    if verb not in VERBS:
        near = nearest(verb, VERBS)
        hint = f"Did you mean `testd workflow {near}`? " if near else ""
        raise UsageError(f"workflow: unknown verb: {verb}", hint=f"{hint}The verbs are {', '.join(VERBS)}.")
    name, summary = VERBS[verb]
    __import__(name)
    module = sys.modules[name]
    parser = Parser(f"workflow {verb}", summary, module.OPERANDS, module.EPILOG)
    module.arguments(parser)
    return int(module.main(parse(parser, words[1:])))


def help_text() -> str:
    """Give what `testd workflow` alone prints."""
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {summary}" for verb, (_, summary) in VERBS.items())
    return (
        "usage: testd workflow VERB [OPTIONS] FILE\n\n"
        f"verbs:\n{verbs}\n\n"
        "`testd workflow VERB --help` lists what each takes. Workflows are described in docs/workflows.md.\n"
    )


__all__ = ["VERBATIM", "VERBS", "help_text", "main"]
