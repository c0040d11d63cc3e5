"""The API of a workflow's functions: their files in the store, their log, what they are.

Runs in workers, called by user code. Standard library only. Names and arguments are those of the public system; what
fails raises `ApiError`, which ends the function as failed where nobody catches it.
"""

from __future__ import annotations

import os

from testd.invocation.errors import ApiError
from testd.invocation.session import current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

__all__ = [
    "faasr_arrow_s3_bucket",
    "faasr_delete_file",
    "faasr_exit",
    "faasr_get_file",
    "faasr_get_folder_list",
    "faasr_get_s3_creds",
    "faasr_invocation_id",
    "faasr_log",
    "faasr_put_file",
    "faasr_rank",
    "faasr_return",
    "faasr_secret",
]


class Ended(SystemExit):
    """A function ended itself by `faasr_return` or `faasr_exit`; for whoever looks it is an exit with status 0."""


def faasr_put_file(
    local_file: str, remote_file: str, server_name: str = "", local_folder: str = ".", remote_folder: str = "."
) -> bool:
    """Put a local file into a data store (the default one where none is named), as `remote_folder/remote_file`."""
    session, path = current(), _local(local_folder, local_file)
    if not os.path.isfile(path):
        raise ApiError(f"faasr_put_file: Local file not found: {path}")
    session.put(path, store=str(server_name), folder=str(remote_folder), name=str(remote_file))
    return True


def faasr_get_file(
    local_file: str, remote_file: str, server_name: str = "", local_folder: str = ".", remote_folder: str = "."
) -> bool:
    """Get `remote_folder/remote_file` from a data store into a local file. The local folder must be there."""
    session, path = current(), _local(local_folder, local_file)
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise ApiError(f"faasr_get_file: Local folder not found: {os.path.dirname(path)}")
    session.get(path, store=str(server_name), folder=str(remote_folder), name=str(remote_file))
    return True


def faasr_delete_file(remote_file: str, server_name: str = "", remote_folder: str = "") -> bool:
    """Delete an object; one that is not there is no error."""
    current().ask("delete", store=str(server_name), folder=str(remote_folder), name=str(remote_file))
    return True


def faasr_get_folder_list(server_name: str = "", prefix: str = "") -> list[str]:
    """Return the keys of all objects that begin with a prefix, folders left out."""
    return list(current().ask("list", store=str(server_name), name=str(prefix))["keys"])


def faasr_log(log_message: str) -> bool:
    """Write a line into the function's log, as it is."""
    text = str(log_message)
    if not text:
        raise ApiError("faasr_log: the message is empty")
    current().write("log", text)
    return True


def faasr_rank() -> dict[str, int]:
    """Return `{"max_rank": N, "rank": i}`: which of how many instances this is, from 1."""
    invocation = current().invocation
    return {"max_rank": invocation["max_rank"], "rank": invocation["rank"]}


def faasr_invocation_id() -> str:
    """Return the id of the workflow's invocation."""
    return str(current().invocation["id"])


def faasr_secret(secret_name: str) -> str:
    """Return a secret: a variable of the environment in which the workflow was started."""
    return str(current().ask("secret", name=str(secret_name))["values"]["value"])


def faasr_get_s3_creds(server_name: str = "") -> dict[str, Any]:
    """Return what a client of a data store needs: bucket, region, endpoint, access_key, secret_key, anonymous."""
    values: dict[str, Any] = current().ask("credentials", store=str(server_name))["values"]
    return {**values, "anonymous": values.get("anonymous") == "true"}


def faasr_arrow_s3_bucket(server_name: str = "", faasr_prefix: str = "") -> Any:
    """Return a data store, or what is below a prefix in it, as a file system of pyarrow."""
    import importlib

    fs = importlib.import_module("pyarrow.fs")  # of the user's environment, where it is

    creds = faasr_get_s3_creds(server_name)
    access = {"anonymous": True}
    if not creds["anonymous"]:
        access = {"access_key": creds["access_key"], "secret_key": creds["secret_key"]}
    scheme, _, host = creds["endpoint"].rpartition("://")
    where = {"endpoint_override": host, "scheme": scheme or "https"} if host else {}
    bucket = "/".join(filter(None, (creds["bucket"], creds.get("prefix", ""), faasr_prefix.strip("/"))))
    return fs.SubTreeFileSystem(bucket, fs.S3FileSystem(region=creds["region"] or None, **access, **where))


def faasr_return(return_value: object = None) -> NoReturn:
    """End the function here, with this return value."""
    current().returned[:] = [return_value]
    raise Ended(0)


def faasr_exit(message: str | None = None, error: bool = True, traceback: str | None = None) -> NoReturn:
    """End the function here: as failed, unless `error` is false."""
    session = current()
    if error:
        session.failure = "\n".join(filter(None, (message or "the function ended itself as failed", traceback)))
    raise Ended(0)


def _local(folder: str, name: str) -> str:
    return os.path.normpath(os.path.join(str(folder), str(name)))
