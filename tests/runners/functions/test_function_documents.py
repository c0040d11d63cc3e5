"""Files of functions: what they hold, where, and what is wrong with them."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testd.functions import documents

CASE = {"id": "a", "name": "adds", "function_to_execute": {"code": ""}, "input_to_pass": [{}]}


def suite(*cases, **more):
    return json.dumps({"id": "s", "name": "suite", "test_cases": cases, **more}, indent=1)


def problems(**changes):
    case = {key: value for key, value in {**CASE, **changes}.items() if value is not ...}
    (part,) = documents.read_text(suite(case)).parts
    return part.problems


def test_parts_have_their_names_and_lines():
    document = documents.read_text(
        '{"id": "s", "name": "n", "test_cases": [\n'
        ' {"id": "1", "name": "one"},\n'
        ' {"id": "2",\n  "name": "same"}, {"id": "3", "name": "same"},\n'
        " 5,\n"
        ' {"id": "3", "name": " many\\n words "}]}'
    )
    assert document.kind == "suite"
    assert document.head == {"id": "s", "name": "n"}
    assert [(part.name, part.line) for part in document.parts] == [
        ("one", 2), ("2", 3), ("#3", 4), ("#4", 5), ("many words", 6),
    ]  # fmt: skip


def test_items_of_a_run_file_are_named_by_their_execution_id():
    text = '{"functions_to_run": [{"execution_id": "x"}, {"execution_id": "y"}, {"execution_id": "y"}, {}]}'
    document = documents.read_text(text)
    assert document.kind == "run file"
    assert [part.name for part in document.parts] == ["x", "#2", "#3", "#4"]


@given(st.lists(st.fixed_dictionaries({}, optional={"id": st.sampled_from("ab#1"), "name": st.sampled_from("ab#2")})))
def test_no_two_parts_have_the_same_name(cases):
    names = [part.name for part in documents.read_text(suite(*cases)).parts]
    assert max(Counter(names).values(), default=1) == 1
    assert all(names)


@given(st.dictionaries(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists)), st.booleans())
def test_what_is_valid_json_is_read_as_json_reads_it(more, dense):
    more.pop("test_cases", None)
    text = json.dumps({**more, "test_cases": [1, [2], {}]}, separators=(",", ":") if dense else None)
    value, places = documents._decoded(text)
    assert value == json.loads(text)
    assert len(places["test_cases"]) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1, column 1: no valid JSON: expected a map: {"),
        ("[]", "line 1, column 1: no valid JSON: expected a map: {"),
        ('{"test_cases": [1,]}', "line 1, column 19: no valid JSON"),
        ('{"id": 1,}', "line 1, column 10: no valid JSON"),
        ('{\n"id" 1}', "line 2, column 6: no valid JSON: expected :"),
        ('{"test_cases": []} x', "there is more behind the end"),
        ('{"id": ' + "[" * 100_000, "nested too deeply"),
        ("{}", "holds neither test_cases (a suite) nor functions_to_run (a run file)"),
        ('{"test_cases": {}}', "test_cases: missing, or not a list"),
        ('{"test_cases": [], "id": 5}', 'id: 5 is not text'),
        (suite(descripton="x"), "descripton: there is no such key (did you mean description?)"),
    ],
)
def test_a_file_that_is_no_document_says_where_and_why(text, said):
    with pytest.raises(documents.DocumentError) as caught:
        documents.read_text(text)
    assert said in str(caught.value)


def test_a_file_that_cannot_be_read_says_why(tmp_path, monkeypatch):
    with pytest.raises(documents.DocumentError, match="cannot be read: No such file"):
        documents.read(str(tmp_path / "none"))
    (tmp_path / "latin").write_bytes(b'{"id": "\xff"}')
    with pytest.raises(documents.DocumentError, match=r"is not UTF-8: .* at byte 8"):
        documents.read(str(tmp_path / "latin"))
    monkeypatch.setattr(documents, "MOST_BYTES", 1024 * 1024)
    (tmp_path / "large").write_bytes(b" " * (1024 * 1024 + 1))
    with pytest.raises(documents.DocumentError, match="is larger than 1 MiB"):
        documents.read(str(tmp_path / "large"))
    (tmp_path / "marked").write_bytes(b"\xef\xbb\xbf" + suite(CASE).encode())
    assert len(documents.read(str(tmp_path / "marked")).parts) == 1


def test_a_right_case_has_no_problems():
    assert problems() == []
    assert problems(input_to_pass={"a": 1}, mocks=None, description=None) == []
    assert problems(assertions=[{"operator": "equals", "object": None, "tolerance": 1}]) == []
    assert problems(mocks={"m:f": {"1": {"output": 0}, "*": {"error_to_throw": "no"}}}) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ...}, "test_cases[0].name: missing"),
        ({"input_to_pass": ...}, "test_cases[0].input_to_pass: missing"),
        ({"input_to_pass": None}, "test_cases[0].input_to_pass: null is not a list or a map"),
        ({"strict": "yes"}, 'test_cases[0].strict: "yes" is not true or false'),
        ({"asertions": []}, "test_cases[0].asertions: there is no such key (did you mean assertions?)"),
        ({"assertions": [{"operator": "equal", "object": 1}]},
         'test_cases[0].assertions[0].operator: "equal" is none of approx, contains, equals, matches, raises, '),
        ({"assertions": [{"operator": "approx", "object": 1, "tolerance": True}]},
         "test_cases[0].assertions[0].tolerance: true is not a number"),
        ({"children": [{"function": "m:f", "children": [{"function": 3}]}]},
         "test_cases[0].children[0].children[0].function: 3 is not text"),
        ({"mocks": {"m:f": {"1": {"outptu": 1}}}}, "test_cases[0].mocks.m:f.1.outptu: there is no such key"),
        ({"function_to_execute": {"function_meta": {"module_name": "m"}}},
         "test_cases[0].function_to_execute.function_meta.function_name: missing"),
    ],
)  # fmt: skip
def test_a_wrong_case_says_where_and_what_would_be_right(changes, said):
    """Fact 18: what is missing or unknown is told for that case."""
    (problem,) = problems(**changes)
    assert problem.startswith(said)


def test_many_mistakes_are_cut():
    wrong = problems(assertions=[{"operator": 1}] * 50)
    assert len(wrong) == 11
    assert wrong[-1] == "... and more"
