"""What the store alone says of a run."""

from __future__ import annotations

import pytest

from testd_daemon.workflows.status import FunctionStatus
from testd_daemon.workflows.testing.deduction import Seen, deduce, left_over, told_all
from workflow_files import graph

RUNS = Seen(started=True)


def completed(*invoked: str, result: str = "None") -> Seen:
    return Seen(started=True, done=True, settled=True, invoked=frozenset(invoked), result=result)


FAILED = Seen(started=True, failed=True)
FAILED_AFTER_DONE = Seen(started=True, done=True, failed=True)
SILENT = Seen(started=True, done=True, settled=True)

CONDITION = {"c": [{"True": ["t"], "False": ["f"]}], "t": ["tt"], "f": ["ff"], "tt": None, "ff": None}
FAILING = {"start": ["fail", "okay"], "fail": ["after"], "after": ["after2"], "okay": ["end"], "after2": [], "end": []}
JOIN = {"s": ["a", "b"], "a": ["j"], "b": ["j"], "j": ["k"], "k": None}
BELOW = {"s": ["c"], "c": [{"True": ["t"], "False": ["f"]}], "t": ["j"], "f": ["j"], "j": None}


@pytest.mark.parametrize(
    ("follows", "seen", "expected"),
    [
        pytest.param({"a": ["b"], "b": None}, {}, "a invoked, b pending", id="nothing yet"),
        pytest.param({"a": ["b"], "b": None}, {"a": RUNS}, "a running, b pending", id="a log has begun"),
        pytest.param(
            {"a": ["b"], "b": None}, {"a": Seen(started=True, done=True)}, "a running, b pending",
            id="a completion counts only once its log has settled",
        ),
        pytest.param({"a": ["b"], "b": None}, {"a": completed("b")}, "a completed, b invoked", id="invoked by name"),
        pytest.param({"a": ["b"], "b": None}, {"a": SILENT}, "a completed, b invoked", id="a silent platform"),
        pytest.param(
            {"a": ["b"], "b": None}, {"a": Seen(started=True, invoked=frozenset("b"))}, "a running, b invoked",
            id="invoked before the invoker is through",
        ),
        pytest.param({"a": ["b"], "b": None}, {"b": RUNS}, "a invoked, b running", id="its own log is enough"),
        pytest.param(
            {"a": ["b"], "b": ["c"], "c": None}, {"a": FAILED}, "a failed, b skipped, c skipped",
            id="a failure cascades at once",
        ),
        pytest.param(
            {"a": ["b"], "b": None}, {"a": FAILED_AFTER_DONE}, "a failed, b skipped",
            id="an error outweighs the completion that came before it",
        ),
        pytest.param(
            FAILING,
            {"start": completed("fail", "okay"), "fail": FAILED, "okay": completed("end"), "end": completed()},
            "start completed, fail failed, okay completed, after skipped, end completed, after2 skipped",
            id="fact 22: skipped is only what is reachable through the failure",
        ),
        pytest.param(
            CONDITION, {"c": completed("t", result="True")},
            "c completed, t invoked, f not_invoked, tt pending, ff not_invoked", id="fact 21: not invoked descends",
        ),
        pytest.param(
            CONDITION, {"c": completed(result="False")},
            "c completed, t not_invoked, f invoked, tt not_invoked, ff pending", id="the result tells the branch",
        ),
        pytest.param(
            CONDITION, {"c": SILENT}, "c completed, t pending, f pending, tt pending, ff pending",
            id="a log that says nothing leaves the branch open",
        ),
        pytest.param(
            CONDITION, {"c": SILENT, "f": RUNS}, "c completed, t not_invoked, f running, tt not_invoked, ff pending",
            id="whoever has begun tells the branch",
        ),
        pytest.param(JOIN, {"s": completed("a", "b"), "a": completed("j")},
                     "s completed, a completed, b invoked, j invoked, k pending", id="one of a join's has invoked it"),
        pytest.param(JOIN, {"s": completed("a", "b"), "a": completed("j"), "b": FAILED},
                     "s completed, a completed, b failed, j skipped, k skipped", id="a join needs all"),
        pytest.param(JOIN, {"s": completed("a", "b"), "a": completed("j"), "b": FAILED_AFTER_DONE},
                     "s completed, a completed, b failed, j invoked, k pending",
                     id="a failure that left a completion lets its join run"),
        pytest.param(JOIN, {"s": completed("a", "b"), "a": FAILED_AFTER_DONE, "b": FAILED_AFTER_DONE},
                     "s completed, a failed, b failed, j skipped, k skipped", id="a join that nobody invoked"),
        pytest.param(BELOW, {"s": completed("c"), "c": completed("t", result="True"), "t": completed("j")},
                     "s completed, c completed, t completed, f not_invoked, j invoked", id="a join below a condition"),
        pytest.param({"a": ["r(2)"], "r": ["b"], "b": None}, {"a": completed("r"), "r(1)": completed("b")},
                     "a completed, r(1) completed, r(2) invoked, b invoked", id="ranks"),
    ],
)  # fmt: skip
def test_status_follows_the_evidence(follows, seen, expected):
    wanted = dict(part.split(" ") for part in expected.split(", "))
    found = deduce(graph(follows), seen)
    assert {name: each.status.value for name, each in found.items()} == wanted


def test_a_static_join_below_a_condition_is_told_as_never_invoked():
    """Fact 20, as seen from outside."""
    seen = {"s": completed("c"), "c": completed("t", result="True"), "t": completed("j")}
    found = deduce(graph(BELOW), seen, static_joins=True)
    assert found["j"] == (FunctionStatus.NOT_INVOKED, "it waits for f, which does not invoke it")


def test_reasons_name_who_it_was():
    found = deduce(graph(JOIN), {"s": completed("a", "b"), "a": FAILED})
    assert found["j"].why == "a failed"
    assert found["k"].why == "j was skipped"
    assert found["b"].why == "s invoked it"


@pytest.mark.parametrize(
    ("action", "seen", "told"),
    [
        ("c", completed("t", result="True"), True),
        ("c", completed(result="True"), False),
        ("c", completed(result="None"), False),
        ("t", completed(result="None"), False),
        ("t", completed("tt"), True),
        ("tt", completed(), True),
        ("tt", SILENT, False),
    ],
)
def test_a_log_has_said_all_once_it_told_the_result_and_whom_it_invoked(action, seen, told):
    assert told_all(graph(CONDITION), action, seen) is told


def test_what_is_left_over_at_the_end_says_why():
    below = graph(BELOW)
    known = dict.fromkeys("sct", FunctionStatus.COMPLETED) | {
        "f": FunctionStatus.NOT_INVOKED,
        "j": FunctionStatus.INVOKED,
    }
    end = left_over(below, known, "j")
    assert end.status is FunctionStatus.TIMEOUT
    assert "never runs" in end.why
    join = graph(JOIN)
    known = dict.fromkeys("sb", FunctionStatus.COMPLETED) | {"a": FunctionStatus.FAILED, "j": FunctionStatus.INVOKED}
    assert left_over(join, known, "j") == (FunctionStatus.SKIPPED, "a failed")
    assert left_over(join, known | {"a": FunctionStatus.RUNNING}, "a", "no answer") == (
        FunctionStatus.TIMEOUT,
        "no answer",
    )
