"""A recorded root as what is sent of it: lines of JSON, compressed, in pieces. Runs in the user's process."""

from __future__ import annotations

import os
import zlib
from json import JSONEncoder

from testd.tracing.documents import flat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from testd.tracing.calls import Call

__all__ = ["pages"]

#: Bytes of one piece, more or less.
_PIECE = 128 * 1024
#: One for all: to make an encoder takes as long as what it does here.
_encode = JSONEncoder(separators=(",", ":")).encode
#: Characters of a root's error that are told without looking inside.
_ERROR = 300


def pages(root: Call) -> Iterator[list[Any]]:
    """Give the pages of a root: `[trace, page, data, entry]`, the last one with its entry.

    Made as they are taken, so that a large one is never in memory as a whole.
    """
    packer = zlib.compressobj(1)
    data, number = b"", 0
    calls = failures = cut = 0
    for executed in flat(root):
        calls += 1
        failures += executed["thrown_error"] is not None
        cut += executed["execution_context"].get("children_cut", 0)
        data += packer.compress((_encode(executed) + "\n").encode())
        if len(data) >= _PIECE:
            yield [root.id, number, data, None]
            data, number = b"", number + 1
    entry = {**_entry(root), "calls": calls, "failures": failures, "cut": cut}
    yield [root.id, number, data + packer.flush(), entry]


def _entry(root: Call) -> dict[str, Any]:
    subject, failure = root.subject, root.failure
    ended = root.started if root.ended is None else root.ended
    error = "" if failure is None else f"{failure.kind}: {failure.text}".splitlines()[0][:_ERROR]
    return {
        "trace": root.id,
        "name": subject.name,
        "module": subject.module or "",
        "file": subject.file or "",
        "line": subject.line or 0,
        "at": root.started,
        "duration": ended - root.started,
        "successful": failure is None,
        "error": error,
        "pid": os.getpid(),
    }
