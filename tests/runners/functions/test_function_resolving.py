"""From a document to what is called and with what."""

from __future__ import annotations

import math
import sys

import pytest

from testd.functions import actions
from testd.functions.resolving import CannotRun, arguments, function, module


def meta(name, path, file=""):
    return {"module_name": name, "function_name": path, "file_name": file}


@pytest.mark.parametrize(
    ("given", "positional", "keywords"),
    [
        ([{}], [], {}),
        ([1, 2, {}], [1, 2], {}),
        ([{"some": 10}], [], {"some": 10}),
        ([{"some": 12}, {"some": 10}], [{"some": 12}], {"some": 10}),
        ([1, 2, {"some": 10}], [1, 2], {"some": 10}),
        ({"some": 10}, [], {"some": 10}),
        ({}, [], {}),
    ],
)
def test_the_convention_of_arguments(given, positional, keywords):
    """Fact 2."""
    assert arguments(given) == (positional, keywords)


@pytest.mark.parametrize("given", [None, [], [5], [{}, 5]])
def test_a_list_without_keywords_at_its_end_says_what_would_be_right(given):
    """Fact 2."""
    with pytest.raises(CannotRun, match=r"it ends with the map of keyword arguments; write \[1, 2, {}\]"):
        arguments(given)


def test_functions_are_found_by_dotted_names():
    assert function(meta("math", "sqrt")) is math.sqrt
    assert function(meta("os.path", "join"))("a", "b") == "a/b"
    assert function(meta("datetime", "datetime.fromisoformat"))("2020-01-01").year == 2020


def test_main_is_the_module_that_its_file_is(tmp_path, monkeypatch):
    """Fact 3."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "exp_of_main.py").write_text("def f(): return 7\n")
    found = module(meta("__main__", "f", str(tmp_path / "exp_of_main.py")))
    assert found.__name__ == "exp_of_main"
    assert function(meta("__main__", "f", "/elsewhere/exp_of_main.py"))() == 7
    with pytest.raises(CannotRun, match="no file_name says which file"):
        module(meta("__main__", "f"))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (meta("no_such", "f", "/p/x.py"),
         "Could not import module no_such.\nOriginal Module: no_such\nFile Name: /p/x.py\nError: No module named "),
        (meta("math", "sqart"), "Could not get function (sqart) by name: math has no sqart (did you mean sqrt?)"),
        (meta("math", "pi.real.nothing"), "Could not get function (pi.real.nothing) by name"),
        (meta("math", "pi"), "pi in math is no function: it is float"),
    ],
)  # fmt: skip
def test_what_cannot_be_called_says_why(asked, said):
    """Fact 4: the text has module, file and cause."""
    with pytest.raises(CannotRun) as caught:
        function(asked)
    assert said in str(caught.value)


def test_a_module_that_fails_costs_its_cases_alone(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "broken_module.py").write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(CannotRun, match="Error: SystemExit: 3") as caught:
        module(meta("broken_module", "f"))
    assert isinstance(caught.value.cause, SystemExit)


def test_an_action_calls_what_the_project_registered(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "hooks_of_project.py").write_text(
        "def prepare(item): item['input_to_pass'] = [1, {}]\ndef fails(item): raise KeyError('x')\n"
    )
    names = {"test_run": "prepare", "bad": "fails", "gone": "no"}
    registered = {action: f"hooks_of_project:{name}" for action, name in names.items()}
    item = {"action": "test_run", "input_to_pass": []}
    actions.act(item, registered)
    assert item["input_to_pass"] == [1, {}]
    actions.act({"action": "nobody's"}, registered)
    actions.act({}, registered)
    with pytest.raises(CannotRun, match="The callback hooks_of_project:fails of the action 'bad' raised KeyError: 'x'"):
        actions.act({"action": "bad"}, registered)
    with pytest.raises(CannotRun, match="Could not get function"):
        actions.act({"action": "gone"}, registered)
