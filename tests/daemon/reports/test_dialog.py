"""What the keys of a watch do, and what the line at the bottom says."""

from __future__ import annotations

import pytest
from report_events import completed, detail, generation, outcomes, row, standing

from testd_daemon.reports import spans
from testd_daemon.reports.dialog import QUIT, Dialog
from testd_daemon.reports.watched import Watched

FAILING = [(f"tests/test_{name}.py::test_x", "py3.11", "failed", "no") for name in "abc"]


def watching(*failing, running=False, tests=1234, **settings):
    watched = Watched()
    for body in (
        generation(),
        outcomes(row("tests/test_core.py::test_y"), row("tests/test_core.py::test_z"), row("src/test_a.py::test_y")),
        outcomes(*(row(test, verdict, info=detail(message=m), target=on) for test, on, verdict, m in failing)),
        standing(tests, failing=failing),
        completed(1 if failing else 0, generation=1),
        *([generation(2)] if running else []),
    ):
        watched.event(body)
    return Dialog(watched, **settings)


def press(dialog, *keys):
    """Press keys by name, or texts character by character; return what the last one asked for."""
    asked = None
    for key in keys:
        if isinstance(key, tuple):
            asked = dialog.key(key)
        elif key in ("enter", "escape", "left", "right", "up", "down", "backspace", "home", "end"):
            asked = dialog.key((key, ""))
        else:
            for character in key:
                asked = dialog.key(("text", character))
    return asked


def said(dialog, columns=100):
    lines, _ = dialog.lines(columns)
    assert all(spans.width(line) <= columns for line in lines)
    return "\n".join("".join(text for text, _ in line) for line in lines)


@pytest.mark.parametrize(
    ("key", "action"),
    [
        ("a", ("all", {})),
        ("enter", ("all", {})),
        ("f", ("failed", {})),
        ("u", ("snapshots", {})),
        ("r", ("again", {})),
        ("q", QUIT),
        ("o", ("output", {"stream": True})),
    ],
)
@pytest.mark.parametrize("running", [False, True])
def test_keys_ask_for_something_whether_or_not_tests_run(key, action, running):
    assert press(watching(*FAILING, running=running), key) == action


@pytest.mark.parametrize("key", "xyz7é ")
def test_an_unknown_key_does_nothing_and_says_so(key):
    dialog = watching()
    assert press(dialog, key) is None
    assert "? shows them" in said(dialog)
    assert dialog.state == "prompt"


@pytest.mark.parametrize("key", [("burst", "quit\n"), ("paste", "q"), ("left", ""), ("tab", ""), ("ctrl-q", "")])
def test_pasted_text_and_other_keys_are_no_commands(key):
    dialog = watching(*FAILING)
    assert press(dialog, key) is None
    assert dialog.state == "prompt"


def test_nothing_fails_so_nothing_failed_is_run():
    dialog = watching()
    assert press(dialog, "f") is None
    assert said(dialog) == "no test fails"
    assert press(dialog, "u") is None
    assert press(dialog, "d") is None
    assert dialog.state == "prompt"


def test_what_tests_print_is_shown_and_not_shown_in_turns():
    dialog = watching()
    assert press(dialog, "o") == ("output", {"stream": True})
    assert "is shown" in said(dialog)
    assert press(dialog, "o") == ("output", {"stream": False})
    assert press(watching(output=True), "o") == ("output", {"stream": False})


def test_a_filter_is_typed_shown_changed_and_lifted():
    dialog = watching()
    assert press(dialog, "p", "core") is None
    assert said(dialog) == "files: core  2 tests match  enter runs, escape leaves"
    assert press(dialog, "backspace", "enter") == ("filter", {"patterns": ["cor"], "keyword": ""})
    assert "files cor" in said(dialog)
    assert press(dialog, "t", "y and z", "enter") == ("filter", {"patterns": ["cor"], "keyword": "y and z"})
    assert " · files cor · tests y and z · " in said(dialog, 120)
    press(dialog, "p")
    assert said(dialog).startswith("files: cor ")
    assert press(dialog, "escape") is None
    assert press(dialog, "p", "backspace", "backspace", "backspace", "enter") == (
        "filter", {"patterns": [], "keyword": "y and z"},
    )  # fmt: skip
    assert press(dialog, "c") == ("filter", {"patterns": [], "keyword": ""})
    assert press(dialog, "c") is None
    assert said(dialog) == "there is no filter"


def test_letters_that_are_typed_are_no_commands():
    dialog = watching()
    assert press(dialog, "t", "quaf?") is None
    assert press(dialog, "enter") == ("filter", {"patterns": [], "keyword": "quaf?"})


def test_a_burst_in_a_line_is_typed_with_its_end():
    dialog = watching()
    press(dialog, "p")
    assert press(dialog, ("burst", "core\n")) == ("filter", {"patterns": ["core"], "keyword": ""})
    press(dialog, "t")
    assert press(dialog, ("paste", "a\nb\n")) is None
    assert said(dialog).startswith("tests: a b")


@pytest.mark.parametrize(
    ("keys", "matching"),
    [
        ("pcore", "2 tests match "),
        ("psrc core", "3 tests match "),
        ("psrc/", "1 test matches "),
        ("tTEST_Y", "2 tests match "),
        ("ty and z", ""),
        ("pnothing", "0 tests match "),
        ("p", ""),
    ],
)
def test_how_many_tests_match_is_said_where_it_is_known(keys, matching):
    dialog = watching()
    press(dialog, keys)
    assert ("match" in said(dialog)) == bool(matching)
    assert matching in said(dialog)


def test_one_failure_after_the_other_is_shown():
    dialog = watching(*FAILING)
    press(dialog, "d")
    assert dialog.view == ("failure", 0)
    assert said(dialog) == "failure 1 of 3 · ←/→ others · 1-3 choose · escape back"
    assert [press(dialog, key) or dialog.view for key in ("right", "down", "down")] == [
        ("failure", 1), ("failure", 2), ("failure", 2),
    ]  # fmt: skip
    press(dialog, "2")
    assert dialog.view == ("failure", 1)
    press(dialog, "9")
    assert dialog.view == ("failure", 1)
    press(dialog, "home")
    assert dialog.view == ("failure", 0)
    assert press(dialog, "q") is None
    assert dialog.view is None


def test_numbers_of_two_digits_are_typed():
    many = [(f"t.py::test_{number}", "py3.11", "failed", "no") for number in range(30)]
    dialog = watching(*many)
    press(dialog, "d", "12")
    assert dialog.view == ("failure", 11)
    press(dialog, "5")
    assert dialog.view == ("failure", 4)
    press(dialog, "left", "2")
    assert dialog.view == ("failure", 1)


def test_a_failure_that_was_repaired_while_it_is_shown_is_gone():
    dialog = watching(*FAILING[:1], running=True)
    press(dialog, "d")
    dialog.watched.event(outcomes(row(FAILING[0][0])))
    assert dialog.view is None
    assert press(dialog, "right") is None
    assert dialog.state == "prompt"


def test_a_new_generation_leaves_what_is_shown_and_not_what_is_typed():
    dialog = watching(*FAILING)
    press(dialog, "d")
    dialog.began()
    assert dialog.view is None
    press(dialog, "p", "co")
    dialog.began()
    assert said(dialog).startswith("files: co")


def test_help_goes_with_any_key():
    dialog = watching()
    press(dialog, "?")
    assert dialog.view == ("help", 0)
    assert press(dialog, "q") is None
    assert dialog.view is None


def test_the_line_says_what_there_is_room_for():
    dialog = watching(*FAILING)
    assert said(dialog, 120) == (
        "watching 1,234 tests · a/enter all · f failed · d details · p files · t tests · q quit · ? help"
    )
    assert said(dialog, 80) == "watching 1,234 tests · a/enter all · f failed · d details · q quit · ? help"
    assert said(dialog, 40) == "watching 1,234 tests · q quit · ? help"
    assert said(dialog, 30) == "watching 1,234 tests · ? help"
    assert said(dialog, 20) == "watching 1,234 tests"
    press(dialog, "p", "core", "enter")
    assert said(dialog, 50) == "watching 1,234 tests · files core · ? help"


def test_while_tests_run_nothing_is_said():
    assert said(watching(running=True)) == ""


def test_without_keys_it_says_why():
    dialog = watching(without="standard input is no terminal")
    assert said(dialog) == "watching 1,234 tests · no keys: standard input is no terminal · Ctrl-C quits"


@pytest.mark.parametrize("columns", [1, 2, 5, 8, 10, 20])
def test_any_width_will_do(columns):
    for keys in ((), ("p", "x" * 50), ("d",), ("?",), ("x",)):
        dialog = watching(*FAILING)
        press(dialog, *keys)
        lines, cursor = dialog.lines(columns)
        assert lines
        assert cursor >= 0
