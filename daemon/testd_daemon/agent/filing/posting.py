"""One request to a URL that must not hold up anything. Blocks for a moment; runs in a thread of the agent."""

from __future__ import annotations

from typing import Any, Final

import msgspec

__all__ = ["post"]

#: Seconds for a receiver to take a request and answer: one that is there does so at once.
DEADLINE: Final = 5.0


def post(url: str, body: Any) -> str:
    """Post a document as JSON; return why that failed, or nothing. Nothing is raised."""
    if not url.startswith(("http://", "https://")):
        return f"{url}: only http:// and https:// can be posted to"
    import http.client  # here: they take as long to load as a tenth of the agent, and few runs post anything
    import urllib.error
    import urllib.request

    data = msgspec.json.encode(body)
    try:
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method="POST")  # noqa: S310
        with urllib.request.urlopen(request, timeout=DEADLINE):  # noqa: S310  the scheme was looked at
            return ""
    except urllib.error.HTTPError as error:
        return f"{url}: HTTP {error.code} {error.reason}"
    except urllib.error.URLError as error:
        return f"{url}: {error.reason}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"{url}: {error}"
