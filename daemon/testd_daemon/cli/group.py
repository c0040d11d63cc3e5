"""Verbs below a verb (`testd suite run`): which there are, and the module that does the work.

Runs in the client, on the quick path: imports our own parts of it.
"""

from __future__ import annotations

import sys

from testd_daemon.cli.arguments import nearest
from testd_daemon.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    #: Verb, its module, and what it does, in the order in which help lists them.
    Verbs = Mapping[str, tuple[str, str]]


def module_of(group: str, verbs: Verbs, verb: str) -> ModuleType:
    """Return the module of a verb below `testd GROUP`. Raises UsageError."""
    if verb not in verbs:
        near = nearest(verb, verbs)
        hint = f"Did you mean `testd {group} {near}`? " if near else ""
        raise UsageError(f"{group}: unknown verb: {verb}", hint=f"{hint}The verbs are {', '.join(verbs)}.")
    name = verbs[verb][0]
    __import__(name)
    return sys.modules[name]


def help_text(group: str, operand: str, verbs: Verbs, note: str) -> str:
    """Give what `testd GROUP` alone prints."""
    width = max(map(len, verbs))
    listed = "\n".join(f"  {verb:<{width}}  {summary}" for verb, (_, summary) in verbs.items())
    return f"usage: testd {group} VERB [OPTIONS] [{operand}]\n\nverbs:\n{listed}\n\n{note}\n"


__all__ = ["help_text", "module_of"]
