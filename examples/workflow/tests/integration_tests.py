import pytest

from testd.workflows import WorkflowTester


@pytest.fixture(scope="module", autouse=True)
def tester():
    with WorkflowTester(workflow_file_path="workflow.json", folder="shop") as tester:
        yield tester


def test_initialize(tester: WorkflowTester):
    tester.wait_for("initialize")
    # The next function deletes this file: what is seen here is the store as `initialize` left it.
    tester.assert_object_exists("orders.csv")
    tester.assert_object_does_not_exist("totals.csv")
    tester.assert_logs_contain("initialize", "3 orders written")


def test_process(tester: WorkflowTester):
    tester.wait_for("process")
    tester.assert_object_does_not_exist("orders.csv")
    tester.assert_content_equals("totals.csv", "apple,2.00\nbread,2.25\n")


def test_validate(tester: WorkflowTester):
    tester.wait_for("validate")
    tester.assert_function_completed("validate")
    tester.assert_logs_contain("validate", "4.25 of at most 100.00")


def test_what_follows_depends_on_the_validation(tester: WorkflowTester):
    tester.wait_for("publish")
    tester.wait_for("reject")
    tester.assert_function_not_invoked("reject")
    tester.assert_content_equals("message.txt", "published")
