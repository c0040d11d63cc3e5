"""The few calls of GitHub's REST interface that start a workflow. Runs in the user's process; standard library only.

Answers are documented at https://docs.github.com/rest: 204 for a dispatch, 401, 403 and 429 with limits, 404, 422.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from testd_daemon.workflows.testing.exceptions import InvocationError

__all__ = ["GitHubApi"]

#: Seconds for one answer.
ANSWER_DEADLINE = 30.0
#: Seconds that may be waited for a rate limit to end: those of its short kind, not the hour of the long one.
PATIENCE = 90.0
#: How often one call is made where the limit ends soon.
ATTEMPTS = 4

Sleep = Callable[[float], object]


class GitHubApi:
    """Calls of one account. `url`: https://api.github.com, or an enterprise's own."""

    def __init__(
        self, url: str, token: str, *, sleep: Sleep = time.sleep, clock: Callable[[], float] = time.time
    ) -> None:
        """Take where it is and the token; nothing is asked yet."""
        self._url = url.rstrip("/")
        self._token = token
        self._sleep = sleep
        self._clock = clock

    def contents(self, repository: str, path: str, ref: str) -> bytes:
        """Return a file of a repository. Raises InvocationError."""
        where = f"/repos/{repository}/contents/{quote(path)}?ref={quote(ref, safe='')}"
        return self._call(
            "GET", where, f"read {path} of {repository} at {ref}", accept="application/vnd.github.raw+json"
        )

    def dispatch(self, repository: str, file: str, ref: str, inputs: Mapping[str, str]) -> None:
        """Start a workflow of GitHub Actions by the name of its file. Raises InvocationError."""
        where = f"/repos/{repository}/actions/workflows/{quote(file)}/dispatches"
        self._call("POST", where, f"start {file} of {repository} at {ref}", {"ref": ref, "inputs": dict(inputs)})

    def _call(
        self, method: str, path: str, what: str, body: Any = None, *, accept: str = "application/vnd.github+json"
    ) -> bytes:
        request = urllib.request.Request(  # noqa: S310  the address is the user's own
            self._url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Accept": accept,
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/json",
                "User-Agent": "testd",
                "X-GitHub-Api-Version": "2022-11-28",
            },
        )
        for attempt in range(ATTEMPTS):
            try:
                with urllib.request.urlopen(request, timeout=ANSWER_DEADLINE) as answer:  # noqa: S310
                    return bytes(answer.read())
            except urllib.error.HTTPError as error:  # noqa: PERF203  few attempts
                with error:
                    pause = self._limited(error)
                    if pause is None or pause > PATIENCE or attempt + 1 == ATTEMPTS:
                        raise self._refused(what, error, pause) from None
                self._sleep(pause)
            except (OSError, ValueError) as error:
                reason = getattr(error, "reason", error)
                raise InvocationError(
                    f"cannot {what}: {self._url} does not answer: {reason}",
                    hint="Check the network, and GITHUB_API_URL if it is set.",
                ) from error
        raise AssertionError  # the last attempt returns or raises

    def _limited(self, error: urllib.error.HTTPError) -> float | None:
        """Return for how many seconds a limit forbids the call, or None where it was refused for another reason."""
        if error.code not in (403, 429):
            return None
        if after := _number(error.headers.get("retry-after")):
            return after
        if error.headers.get("x-ratelimit-remaining") == "0":
            reset = _number(error.headers.get("x-ratelimit-reset"))
            return max(0.0, reset - self._clock()) if reset else PATIENCE
        return None

    def _refused(self, what: str, error: urllib.error.HTTPError, pause: float | None) -> InvocationError:
        said = _message(error)
        if pause is not None:
            return InvocationError(
                f"cannot {what}: GitHub's rate limit is used up ({said})", hint=f"Try again in {pause:.0f} seconds."
            )
        hint = {
            401: "Check the token: it is wrong, or has expired.",
            403: "The token may not do this: it needs the permissions to read contents and to write actions.",
            404: "Check owner, repository, branch and file; a token that may not see them gets the same answer. "
            "Is the workflow registered?",
            422: "Check the branch, and that the file has `workflow_dispatch` with OVERWRITTEN and PAYLOAD_URL.",
        }.get(error.code, "Try again later.")
        return InvocationError(f"cannot {what}: GitHub answers {error.code} {said}", hint=hint)


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["message"])
    except (OSError, ValueError, KeyError, TypeError):
        return str(error.reason)


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0
