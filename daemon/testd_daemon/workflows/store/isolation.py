"""What keeps the files of runs apart: where a run has what its functions name. Pure.

A function names a data store and a key. `none` leaves both as they are, as the public system does. `prefix` puts the
invocation's id and a slash in front of each key. `bucket` gives each run buckets of its own. Either way functions see
the names that they give. The logs of a run stay where they are in every mode.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

from testd_daemon.errors import UsageError
from testd_daemon.workflows.store.address import Address

__all__ = ["Isolation", "Mode", "input_files"]

Mode = Literal["none", "prefix", "bucket"]
#: Characters of the name that a bucket of a run keeps of the one it stands for; a bucket's name has at most 63.
_KEPT_NAME: Final = 40


class Isolation:
    """Where one run has its files."""

    def __init__(self, mode: Mode, invocation: str, addresses: Mapping[str, Address]) -> None:
        """Take the data stores of the workflow, by name."""
        self.mode = mode
        #: What stands before the keys of the run's files.
        self.prefix = f"{invocation}/" if mode == "prefix" else ""
        self.addresses = {
            name: address.of(_own(address, invocation)) if mode == "bucket" else address
            for name, address in addresses.items()
        }

    @property
    def own(self) -> list[Address]:
        """The buckets that were made for the run alone."""
        found = {(each.endpoint, each.bucket): each for each in reversed(self.addresses.values())}
        return [*reversed(found.values())] if self.mode == "bucket" else []

    def inside(self, key: str) -> str:
        """Return where an object is that a function names so. A prefix of keys is one as well."""
        return self.prefix + key

    def outside(self, key: str) -> str:
        """Return how functions name an object of this run."""
        return key.removeprefix(self.prefix)


def input_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield what is in the store before a run begins: the key of each file below a folder, and its path.

    Raises UsageError.
    """
    if not folder.is_dir():
        there = "is no folder" if folder.exists() else "does not exist"
        raise UsageError(f"the input {folder} {there}", hint="name a folder: its files are put into the store")
    for at, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = Path(at, name)
            yield path.relative_to(folder).as_posix(), path


def _own(address: Address, invocation: str) -> str:
    """Return the name of a run's bucket: what it stands for can be read, and it is that of no other run."""
    digest = hashlib.sha256(f"{address.bucket}\0{invocation}".encode()).hexdigest()[:16]
    readable = re.sub(r"[^a-z0-9]+", "-", address.bucket.lower())[:_KEPT_NAME].strip("-") or "run"
    return f"{readable}-{digest}"
