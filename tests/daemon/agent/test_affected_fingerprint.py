"""What counts as a change of a part of a source file, and what does not."""

from __future__ import annotations

import sys
from textwrap import dedent

import pytest

from testd_daemon.agent.affected.fingerprint import ALL, BYTES, DOC, FRAME, MODULE, Source, read

BEFORE = '''
"""About it."""
import os
from . import other

LIMIT = 3

def decorator(function):
    return function

@decorator
def first(a, b=LIMIT):
    """Do the first thing."""
    return a + b  # added

class Thing:
    """A thing."""

    size = 1

    def method(self):
        def inner():
            return [x for x in self.names if x]
        return inner

    async def later(self):
        return await self.method()

    class Part:
        def method(self):
            return lambda: 2

if LIMIT:
    def chosen():
        return 1
else:
    def chosen():
        return 2
'''


def source(text: str) -> Source:
    return read(dedent(text).encode())


def changed(before: str, after: str) -> set[str]:
    """The parts that differ, but for those that always do where anything does."""
    old, new = source(before).parts, source(after).parts
    return {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)} - {BYTES, ALL}


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("return a + b", "return a - b", {"first"}),
        ("b=LIMIT", "b=4", {MODULE, FRAME}),
        ("@decorator\n", "", {MODULE, FRAME}),
        ("LIMIT = 3", "LIMIT = 4", {MODULE, FRAME}),
        ("import os", "import sys", {MODULE, FRAME}),
        ("size = 1", "size = 2", {MODULE, FRAME}),
        ("if x]", "if not x]", {"Thing.method.<locals>.inner"}),
        ("return inner", "return inner()", {"Thing.method"}),
        ("def inner():", "def inner(x=1):", {"Thing.method"}),
        ("await self.method()", "await self.other()", {"Thing.later"}),
        ("async def later", "def later", {MODULE, FRAME}),
        ("lambda: 2", "lambda: 3", {"Thing.Part.method"}),
        ("return 1\n", "return 3\n", {"chosen"}),
        ("return 2\n", "return 4\n", {"chosen#2"}),
        ("if LIMIT:", "if not LIMIT:", {MODULE, FRAME}),
        ("Do the first thing.", "Do it.", {DOC}),
        ("A thing.", "Something.", {DOC}),
        ("About it.", "About that.", {DOC}),
        ("  # added", "  # summed up", set()),
        ("a + b", "(a\n            +  b)", set()),
        ("LIMIT = 3", "LIMIT=0x3\n\n\n", set()),
        ('"""A thing."""', "'A thing.'", set()),
    ],
)
def test_an_edit_changes_just_the_part_that_it_is_in(old: str, new: str, parts: set[str]) -> None:
    assert old in BEFORE
    assert changed(BEFORE, BEFORE.replace(old, new, 1)) == parts


def test_tabs_and_line_ends_do_not_count() -> None:
    assert changed("if a:\n    b = 1\n", "if a:\r\n\tb = 1\r\n") == set()


def test_a_function_that_comes_and_goes_changes_what_is_around_it() -> None:
    assert changed(BEFORE, BEFORE + "\ndef more():\n    return 1\n") == {MODULE, FRAME, "more"}


def test_of_functions_with_one_name_each_is_told_apart() -> None:
    found = source(BEFORE)
    first, second = (place.first for place in found.places or () if place.name == "chosen")
    assert found.part_of("chosen", first) == "chosen"
    assert found.part_of("chosen", second) == "chosen#2"


def test_code_is_found_by_name_and_first_line() -> None:
    text = """\
    import a

    @a.b
    @a.c(lambda: 1)
    def f(x=lambda: 2):
        y = [z for z in x]
        class Inner:
            def method(self): return lambda: 3
        def g():
            return (i for i in x)
        return lambda: y

    class C:
        key = lambda self: 1

    h = lambda: {k: 1 for k in a}
    """
    found = source(text)
    assert found.part_of(MODULE, 1) == MODULE
    assert found.part_of("f", 3) == "f"
    assert found.part_of("<lambda>", 4) == MODULE
    assert found.part_of("<lambda>", 5) == MODULE
    assert found.part_of("f.<locals>.<listcomp>", 6) == "f"
    assert found.part_of("f.<locals>.Inner", 7) == "f"
    assert found.part_of("f.<locals>.Inner.method", 8) == "f.<locals>.Inner.method"
    assert found.part_of("f.<locals>.Inner.method.<locals>.<lambda>", 8) == "f.<locals>.Inner.method"
    assert found.part_of("f.<locals>.g.<locals>.<genexpr>", 10) == "f.<locals>.g"
    assert found.part_of("f.<locals>.<lambda>", 11) == "f"
    assert found.part_of("C", 13) == MODULE
    assert found.part_of("C.<lambda>", 14) == MODULE
    assert found.part_of("<lambda>.<locals>.<dictcomp>", 16) == MODULE
    assert found.part_of("f", 99) == ALL
    assert found.part_of("made", 3) == ALL


def test_a_function_that_was_declared_global_has_another_name() -> None:
    found = source("def outer():\n    global inner\n    def inner():\n        return 1\n")
    assert found.part_of("inner", 3) == "outer.<locals>.inner"


@pytest.mark.parametrize(
    "text", ["def f(:\n", "x = 1\n\0", "# coding: nonsense\nx = 1\n", "x = " + "(" * 500 + ")" * 500]
)
def test_what_cannot_be_parsed_is_one_opaque_part(text: str) -> None:
    parts = read(text.encode()).parts
    assert len(set(parts.values())) == 1
    assert parts.keys() == {MODULE, FRAME, DOC, ALL, BYTES}


def test_bytes_that_are_no_utf_8_are_opaque_unless_they_say_what_they_are() -> None:
    assert read("ä = 'ö'\n".encode("latin-1")).parts.keys() == {MODULE, FRAME, DOC, ALL, BYTES}
    said = "# coding: latin-1\nä = 'ö'\n"
    assert read(said.encode("latin-1")).parts[MODULE] == read(said.replace("latin-1", "utf-8").encode()).parts[MODULE]


def test_constants_of_another_type_are_others() -> None:
    for one, other in (("1", "1.0"), ("1", "True"), ("'1'", "1"), ("b'1'", "'1'"), ("0.0", "-0.0"), ("''", "None")):
        assert changed(f"x = {one}", f"x = {other}") == {MODULE, FRAME}, (one, other)
    assert changed("x = 0x" + "f" * 5000, "x = 0x" + "f" * 5001) == {MODULE, FRAME}  # more digits than repr takes


def test_a_deep_expression_counts_though_it_is_deep() -> None:
    assert changed("x = " + " + ".join(["1"] * 3000), "x = " + " + ".join(["1"] * 2999 + ["2"])) >= {MODULE}


def test_match_and_walrus_and_global() -> None:
    before = "def f(x):\n    match x:\n        case [1, *rest] if (n := len(rest)):\n            return n\n"
    assert changed(before, before.replace("[1,", "[2,")) == {"f"}


def test_type_parameters_belong_to_the_signature_and_what_cannot_be_parsed_is_one_part() -> None:
    found = changed("def f[T](x: T): return x", "def f[T: int](x: T): return x")
    parsed = sys.version_info >= (3, 12)  # the agent's own Python decides
    assert found == ({MODULE, FRAME} if parsed else {MODULE, FRAME, DOC})


TESTS = """
import pytest

def helper():
    return 1

def test_one():
    assert helper()

@pytest.mark.parametrize("x", [1, 2])
def test_two(x):
    assert x

class TestThem:
    def test_three(self):
        assert 3
"""


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("def test_one():", "def test_new():\n    pass\n\ndef test_one():", {"test_new", MODULE}),
        ("def test_one():", "def test_one(tmp_path):", {"test_one", MODULE}),
        ("[1, 2]", "[1, 3]", {"test_two", MODULE}),
        ("test_three", "test_four", {"TestThem.test_three", "TestThem.test_four", MODULE}),
        ("def helper", "def helped", {"helper", "helped", FRAME, MODULE}),
    ],
)
def test_a_tests_own_definition_is_a_part_of_its_own(old: str, new: str, parts: set[str]) -> None:
    assert changed(TESTS, TESTS.replace(old, new, 1)) == parts


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("def test_a(): pass\n", "def test_a(): pass\ndef test_a(): assert 0\n"),
        ("def test_a(): pass\n", "def test_a(): pass\ntest_a = None\n"),
        ("def test_a(): pass\n", "def test_a(): pass\nfrom b import test_a\n"),
        ("def test_a(x=1): pass\ndef b(): return test_a\n", "def test_a(x=2): pass\ndef b(): return test_a\n"),
        ("class TestA(Base):\n    x = 1\n", "class TestA(Base):\n    x = 1\n    def test_a(self): pass\n"),
        ("@register\ndef test_a(x=1): pass\n", "@register\ndef test_a(x=2): pass\n"),
        ("if 1:\n    def test_a(x=1): pass\n", "if 1:\n    def test_a(x=2): pass\n"),
        (
            "class A:\n    y = 1\nclass TestB(A):\n    pass\n",
            "class A:\n    y = 1\n    def test_a(self): pass\nclass TestB(A):\n    pass\n",
        ),
    ],
)
def test_a_test_that_others_may_see_belongs_to_the_frame(before: str, after: str) -> None:
    assert FRAME in changed(before, after)


def test_who_reads_docstrings_is_known() -> None:
    assert not source('"""A."""\ndef f():\n    "B"\n').reads_docs
    for text in ("print(f.__doc__)", "getattr(f, '__doc__')", "from inspect import getdoc", "import doctest"):
        assert source(text).reads_docs, text


def test_names_that_are_imported_are_known() -> None:
    found = source("import a.b as c\nfrom ..d import e\ndef f():\n    from g import h\n")
    assert found.imports == {"a", "b", "d", "e", "g", "h"}
    assert not found.dynamic
    assert source("import importlib\nimportlib.import_module(name)").dynamic
