"""Traces, as the command line asks for them. Runs in the client: messages are maps, as `testd_protocol` has them."""

from __future__ import annotations

import zlib
from json import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from testd_daemon.client.sync import Client

__all__ = ["calls", "drop", "entry", "find"]


def find(client: Client, workspace: str, **which: Any) -> dict[str, Any]:
    """Return the `TracesReport` of what matches: the fields of `Traces`."""
    return client.ask({"type": "Traces", "workspace": workspace, "id": 1, **which}, "TracesReport")


def drop(client: Client, workspace: str, traces: list[str], *, everything: bool = False) -> dict[str, Any]:
    """Forget traces by the beginnings of their ids, or all; return the `TracesReport` of them."""
    message = {"type": "DropTraces", "workspace": workspace, "traces": traces, "everything": everything, "id": 1}
    return client.ask(message, "TracesReport")


def entry(client: Client, workspace: str, trace: str) -> dict[str, Any]:
    """Return the entry of the trace whose id begins so. Raises FaultError where there is none, or several."""
    found: dict[str, Any] = _page(client, workspace, trace, 0)["entry"]
    return found


def calls(client: Client, workspace: str, trace: str) -> Iterator[dict[str, Any]]:
    """Yield each executed function of a trace without its `children`: callers first, siblings as they began."""
    unpacker = zlib.decompressobj()
    rest, number, pages = b"", 0, 1
    while number < pages:
        page = _page(client, workspace, trace, number)
        pages, number = page["pages"], number + 1
        *lines, rest = (rest + unpacker.decompress(page["data"])).split(b"\n")
        yield from map(loads, lines)


def _page(client: Client, workspace: str, trace: str, number: int) -> dict[str, Any]:
    question = {"type": "ReadTrace", "workspace": workspace, "trace": trace, "page": number, "id": 1}
    return client.ask(question, "TraceRead")
