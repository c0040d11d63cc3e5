"""What tests have used where something is set up for several of them, from outside: fixtures, xunit style, unittest.

pytest sets such a thing up within whichever test comes first. It counts for each test that uses it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from driver import write
from recording import MODERN, recorded

#: The last version stands for the others: what is tested here is not the interpreter.
LAST = MODERN[-1:]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    return root


@pytest.mark.parametrize("version", MODERN)
@pytest.mark.parametrize("scope", ["function", "class", "module", "package", "session"])
def test_a_fixture_counts_for_each_test_that_uses_it(project, version, scope):
    write(project, lib="""
def setting(): return inner()
def inner(): return 1
def ending(): pass
def other(): pass
""", conftest=f"""
import pytest, lib
@pytest.fixture(scope={scope!r})
def thing():
    yield lib.setting()
    lib.ending()
@pytest.fixture(scope={scope!r})
def around(thing): return thing
@pytest.fixture(scope={scope!r})
def asked(request): return request.getfixturevalue("thing")
""", sub____init__="", sub__test_it="""
import lib
class TestIt:
    def test_first(self, thing): pass
    def test_second(self, thing): pass
    def test_around(self, around): pass
    def test_asks(self, asked): pass
    def test_asks_itself(self, request): request.getfixturevalue("thing")
    def test_without(self): lib.other()
""")  # fmt: skip
    record = recorded(project, version)
    thing = {"thing", "setting", "inner", "ending"}
    assert {
        name.rpartition("::")[2]: record.functions_of(name) - {name.replace("::", ".")} for name in record.uses
    } == {
        "test_first": thing,
        "test_second": thing,
        "test_around": {*thing, "around"},
        "test_asks": {*thing, "asked"},
        "test_asks_itself": thing,
        "test_without": {"other"}
        if scope == "function"
        else {"other", "thing", "ending"},  # an error at its end is this one's
    }


@pytest.mark.parametrize("version", LAST)
def test_xunit_setup_and_teardown_count_for_all_tests_below(project, version):
    write(project, lib="".join(f"def {name}(): pass\n" for name in "abcdefgh"), test_it="""
import lib
def setup_module(): lib.a()
def teardown_module(): lib.b()
def setup_function(): lib.g()
class TestIt:
    @classmethod
    def setup_class(cls): lib.c()
    @classmethod
    def teardown_class(cls): lib.d()
    def setup_method(self): lib.e()
    def teardown_method(self): lib.f()
    def test_first(self): lib.h()
    def test_second(self): pass
def test_alone(): pass
""")  # fmt: skip
    record = recorded(project, version)
    used = {name: {function for function in use.functions if len(function) == 1} for name, use in record.uses.items()}
    assert used == {
        "TestIt::test_first": set("abcdefh"),
        "TestIt::test_second": set("abcdef"),
        "test_alone": set("abg"),
    }


@pytest.mark.parametrize("version", LAST)
def test_the_fixtures_of_unittest_count_for_all_tests_below(project, version):
    write(project, lib="".join(f"def {name}(): pass\n" for name in "abcdefgh"), test_it="""
import unittest
import lib
def setUpModule(): lib.a()
def tearDownModule(): lib.b()
class TestIt(unittest.TestCase):
    @classmethod
    def setUpClass(cls): lib.c()
    @classmethod
    def tearDownClass(cls): lib.d()
    def setUp(self): lib.e()
    def tearDown(self): lib.f()
    def test_first(self):
        lib.g()
        self.addCleanup(lib.h)
    def test_second(self): pass
class TestOther(unittest.TestCase):
    def test_alone(self): pass
""")  # fmt: skip
    record = recorded(project, version)
    used = {name: {function for function in use.functions if len(function) == 1} for name, use in record.uses.items()}
    assert used == {
        "TestIt::test_first": set("abcdefgh"),
        "TestIt::test_second": set("abcdef"),
        "TestOther::test_alone": set("ab"),
    }


@pytest.mark.parametrize("version", LAST)
def test_files_of_a_shared_fixture_count_for_each_test_that_uses_it(project, version):
    write(project, test_it="""
import pathlib, pytest
@pytest.fixture(scope="module")
def data(): return pathlib.Path("data.json").read_text()
def test_first(data): pass
def test_second(data): pass
def test_without(): pass
""")  # fmt: skip
    (project / "data.json").write_text("{}")
    record = recorded(project, version)
    assert {name: use.files for name, use in record.uses.items()} == {
        "test_first": {"data.json"},
        "test_second": {"data.json"},
        "test_without": set(),
    }
