"""The requests that nearly all are, answered from moto's objects without the long way through its web framework.

Objects that are put, got, looked at, deleted and listed, with nothing special about the request, the object or its
bucket. Where there is, or where moto's objects are not what they were, there is no answer here, and moto gives it. An
answer that is given here is the same: tests hold the two against each other.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import parse_qsl, quote
from xml.sax.saxutils import escape

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import FakeBucket, s3_backends

from testd_daemon.workflows.store.server.serving import Answer

__all__ = ["shortcut"]

#: Headers that change nothing about an answer.
_HARMLESS: Final = re.compile(
    r"HTTP_(HOST|USER_AGENT|ACCEPT|ACCEPT_ENCODING|CONNECTION|EXPECT|DATE|AUTHORIZATION"
    r"|X_AMZ_(DATE|CONTENT_SHA256|USER_AGENT)|AMZ_SDK_(INVOCATION_ID|REQUEST))"
)
#: What a bucket may have that changes answers.
_ODD: Final = ("is_versioned", "policy", "encryption", "cors", "rules", "notification_configuration",
               "object_lock_enabled", "logging")  # fmt: skip
_LISTED: Final = {"list-type", "prefix", "encoding-type", "continuation-token"}
_PAGE: Final = 1000
_XML: Final = [("Content-Type", "application/xml")]


def shortcut(environ: dict[str, Any], body: bytes) -> Answer | None:
    """Return the answer to a request, or None where that is left to moto."""
    if "HTTP_AUTHORIZATION" not in environ:  # then it depends on who may read what
        return None
    special = {name for name in environ if name.startswith("HTTP_") and not _HARMLESS.fullmatch(name)}
    name, _, key = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")[1:].partition("/")
    try:
        backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        bucket = backend.buckets.get(name)
        if type(bucket) is not FakeBucket or any(getattr(bucket, what) for what in _ODD):
            return None
        if not key:
            return _listing(backend, bucket, environ) if environ["REQUEST_METHOD"] == "GET" and not special else None
        return None if environ["QUERY_STRING"] else _object(backend, bucket, key, environ, body, special)
    except (AttributeError, KeyError, TypeError):  # another version of moto
        return None


def _object(
    backend: Any, bucket: Any, name: str, environ: dict[str, Any], body: bytes, special: set[str]
) -> Answer | None:
    """Answer what is about one object."""
    method, key = environ["REQUEST_METHOD"], backend.get_object(bucket.name, name)
    if key is not None and (key.storage_class != "STANDARD" or "x-amz-tagging-count" in key.response_dict):
        return None
    if method == "PUT":
        return _put(backend, bucket, name, environ, body, special, key is not None)
    if special:
        return None
    match method:
        case "GET" | "HEAD" if key is not None:
            return _content(key, method) if not set(key.metadata) - {"content-type"} else None
        case "HEAD":
            return "404 Not Found", [], b""
        case "DELETE":
            backend.delete_object(bucket.name, name)
            return "204 No Content", [], b""
    return None


def _put(
    backend: Any, bucket: Any, name: str, environ: dict[str, Any], body: bytes, special: set[str], there: bool
) -> Answer | None:
    if special - {"HTTP_IF_NONE_MATCH"} or (special and (there or environ["HTTP_IF_NONE_MATCH"] != "*")):
        return None
    key = backend.put_object(bucket.name, name, body)
    if environ.get("CONTENT_TYPE"):
        key.set_metadata({"Content-Type": environ["CONTENT_TYPE"]})
    key.set_acl(bucket.acl)
    return "200 OK", [("ETag", key.etag), ("last-modified", key.last_modified_RFC1123)], b""


def _content(key: Any, method: str) -> Answer:
    headers = {**key.metadata, **key.response_dict, "Accept-Ranges": "bytes"}
    return "200 OK", list(headers.items()), key.value if method == "GET" else b""


def _listing(backend: Any, bucket: Any, environ: dict[str, Any]) -> Answer | None:
    """Answer a page of a listing."""
    asked = dict(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))
    prefix, encoding = asked.get("prefix", ""), asked.get("encoding-type")
    if asked.get("list-type") != "2" or set(asked) - _LISTED or encoding not in (None, "url"):
        return None
    keys, truncated, token = backend.list_objects_v2(
        bucket=bucket, prefix=prefix, delimiter=None, continuation_token=asked.get("continuation-token"),
        start_after=None, max_keys=_PAGE,
    )  # fmt: skip
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">',
        f"<Name>{bucket.name}</Name><Prefix>{quote(prefix) if encoding else escape(prefix)}</Prefix>",
        f"<MaxKeys>{_PAGE}</MaxKeys><KeyCount>{len(keys)}</KeyCount>",
        f"<IsTruncated>{str(bool(truncated)).lower()}</IsTruncated>",
        f"<EncodingType>{encoding}</EncodingType>" if encoding else "",
        f"<NextContinuationToken>{escape(token)}</NextContinuationToken>" if token else "",
    ]
    for key in keys:
        if key.checksum_algorithm:
            return None
        parts.append(
            f"<Contents><Key>{escape(key.safe_name(encoding))}</Key>"
            f"<LastModified>{key.last_modified_ISO8601}</LastModified><ETag>{escape(key.etag)}</ETag>"
            f"<Size>{key.size}</Size><StorageClass>{key.storage_class}</StorageClass></Contents>"
        )
    return "200 OK", _XML, "".join([*parts, "</ListBucketResult>"]).encode()
