"""What can go wrong with a store. Each message says which store, bucket and key, and where it was looked for.

    TestdError
    ├── EnvironmentFault
    │   └── ExtraMissing         what the extra [workflows] brings is not installed
    └── StoreError               an operation failed; `passing`: the next try may succeed
        ├── ObjectMissing        there is no such object
        ├── BucketMissing        there is no such bucket
        ├── StoreDenied          the credentials are wrong, missing, or may not do this
        └── StoreUnreachable     it does not answer, in time or at all, or answers that it cannot
            └── StoreVanished    it has answered before

`failures.py` makes them from what boto3 raises.
"""

from __future__ import annotations

from testd_daemon.errors import EnvironmentFault, TestdError

__all__ = [
    "BucketMissing", "ExtraMissing", "ObjectMissing", "StoreDenied", "StoreError", "StoreUnreachable", "StoreVanished",
]  # fmt: skip


class ExtraMissing(EnvironmentFault):
    """What the extra brings is not installed."""

    def __init__(self, what: str) -> None:
        """Name the module that was not found."""
        super().__init__(
            f"workflows need the module {what}, which is not installed", hint="pip install 'testd[workflows]'"
        )


class StoreError(TestdError):
    """An operation on a store failed."""

    code = "store"
    exit_code = 4
    passing = False


class ObjectMissing(StoreError):
    """There is no such object."""


class BucketMissing(StoreError):
    """There is no such bucket."""


class StoreDenied(StoreError):
    """The store does not let us."""


class StoreUnreachable(StoreError):
    """The store does not answer, or cannot do what it is for."""

    passing = True


class StoreVanished(StoreUnreachable):
    """The store has answered before."""
