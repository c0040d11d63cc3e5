"""Make a store again from the requests that have changed it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from unittest import mock

from testd_daemon.workflows.store.server.journal import Request, upload_in

__all__ = ["replay"]


def replay(requests: Iterable[Request], answer: Callable[[Request], bytes]) -> None:
    """Have each request answered, at the time at which it came. Uploads in parts have new numbers from now on."""
    numbers: dict[str, str] = {}
    for request in requests:
        kept = request.kept
        for old, new in numbers.items():
            kept = kept.replace(old, new)
        moment = datetime.fromtimestamp(request.at, timezone.utc).replace(tzinfo=None)
        with mock.patch("moto.s3.models.utcnow", lambda moment=moment: moment):
            told = answer(request._replace(kept=kept))
        if request.upload:
            numbers[request.upload] = upload_in(told)
