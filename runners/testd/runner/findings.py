"""The messages in which a stem tells the agent what it has found. Pure; standard library only."""

from typing import Any, Dict, Iterator, List

from testd.runner.settings import Collection, SuiteFault

__all__ = ["collected", "dependencies", "fault"]

_PAGE = 5000  # tests, or files, in one message
_LONGEST = 65536  # characters of a fault's detail: its end

Message = Dict[str, Any]


def dependencies(checkpoint: str, collection: int, files: "List[Any]", directories: "List[Any]") -> "Iterator[Message]":
    """Yield what a checkpoint depends on, in pages."""
    for start in range(0, max(len(files), 1), _PAGE):
        yield {
            "type": "Dependencies",
            "checkpoint": checkpoint,
            "collection": collection,
            "files": files[start : start + _PAGE],
            "directories": directories if start == 0 else [],
        }


def collected(number: int, found: Collection, suite: Any, unforkable: str, strangers: Any) -> "Iterator[Message]":
    """Yield a collection, in pages. `unforkable` is why workers cannot be forked from it, or empty."""
    items = found.items
    for begin in range(0, max(len(items), 1), _PAGE):
        done = begin + _PAGE >= len(items)
        yield {
            "type": "Collected",
            "collection": number,
            "items": [list(item) for item in items[begin : begin + _PAGE]],
            "done": done,
            "errors": [{"id": i, "detail": d, "verdict": v} for i, v, d in found.errors] if done else [],
            "deselected": found.deselected,
            "forkable": not unforkable,
            "reason": unforkable,
            "framework": suite.framework,
            "maxfail": found.maxfail,
            "notices": found.notices if done else [],
            "strangers": strangers if done else [],
            "kind": suite.kind,
            "patterns": found.patterns if done else [],
            "imported": found.imported if done else 0.0,
        }


def fault(number: int, found: SuiteFault) -> Message:
    """Return why what was asked for under a number cannot be had."""
    return {
        "type": "Fault",
        "code": found.code,
        "message": found.message,
        "hint": found.hint,
        "detail": found.detail[-_LONGEST:],
        "exit_code": found.exit_code,
        "id": number,
    }
