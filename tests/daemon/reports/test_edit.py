"""A line that is typed."""

from __future__ import annotations

import pytest

from testd_daemon.reports.edit import LONGEST, Edit


def typed(*keys, begin=""):
    edit = Edit(begin)
    for key in keys:
        edit.key(key if isinstance(key, tuple) else ("text", key) if len(key) == 1 else (key, ""))
    return edit


@pytest.mark.parametrize(
    ("keys", "text", "at"),
    [
        ("ab", "ab", 2),
        (["a", "b", "backspace"], "a", 1),
        (["backspace"], "", 0),
        (["a", "c", "left", "b"], "abc", 2),
        (["a", "b", "home", "delete"], "b", 0),
        (["a", "b", "ctrl-a", "right", "right", "right"], "ab", 2),
        (["a", "b", "left", "ctrl-k"], "a", 1),
        (["a", "b", "left", "ctrl-u"], "b", 0),
        (["a", "up", "tab", "f1"], "a", 1),
        ([("paste", "one\ntwo\x1b[A")], "one two[A", 9),
        ([("text", "字")], "字", 1),
    ],
)
def test_keys_change_the_line(keys, text, at):
    edit = typed(*keys)
    assert (edit.text, edit.at) == (text, at)


def test_a_word_is_erased():
    assert typed("ctrl-w", begin="one two ").text == "one "
    assert typed("ctrl-w", begin="one").text == ""
    assert typed("ctrl-w", "left", "ctrl-w", begin="one two").text == " "


def test_the_cursor_stays_in_sight():
    edit = typed(begin="abcdefghij")
    assert edit.shown(5) == ("ghij", 4)
    assert edit.shown(20) == ("abcdefghij", 10)
    assert typed("home", begin="abcdefghij").shown(5) == ("abcde", 0)
    assert typed(begin="字字字字").shown(5) == ("字字", 4)


def test_a_line_has_an_end():
    assert len(typed(("paste", "x" * 5000)).text) == LONGEST
