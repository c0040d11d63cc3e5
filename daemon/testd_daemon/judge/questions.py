"""What may be asked of the judge, and what it answers: JSON in, JSON out. Runs in the judge's process.

    {"code": source, "executed": {…}}   does an assertion in JavaScript hold of an executed function?
    → {"failure": why it does not, or ""}

Either is answered with `{"mistake": …}` where an assertion cannot be carried out.
"""

from __future__ import annotations

import json
from typing import Any

from testd.functions.operators import AssertionMistake
from testd_daemon.judge import javascript

__all__ = ["answer"]


def answer(document: str) -> str:
    """Return the answer to a question."""
    try:
        made = _code(json.loads(document))
    except AssertionMistake as mistake:
        made = {"mistake": str(mistake)}
    return json.dumps(made)


def _code(asked: dict[str, Any]) -> dict[str, Any]:
    return {"failure": javascript.holds(asked["code"], asked["executed"])}
