"""What a test or a monitor asks of a store: a listing, an object, whether there is one. Runs in the user's process."""

from __future__ import annotations

from typing import Any

from testd_daemon.errors import UsageError
from testd_daemon.workflows.store.address import Address
from testd_daemon.workflows.store.bucket import Bucket, Entry, Patience

__all__ = ["Listing", "ObjectStore", "S3Client", "as_text"]

#: boto3's client of a store; its class is made at run time.
S3Client = Any
#: Objects by key.
Listing = dict[str, Entry]


class ObjectStore:
    """One bucket, read only. Any thread may use it; all methods raise StoreError."""

    def __init__(self, bucket: Bucket) -> None:
        """Take the bucket; nothing is asked yet."""
        self.bucket = bucket

    @classmethod
    def at(cls, address: Address, patience: Patience | None = None) -> ObjectStore:
        """Return the store at an address."""
        return cls(Bucket(address, patience))

    @classmethod
    def of(cls, s3_client: S3Client | ObjectStore, bucket_name: str) -> ObjectStore:
        """Return the store that a client of boto3 reaches; one of ours is returned as it is."""
        if isinstance(s3_client, ObjectStore):
            return s3_client
        endpoint = s3_client.meta.endpoint_url
        return cls(Bucket(Address(name=bucket_name, bucket=bucket_name, endpoint=endpoint), client=s3_client))

    @property
    def s3_client(self) -> S3Client:
        """boto3's client, for what is not here."""
        return self.bucket.client

    @property
    def bucket_name(self) -> str:
        """The name of the bucket."""
        return self.bucket.address.bucket

    def listing(self, prefix: str) -> Listing:
        """Return every object below a prefix, however many there are."""
        return {entry.key: entry for entry in self.bucket.listing(prefix)}

    def exists(self, key: str) -> bool:
        """Whether there is an object of this key."""
        return self.bucket.head(key) is not None

    def get(self, key: str) -> bytes:
        """Return an object's content. Raises ObjectMissing."""
        return self.bucket.get(key)

    def close(self) -> None:
        """Close its connections."""
        self.bucket.close()


def as_text(content: bytes, key: str, encoding: str = "utf-8") -> str:
    """Return an object's content as text. Raises UsageError where it is none."""
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{key} is no text in {encoding}: {error.reason} at byte {error.start}",
            hint="Read it with `s3_client.get_object`, or compare it with bytes.",
        ) from error
