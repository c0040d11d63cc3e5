"""Where runs have their files, and the data stores of a workflow's file."""

from __future__ import annotations

import re

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from testd_daemon.errors import UsageError
from testd_daemon.workflows.store.address import Address
from testd_daemon.workflows.store.data_stores import outside, wants_embedded
from testd_daemon.workflows.store.isolation import Isolation, input_files
from testd_protocol.workflows import DataStore

STORES = {"S3": Address(name="S3", bucket="data"), "Other": Address(name="Other", bucket="Under_Scored.name")}
keys = st.text("ab/. é", min_size=1)


@examples(st.sampled_from(["none", "prefix", "bucket"]), keys)
def test_functions_see_the_names_that_they_give(mode, key):
    isolation = Isolation(mode, "id-1", STORES)
    assert isolation.outside(isolation.inside(key)) == key


@examples(st.sampled_from(["prefix", "bucket"]), keys, keys)
def test_two_runs_never_meet(mode, one, other):
    first, second = (Isolation(mode, name, STORES) for name in ("4f29", "ba7e"))
    assert (first.addresses["S3"].bucket, first.inside(one)) != (second.addresses["S3"].bucket, second.inside(other))


@examples(keys, keys)
def test_a_prefix_of_keys_is_one_inside(key, prefix):
    isolation = Isolation("prefix", "id", STORES)
    assert isolation.inside(key).startswith(isolation.inside(prefix)) == key.startswith(prefix)


def test_where_files_are():
    assert Isolation("none", "id", STORES).inside("folder/x.txt") == "folder/x.txt"
    assert Isolation("none", "id", STORES).addresses == STORES
    by_prefix = Isolation("prefix", "4f290d29", STORES)
    assert by_prefix.inside("folder/x.txt") == "4f290d29/folder/x.txt"
    assert by_prefix.addresses == STORES
    by_bucket = Isolation("bucket", "4f290d29", STORES)
    assert by_bucket.inside("folder/x.txt") == "folder/x.txt"
    assert re.fullmatch(r"data-[0-9a-f]{16}", by_bucket.addresses["S3"].bucket)
    assert re.fullmatch(r"under-scored-name-[0-9a-f]{16}", by_bucket.addresses["Other"].bucket)


@pytest.mark.parametrize("name", ["x" * 63, "...", "a-" * 31])
def test_names_of_buckets(name):
    """3 to 63 characters: small letters, digits and hyphens, none of these at an end."""
    own = Isolation("bucket", "id", {"S": Address(name="S", bucket=name)}).addresses["S"].bucket
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", own)


def test_input(tmp_path):
    (tmp_path / "in" / "b").mkdir(parents=True)
    (tmp_path / "in" / "z.txt").write_text("z")
    (tmp_path / "in" / "b" / "a.txt").write_text("a")
    (tmp_path / "in" / "b" / "round").symlink_to(tmp_path / "in")
    assert [(key, path.read_text()) for key, path in input_files(tmp_path / "in")] == [("z.txt", "z"), ("b/a.txt", "a")]


@pytest.mark.parametrize(("name", "why"), [("none", "does not exist"), ("file", "is no folder")])
def test_wrong_input(tmp_path, name, why):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=rf"the input .*{name} {why}\nname a folder"):
        list(input_files(tmp_path / name))


# --- data stores -------------------------------------------------------------------------------------------------


def store(**fields):
    return DataStore(bucket="b", **fields)


def test_names_of_credentials():
    amazon = {"AWS_ACCESS_KEY_ID": "w", "AWS_SECRET_ACCESS_KEY": "x"}
    environment = {"My_S3_AccessKey": "a", "My_S3_SecretKey": "s", **amazon}
    found = outside("document", {"My_S3": store(endpoint="http://h:1", region="r"), "B": store()}, environment)
    assert (found["My_S3"].access_key, found["My_S3"].secret_key) == ("a", "s")
    assert (found["My_S3"].endpoint, found["My_S3"].region, found["My_S3"].name) == ("http://h:1", "r", "My_S3")
    assert (found["B"].access_key, found["B"].secret_key, found["B"].session_token) == ("w", "x", "")
    found = outside("document", {"B": store()}, {**environment, "AWS_SESSION_TOKEN": "t"})
    assert found["B"].session_token == "t"
    found = outside("document", {"B": store(access_key="in", secret_key="file")}, environment)
    assert (found["B"].access_key, found["B"].secret_key) == ("in", "file")


def test_the_stores_of_the_document():
    with pytest.raises(UsageError, match="no credentials for the data store A"):
        outside("document", {"A": store()}, {})


def test_half_of_a_pair_is_not_mixed_with_another():
    environment = {"B_AccessKey": "a", "AWS_ACCESS_KEY_ID": "w", "AWS_SECRET_ACCESS_KEY": "x"}
    found = outside("document", {"B": store()}, environment)
    assert (found["B"].access_key, found["B"].secret_key) == ("w", "x")


@pytest.mark.parametrize(
    ("written", "anonymous"),
    [(True, True), ("True", True), ("yes", True), (False, False), ("False", False), ("false", False), ("", False)],
)
def test_anonymous(written, anonymous):
    """The public system takes "False" for true."""
    keys = {"S_AccessKey": "a", "S_SecretKey": "s"}
    found = outside("document", {"S": store(anonymous=written, writable=written)}, keys)["S"]
    assert found.anonymous is anonymous
    assert found.writable is anonymous
    assert found.access_key == ("" if anonymous else "a")


def test_a_flag_that_is_none():
    with pytest.raises(UsageError, match=r"DataStores\.S\.Anonymous is 'maybe'\ntrue or false would be right"):
        outside("document", {"S": store(anonymous="maybe")}, {})


def test_missing_credentials():
    with pytest.raises(UsageError, match="no credentials for the data store A, B\nset A_AccessKey and A_SecretKey, B_"):
        outside("document", {"A": store(), "B": store(), "C": store(anonymous=True)}, {})


def test_when_the_store_is_embedded():
    """Whatever credentials the environment has: nothing outside of this machine is touched unless it is named."""
    assert [name for name in ("", "embedded", "document", "s3://x") if wants_embedded(name)] == ["", "embedded"]


def test_a_store_for_all():
    keys = {"B_AccessKey": "a", "B_SecretKey": "s"}
    found = outside("s3://x?endpoint=http://h:1", {"A": store(), "B": store()}, keys)
    assert [(each.name, each.bucket, each.endpoint) for each in found.values()] == [
        ("A", "x", "http://h:1"),
        ("B", "x", "http://h:1"),
    ]
    assert [each.access_key for each in found.values()] == ["", "a"]
