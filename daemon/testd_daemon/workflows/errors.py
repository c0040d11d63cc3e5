"""The exceptions of workflows.

UsageError
└── WorkflowError    a workflow's file is wrong: each violation, with its place (exit 4)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from testd_daemon.errors import UsageError

__all__ = ["Violation", "WorkflowError"]


class Violation(NamedTuple):
    """One thing that is wrong in a document: where it stands, and what is wrong there and would be right."""

    place: str  # ActionList.start.InvokeNext[0]; empty: the document as a whole
    text: str
    line: int = 0  # from 1; 0: not known

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place else self.text


class WorkflowError(UsageError):
    """A workflow's file cannot be used. `violations` has all that is wrong with it, `file` its name."""

    code = "workflow"

    def __init__(self, file: str, violations: Sequence[Violation]) -> None:
        """Take the file's name and what is wrong with it, which is at least one thing."""
        self.file = file
        self.violations = tuple(violations)
        lines = [f"{file}:{each.line}: {each}" if each.line else f"{file}: {each}" for each in violations]
        if len(lines) == 1:
            super().__init__(lines[0])
        else:
            super().__init__(f"{file}: {len(lines)} mistakes", detail="\n".join(lines))
