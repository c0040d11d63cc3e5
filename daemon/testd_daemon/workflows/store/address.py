"""Where a store is and who we are there. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from testd_daemon.errors import UsageError

__all__ = ["EMBEDDED_KEY", "Address", "Keys", "parse"]

#: What the embedded store takes as access key and secret key.
EMBEDDED_KEY: Final = "testd"
_KNOWN: Final = ("endpoint", "region", "anonymous")


class Keys(NamedTuple):
    """Who we are."""

    access_key: str = ""
    secret_key: str = ""
    session_token: str = ""


@dataclass(frozen=True, kw_only=True)
class Address:
    """One bucket of one store.

    Attributes:
        name: of the store in the workflow's document.
        endpoint: http://host:port; empty: that of AWS.
        region: empty: us-east-1.
        access_key, secret_key: both empty: what boto3 finds by itself.
        session_token: of keys that hold for a while.
        anonymous: requests are not signed.
        writable: functions may put and delete.
    """

    name: str
    bucket: str
    endpoint: str = ""
    region: str = ""
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    anonymous: bool = False
    writable: bool = True

    @property
    def where(self) -> str:
        """The place as told to people."""
        return self.endpoint or "AWS"

    @property
    def place(self) -> str:
        """What tells stores apart. The embedded one is the same after it was started again, with another port."""
        own = self.access_key == EMBEDDED_KEY and self.endpoint.startswith("http://127.0.0.1:")
        return "embedded" if own else self.endpoint

    def of(self, bucket: str) -> Address:
        """Return another bucket of the same store."""
        return replace(self, bucket=bucket)

    def signed(self, keys: Keys) -> Address:
        """Return it with keys."""
        return replace(
            self, access_key=keys.access_key, secret_key=keys.secret_key, session_token=keys.session_token
        )


def parse(url: str, name: str) -> Address:
    """Return what `s3://BUCKET?endpoint=URL&region=R&anonymous=true` says. Raises UsageError."""
    parts = urlsplit(url)
    values = dict(parse_qsl(parts.query, keep_blank_values=True))
    wrong = ""
    if parts.scheme != "s3":
        wrong = f"begins with {parts.scheme or 'no scheme'}"
    elif not parts.netloc or parts.path.strip("/"):
        wrong = "has no bucket" if not parts.netloc else f"has a path, {parts.path}, behind its bucket"
    elif unknown := sorted(set(values) - set(_KNOWN)):
        wrong = f"has {unknown[0]}, which is not known"
    elif values.get("endpoint") and not values["endpoint"].startswith(("http://", "https://")):
        wrong = f"has the endpoint {values['endpoint']}, which is no URL"
    if wrong:
        raise UsageError(
            f"store {url}: {wrong}",
            hint="right would be embedded, or s3://BUCKET?endpoint=http://HOST:PORT (and &region=, &anonymous=true)",
        )
    return Address(
        name=name,
        bucket=parts.netloc,
        endpoint=values.get("endpoint", ""),
        region=values.get("region", ""),
        anonymous=values.get("anonymous", "").lower() in ("true", "1", "yes"),
    )
