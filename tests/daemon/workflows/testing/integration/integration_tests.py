"""What the workflow does, function by function, each as it left the store."""

import pytest

from testd.workflows import WorkflowTester


@pytest.fixture(scope="module", autouse=True)
def tester():
    with WorkflowTester("workflow.json", isolation="prefix", folder="integration-tests") as tester:
        yield tester


def test_create_input(tester):
    tester.wait_for("create-input")
    for number in (1, 2, 3):
        tester.assert_content_equals(f"input{number}.txt", f"Test input{number}")


def test_py_api(tester):
    tester.wait_for("test-py-api")
    tester.assert_object_does_not_exist("input1.txt")
    tester.assert_content_equals("output1-py.txt", "TEST INPUT2")
    tester.assert_content_equals("output2-py.txt", "3tupni tseT")
    tester.assert_logs_contain("test-py-api", f"invocation {tester.invocation_id}")


def test_r_api(tester):
    tester.wait_for("test-r-api")
    tester.assert_content_equals("output1-R.txt", "TEST INPUT2")
    tester.assert_content_equals("output2-R.txt", "3tupni tseT")


def test_sync1(tester):
    tester.wait_for("sync1")
    tester.assert_logs_contain("sync1", "4 outputs")
    tester.assert_object_does_not_exist("run_true_output.txt")


def test_run_true(tester):
    tester.wait_for("test-run-true")
    tester.assert_content_equals("run_true_output.txt", "run_true_output.txt")


def test_dont_run_true(tester):
    tester.wait_for("test-dont-run-true")
    tester.assert_function_not_invoked("test-dont-run-true")


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_rank(tester, rank):
    tester.wait_for(f"test-rank({rank})")
    tester.assert_content_equals(f"rank_files/rank{rank}.txt", f"rank {rank} of 5")


def test_sync2(tester):
    tester.wait_for("sync2")
    tester.assert_function_completed("sync2")
    for rank in (1, 2, 3, 4, 5):
        tester.assert_object_exists(f"rank_files/rank{rank}.txt")


def test_run_false(tester):
    tester.wait_for("test-run-false")
    tester.assert_content_equals("run_false_output.txt", "run_false_output.txt")


def test_dont_run_false(tester):
    tester.wait_for("test-dont-run-false")
    tester.assert_function_not_invoked("test-dont-run-false")
    tester.assert_object_does_not_exist("never.txt")
