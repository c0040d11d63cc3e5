"""The bytes of files on their way to a target, in pieces, checked against the digests that were promised.

Runs in the agent, in a thread.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator

from testd_daemon.agent.mirror.scan import DIGEST
from testd_protocol.messages import Content

__all__ = ["PIECE", "ChangedMeanwhileError", "pieces"]

#: Bytes of one piece, and of a batch of small files.
PIECE = 1024 * 1024


class ChangedMeanwhileError(Exception):
    """A file is not what it was when it was scanned: what was promised to the target cannot be sent."""


def pieces(files: Iterable[tuple[str, str]]) -> Iterator[list[Content]]:
    """Yield batches of about `PIECE` bytes of `(digest, path)` files. Raises ChangedMeanwhileError."""
    batch: list[Content] = []
    size = 0
    for digest, path in files:
        for piece in _of_file(digest, path):
            batch.append(piece)
            size += len(piece.data)
            if size >= PIECE:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def _of_file(digest: str, path: str) -> Iterator[Content]:
    hashed = hashlib.sha256()
    try:
        with open(path, "rb", buffering=0) as file:
            left = os.fstat(file.fileno()).st_size
            while True:
                data = file.read(PIECE)
                hashed.update(data)
                left -= len(data)
                last = left <= 0 or not data
                if last and hashed.hexdigest()[:DIGEST] != digest:
                    raise ChangedMeanwhileError(path)
                yield Content(digest, data, last)
                if last:
                    return
    except OSError as error:
        raise ChangedMeanwhileError(f"{path}: {error}") from error
