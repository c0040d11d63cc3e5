"""What each event of a run leads to, for each shape of a graph, and what always holds, whatever the graph."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testd_daemon.errors import Bug, IllegalTransition
from testd_daemon.workflows.graph import Graph, action_of
from testd_daemon.workflows.progress import Change, Finished, Progress, Step
from testd_daemon.workflows.status import FINAL, FunctionStatus
from testd_protocol.workflows import Action, Conditional
from workflow_files import graph

S = FunctionStatus
DIAMOND = {"s": ["a", "b"], "a": ["j"], "b": ["j"], "j": []}
BRANCHES = {"s": ["c"], "c": [{"True": ["t"], "False": ["f"]}], "t": ["j"], "f": ["j"], "j": []}


def play(follows, returns=None, join="documented", fails=()) -> tuple[Progress, list[str]]:
    """Run all that is to run, one after the other; return how it stands then, and what ran."""
    progress = Progress(graph(follows), join)
    left, ran = list(progress.begin().start), []
    while left:
        name = left.pop(0)
        ran.append(name)
        progress.started(name)
        value = (returns or {}).get(name)
        step = progress.failed(name, "boom") if name in fails else progress.completed(name, value)
        left += step.start
    return progress, ran


def ends(progress: Progress) -> dict[str, str]:
    """Return the status of each function as text."""
    return {name: status.value for name, status in progress.statuses.items()}


# ── shapes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_begins_with_its_entry():
    """Fact 5: the entry is invoked, all others are pending."""
    progress = Progress(graph({"func1": ["func2", "func3"], "func2": ["func4"], "func3": ["func4"],
                               "func4": ["func5(3)"], "func5": []}))  # fmt: skip
    assert progress.begin() == Step((Change("func1", S.INVOKED),), ("func1",))
    assert ends(progress) == {
        "func1": "invoked",
        **dict.fromkeys(("func2", "func3", "func4", "func5(1)", "func5(2)", "func5(3)"), "pending"),
    }


def test_a_chain():
    """Fact 13, the part of it that is scheduling."""
    progress, ran = play({"start": ["next"], "next": []})
    assert ran == ["start", "next"]
    assert set(ends(progress).values()) == {"completed"}


def test_a_join_runs_once_and_when_the_last_one_is_through():
    """Fact 14: both invoke it, the second is the winner."""
    progress = Progress(graph(DIAMOND))
    progress.begin()
    progress.started("s")
    assert progress.completed("s", None) == Step(
        (Change("s", S.COMPLETED), Change("a", S.INVOKED), Change("b", S.INVOKED)), ("a", "b"), ("a", "b")
    )
    progress.started("a")
    progress.started("b")
    assert progress.completed("b", None) == Step((Change("b", S.COMPLETED),), (), ("j",))
    assert progress.statuses["j"] is S.PENDING
    assert progress.completed("a", None) == Step((Change("a", S.COMPLETED), Change("j", S.INVOKED)), ("j",), ("j",))


def test_ranks_run_side_by_side_and_their_successor_once():
    """Fact 15."""
    progress = Progress(graph({"s": ["r(5)"], "r": ["e"], "e": []}))
    progress.begin()
    progress.started("s")
    step = progress.completed("s", None)
    assert step.start == tuple(f"r({rank})" for rank in range(1, 6))
    assert step.invoked == ("r",) * 5
    started = []
    for name in step.start:
        progress.started(name)
        started.append(progress.completed(name, None))
    assert [each.start for each in started] == [(), (), (), (), ("e",)]
    assert {each.invoked for each in started} == {("e",)}


def test_a_condition_takes_one_branch_and_plain_items_run_anyway():
    """Fact 16."""
    progress, ran = play({"s": ["p", {"True": ["t"], "False": ["f"]}], "p": [], "t": [], "f": []}, {"s": True})
    assert ran == ["s", "p", "t"]
    assert ends(progress)["f"] == "not_invoked"
    assert progress.why("f") == "s returned True"


def test_a_condition_without_a_value_fails_and_invokes_nothing():
    """Fact 17."""
    progress, ran = play({"s": ["p", {"True": ["t"]}], "p": [], "t": []}, {"s": None})
    assert ran == ["s"]
    assert ends(progress) == {"s": "failed", "p": "skipped", "t": "skipped"}
    assert progress.why("s") == "InvokeNext contains conditionals but function did not return a value"


def test_true_takes_the_true_branch():
    """Fact 18, once a value is coerced."""
    assert play(BRANCHES, {"c": True})[1] == ["s", "c", "t", "j"]
    assert play(BRANCHES, {"c": False})[1] == ["s", "c", "f", "j"]


def test_a_branch_that_is_not_there_fails_and_an_empty_one_does_not():
    """Fact 19: told, and nothing is invoked."""
    progress, ran = play({"s": ["p", {"True": ["t"]}], "p": [], "t": []}, {"s": False})
    assert ran == ["s"]
    assert progress.why("s") == (
        "InvokeNext has a conditional without False, which the function returned; add False: []"
    )
    progress, ran = play({"s": ["p", {"True": ["t"], "False": []}], "p": [], "t": []}, {"s": False})
    assert ran == ["s", "p"]
    assert ends(progress)["t"] == "not_invoked"


@pytest.mark.parametrize(("value", "taken", "other"), [(True, "t", "f"), (False, "f", "t")])
def test_a_join_below_a_condition_runs_after_the_branch_that_was_taken(value, taken, other):
    """Fact 20: documented."""
    progress, ran = play(BRANCHES, {"c": value})
    assert ran == ["s", "c", taken, "j"]
    assert ends(progress) == {"s": "completed", "c": "completed", taken: "completed", other: "not_invoked",
                              "j": "completed"}  # fmt: skip


def test_a_static_join_below_a_condition_never_runs():
    """Fact 20: faasr. The run ends, and says why."""
    progress, ran = play({**BRANCHES, "j": ["k"], "k": []}, {"c": True}, join="faasr")
    assert ran == ["s", "c", "t"]
    assert progress.finished
    assert {name: progress.why(name) for name in ("f", "j", "k")} == {
        "f": "c returned True",
        "j": "it waits for f, which is not invoked",
        "k": "j is not invoked",
    }
    assert ends(progress)["j"] == ends(progress)["k"] == "not_invoked"


def test_both_branches_may_lead_to_the_same():
    both = {"s": [{"True": ["j"], "False": ["j"]}], "j": []}
    assert [play(both, {"s": value}, join)[1] for value in (True, False) for join in ("documented", "faasr")] == [
        ["s", "j"]
    ] * 4


def test_what_is_below_a_function_that_is_not_invoked_is_not_invoked():
    """Fact 21."""
    progress, _ = play({"c": [{"True": ["t"], "False": ["f"]}], "t": [], "f": ["g"], "g": ["h(2)"], "h": []},
                       {"c": True})  # fmt: skip
    assert ends(progress) == {"c": "completed", "t": "completed", "f": "not_invoked", "g": "not_invoked",
                              "h(1)": "not_invoked", "h(2)": "not_invoked"}  # fmt: skip
    assert progress.why("h(2)") == "g is not invoked"


def test_a_failure_skips_what_is_below_and_nothing_else():
    """Fact 22."""
    progress, ran = play(
        {"start": ["fail", "okay"], "fail": ["after"], "after": ["after2"], "after2": [], "okay": ["end"], "end": []},
        fails={"fail"},
    )
    assert ends(progress) == {"start": "completed", "fail": "failed", "after": "skipped", "after2": "skipped",
                              "okay": "completed", "end": "completed"}  # fmt: skip
    assert ran == ["start", "fail", "okay", "end"]
    assert [progress.why(name) for name in ("fail", "after", "after2")] == ["boom", "fail failed", "fail failed"]


def test_a_join_below_a_failure_is_skipped_at_once_while_others_go_on():
    progress = Progress(graph(DIAMOND))
    progress.begin()
    progress.started("s")
    progress.completed("s", None)
    progress.started("a")
    progress.started("b")
    assert progress.failed("a", "took too long", S.TIMEOUT).changes == (
        Change("a", S.TIMEOUT, "took too long"),
        Change("j", S.SKIPPED, "a timed out"),
    )
    assert progress.completed("b", None) == Step((Change("b", S.COMPLETED),), (), ("j",))


def test_a_rank_that_fails_skips_what_follows_and_its_siblings_go_on():
    progress, ran = play({"s": ["r(3)"], "r": ["e"], "e": []}, fails={"r(2)"})
    assert ran == ["s", "r(1)", "r(2)", "r(3)"]
    assert (ends(progress)["r(3)"], ends(progress)["e"]) == ("completed", "skipped")


def test_ranks_may_take_both_branches():
    follows = {"s": ["r(2)"], "r": [{"True": ["t"], "False": ["f"]}], "t": ["j"], "f": ["j"], "j": []}
    assert play(follows, {"r(1)": True, "r(2)": False})[1] == ["s", "r(1)", "r(2)", "t", "f", "j"]
    progress, ran = play(follows, {"r(1)": True, "r(2)": True})
    assert ran == ["s", "r(1)", "r(2)", "t", "j"]
    assert progress.why("f") == "r(1) returned True, r(2) returned True"


def test_a_lost_process_runs_again():
    progress = Progress(graph({"s": []}))
    progress.begin()
    progress.started("s")
    assert progress.again("s", "its runner was lost") == Step((Change("s", S.INVOKED, "its runner was lost"),), ("s",))
    progress.started("s")
    assert progress.completed("s", None).changes == (Change("s", S.COMPLETED),)
    assert progress.why("s") == ""


def test_a_cancelled_run_is_finished():
    progress = Progress(graph(DIAMOND))
    progress.begin()
    progress.started("s")
    assert progress.cancel().changes == tuple(Change(name, S.SKIPPED, "cancelled") for name in ("s", "a", "b", "j"))
    assert progress.finished


def test_a_run_goes_on_from_what_has_ended():
    progress = Progress(graph({**BRANCHES, "j": ["k"], "k": []}))
    step = progress.resume({"s": Finished(S.COMPLETED), "c": Finished(S.COMPLETED, False)})
    assert step.start == ("f",)
    assert ends(progress) == {"s": "completed", "c": "completed", "t": "not_invoked", "f": "invoked", "j": "pending",
                              "k": "pending"}  # fmt: skip
    progress = Progress(graph(DIAMOND))
    assert progress.resume({"s": Finished(S.COMPLETED), "a": Finished(S.FAILED, why="boom")}).start == ("b",)
    assert progress.why("j") == "a failed"


def test_what_cannot_happen_is_a_bug():
    progress = Progress(graph({"s": []}))
    with pytest.raises(Bug, match="no function x"):
        progress.started("x")
    with pytest.raises(IllegalTransition):
        progress.completed("s", None)


# ── what always holds ────────────────────────────────────────────────────────────────────────────────────────────────


@st.composite
def graphs(draw) -> Graph:
    """Make a graph: edges lead from earlier actions to later ones; all actions can be reached."""
    count = draw(st.integers(1, 9))
    names = [f"n{number}" for number in range(count)]
    plain: dict[str, list[str]] = {name: [] for name in names}
    branched: dict[str, dict[str, list[str]]] = {name: {} for name in names}
    ranked: set[str] = set()
    for number, name in enumerate(names[1:], 1):
        kind = draw(st.sampled_from(["plain", "plain", "branch", "ranks"]))
        if kind == "plain":
            for source in draw(st.lists(st.sampled_from(names[:number]), min_size=1, max_size=3, unique=True)):
                plain[source].append(name)
            continue
        source = draw(st.sampled_from(names[:number]))
        if kind == "ranks" and source not in ranked:
            ranked.add(name)
            plain[source].append(f"{name}({draw(st.integers(2, 3))})")
            continue
        for branch in draw(st.sampled_from([["True"], ["False"], ["True", "False"]])):
            branched[source].setdefault(branch, []).append(name)
    actions = {}
    for name in names:
        branches = branched[name]
        extra = [Conditional(true=branches.get("True", []), false=branches.get("False", []))] if branches else []
        actions[name] = Action(faas_server="x", function_name="f", invoke_next=[*plain[name], *extra])
    return Graph.of(names[0], actions)


class Played:
    """A run of a graph in which values, failures and the order of ends are drawn."""

    def __init__(self, found: Graph, data, join, failures) -> None:
        self.graph = found
        self.progress = Progress(found, join)
        self.started: list[str] = []
        self.finals: list[str] = []
        self.values: dict[str, bool] = {}
        self.wins: list[str] = []
        self.data, self.failures = data, failures

    def take(self, step: Step) -> list[str]:
        self.finals += [change.function for change in step.changes if change.status in FINAL]
        self.wins += {action_of(name) for name in step.start}
        return list(step.start)

    def play(self, most: int = 1000) -> None:
        """Play to the end, or until so many functions were started."""
        left = self.take(self.progress.begin())
        running: list[str] = []
        while (left or running) and len(self.started) < most:
            if left and (not running or self.data.draw(st.booleans())):
                name = left.pop(self.data.draw(st.integers(0, len(left) - 1)))
                self.started.append(name)
                self.take(self.progress.started(name))
                running.append(name)
                continue
            name = running.pop(self.data.draw(st.integers(0, len(running) - 1)))
            if self.failures and self.data.draw(st.integers(0, 3)) == 0:
                left += self.take(self.progress.failed(name, "boom"))
            else:
                self.values[name] = self.data.draw(st.booleans())
                left += self.take(self.progress.completed(name, self.values[name]))


def below(found: Graph, action: str) -> set[str]:
    """Return all actions that can be reached from one."""
    reached, left = set(), [action]
    while left:
        new = set(found.successors(left.pop())) - reached
        reached |= new
        left += new
    return reached


@settings(max_examples=300, deadline=None)
@given(graphs(), st.data(), st.sampled_from(["documented", "faasr"]), st.booleans())
def test_whatever_the_graph(found, data, join, failures):
    """Each ends once, runs at most once, a join is won once, failures reach what is below and nothing else."""
    run = Played(found, data, join, failures)
    run.play()
    assert run.progress.finished
    assert sorted(run.finals) == sorted(found.instances)
    assert len(set(run.started)) == len(run.started)
    assert len(set(run.wins)) == len(run.wins)
    statuses = run.progress.statuses
    failed = {action_of(name) for name, status in statuses.items() if status is S.FAILED}
    skipped = {action_of(name) for name, status in statuses.items() if status is S.SKIPPED}
    assert skipped <= set().union(*(below(found, action) for action in failed))
    for action in found.actions[1:]:
        before = [name for each in found.predecessors(action) for name in found.instances_of(each)]
        states = {statuses[name] for name in before}
        mine = {statuses[name] for name in found.instances_of(action)}
        if states & {S.FAILED, S.SKIPPED}:
            assert mine == {S.SKIPPED}
        elif mine <= {S.COMPLETED, S.FAILED}:
            chosen = {str(run.values[name]) for name in before if statuses[name] is S.COMPLETED} | {""}
            assert any(edge.branch in chosen for edge in found.incoming[action])
            assert join == "documented" or states == {S.COMPLETED}
        else:
            assert mine == {S.NOT_INVOKED}


@settings(max_examples=100, deadline=None)
@given(graphs(), st.data(), st.sampled_from(["documented", "faasr"]), st.integers(0, 8))
def test_a_run_that_is_cancelled_at_any_time_ends_each_function_once(found, data, join, most):
    run = Played(found, data, join, failures=True)
    run.play(most)
    before = run.progress.statuses
    run.take(run.progress.cancel())
    assert run.progress.finished
    assert sorted(run.finals) == sorted(found.instances)
    for name, status in run.progress.statuses.items():
        assert status is (before[name] if before[name] in FINAL else S.SKIPPED)


@settings(max_examples=150, deadline=None)
@given(graphs(), st.data(), st.booleans())
def test_a_run_that_goes_on_comes_to_the_same_end(found, data, failures):
    """After any number of functions have ended: nothing that ended runs again, and all statuses are the same."""
    whole = Played(found, data, "documented", failures)
    whole.play()
    end = whole.progress.statuses
    ended = {name: Finished(end[name], whole.values.get(name), "boom") for name in whole.started}
    kept = whole.started[: data.draw(st.integers(0, len(whole.started)))]
    before = {name: ended[name] for name in kept}
    again = Progress(found)
    left = list(again.resume(before).start)
    while left:
        name = left.pop()
        assert name not in before
        again.started(name)
        one = ended[name]
        step = again.completed(name, one.value) if one.status is S.COMPLETED else again.failed(name, "boom")
        left += step.start
    assert again.statuses == end


@settings(max_examples=100, deadline=None)
@given(graphs(), st.data())
def test_without_failures_a_static_join_that_is_not_stuck_does_as_documented(found, data):
    if found.stuck():
        return
    documented = Played(found, data, "documented", failures=False)
    documented.play()
    static = Progress(found, "faasr")
    left = list(static.begin().start)
    while left:
        name = left.pop()
        static.started(name)
        left += static.completed(name, documented.values[name]).start
    assert static.statuses == documented.progress.statuses
