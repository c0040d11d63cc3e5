"""What follows what: instances, joins, order, and which joins a static backend never runs."""

from __future__ import annotations

from testd_daemon.workflows.graph import action_of, instance, rank_of
from workflow_files import graph


def test_ranks_make_instances():
    """Fact 5: seven names, the ranks of one action written out."""
    found = graph({"func1": ["func2", "func3"], "func2": ["func4"], "func3": ["func4"], "func4": ["func5(3)"],
                   "func5": []})  # fmt: skip
    assert found.instances == ("func1", "func2", "func3", "func4", "func5(1)", "func5(2)", "func5(3)")
    assert found.ranks == {"func1": 1, "func2": 1, "func3": 1, "func4": 1, "func5": 3}
    assert found.joins() == ("func4",)


def test_a_successor_of_ranks_is_a_join():
    assert graph({"s": ["r(5)"], "r": ["e"], "e": []}).joins() == ("e",)


def test_names_of_instances_lead_back():
    assert [instance("f", 1, 1), instance("f", 3, 5)] == ["f", "f(3)"]
    assert [(action_of(name), rank_of(name)) for name in ("f", "f(3)")] == [("f", 1), ("f", 3)]


def test_what_is_invoked_twice_by_one_action_is_one_edge():
    found = graph({"s": ["a", "a", {"True": ["t", "t"], "False": ["t"]}], "a": [], "t": []})
    assert [(edge.target, edge.branch) for edge in found.edges] == [("a", ""), ("t", "True"), ("t", "False")]
    assert found.successors("s") == ("a", "t")
    assert found.predecessors("t") == ("s",)


def test_an_action_stands_behind_all_that_invoke_it():
    found = graph({"s": ["j", "a"], "j": [], "a": ["b"], "b": ["j"]})
    assert found.order == ("s", "a", "b", "j")
    assert found.levels == {"s": 0, "a": 1, "b": 2, "j": 3}


def test_empty_branches_are_branches():
    found = graph({"s": [{"True": ["a"], "False": []}], "a": [{"True": []}]})
    assert found.branches == {"s": {"True", "False"}, "a": {"True"}}


def test_a_static_join_below_both_branches_never_runs():
    """Fact 20."""
    found = graph({"s": ["c"], "c": [{"True": ["t"], "False": ["f"]}], "t": ["j"], "f": ["j"], "j": ["k"], "k": []})
    assert found.stuck() == {"j": "it waits for all that invoke it, and c takes one branch only: it never runs"}


def test_a_static_join_beside_a_branch_runs_only_with_it():
    found = graph({"s": ["c", "x"], "c": [{"True": ["t"]}], "t": ["j"], "x": ["j"], "j": []})
    assert found.stuck() == {"j": "it waits for all that invoke it: it runs only if c returns True"}


def test_joins_that_are_not_stuck():
    both = {"s": [{"True": ["j"], "False": ["j"]}], "j": []}
    inside = {"s": [{"True": ["a", "b"]}], "a": ["j"], "b": ["j"], "j": []}
    plain = {"s": ["a", "b"], "a": ["j"], "b": ["j"], "j": []}
    assert [graph(follows).stuck() for follows in (both, inside, plain)] == [{}, {}, {}]


def test_ranks_may_take_both_branches():
    found = graph({"s": ["r(2)"], "r": [{"True": ["t"], "False": ["f"]}], "t": ["j"], "f": ["j"], "j": []})
    assert found.stuck() == {"j": "it waits for all that invoke it: it runs only if r returns False, r returns True"}
