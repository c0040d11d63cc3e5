"""Answers of the embedded store that go a shorter way than moto's own: they are the same."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from email.utils import parsedate_to_datetime

import pytest
from moto.moto_server.werkzeug_app import create_backend_app
from moto.s3.models import s3_backends

from testd_daemon.workflows.store.server.application import Application
from testd_daemon.workflows.store.server.serving import _head
from testd_daemon.workflows.store.server.shortcut import shortcut

SIGNED = "AWS4-HMAC-SHA256 Credential=testd/20261127/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
#: What boto3 reads of an answer.
READ = ("etag", "content-length", "content-type", "last-modified", "accept-ranges")


@pytest.fixture(autouse=True)
def empty():
    """moto's stores are the whole process's."""
    s3_backends.reset()
    yield
    s3_backends.reset()


@pytest.fixture(scope="module")
def moto():
    return create_backend_app("s3")


def environ(method, path, body=b"", *, signed=True, **headers):
    """Return a request as the server reads it."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1:9", "User-Agent: Boto3/1.44"]
    if signed:
        lines.append(f"Authorization: {SIGNED}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode()
    return _head(io.BytesIO(head), 9)


def by_moto(app, environ, body=b""):
    begun = []
    answered = app({**environ, "wsgi.input": io.BytesIO(body)}, lambda *said: begun.extend(said))
    content = b"".join(answered)
    answered.close()
    return begun[0], begun[1], content


def seen(answer):
    """Return what a client makes of an answer."""
    status, headers, content = answer
    named = {name.lower(): value for name, value in headers}
    read = {name: named.get(name) for name in READ if status.startswith("200")}
    if not content.startswith(b"<?xml"):
        return int(status[:3]), read, content
    page = {"Contents": []}
    for element in ET.fromstring(content):
        name = element.tag.rpartition("}")[2]
        if name == "Contents":
            page["Contents"].append({each.tag.rpartition("}")[2]: each.text for each in element})
        else:
            page[name] = element.text
    return int(status[:3]), page


def fill(moto, *names):
    assert by_moto(moto, environ("PUT", "/bucket"))[0] == "200 OK"
    for name in names:
        request = environ("PUT", f"/bucket/{name}", b"content", content_type="text/plain")
        assert by_moto(moto, request, b"content")[0] == "200 OK"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/bucket/a/b.txt"),
        ("HEAD", "/bucket/a/b.txt"),
        ("HEAD", "/bucket/nothing"),
        ("GET", "/bucket/%C3%BC%20%2B%25.txt"),
        ("GET", "/bucket//slash"),
        ("GET", "/bucket?list-type=2&prefix=a%2F&encoding-type=url"),
        ("GET", "/bucket?list-type=2&prefix="),
        ("GET", "/bucket/?list-type=2&encoding-type=url"),
        ("GET", "/bucket?list-type=2&prefix=none"),
    ],
)
def test_reading(moto, method, path):
    fill(moto, "a/b.txt", "a/c%26%3C.txt", "%C3%BC%20%2B%25.txt", "/slash")
    request = environ(method, path)
    found = shortcut(request, b"")
    assert found is not None
    expected, got = seen(by_moto(moto, request)), seen(found)
    if isinstance(expected[1], dict) and "Contents" in expected[1]:
        for page in (expected[1], got[1]):
            page.setdefault("Prefix", None)
    assert got == expected


def test_putting_and_deleting(moto):
    """The same objects are there, whichever way they came."""
    fill(moto, "by-moto")
    for headers in ({"content_type": "text/plain"}, {"content_type": "text/plain", "If_None_Match": "*"}):
        found = shortcut(environ("PUT", "/bucket/by-us", b"content", **headers), b"content")
        assert found is not None
        theirs = seen(by_moto(moto, environ("HEAD", "/bucket/by-moto")))[1]
        ours = seen(by_moto(moto, environ("HEAD", "/bucket/by-us")))[1]
        for read in (ours, theirs):
            assert parsedate_to_datetime(read.pop("last-modified"))
        assert ours == theirs
        assert seen(found)[:1] == (200,)
        assert dict(found[1])["ETag"] == ours["etag"]
        gone = shortcut(environ("DELETE", "/bucket/by-us"), b"")
        assert gone is not None
        assert seen(gone)[0] == seen(by_moto(moto, environ("DELETE", "/bucket/by-us")))[0] == 204
        assert by_moto(moto, environ("HEAD", "/bucket/by-us"))[0].startswith("404")


def test_pages(moto):
    fill(moto)
    for number in range(1001):
        assert shortcut(environ("PUT", f"/bucket/k{number:04}"), b"") is not None
    first = shortcut(environ("GET", "/bucket?list-type=2"), b"")
    assert first is not None
    page = seen(first)[1]
    assert (page["IsTruncated"], len(page["Contents"])) == ("true", 1000)
    token = page["NextContinuationToken"]
    last = shortcut(environ("GET", f"/bucket?list-type=2&continuation-token={token}"), b"")
    assert last is not None
    page = seen(last)[1]
    assert (page["IsTruncated"], [each["Key"] for each in page["Contents"]]) == ("false", ["k1000"])


@pytest.mark.parametrize(
    "request_",
    [
        environ("GET", "/other/a.txt"),
        environ("GET", "/bucket/missing"),
        environ("GET", "/bucket/a.txt", signed=False),
        environ("GET", "/bucket/a.txt", Range="bytes=0-1"),
        environ("GET", "/bucket/a.txt", If_None_Match="x"),
        environ("GET", "/bucket/a.txt", x_amz_checksum_mode="ENABLED"),
        environ("GET", "/bucket/a.txt?versionId=1"),
        environ("GET", "/bucket/tagged"),
        environ("GET", "/bucket/marked"),
        environ("GET", "/bucket?list-type=2&delimiter=/"),
        environ("GET", "/bucket?versioning"),
        environ("GET", "/bucket"),
        environ("GET", "/"),
        environ("PUT", "/bucket"),
        environ("PUT", "/bucket/a.txt", If_None_Match="*"),
        environ("PUT", "/bucket/b.txt", If_Match="x"),
        environ("PUT", "/bucket/b.txt", x_amz_copy_source="bucket/a.txt"),
        environ("PUT", "/bucket/b.txt", x_amz_meta_a="b"),
        environ("PUT", "/bucket/b.txt", x_amz_acl="public-read"),
        environ("PUT", "/bucket/tagged"),
        environ("POST", "/bucket/a.txt?uploads"),
    ],
)
def test_what_is_left_to_moto(moto, request_):
    fill(moto, "a.txt")
    by_moto(moto, environ("PUT", "/bucket/tagged", x_amz_tagging="a=b"))
    by_moto(moto, environ("PUT", "/bucket/marked", x_amz_meta_a="b"))
    assert shortcut(request_, b"") is None


@pytest.mark.parametrize("what", ["versioning", "policy", "tagging"])
def test_buckets_that_are_odd(moto, what):
    fill(moto, "a.txt")
    bodies = {
        "versioning": b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
        "policy": b'{"Version": "2012-10-17", "Statement": []}',
        "tagging": b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
    }
    answer = by_moto(moto, environ("PUT", f"/bucket?{what}", bodies[what]), bodies[what])
    assert answer[0].startswith("20")
    assert (shortcut(environ("GET", "/bucket/a.txt"), b"") is None) is (what != "tagging")


def test_another_moto(moto, monkeypatch):
    """Where moto's objects are not what they were, moto answers."""
    fill(moto, "a.txt")
    monkeypatch.setattr("moto.s3.models.FakeKey.last_modified_RFC1123", None, raising=True)
    monkeypatch.delattr("moto.s3.models.S3Backend.get_object")
    assert shortcut(environ("GET", "/bucket/a.txt"), b"") is None


def test_the_journal_has_them(moto, tmp_path):
    application = Application()
    application.begin(tmp_path / "journal")
    application(environ("PUT", "/bucket"), b"")
    application(environ("PUT", "/bucket/a.txt", b"1"), b"1")
    application(environ("PUT", "/bucket/b.txt", b"2"), b"2")
    application(environ("DELETE", "/bucket/b.txt"), b"")
    found = [request.object for request in application._journal.requests()]
    assert found == ["", "/bucket/a.txt", "/bucket/b.txt"]
    application._journal.close()
