"""What the tester asserts, and how it tells what does not hold."""

from __future__ import annotations

import json

import pytest
from play_invoker import DEADLINE, INTERVAL, PlayInvoker

from testd_daemon.errors import UsageError
from testd_daemon.workflows.testing import InitializationError, WorkflowTester
from testd_daemon.workflows.testing.explain import difference, nearby, tail
from workflow_files import document

FOLLOWS = {"make": ["check"], "check": [{"True": ["yes"], "False": ["no"]}], "yes": ["broken"], "no": [], "broken": []}
SCRIPT = {
    "make": {
        "puts": {"out/one.txt": "one\n", "out/many.txt": "a\nb\nc\n", "out/raw.bin": "\u00ff"},
        "says": ["made 3"],
    },
    "check": {"value": True},
    "broken": {"fails": "exit"},
}


@pytest.fixture
def tester(tmp_path, player, store):
    path = tmp_path / "workflow.json"
    path.write_text(json.dumps(document(FOLLOWS)))
    options = {"s3_client": store.s3_client, "bucket_name": store.bucket_name, "folder": "out"}
    with WorkflowTester(path, DEADLINE, INTERVAL, invoker=PlayInvoker(player, SCRIPT, ended=True), **options) as tester:
        tester.wait_for("broken", should_fail=True)
        tester.wait_for("make")
        yield tester


def message(call, *arguments):
    with pytest.raises(AssertionError) as raised:
        call(*arguments)
    return str(raised.value)


def test_what_holds_is_silent(tester, store):
    tester.assert_object_exists("one.txt")
    tester.assert_object_does_not_exist("two.txt")
    tester.assert_content_equals("many.txt", "a\nb\nc\n")
    tester.assert_content_equals("raw.bin", "\u00ff".encode())
    tester.assert_function_completed("make")
    tester.assert_function_not_invoked("no")
    tester.assert_function_failed("broken")
    tester.assert_logs_contain("make", "made 3", "Starting function")
    assert tester.get_s3_key("one.txt") == "out/one.txt"
    assert tester.bucket_name == store.bucket_name
    assert tester.s3_client.get_object(Bucket=tester.bucket_name, Key="out/one.txt")["Body"].read() == b"one\n"


def test_what_does_not_hold_shows_what_there_is_and_the_log(tester):
    said = message(tester.assert_object_exists, "ona.txt")
    assert said.startswith(f"no object out/ona.txt in {tester.bucket_name}: there are:\n  out/one.txt\n")
    assert "\n\nlog of make:\n[" in said
    assert said.rstrip().splitlines()[-1].startswith("[")
    said = message(tester.assert_object_does_not_exist, "one.txt")
    assert said.startswith(f"there is an object out/one.txt in {tester.bucket_name}\n")
    said = message(tester.assert_content_equals, "one.txt", "two\n")
    assert said.startswith("out/one.txt has another content\nexpected: 'two\\n'\nactual:   'one\\n'\n")
    said = message(tester.assert_content_equals, "many.txt", "a\nB\nc\n")
    assert "\n-B\n+b\n" in said
    assert "no object out/two.txt" in message(tester.assert_content_equals, "two.txt", "")
    assert message(tester.assert_function_completed, "no").startswith(
        "no is not_invoked (check did not invoke it), expected completed\n\nthere is no log of no"
    )
    assert message(tester.assert_function_not_invoked, "make").startswith("make is completed, expected not_invoked\n")
    assert message(tester.assert_logs_contain, "make", "made 4").startswith(
        "the log of make has no 'made 4'\n\nlog of make:"
    )
    tester.s3_client.put_object(Bucket=tester.bucket_name, Key="out/raw.bin", Body=b"\xff\xfe")
    with pytest.raises(UsageError, match=r"raw\.bin is no text in utf-8"):
        tester.assert_content_equals("raw.bin", "text")


def test_a_key_can_have_a_template(tmp_path, player, store):
    path = tmp_path / "workflow.json"
    path.write_text(json.dumps(document({"a": []})))
    template = {"folder": "integration-tests", "key_template": "{folder}/{invocation_id}/{file}"}
    options = {"s3_client": store.s3_client, "bucket_name": store.bucket_name, "invocation_id": "i-1"}
    with WorkflowTester(path, DEADLINE, INTERVAL, invoker=PlayInvoker(player), **options, **template) as tester:
        assert tester.get_s3_key("x.txt") == "integration-tests/i-1/x.txt"
    with pytest.raises(InitializationError, match=r"was not triggered"):
        WorkflowTester(path, invoker=PlayInvoker(player)).wait_for("a")
    with pytest.raises(InitializationError, match=r"no option 'foldr'\nDid you mean 'folder'"):
        WorkflowTester(path, foldr="x")


def test_what_the_block_raises_is_not_masked(tmp_path, player, store):
    path = tmp_path / "workflow.json"
    path.write_text(json.dumps(document({"a": []})))
    options = {"s3_client": store.s3_client, "bucket_name": store.bucket_name}
    with (
        pytest.raises(ZeroDivisionError),
        WorkflowTester(path, DEADLINE, INTERVAL, invoker=PlayInvoker(player), **options),
    ):
        raise ZeroDivisionError


def test_texts_of_assertions_are_short():
    log = "".join(f"line {number}\n" for number in range(100))
    assert tail(log).splitlines()[0] == "... 60 lines before ..."
    assert tail(log).splitlines()[-1] == "line 99"
    assert tail("one") == "one"
    assert "\\ no newline at the end" in difference("a\nb", "a\nb\n")
    assert difference("x\n" * 200, "y\n" * 200).endswith("more lines")
    assert nearby("a/b", []) == "there is nothing in its folder"
    assert nearby("k3", [f"k{number}" for number in range(30)]).endswith("... and 20 more")
