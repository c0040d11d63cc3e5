"""What boto3 raises, told as ours. Imports botocore, so only where a store is used."""

from __future__ import annotations

import re
from typing import NamedTuple

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ResponseStreamingError,
    SSLError,
)
from botocore.exceptions import (
    ConnectionError as NoConnection,
)

from testd_daemon.workflows.store.address import Address
from testd_daemon.workflows.store.errors import (
    BucketMissing,
    ObjectMissing,
    StoreDenied,
    StoreError,
    StoreUnreachable,
    StoreVanished,
)

__all__ = ["FOREIGN", "Attempt", "is_ours", "precondition_failed", "translate"]

#: All that an operation of boto3 raises, file errors apart.
FOREIGN = (ClientError, BotoCoreError, S3UploadFailedError)
_PASSING = {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "OperationAborted", "Throttling",
            "ConditionalRequestConflict", "RequestTimeTooSkewed", "TooManyRequests"}  # fmt: skip
_BUCKET_NAME = "3 to 63 small letters, digits, dashes and dots"
_DENIED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
           "AllAccessDisabled", "AuthorizationHeaderMalformed"}  # fmt: skip


class Attempt(NamedTuple):
    """What was tried: `cannot {verb} s3://bucket/{key}`."""

    verb: str
    address: Address
    key: str = ""
    answered: bool = False  # the store has answered before

    @property
    def object(self) -> str:
        """The URL of what it is about."""
        return f"s3://{self.address.bucket}/{self.key}" if self.key else f"s3://{self.address.bucket}"

    def told(self, why: str) -> str:
        """Return the message of its failure."""
        return f"store {self.address.name} at {self.address.where}: cannot {self.verb} {self.object}: {why}"


def precondition_failed(error: Exception) -> bool:
    """Say whether a store refused because what should be absent is there."""
    return isinstance(error, ClientError) and _status(error) == 412


def is_ours(error: Exception) -> bool:
    """Say whether a store refused to make a bucket because we have made it before."""
    return isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") == "BucketAlreadyOwnedByYou"


def translate(error: Exception, attempt: Attempt) -> StoreError:
    """Return our exception for one of FOREIGN."""
    if isinstance(error, S3UploadFailedError) and isinstance(error.__context__, ClientError | BotoCoreError):
        error = error.__context__
    if isinstance(error, ClientError):
        return _answer(error, attempt)
    name = attempt.address.name
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return StoreDenied(
            attempt.told("there are no credentials"),
            hint=f"set {name}_AccessKey and {name}_SecretKey in the environment, or Anonymous of the data store",
        )
    if isinstance(error, NoConnection | HTTPClientError | IncompleteReadError | ResponseStreamingError):
        return _silence(error, attempt)
    return StoreError(attempt.told(str(error)))


def _answer(error: ClientError, attempt: Attempt) -> StoreError:
    """Tell an answer that says no."""
    told = error.response.get("Error", {})
    code, status = str(told.get("Code", "")), _status(error)
    name = attempt.address.name
    why = attempt.told(f"{told.get('Message') or code} ({code or status})")
    if code == "NoSuchBucket" or (status == 404 and not attempt.key):
        hint = f"make the bucket {attempt.address.bucket}, or correct Bucket of the data store {name}"
        where = f"s3://{attempt.address.bucket} at {attempt.address.where}"
        return BucketMissing(f"S3 bucket not found: {where}", hint=hint)
    if status == 404:
        return ObjectMissing(f"S3 object not found: {attempt.object}", detail=f"in {name} at {attempt.address.where}")
    if code in _DENIED or status in (401, 403):
        hint = f"correct {name}_AccessKey and {name}_SecretKey, or the rights that they have in this bucket"
        return StoreDenied(why, hint=hint)
    if code in _PASSING or status == 429 or status >= 500:
        return _unanswered(attempt)(why)
    if code == "InvalidBucketName":
        return StoreError(why, hint=f"correct Bucket of the data store {name}: {_BUCKET_NAME}")
    if status in (301, 307):
        return StoreError(why, hint=f"correct Region or Endpoint of the data store {name}")
    return StoreError(why)


def _silence(error: Exception, attempt: Attempt) -> StoreError:
    """Tell that there was no answer, or half of one."""
    name = attempt.address.name
    if attempt.answered:
        return StoreVanished(attempt.told(_why(error)), hint="it has answered before: has it ended?")
    unreachable = StoreUnreachable(
        attempt.told(_why(error)), hint=f"is it running, and is Endpoint of the data store {name} right?"
    )
    unreachable.passing = not isinstance(error, SSLError)
    return unreachable


def _unanswered(attempt: Attempt) -> type[StoreUnreachable]:
    return StoreVanished if attempt.answered else StoreUnreachable


def _why(error: Exception) -> str:
    """Return what lies below an error of botocore, in one line: Connection refused."""
    below: BaseException = error
    while isinstance(below.__context__, Exception):
        below = below.__context__
    text = str(below) if isinstance(below, OSError) and below.errno else str(error)
    return re.sub(r"\s+", " ", re.sub(r"^\[Errno -?\d+\] ", "", text)).strip()


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
