"""What may be asked of the judge, and what it answers: JSON in, JSON out. Runs in the judge's process.

    {"code": source, "executed": {…}}   does an assertion in JavaScript hold of an executed function?
    → {"failure": why it does not, or ""}

    {"text": a document}                which of its cases or items are for a Node.js?
    → {"kind": …, "head": {…}, "parts": [{"name", "line", "value", "problems"} …]}

    {"case": {…}, "executed": {…}, "error": why it could not be run, "raised": [names of types …], "documents": true}
    → {"verdict": …, "message": …, "text": …, "document": its result, as JSON, empty where nobody wants documents}

Each is answered with `{"mistake": …}` where that cannot be done.
"""

from __future__ import annotations

import json

from testd_daemon.judge import cases, javascript

__all__ = ["answer"]


def answer(document: str) -> str:
    """Return the answer to a question."""
    asked = json.loads(document)
    try:
        if "text" in asked:
            made = cases.read(asked["text"])
        elif "case" in asked:
            made = cases.judged(asked)
        else:
            made = {"failure": javascript.holds(asked["code"], asked["executed"])}
    except ValueError as mistake:
        made = {"mistake": str(mistake)}
    return json.dumps(made)
