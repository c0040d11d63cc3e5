"""A workflow's file: what is taken, and each thing that can be wrong with it, with its place."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testd_daemon.errors import UsageError
from testd_daemon.workflows.document import decode, load
from testd_daemon.workflows.errors import WorkflowError
from workflow_files import document, workflow


def wrong(value) -> list[tuple[str, str]]:
    """Return place and text of each violation."""
    data = value if isinstance(value, bytes) else json.dumps(value, indent=2).encode()
    with pytest.raises(WorkflowError) as caught:
        decode(data, "workflow.json")
    return [(each.place, each.text) for each in caught.value.violations]


def only(value) -> tuple[str, str]:
    """Return the one violation."""
    found = wrong(value)
    assert len(found) == 1, found
    return found[0]


#: Every kind of key that a document may have.
FULL = {
    "InvocationIDFromDate": "%Y%m%d", "Secrets": ["A"], "FunctionGitRepo": {"a": ["me/a"]}, "VMConfig": {"Name": "x"},
    "FunctionLocalFile": {"b": "b.py"}, "PyPIPackageDownloads": {"a": "numpy"}, "FunctionRank": 1,
    "Testd": {"Target": "x", "Targets": {"a": "y"}, "Timeout": 1.5, "Timeouts": {"b": 2}},
}  # fmt: skip


# ── the table of section 1: graphs ───────────────────────────────────────────────────────────────────────────────────

TABLE = [  # fact 30: what follows what, place, message
    ({"a": ["b"], "b": ["a"]}, "ActionList.b.InvokeNext[0]", "Function loop found: no initial action"),
    ({"a": ["a"]}, "ActionList.a.InvokeNext[0]", "Function loop found: no initial action"),
    ({"s": ["a"], "a": ["b"], "b": ["a"]}, "ActionList.b.InvokeNext[0]", "Function loop found from node b to a"),
    ({"s": ["a"], "a": ["a"]}, "ActionList.a.InvokeNext[0]", "Function loop found from node a to a"),
    ({"a": ["b"], "b": [], "c": []}, "ActionList.c", "Unreachable state found: c"),
    (
        {"a": ["b(2)"], "b": ["c(3)"], "c": []},
        "ActionList.b.InvokeNext[0]",
        "Function with rank cannot have predecessor with rank - offending functions: c(3) and b(2)",
    ),
    (
        {"s": ["a", "b"], "a": ["c(2)"], "b": ["c(2)"], "c": []},
        "ActionList.a.InvokeNext[0]",
        "Function with rank cannot have multiple predecessors; c(2) is invoked by a, b",
    ),
    (
        {"s": ["a", "b"], "a": ["c"], "b": ["c(2)"], "c": []},  # in the other order it was told, in this one it was not
        "ActionList.b.InvokeNext[0]",
        "Function with rank cannot have multiple predecessors; c(2) is invoked by a, b",
    ),
    (
        {"s": ["a", "b"], "a": [{"True": ["j"]}], "b": ["j"], "j": []},
        "ActionList.b.InvokeNext[0]",
        "Mixed predecessor types detected for action 'j': with a condition by a, without one by b; either all of them",
    ),
    (
        {"s": ["a", "b"], "a": [{"True": ["j"]}], "b": [{"True": ["j"], "False": []}], "j": []},
        "ActionList.b.InvokeNext[0].True[0]",
        "Multiple conditional sources detected for action 'j': a, b",
    ),
    (
        {"s": ["a", "ghost"], "a": []},
        "ActionList.s.InvokeNext[1]",
        'Function invokes an action that is not in ActionList: "ghost"; there are s, a',
    ),
    ({"a": "x", "x": []}, "ActionList.a.InvokeNext", '"x" is not a list'),
    (
        {"s": [{"True": ["c(2)"], "False": ["c(3)"]}], "c": []},
        "ActionList.s.InvokeNext[0].True[0]",
        "Function with rank is invoked with different ranks: c(2) and c(3)",
    ),
    (
        {"s": [{"True": ["c"], "False": ["c(3)"]}], "c": []},
        "ActionList.s.InvokeNext[0].False[0]",
        "Function with rank is invoked with different ranks: c(1) and c(3)",
    ),
]


@pytest.mark.parametrize(("follows", "place", "message"), TABLE)
def test_a_graph_that_is_wrong_is_told_with_its_place(follows, place, message):
    """Fact 30, and loops told as such and not as what else follows from them."""
    found = only(document(follows))
    assert found[0] == place
    assert found[1].startswith(message)


def test_the_entry_must_be_an_action():
    """Fact 30."""
    place, text = only(document({"a": []}, entry="nothing"))
    assert place == "FunctionInvoke"
    assert text == 'FunctionInvoke does not refer to a valid function: "nothing" is no action; there are a'


def test_an_entry_that_another_action_invokes_leaves_that_one_unreachable():
    assert only(document({"a": ["b"], "b": []}, entry="b"))[0] == "ActionList.a"


@pytest.mark.parametrize(
    "follows",
    [
        {"s": [{"True": ["j"], "False": ["j"]}], "j": []},
        {"s": ["f(1)", "g(0)"], "f": [], "g": []},
        {"s": None},
        {"s": ["a", "b"], "a": ["j"], "b": ["j"], "j": []},
        {"s": ["a", {"True": ["b"]}], "a": [], "b": ["c(3)"], "c": ["d"], "d": []},
    ],
)
def test_a_graph_that_is_right_is_taken(follows):
    """Fact 30: the rows that are accepted."""
    assert workflow(follows).graph.actions == tuple(follows)


def test_a_rank_of_one_or_none_is_no_rank():
    """Fact 30: `func(1)` and `func(0)`."""
    assert workflow({"s": ["f(1)", "g(0)"], "f": [], "g": []}).graph.ranks == {"s": 1, "f": 1, "g": 1}


# ── the table of section 1: keys ─────────────────────────────────────────────────────────────────────────────────────

GOOD = document({"a": []})


def changed(**keys) -> dict:
    """Return a good document with other top-level keys; `...` leaves one out."""
    return {key: value for key, value in {**GOOD, **keys}.items() if value is not ...}


def action(**keys) -> dict:
    """Return a good document whose action has other keys."""
    inner = {**GOOD["ActionList"]["a"], **keys}
    return changed(ActionList={"a": {key: value for key, value in inner.items() if value is not ...}})


def store(**keys) -> dict:
    """Return a good document whose store has other keys."""
    inner = {**GOOD["DataStores"]["S3"], **keys}
    return changed(DataStores={"S3": {key: value for key, value in inner.items() if value is not ...}})


KEYS = [
    *[
        (changed(**{key: ...}), key, "missing")
        for key in ("FunctionInvoke", "WorkflowName", "DefaultDataStore", "ActionList", "ComputeServers", "DataStores")
    ],
    (changed(WorkflowName="my_flow"), "WorkflowName", '"my_flow" is not a name of letters, digits and dashes'),
    (changed(WorkflowName="flow\n"), "WorkflowName", '"flow\\n" is not a name of letters, digits and dashes'),
    (changed(InvocationIDFromDate="%Y_%m"), "InvocationIDFromDate", '"%Y_%m" is not a format of strftime'),
    (changed(ActionList={}), "ActionList", "is empty"),
    (changed(ActionList=[]), "ActionList", "[] is not a map"),
    (changed(ComputeServers={}), "ComputeServers", "is empty"),
    (changed(DefaultDataStore="S4"), "DefaultDataStore", '"S4" is not in DataStores; there are S3'),
    (changed(LoggingDataStore="S4"), "LoggingDataStore", '"S4" is not in DataStores; there are S3'),
    (changed(FaaSrLog=5), "FaaSrLog", "5 is not text"),
    (changed(Secrets=["lower"]), "Secrets[0]", '"lower" is not a name of capitals'),
    (
        changed(FunctionGitRepo={"a": "me/repo"}, FunctionLocalFile={"a": "a.py"}),
        "FunctionLocalFile.a",
        "the function is in FunctionGitRepo too",
    ),
    (action(FaaSServer="Azure"), "ActionList.a.FaaSServer", '"Azure" is not in ComputeServers; there are GH'),
    (action(FaaSServer=...), "ActionList.a.FaaSServer", "missing"),
    (action(FunctionName=...), "ActionList.a.FunctionName", "missing"),
    (action(FunctionName="my-function"), "ActionList.a.FunctionName", '"my-function" is not the name of a function'),
    (action(Type="Perl"), "ActionList.a.Type", '"Perl" is none of Julia, Python, R'),
    (action(Invokenext=[]), "ActionList.a.Invokenext", "there is no such key (did you mean InvokeNext?)"),
    (action(InvokeNext=["b c"]), "ActionList.a.InvokeNext[0]", '"b c" is not an action, NAME or NAME(RANKS)'),
    (action(InvokeNext=["b(x)"]), "ActionList.a.InvokeNext[0]", '"b(x)" is not an action, NAME or NAME(RANKS)'),
    (action(InvokeNext=[["b"]]), "ActionList.a.InvokeNext[0]", '["b"] is not text or a map'),
    (action(InvokeNext=[{}]), "ActionList.a.InvokeNext[0]", "an empty conditional; it needs True, False, or both"),
    (action(InvokeNext=[{"true": []}]), "ActionList.a.InvokeNext[0].true", "there is no such key (did you mean True?)"),
    (action(InvokeNext=[{"True": "a"}]), "ActionList.a.InvokeNext[0].True", '"a" is not a list'),
    (
        action(InvokeNext=[{"True": []}, {"False": []}]),
        "ActionList.a.InvokeNext[1]",
        "a second conditional; an action has one at most",
    ),
    (action(MaxRuntime=0), "ActionList.a.MaxRuntime", "0 is less than 1"),
    (store(Bucket=...), "DataStores.S3.Bucket", "missing"),
    (store(Bucket=""), "DataStores.S3.Bucket", "is empty"),
    (store(Endpoint="localhost:9000"), "DataStores.S3.Endpoint", '"localhost:9000" is not an address that begins'),
    (store(Anonymous="perhaps"), "DataStores.S3.Anonymous", '"perhaps" is neither true nor false'),
    (store(Writable="never"), "DataStores.S3.Writable", '"never" is neither true nor false'),
    (changed(InvocationID="a/b"), "InvocationID", '"a/b" is a part of keys'),
    (store(Buckets="x"), "DataStores.S3.Buckets", "there is no such key (did you mean Bucket?)"),
    (
        changed(ComputeServers={"GH": {"FaaSType": "GitHubActions", "UserName": "me"}}),
        "ComputeServers.GH.ActionRepoName",
        "missing; GitHubActions needs it",
    ),
    (changed(ComputeServers={"GH": {"FaaSType": "Local"}}), "ComputeServers.GH.FaaSType", '"Local" is none of'),
    (changed(Testd={"Targets": {"b": "py3.12"}}), "Testd.Targets.b", '"b" is not in ActionList; there are a'),
    (changed(Testd={"Timeout": -1}), "Testd.Timeout", "-1 is less than 0"),
]


@pytest.mark.parametrize(("value", "place", "message"), KEYS)
def test_a_key_that_is_wrong_is_told_with_its_place(value, place, message):
    """Fact 30: section 1's rules on keys."""
    found = only(value)
    assert found[0] == place
    assert found[1].startswith(message)


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("Lambda", ["Region"]),
        ("OpenWhisk", ["Endpoint", "Namespace"]),
        ("GoogleCloud", ["Namespace", "ClientEmail", "TokenUri", "Region"]),
        ("SLURM", ["Endpoint", "UserName", "APIVersion", "Partition"]),
        ("Kubernetes", ["Endpoint"]),
    ],
)
def test_each_kind_of_server_needs_its_keys(kind, keys):
    found = wrong(changed(ComputeServers={"GH": {"FaaSType": kind}}))
    assert found == [(f"ComputeServers.GH.{key}", f"missing; {kind} needs it") for key in keys]


def test_what_is_left_out_or_known_to_others_alone_is_taken():
    """What the schema does not require works without, though the backend breaks: the log folder, a region, a type."""
    value = changed(FaaSrLog=..., LoggingDataStore=..., Whatever={"x": 1}, _comment="more")
    found = decode(json.dumps(value).encode(), "workflow.json")
    assert (found.file.faasr_log, found.file.logging_data_store) == ("FaaSrLog", None)
    assert (found.file.data_stores["S3"].region, found.data["Whatever"]) == ("", {"x": 1})
    assert decode(json.dumps(action(Type=...)).encode(), "x").file.action_list["a"].type == "Python"
    assert decode(json.dumps(action(Arguments=None)).encode(), "x").file.action_list["a"].arguments is None


def test_everything_that_is_wrong_is_told_at_once():
    value = document({"a": ["b", "ghost"], "b": ["a"], "c": "x"}, DefaultDataStore="S4", WorkflowName="1")
    assert [place for place, _ in wrong(value)] == ["WorkflowName", "ActionList.c.InvokeNext", "DefaultDataStore"]
    value["ActionList"]["c"]["InvokeNext"] = []
    assert [place for place, _ in wrong(value)] == [
        "WorkflowName",
        "ActionList.a.InvokeNext[1]",
        "ActionList.b.InvokeNext[0]",
        "ActionList.c",
        "DefaultDataStore",
    ]


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 3), st.floats(), st.integers(), st.text(max_size=3), st.just("\ud800"),
    st.sampled_from(["a", "a(2)", "b", "S3", "GH", "Python", "http://x", "%Y", "True", "ghost"]),
    st.just([]), st.just({}), st.just(["a"]), st.just({"a": "a"}), st.just({"True": ["a"]}), st.just([{"False": []}]),
)  # fmt: skip


def places(value, here=()):
    """Give the way to each value of a document."""
    yield here
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*here, key))


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_whatever_is_changed_it_is_right_or_told(data):
    """What the schema's check takes the types must take as well, and each violation must be one that can be told."""
    value = json.loads(json.dumps(document({"a": ["b", {"True": ["c(3)"], "False": []}], "b": [], "c": []}, **FULL)))
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = data.draw(st.sampled_from([way for way in places(value) if way]))
        inside = value
        for key in way:
            inside = inside[key]
        if isinstance(inside, dict) and data.draw(st.booleans()):
            last = data.draw(st.sampled_from(["Type", "Arguments", "Region", "Endpoint", "x", "a", "True"]))
        inside[last] = copy.deepcopy(data.draw(VALUES))
    told = []
    try:
        decode(json.dumps(value).encode(), "workflow.json")
    except WorkflowError as error:
        told = [each.text for each in error.violations] or [""]
    assert all(told)


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_error_names_file_line_and_place(tmp_path):
    path = tmp_path / "flow.json"
    path.write_text(json.dumps(document({"a": ["b"], "b": ["a"]}), indent=2))
    with pytest.raises(WorkflowError) as caught:
        load(path)
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if text.strip() == '"a"')
    assert str(caught.value).startswith(f"{path}:{line}: ActionList.b.InvokeNext[0]: Function loop found")
    assert isinstance(caught.value, UsageError)


def test_an_error_with_several_violations_has_a_line_for_each():
    with pytest.raises(WorkflowError) as caught:
        decode(json.dumps(document({"a": []}, DefaultDataStore="x", WorkflowName="_")).encode(), "flow.json")
    assert str(caught.value) == "flow.json: 2 mistakes"
    assert [line.partition(": ")[0] for line in caught.value.detail.splitlines()] == ["flow.json:1"] * 2


@pytest.mark.parametrize(
    ("data", "line", "message"),
    [
        (b'{\n"a": }', 2, "no valid JSON: Expecting value"),
        (b"[]", 1, "is not a map; a workflow begins with {"),
        (b'{"a": "\xff"}', 0, "is not UTF-8: invalid start byte at byte 7"),
        (b'{"a": {"b": 1, "b": 2}}', 0, 'the key "b" stands twice in one map; each of them once'),
        (b'{"a": NaN}', 0, "NaN is no number of JSON"),
        (b'{"a": 1e999}', 0, "1e999 is no number of JSON"),
        (b'{"a": 10000000000000000000000000}', 0, "the number 100000000000000000000000 ... is too large"),
        (b'{"a": 9223372036854775808}', 0, "the number 9223372036854775808 is too large"),
        (b'{"\\ud800": 1}', 0, "has half a character, \\ud800 to \\udfff without its other half"),
        (b"[" * 100_000, 0, "is nested too deeply to be read"),
        (b" " * (16 * 1024 * 1024 + 1), 0, "is larger than 16 MiB"),
    ],
)
def test_a_text_that_is_no_document_is_told(data, line, message):
    with pytest.raises(WorkflowError) as caught:
        decode(data, "flow.json")
    assert [(each.line, each.text) for each in caught.value.violations] == [(line, message)]


def test_what_is_deep_in_an_unknown_key_does_no_harm():
    deep: list = []
    for _ in range(500):
        deep = [deep]
    assert wrong(changed(Other=deep, WorkflowName="_"))[0][0] == "WorkflowName"


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(WorkflowError, match=r"nothing\.json: cannot be read: No such file or directory"):
        load(tmp_path / "nothing.json")
