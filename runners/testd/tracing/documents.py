"""The executed function: a recorded call with all that it called, as JSON. Runs in the user's process."""

from __future__ import annotations

from testd.tracing.identifiers import identifiers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from testd.tracing.calls import Call

__all__ = ["document", "flat"]


def document(root: Call) -> dict[str, Any]:
    """Return the executed function of a call, its children included. Times are milliseconds, since the epoch.

    Calls that have not ended have no `end_time`, and `unfinished` in their context.
    """
    made = _alone(root)
    pending = [(root, made)]
    while pending:  # not recursive: calls may be deep
        call, executed = pending.pop()
        for child in list(call.children):
            inner = _alone(child)
            executed["children"].append(inner)
            pending.append((child, inner))
    return made


def flat(root: Call) -> Iterator[dict[str, Any]]:
    """Give the executed function of each call without its `children`: callers first, siblings as they began."""
    pending = [root]
    while pending:
        call = pending.pop()
        executed = _alone(call)
        del executed["children"]
        yield executed
        pending += reversed(list(call.children))


def _alone(call: Call) -> dict[str, Any]:
    subject, failure = call.subject, call.failure
    call.id = call.id or identifiers.next()
    start = call.started * 1000
    end = None if call.ended is None else call.ended * 1000
    return {
        "name": subject.name,
        "id": call.id,
        "parent_id": call.parent.id if call.parent is not None else None,
        "input": call.input,
        "output": call.output,
        "thrown_error": failure.text if failure is not None else None,
        "error_type": failure.kind if failure is not None else None,
        "stack": failure.stack if failure is not None else None,
        "executed_successfully": failure is None and end is not None,
        "children": [],
        "execution_context": _context(call),
        "description": subject.settings.description,
        "module": subject.module,
        "file": subject.file,
        "line": subject.line,
        "start_time": start,
        "end_time": end,
        "total_time": None if end is None else end - start,
    }


def _context(call: Call) -> dict[str, Any]:
    """Return what is said of the record itself; what is not the case is not there."""
    settings = call.subject.settings
    context: dict[str, Any] = {
        "copy_input": settings.copy_input,
        "deep_copy_input": settings.deep_copy_input,
        "copy_output": settings.copy_output,
        "deep_copy_output": settings.deep_copy_output,
    }
    said = {
        "copy_input_error": "; ".join(call.input_reasons),
        "copy_output_error": "; ".join(call.output_reasons),
        "input_cut": call.input_cut,
        "output_cut": call.output_cut,
        "children_cut": call.children_cut,
        "is_mocked": call.mock is not None,
        "unfinished": call.ended is None,
    }
    context.update((key, value) for key, value in said.items() if value)
    return context
