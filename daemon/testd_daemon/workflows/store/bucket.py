"""One bucket of a store, blocking: for threads. What may pass is tried again, what fails is told as StoreError."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, TypeVar

from testd_daemon.workflows.store.address import Address
from testd_daemon.workflows.store.errors import ExtraMissing, ObjectMissing, StoreError

__all__ = ["Bucket", "Entry", "Patience", "client", "load"]

#: Requests at a time, and connections that are kept.
CONNECTIONS: Final = 16
#: Bytes below which a body is sent at once, not after the store has said that it would take it.
_SMALL: Final = 1024 * 1024
#: Bytes above which a file goes in several parts, side by side.
_LARGE: Final = 256 * 1024 * 1024
_PIECE: Final = 1024 * 1024
_Result = TypeVar("_Result")
#: boto3 shares what it loads, and does not guard it while it loads.
_making = threading.Lock()


@dataclass(frozen=True)
class Patience:
    """How long a store is waited for, in seconds; `pause` doubles after each try, up to `longest`."""

    connect: float = 5.0
    read: float = 60.0
    tries: int = 12  # a store that is started again may take its time: 15 s of pauses
    pause: float = 0.1
    longest: float = 2.0
    deadline: float = 120.0  # no try begins after it

    def pauses(self) -> Iterator[float]:
        """Yield the pause before each further try."""
        end = time.monotonic() + self.deadline
        for number in range(self.tries - 1):
            pause = min(self.pause * 2**number, self.longest)
            if time.monotonic() + pause > end:
                return
            yield pause


class Entry(NamedTuple):
    """An object, as it stands in a listing."""

    key: str
    size: int  # bytes
    modified: float  # wall clock
    etag: str


class Bucket:
    """The objects of one bucket. Methods may be called by several threads, and raise StoreError."""

    def __init__(self, address: Address, patience: Patience | None = None, client: Any = None) -> None:
        """Take where it is, and boto3's client if there is one; nothing is loaded or reached before the first call."""
        self.address = address
        self.patience = patience or Patience()
        self._client = client
        self._answered = False

    @property
    def client(self) -> Any:
        """boto3's client. Raises ExtraMissing."""
        if self._client is None:
            self._client = client(self.address, self.patience)
        return self._client

    def put(self, key: str, content: bytes | Path) -> None:
        """Put bytes, or what a file holds."""
        self._try("put", key, lambda: self._put(key, content))

    def put_if_absent(self, key: str, content: bytes) -> bool:
        """Put an object that is not there; say whether it was not. Of many that try at once one is told so.

        The content should be one's own, such as a random number: by it a try is recognized whose answer was lost.
        """
        return self._try("put", key, lambda: self._put_if_absent(key, content))

    def get(self, key: str) -> bytes:
        """Return an object's content. Raises ObjectMissing."""
        return self._try("get", key, lambda: bytes(self.client.get_object(**self._named(key))["Body"].read()))

    def fetch(self, key: str, path: Path) -> int:
        """Write an object's content into a file; return its size. Raises ObjectMissing, OSError."""
        return self._try("get", key, lambda: self._fetch(key, path))

    def delete(self, key: str) -> None:
        """Delete an object; one that is not there is no error."""
        self._try("delete", key, lambda: self.client.delete_object(**self._named(key)))

    def head(self, key: str) -> Entry | None:
        """Return an object as a listing would; None where there is none."""
        try:
            found = self._try("look at", key, lambda: self.client.head_object(**self._named(key)))
        except ObjectMissing:
            return None
        return Entry(key, found["ContentLength"], found["LastModified"].timestamp(), found["ETag"].strip('"'))

    def listing(self, prefix: str = "") -> list[Entry]:
        """Return all objects whose keys begin with a prefix, in the order of their keys."""
        entries: list[Entry] = []
        asked: dict[str, str] = {"Bucket": self.address.bucket, "Prefix": prefix}
        while True:
            page = self._try("list", prefix, lambda: self.client.list_objects_v2(**asked))
            entries += [
                Entry(each["Key"], each["Size"], each["LastModified"].timestamp(), each["ETag"].strip('"'))
                for each in page.get("Contents", ())
            ]
            if not page.get("IsTruncated"):
                return entries
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def check(self) -> None:
        """Raise what stands against using this bucket."""
        self._try("look at", "", lambda: self.client.head_bucket(Bucket=self.address.bucket))

    def make(self) -> None:
        """Make the bucket; one that is there and ours is no error."""
        where = {}
        if self.address.region not in ("", "us-east-1"):
            where = {"CreateBucketConfiguration": {"LocationConstraint": self.address.region}}
        self._try("make", "", lambda: self._make(where))

    def remove(self) -> None:
        """Remove the bucket and all that is in it."""
        for entry in self.listing():
            self.delete(entry.key)
        self._try("remove", "", lambda: self.client.delete_bucket(Bucket=self.address.bucket))

    def close(self) -> None:
        """Close its connections."""
        if self._client is not None:
            self._client.close()

    @contextmanager
    def told(self, verb: str, key: str) -> Iterator[None]:
        """Have what boto3 raises told as StoreError."""
        self.client  # noqa: B018  what is missing for it is told first
        from testd_daemon.workflows.store.failures import FOREIGN, Attempt, translate

        try:
            yield
        except FOREIGN as error:
            raise translate(error, Attempt(verb, self.address, key, self._answered)) from error
        self._answered = True

    def _try(self, verb: str, key: str, call: Callable[[], _Result]) -> _Result:
        """Call until it succeeds, fails for good, or patience is at its end."""
        pauses = self.patience.pauses()
        while True:
            try:
                with self.told(verb, key):
                    return call()
            except StoreError as error:
                pause = next(pauses, None) if error.passing else None
                if pause is None:
                    raise
            time.sleep(pause)

    def _named(self, key: str) -> dict[str, str]:
        return {"Bucket": self.address.bucket, "Key": key}

    def _put(self, key: str, content: bytes | Path) -> None:
        if isinstance(content, bytes):
            self.client.put_object(**self._named(key), Body=content)
        elif content.stat().st_size > _LARGE:
            self.client.upload_file(str(content), self.address.bucket, key)
        else:
            with content.open("rb") as file:
                self.client.put_object(**self._named(key), Body=file)

    def _put_if_absent(self, key: str, content: bytes) -> bool:
        from testd_daemon.workflows.store.failures import FOREIGN, precondition_failed

        try:
            self.client.put_object(**self._named(key), Body=content, IfNoneMatch="*")
        except FOREIGN as error:
            if not precondition_failed(error):
                raise
            return bytes(self.client.get_object(**self._named(key))["Body"].read()) == content
        return True

    def _fetch(self, key: str, path: Path) -> int:
        with path.open("wb") as file:
            return _copy(self.client.get_object(**self._named(key))["Body"], file)

    def _make(self, where: dict[str, Any]) -> None:
        from testd_daemon.workflows.store.failures import FOREIGN, is_ours

        try:
            self.client.create_bucket(Bucket=self.address.bucket, **where)
        except FOREIGN as error:
            if not is_ours(error):
                raise


def client(address: Address, patience: Patience | None = None) -> Any:
    """Return a client of boto3, which tries nothing again by itself. Raises ExtraMissing."""
    patience = patience or Patience()
    with _making:
        try:
            boto3, config = importlib.import_module("boto3"), importlib.import_module("botocore.config")
        except ModuleNotFoundError as error:
            raise ExtraMissing(str(error.name)) from error
        signing: dict[str, Any] = {}
        if address.anonymous:
            signing = {"signature_version": importlib.import_module("botocore").UNSIGNED}
        made = _session(boto3).client(
            "s3",
            endpoint_url=address.endpoint or None,
            region_name=address.region or "us-east-1",
            aws_access_key_id=address.access_key or None,
            aws_secret_access_key=address.secret_key or None,
            aws_session_token=address.session_token or None,
            config=config.Config(
                connect_timeout=patience.connect,
                read_timeout=patience.read,
                retries={"total_max_attempts": 1},
                max_pool_connections=CONNECTIONS,
                # Other stores than that of AWS know neither checksums in trailers nor buckets as hosts.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path" if address.endpoint else "auto"},
                **signing,
            ),
        )
    made.meta.events.register_last("before-call.s3", _do_not_wait)
    return made


@cache
def _session(boto3: Any) -> Any:
    """Return the one session of this process: what it has read for a client serves the next ones."""
    return boto3.session.Session()


def load() -> None:
    """Load ahead what the first client would load. Raises ExtraMissing."""
    client(Address(name="none", bucket="none", access_key="none", secret_key="none")).close()  # noqa: S106


def _do_not_wait(params: dict[str, Any], **_: Any) -> None:
    """Send a small body with its request: asking whether it is welcome takes as long."""
    from botocore.utils import determine_content_length

    if "Expect" in params["headers"] and (determine_content_length(params["body"]) or 0) < _SMALL:
        del params["headers"]["Expect"]


def _copy(body: Any, file: BinaryIO) -> int:
    size = 0
    for piece in body.iter_chunks(_PIECE):
        file.write(piece)
        size += len(piece)
    return size
