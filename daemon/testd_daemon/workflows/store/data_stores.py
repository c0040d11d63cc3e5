"""The data stores that a workflow names, with the credentials that the environment has for them. Pure.

The credentials of the data store X are `X_AccessKey` and `X_SecretKey`, as in the public system; then AWS's own
variables. The environment is that of whoever started the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from testd_daemon.errors import UsageError
from testd_daemon.workflows.store.address import Address, Keys, parse
from testd_daemon.workflows.truth import truth
from testd_protocol.workflows import DataStore

__all__ = ["DOCUMENT", "EMBEDDED", "embedded", "made", "outside", "own", "wants_embedded"]

#: The words for the embedded store, and for those of the document.
EMBEDDED: Final = "embedded"
DOCUMENT: Final = "document"


def wants_embedded(store: str) -> bool:
    """Say whether a run has the embedded store: what is outside of this machine is used only if it was named."""
    return store in ("", EMBEDDED)


def outside(store: str, stores: Mapping[str, DataStore], environment: Mapping[str, str]) -> dict[str, Address]:
    """Return the data stores of a run that has not the embedded one. Raises UsageError."""
    return own(stores, environment) if store == DOCUMENT else _given(store, stores, environment)


def _given(url: str, stores: Mapping[str, DataStore], environment: Mapping[str, str]) -> dict[str, Address]:
    """Return the data stores, all of them in the bucket that a URL names. Raises UsageError."""
    found = {}
    for name, store in stores.items():
        found[name] = parse(url, name).signed(_keys(name, store, environment))
    return found


def own(stores: Mapping[str, DataStore], environment: Mapping[str, str]) -> dict[str, Address]:
    """Return the data stores as the workflow's file has them. Raises UsageError for one without credentials."""
    missing = [name for name, store in stores.items() if not _usable(name, store, environment)]
    if missing:
        names = ", ".join(f"{name}_AccessKey and {name}_SecretKey" for name in missing)
        raise UsageError(
            f"there are no credentials for the data store {', '.join(missing)}",
            hint=f"set {names}, or Anonymous where it is open; or use --store embedded for all",
        )
    return {name: _address(name, store, environment) for name, store in stores.items()}


def embedded(stores: Mapping[str, DataStore], place: Callable[[str, str], Address]) -> dict[str, Address]:
    """Return the data stores, each in the bucket of its name in the embedded store; `place` has a bucket's address."""
    return {
        name: replace(place(store.bucket, name), writable=_flag(name, "Writable", store.writable))
        for name, store in stores.items()
    }


def made(
    told: Iterable[Mapping[str, str]], stores: Mapping[str, DataStore], environment: Mapping[str, str]
) -> list[Address]:
    """Return the buckets that a run has made for itself, as its `WorkflowPlanned` has them, with the keys for each."""
    found = []
    for each in told:
        name, store = each["name"], stores.get(each["name"], DataStore(bucket=each["bucket"]))
        address = Address(name=name, bucket=each["bucket"], endpoint=each["endpoint"], region=each["region"])
        found.append(address.signed(_keys(name, store, environment)))
    return found


def _address(name: str, store: DataStore, environment: Mapping[str, str]) -> Address:
    anonymous = _flag(name, "Anonymous", store.anonymous)
    address = Address(
        name=name,
        bucket=store.bucket,
        endpoint=store.endpoint,
        region=store.region,
        anonymous=anonymous,
        writable=_flag(name, "Writable", store.writable),
    )
    return address if anonymous else address.signed(_keys(name, store, environment))


def _usable(name: str, store: DataStore, environment: Mapping[str, str]) -> bool:
    return _flag(name, "Anonymous", store.anonymous) or _keys(name, store, environment) != Keys()


def _keys(name: str, store: DataStore, environment: Mapping[str, str]) -> Keys:
    """Return the keys from the first place that has both; none where no place has."""
    own = (store.access_key, store.secret_key, "")
    named = (environment.get(f"{name}_AccessKey"), environment.get(f"{name}_SecretKey"), "")
    amazon = tuple(map(environment.get, ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")))
    for access, secret, token in (own, named, amazon):
        if access and secret:
            return Keys(access, secret, token or "")
    return Keys()


def _flag(name: str, key: str, value: bool | str) -> bool:
    """Return what is true or false, also as text: "False" is false."""
    found = truth(value)
    if found is None:
        raise UsageError(f"DataStores.{name}.{key} is {value!r}", hint="true or false would be right")
    return found
