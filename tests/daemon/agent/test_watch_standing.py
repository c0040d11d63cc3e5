"""How all tests of a watch stand, over several generations."""

from __future__ import annotations

from testd_daemon.agent.watch.standing import MOST_FAILING, Standings
from testd_protocol.messages import Detail, Failing, Row, Verdict


def row(test: str, verdict: Verdict, message: str = "", target: str = "py") -> Row:
    return Row(test, target, verdict, 0.1, 0, 1, Detail(message=message) if message else None)


def test_the_last_word_counts_and_a_cancelled_test_stands_as_it_stood() -> None:
    found = Standings()
    for one in row("a.py::t", "failed", "1 == 2"), row("a.py::u", "passed"), row("a.py::t", "cancelled"):
        found.learn(one)
    assert found.failing
    assert found.report(3).counts == {"failed": 1, "passed": 1}
    assert found.report(3).failing == [Failing("a.py::t", "py", "failed", "1 == 2")]
    found.learn(row("a.py::t", "passed"))
    assert not found.failing
    assert (found.report(4).generation, found.report(4).tests, found.report(4).counts) == (4, 2, {"passed": 2})


def test_what_is_no_longer_in_a_file_that_was_collected_is_forgotten() -> None:
    found = Standings()
    for name in "a.py::t", "a.py::gone", "a.py", "b.py::t":
        found.learn(row(name, "failed", "why"))
        found.learn(row(name, "passed", target="other"))
    found.keep("py", ["a.py::t"], lambda file: file == "a.py")
    assert [failing.test for failing in found.report(1).failing] == ["a.py::t", "b.py::t"]
    assert found.report(1).counts == {"failed": 2, "passed": 4}


def test_many_failing_tests_are_counted_and_not_all_named() -> None:
    found = Standings()
    for number in range(MOST_FAILING + 7):
        found.learn(row(f"a.py::t{number}", "crashed", "SIGSEGV"))
    assert len(found.report(1).failing) == MOST_FAILING
    assert found.report(1).more == 7
