"""Exceptions as data: kinds, frames, messages and texts."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from testd.runner.failures import FRAME_LIMIT, TEXT_LIMIT, classify, describe, detail, summarize
from testd_protocol.messages import Detail


def _raise(exc: BaseException) -> BaseException:
    try:
        raise exc
    except BaseException as caught:
        return caught


def _execute(path: Path, source: str, **names) -> BaseException:
    """Run source as a file of a project; return what it raised."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    try:
        exec(compile(source, str(path), "exec"), names)
    except BaseException as exc:
        exc.__traceback__ = exc.__traceback__.tb_next  # not this function's own frame
        return exc
    raise AssertionError("nothing was raised")


def test_a_detail_has_the_keys_of_the_protocol_in_their_order():
    assert tuple(detail()) == Detail.__struct_fields__
    assert detail() == {field: getattr(Detail(), field) for field in Detail.__struct_fields__}
    with pytest.raises(TypeError, match="no key 'cause'; it has phase, kind"):
        detail(cause="")


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("shop_test.py", "test"),
        ("tests/helpers.py", "test"),
        ("conftest.py", "test"),
        ("shop/price.py", "project"),
        (".venv/lib/python3.11/site-packages/other/a.py", "library"),
        (".tox/py/a.py", "library"),
        ("/elsewhere/a.py", "library"),
        (os.path.abspath(json.__file__), "library"),
    ],
)
def test_the_innermost_frame_says_whose_error_it_is(tmp_path, place, kind):
    frames = [{"file": "shop_test.py", "line": 1, "function": "t", "source": ""},
              {"file": place, "line": 1, "function": "f", "source": ""},
              {"file": "<string>", "line": 1, "function": "made", "source": ""}]
    assert classify(ValueError(), frames, str(tmp_path), "shop_test.py") == kind


def test_an_installed_copy_of_the_project_is_project_code(tmp_path):
    (tmp_path / "src" / "shop").mkdir(parents=True)
    frames = [{"file": "/venv/lib/site-packages/shop/price.py", "line": 1, "function": "f", "source": ""}]
    assert classify(ValueError(), frames, str(tmp_path), "a_test.py") == "project"


@pytest.mark.parametrize(
    ("exc", "kind"),
    [
        (AssertionError(), "assertion"),
        (type("Mine", (AssertionError,), {})(), "assertion"),
        (ModuleNotFoundError("x"), "import"),
        (SyntaxError("bad", ("/some/file.py", 1, 1, "x")), "syntax"),
        (SyntaxError("bad", ("<string>", 1, 1, "x")), "library"),
        (KeyError("x"), "library"),
    ],
)
def test_some_kinds_are_in_the_type(exc, kind):
    assert classify(exc, [], "/project", "a_test.py") == kind


def test_pytests_own_failure_is_an_assertion():
    assert classify(_raise(pytest.fail.Exception("no")), [], "/project", "a_test.py") == "assertion"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with Python 3.11")
def test_a_group_is_what_its_first_exception_is_and_prints_them_all(tmp_path):
    group = _raise(ExceptionGroup("two", [_raise(AssertionError("one")), ValueError("other")]))  # noqa: F821
    told = describe(group, root=str(tmp_path), test_file="a_test.py")
    assert told["kind"] == "assertion"
    assert "AssertionError: one" in told["text"]
    assert "ValueError: other" in told["text"]


def test_frames_are_relative_to_the_root_outermost_first(tmp_path):
    exc = _execute(tmp_path / "pkg" / "a_test.py", "import json\ndef inner():\n    json.loads('{')\ninner()\n")
    told = describe(exc, root=str(tmp_path), test_file=str(tmp_path / "pkg" / "a_test.py"))
    assert [(frame["file"], frame["line"], frame["function"], frame["source"]) for frame in told["frames"][:2]] == [
        ("pkg/a_test.py", 4, "<module>", "inner()"), ("pkg/a_test.py", 3, "inner", "json.loads('{')"),
    ]
    assert told["frames"][-1]["file"].endswith("json/decoder.py")
    assert told["kind"] == "library"
    assert told["phase"] == "call"


def test_causes_and_contexts_are_printed(tmp_path):
    source = "try:\n    1 / 0\nexcept ZeroDivisionError as exc:\n    raise KeyError('x') from exc\n"
    text = describe(_execute(tmp_path / "a.py", source), root=str(tmp_path), test_file="a_test.py")["text"]
    assert text.index("ZeroDivisionError: division by zero") < text.index("direct cause") < text.index("KeyError: 'x'")


def test_frames_that_ask_for_it_are_hidden(tmp_path):
    source = "def check():\n    __tracebackhide__ = True\n    raise AssertionError('x')\ncheck()\n"
    told = describe(_execute(tmp_path / "a_test.py", source), root=str(tmp_path), test_file="a_test.py")
    assert [frame["function"] for frame in told["frames"]] == ["<module>"]
    assert ", in check" not in told["text"]


def test_where_all_frames_would_be_hidden_all_are_shown(tmp_path):
    source = "__tracebackhide__ = True\ndef check():\n    __tracebackhide__ = True\n    raise AssertionError('x')\n"
    names: dict = {}
    exec(compile(source, str(tmp_path / "a.py"), "exec"), names)
    try:
        names["check"]()
    except AssertionError as exc:
        exc.__traceback__ = exc.__traceback__.tb_next
        told = describe(exc, root=str(tmp_path), test_file="a_test.py")
    assert [frame["function"] for frame in told["frames"]] == ["check"]


def test_a_syntax_error_points_into_its_file(tmp_path):
    (tmp_path / "bad.py").write_text("x = 1\ndef f(:\n")
    try:
        compile((tmp_path / "bad.py").read_text(), str(tmp_path / "bad.py"), "exec")
    except SyntaxError as exc:
        told = describe(exc, root=str(tmp_path), test_file="a_test.py", phase="collect")
    assert told["kind"] == "syntax"
    where = told["frames"][-1]
    assert (where["file"], where["line"], where["source"]) == ("bad.py", 2, "def f(:")


def test_a_recursion_without_end_stays_within_limits(tmp_path):
    exc = _execute(tmp_path / "a.py", "def a(): b()\ndef b(): a()\na()\n")
    told = describe(exc, root=str(tmp_path), test_file="a_test.py")
    assert len(told["frames"]) == FRAME_LIMIT
    assert told["frames"][0]["function"] == "<module>"
    assert len(told["text"].encode()) <= TEXT_LIMIT + 100
    assert told["message"].startswith("RecursionError: maximum recursion depth exceeded")


def test_long_and_odd_messages_fit_on_one_line_of_valid_unicode(tmp_path):
    assert summarize(ValueError("first\nsecond")) == "ValueError: first"
    assert summarize(ValueError()) == "ValueError"
    assert summarize(json.JSONDecodeError("no", "", 0)).startswith("json.decoder.JSONDecodeError: no")
    long = summarize(ValueError("x" * 10_000))
    assert len(long) < 600
    assert "\n" not in long
    told = describe(_raise(ValueError("\ud800")), root=str(tmp_path), test_file="a_test.py")
    assert json.dumps(told, ensure_ascii=False).encode()


def test_an_exception_that_cannot_say_what_it_is(tmp_path):
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    told = describe(_raise(Mute()), root=str(tmp_path), test_file="a_test.py")
    assert told["message"].endswith("Mute: <its text could not be made>")
    assert "Mute" in told["text"]


def test_the_frames_of_assertions_and_of_the_import_system_are_left_out(tmp_path):
    (tmp_path / "broken_module_for_test.py").write_text("1 / 0\n")
    sys.path.insert(0, str(tmp_path))
    try:
        exc = _execute(tmp_path / "a_test.py", "import importlib\nimportlib.import_module('broken_module_for_test')\n")
    finally:
        sys.path.remove(str(tmp_path))
    told = describe(exc, root=str(tmp_path), test_file="a_test.py")
    assert [frame["file"] for frame in told["frames"]] == ["a_test.py", "broken_module_for_test.py"]
    exc = _execute(tmp_path / "b_test.py", "from testd.assertions import is_\nis_(1, 2)\n")
    told = describe(exc, root=str(tmp_path), test_file="b_test.py")
    assert [frame["file"] for frame in told["frames"]] == ["b_test.py"]
    assert told["message"] == "AssertionError: expected 1, got 2"
