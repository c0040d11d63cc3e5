"""Modules from outside of the project that are loaded ahead of the next collection, in real runners."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from runners.driver import Driver, runner, write

#: Of a module outside: it leaves a trace of each time that it is loaded.
LOGGED = "import os\nwith open({log!r}, 'a') as file: print(__name__, file=file)\nVALUE = os.environ.get('VALUE')\n"


class Outside:
    """A project, and a folder beside it whose modules it can import."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.library = folder / "library"
        self._log = folder / "log"
        self.project.mkdir()
        self._log.touch()

    def module(self, name: str, more: str = "") -> None:
        path = self.library / (name.replace(".", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(LOGGED.format(log=str(self._log)) + more)

    def loaded(self, name: str) -> int:
        return self._log.read_text().split().count(name)

    @contextmanager
    def runner(self, **settings: object) -> Iterator[Driver]:
        with runner(self.project, environment={"PYTHONPATH": str(self.library)}, **settings) as driver:
            yield driver


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    return Outside(tmp_path)


def prepared(driver: Driver) -> set[str]:
    """Wait until modules have been loaded ahead; return the names of their files."""
    while True:
        message = driver.until("Dependencies")
        if message["checkpoint"] == "plugins":
            return {Path(file[0]).name for file in message["files"]}


def verdicts(driver: Driver) -> "list[str]":
    """Collect everything, run it, and return what is not passed, with the reason."""
    outcomes = driver.run_all()
    assert outcomes
    return [f"{name}: {found['detail']['message']}" for name, found in outcomes.items() if found["verdict"] != "passed"]


def stems(driver: Driver) -> "list[psutil.Process]":
    return psutil.Process(driver.process.pid).children(recursive=True)


def reconfigure(driver: Driver) -> None:
    driver.send("DropCollection", collection=0, configured=True)


def test_what_the_project_imports_is_loaded_once_for_all_collections_to_come(outside: Outside) -> None:
    """A library was imported again with each edit: two seconds where it is hypothesis."""
    outside.module("package.__init__")
    outside.module("package.inner", "import package.other\n")
    outside.module("package.other")
    seen = "[name for name in sys.modules if name.startswith('package')]"
    conftest = f"""
import importlib.util, sys
assert {seen} == []
import package
assert {seen} == ["package"] and not hasattr(package, "inner")
SPEC = importlib.util.find_spec("package.inner")
"""
    test = f"""
import conftest, sys
assert {seen} == ["package"]
from package.inner import VALUE
import package
assert {seen} == ["package", "package.other", "package.inner"]
def test_what_is_seen():
    assert package.inner.VALUE is VALUE is None
    assert package.other is sys.modules["package.other"]
    for module in (package, package.inner, package.other):
        assert module.__spec__.loader is module.__loader__ and not module.__spec__._initializing
        assert type(module.__loader__).__name__ == "SourceFileLoader"
    assert conftest.SPEC.origin == package.inner.__file__
"""
    write(outside.project, conftest=conftest, test_a=test)
    with outside.runner() as driver:
        assert verdicts(driver) == []
        assert {"inner.py", "other.py"} <= prepared(driver)
        assert outside.loaded("package.inner") == 2
        for _ in range(2):
            reconfigure(driver)
            assert verdicts(driver) == []
        assert [outside.loaded(name) for name in ("package", "package.inner", "package.other")] == [2, 2, 2]


def test_an_edit_of_a_source_file_finds_them_loaded(outside: Outside) -> None:
    """Only an edit of a conftest file did: all others went on from a stem that was older than what was loaded."""
    outside.module("tool")
    write(outside.project, conftest="", test_a="import tool\ndef test_a(): pass\n")
    with outside.runner() as driver:
        assert verdicts(driver) == []
        assert "tool.py" in prepared(driver)
        assert outside.loaded("tool") == 2
        for number in (1, 2):
            driver.send("DropCollection", collection=number)
            assert verdicts(driver) == []
        assert outside.loaded("tool") == 2


def test_the_stem_that_was_left_ends_with_what_was_forked_from_it(outside: Outside) -> None:
    outside.module("tool")
    write(outside.project, conftest="", test_a="import tool\ndef test_a(): pass\n")
    with outside.runner() as driver:
        first = driver.collect()["collection"]
        prepared(driver)
        driver.collect()
        assert driver.run([0], collection=first).verdicts() == {0: "passed"}
        there = stems(driver)
        driver.send("DropCollection", collection=first)
        gone: list[psutil.Process] = []
        while len(gone) < 2:  # the collection, and the stem below it
            gone += psutil.wait_procs([stem for stem in there if stem not in gone], timeout=0.1)[0]
        assert driver.run([0]).verdicts() == {0: "passed"}


@pytest.mark.parametrize("where", ["conftest", "test_a"])
def test_a_variable_that_is_set_before_an_import_now_counts(outside: Outside, where: str) -> None:
    outside.module("first")
    outside.module("second")
    files = {"conftest": "import first\n", "test_a": "import second\ndef test_a(): assert second.VALUE == 'x'\n"}
    write(outside.project, **files)
    with outside.runner() as driver:
        assert verdicts(driver) != []
        assert {"first.py", "second.py"} <= prepared(driver)
        files[where] = "import os; os.environ['VALUE'] = 'x'\n" + files[where]
        write(outside.project, **files)
        reconfigure(driver)
        assert verdicts(driver) == []
        loaded = outside.loaded("second")
        assert prepared(driver) & {"first.py", "second.py"} == ({"first.py"} if where == "test_a" else set())
        reconfigure(driver)
        assert verdicts(driver) == []
        assert outside.loaded("second") == loaded + 1, "each time in its turn"


def test_a_module_of_the_project_with_the_name_of_one_from_outside(outside: Outside) -> None:
    outside.module("tool")
    test = "import os, tool\ndef test_a(): assert os.path.dirname(tool.__file__) == os.path.dirname(__file__)\n"
    write(outside.project, test_a=test)
    with outside.runner() as driver:
        assert verdicts(driver) != []
        assert "tool.py" in prepared(driver)
        write(outside.project, tool="")
        reconfigure(driver)
        assert verdicts(driver) == []


def test_a_module_whose_assertions_are_to_be_rewritten_now(outside: Outside) -> None:
    outside.module("checks", "def check(n): assert n == 1\n")
    write(outside.project, conftest="", test_a="import checks\ndef test_a(): checks.check(2)\n")
    with outside.runner() as driver:
        assert verdicts(driver) == ["test_a: AssertionError"]
        assert "checks.py" in prepared(driver)
        write(outside.project, conftest="import pytest\npytest.register_assert_rewrite('checks')\n")
        reconfigure(driver)
        assert verdicts(driver) == ["test_a: AssertionError: assert 2 == 1"]


UNFIT = {
    "changes the environment": "os.environ['CHANGED'] = 'x'\n",
    "changes the path": "import sys; sys.path.append('/nowhere')\n",
    "goes elsewhere": "os.chdir('..')\n",
    "replaces a function": "import time; time.time = lambda: 0.0\n",
    "starts a thread": "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()\n",
    "warns": "import warnings; warnings.warn('old')\n",
    "fails when it is loaded ahead": "import sys; sys.modules['conftest']\n",
    "is another one than it says": "import sys; sys.modules[__name__] = object()\n",
}


@pytest.mark.parametrize("what", UNFIT)
def test_what_does_more_than_to_load_is_left_to_its_turn(outside: Outside, what: str) -> None:
    outside.module("plain")
    outside.module("unfit", UNFIT[what])
    outside.module("user", "import unfit\n")
    write(outside.project, conftest="import plain\n", test_a="import user, unfit\ndef test_a(): pass\n")
    with outside.runner() as driver:
        driver.collect()
        found = prepared(driver)
        assert "plain.py" in found
        assert not {"unfit.py", "user.py"} & found
        loaded = outside.loaded("unfit")
        reconfigure(driver)
        assert driver.collect()["ids"] == ["test_a.py::test_a"]
        assert outside.loaded("unfit") == loaded + 1


def test_warnings_that_a_module_filters_are_filtered_when_it_is_imported(outside: Outside) -> None:
    outside.module("filters", "import warnings; warnings.filterwarnings('ignore', message='of no.*')\n")
    before = "import warnings\nBEFORE = str(warnings.filters)\n"
    test = "import conftest, filters, warnings\nAFTER = str(warnings.filters)\ndef test_a():\n"
    test += "    assert 'of no' not in conftest.BEFORE\n    assert 'of no' in AFTER\n"
    write(outside.project, conftest=before, test_a=test)
    with outside.runner() as driver:
        assert verdicts(driver) == []
        assert "filters.py" in prepared(driver)
        reconfigure(driver)
        assert verdicts(driver) == []
        assert outside.loaded("filters") == 2


def test_collections_that_were_forked_before_a_module_was_spoiled_go_on(outside: Outside) -> None:
    outside.module("tool")
    write(outside.project, test_a="import tool\ndef test_a(): pass\n", test_b="def test_b(): pass\n")
    with outside.runner() as driver:
        driver.collect()
        prepared(driver)
        reconfigure(driver)
        kept = driver.collect("test_b.py")
        assert kept["ids"] == ["test_b.py::test_b"]
        write(outside.project, test_a="import os; os.environ['A'] = 'x'\nimport tool\ndef test_a(): pass\n")
        assert driver.collect("test_a.py")["ids"] == ["test_a.py::test_a"]
        assert driver.run([0]).verdicts() == {0: "passed"}
        assert driver.run([0], collection=kept["collection"]).verdicts() == {0: "passed"}
        reconfigure(driver)
        assert len(driver.collect()["ids"]) == 2


@pytest.mark.parametrize("settings", [{"preload": False}, {"stem": False}])
def test_nothing_is_loaded_ahead_where_it_is_not_wanted(outside: Outside, settings: dict[str, bool]) -> None:
    outside.module("tool")
    write(outside.project, conftest="import tool\n", test_a="def test_a(): pass\n")
    with outside.runner(**settings) as driver:
        for times in (1, 2, 3):
            driver.collect()
            driver.until("Modules")  # of the stem's leisure
            assert outside.loaded("tool") == times
            reconfigure(driver)
