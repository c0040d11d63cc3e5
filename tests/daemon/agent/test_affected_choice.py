"""From what tests used and what is there now to the tests that are affected, without any process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from testd_daemon.agent.affected.book import Book
from testd_daemon.agent.affected.choice import Changes, Reason, affected
from testd_daemon.agent.affected.recorder import Facts, Moment, Told, record
from testd_daemon.agent.affected.state import State
from testd_daemon.agent.affected.store import Store
from testd_daemon.agent.collection import Collection
from testd_daemon.agent.freshness import GRANULARITY_NS
from testd_protocol.messages import Code, Collected, Dependencies, Directory, Item, Modules, Stat, Use, Used

FILES = {
    "pkg/__init__.py": "",
    "pkg/core.py": "from . import lazy_names\n\ndef used():\n    return 1\n\ndef unused():\n    return 2\n",
    "pkg/lazy_names.py": "NAMES = 1\n",
    "pkg/apart.py": "def apart():\n    return 3\n",
    "conftest.py": "def fixture():\n    return 4\n",
    "tests/conftest.py": "X = 1\n",
    "tests/test_core.py": "from pkg import core\n\ndef test_it():\n    core.used()\n\ndef test_file():\n    open('d')",
    "tests/test_apart.py": "import pkg.apart\n\ndef test_apart():\n    pkg.apart.apart()\n",
    "data/table.json": "{}",
    "README.md": "about",
    "unknown.cfg": "a",
    "pyproject.toml": "[tool]",
    ".gitignore": "build/\n",
    "build/made.bin": "1",
}
IT, FILE, APART = "tests/test_core.py::test_it", "tests/test_core.py::test_file", "tests/test_apart.py::test_apart"
ALL = {IT, FILE, APART}


class Project:
    """A workspace, and a target that has run its tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for path, text in FILES.items():
            self.write(path, text)
        self.book, self.state = Book(), State(str(folder))

    def at(self, path: str) -> str:
        return str(self.folder / path)

    def write(self, path: str, text: str, age: float = 60.0) -> None:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        os.utime(place, (time.time() - age,) * 2)

    def collection(self, number: int = 1) -> Collection:
        found = Collection(number, (), str(self.folder))
        found.add(Collected(collection=number, items=[Item(test, 1) for test in (IT, FILE, APART)], done=True))
        files = {
            "pkg": "pkg/__init__.py", "pkg.core": "pkg/core.py", "pkg.lazy_names": "pkg/lazy_names.py",
            "pkg.apart": "pkg/apart.py", "conftest": "conftest.py", "tests.conftest": "tests/conftest.py",
            "test_core": "tests/test_core.py", "test_apart": "tests/test_apart.py",
        }  # fmt: skip
        imports = {"test_core": ["pkg.core"], "pkg.core": ["pkg.lazy_names"], "test_apart": ["pkg.apart"]}
        if (self.folder / "pkg" / "shared.py").exists():
            files["pkg.shared"] = "pkg/shared.py"
            imports |= {module: [*there, "pkg.shared"] for module, there in imports.items()}
        # whose modules a conftest file imports, and that has loaded all tests: not on its own account
        imports |= {"conftest": ["_pytest.python"], "_pytest.python": ["test_core", "test_apart", "tests.conftest"]}
        there = {module: self.at(path) for module, path in files.items()}
        there["_pytest.python"] = "/nowhere/site-packages/_pytest/python.py"
        found.learn(Modules(collection=number, files=there, imports=imports))
        found.record.add(
            Dependencies(
                checkpoint="collected", collection=number,
                files=[Stat(self.at("tests/test_core.py"), 1, 1)],
                directories=[Directory(self.at("data"), 1, [], everything=False)],
            ),
            time.time_ns(),
        )  # fmt: skip
        return found

    def run(
        self, *uses: Use, functions: bool = True, verdict: str = "passed", meanwhile: Callable[[], None] = lambda: None,
        loaded: Callable[[str], tuple[int, int] | None] = lambda path: None, **more: object,
    ) -> set[str]:  # fmt: skip
        """Let the three tests have run; return those that got no record."""
        self.look()
        collection = self.collection()
        codes = [
            Code(0, self.at("tests/test_core.py"), "test_it", 3),
            Code(1, self.at("pkg/core.py"), "used", 3),
            Code(2, self.at("tests/test_core.py"), "test_file", 6),
            Code(3, self.at("tests/test_apart.py"), "test_apart", 3),
            Code(4, self.at("pkg/apart.py"), "apart", 1),
            Code(5, self.at("pkg/shared.py"), "shared", 1),
        ]
        found = list(uses) or [
            Use(0, [0, 1], [], [], False),
            Use(1, [2], [self.at("data/table.json")], [], False),
            Use(2, [3, 4], [], [], False),
        ]
        page = Used(collection=1, worker=3, codes=codes, uses=found, functions=functions, **more)  # type: ignore[arg-type]
        facts = Facts(
            target="py3", began_ns=time.time_ns(), at=1.0,
            tests={collection.ids[use.test]: verdict for use in found}, told=[Told(collection, page)],
            collection=collection, files=[self.at("conftest.py"), self.at("pyproject.toml"), self.at("pytest.ini")],
            folders=[], environment={"the interpreter": "3"}, loaded=loaded,
        )  # fmt: skip
        meanwhile()
        self.look(facts.began_ns)
        view = self.state.as_loaded(facts.loaded, facts.began_ns)
        moment = Moment(view, *self.state.before(facts.began_ns), self.state.entries)
        return record(self.book, facts, moment)

    def look(self, began_ns: int = 0) -> set[str]:
        return self.state.look([p for p in self.book.by_path if p[0] == "/" and not self.state.inside(p)], began_ns)

    def reasons(self) -> dict[str, Reason]:
        self.look()
        stale = {
            number
            for number, part in self.book.parts.items()
            if part.path.startswith("/") and self.state.digest_of(part.path, part.key) != part.digest
        }
        return affected(self.book, self.state, "py3", Changes(stale))

    def affected(self) -> set[str]:
        return set(self.reasons())


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "work"
    folder.mkdir()
    found = Project(folder.resolve())
    found.look()
    assert found.run() == set()
    assert found.affected() == set()
    return found


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("pkg/core.py", FILES["pkg/core.py"].replace("return 1", "return 10"), {IT}),
        ("pkg/core.py", FILES["pkg/core.py"].replace("return 2", "return 20"), set()),
        ("pkg/core.py", "# a comment\n" + FILES["pkg/core.py"], set()),
        ("pkg/core.py", '"""A docstring."""\n' + FILES["pkg/core.py"], set()),
        ("pkg/core.py", "X = 1\n" + FILES["pkg/core.py"], {IT, FILE}),
        ("pkg/core.py", "def broken(:\n", {IT, FILE}),
        ("pkg/lazy_names.py", "NAMES = 2\n", {IT, FILE}),
        ("pkg/__init__.py", "X = 1\n", ALL),
        ("pkg/apart.py", "def apart():\n    return 30\n", {APART}),
        ("conftest.py", "def fixture():\n    return 40\n", set()),
        ("conftest.py", "X = 1\n", ALL),
        ("tests/conftest.py", "X = 2\n", ALL),
        ("tests/test_core.py", FILES["tests/test_core.py"].replace("open('d')", "open('e')"), {FILE}),
        ("tests/test_core.py", FILES["tests/test_core.py"] + "\ndef test_new():\n    pass\n", set()),
        ("tests/test_core.py", FILES["tests/test_core.py"] + "\ndef helper():\n    pass\n", {IT, FILE}),
        ("data/table.json", "[]", {FILE}),
        ("data/other.json", "[]", ALL),
        ("README.md", "more", set()),
        ("unknown.cfg", "b", ALL),
        ("unknown_too.cfg", "b", ALL),
        ("pyproject.toml", "[tool.other]", ALL),
        ("pytest.ini", "[pytest]", ALL),
        ("build/made.bin", "2", set()),
        ("pkg/new.py", "X = 1", set()),
        ("pkg/lazy_names/__init__.py", "NAMES = 3\n", {IT, FILE}),
        ("tests/pkg.py", "X = 1", ALL),
        ("json.py", "X = 1", ALL),
        ("tests/test_more.py", "def test_more(): pass", set()),
        ("tests/sub/conftest.py", "", set()),
        ("elsewhere.py", "X = 1", set()),
    ],
)  # fmt: skip
def test_a_change_affects(project: Project, path: str, text: str, expected: set[str]) -> None:
    project.write(path, text, age=0)
    assert project.affected() == expected


def test_what_is_put_back_affects_nothing(project: Project) -> None:
    for path in ("pkg/core.py", "unknown.cfg", "data/table.json"):
        project.write(path, "something = 'else'")
        assert project.affected()
        project.write(path, FILES[path])
        assert project.affected() == set(), path


def test_a_deleted_or_renamed_module_affects_who_imported_it(project: Project) -> None:
    (project.folder / "pkg/lazy_names.py").rename(project.folder / "pkg/names.py")
    assert project.affected() == {IT, FILE}
    (project.folder / "unknown.cfg").unlink()
    assert project.affected() == ALL


def test_a_new_conftest_affects_what_is_below_it(project: Project) -> None:
    for path, expected in (("tests/conftest.py", ALL), ("tests/sub/conftest.py", set()), ("conftest.py", ALL)):
        new = frozenset({project.at(path)})
        assert affected(project.book, project.state, "py3", Changes(set(), new, new)).keys() == expected


def test_suites_and_what_runs_write_affect_no_test_that_does_not_read_them(project: Project) -> None:
    project.write("cart.suite.json", "{}")
    assert project.affected() == set()
    project.write("items.json", "{}")
    assert project.affected() == ALL
    written = Changes(set(), products=frozenset({project.at("items.json"), project.at("data/table.json")}))
    assert affected(project.book, project.state, "py3", written) == {}
    project.write("data/table.json", "[5]")
    assert project.affected() == ALL


def test_without_functions_whole_modules_count(project: Project) -> None:
    project.run(functions=False)
    project.write("pkg/core.py", FILES["pkg/core.py"].replace("return 2", "return 20"))
    assert project.affected() == {IT, FILE}


def test_a_test_that_may_depend_on_anything(project: Project) -> None:
    project.run(Use(0, [0, 1], [], [], True))
    project.write("pkg/new.py", "X = 1")
    assert project.reasons() == {IT: Reason("everything", project.at("pkg/new.py"))}
    project.write("README.md", "more")
    project.run(Use(0, [0, 1], [], [], True))
    assert project.affected() == set()


def test_code_whose_effect_outlives_a_test_concerns_all_that_import_it(project: Project) -> None:
    project.run(shared=[1])
    project.write("pkg/core.py", FILES["pkg/core.py"].replace("return 1", "return 10"))
    assert project.affected() == {IT, FILE}


def test_a_folder_that_was_listed(project: Project) -> None:
    project.run(Use(0, [0, 1], [], [project.at("data")], False))
    project.write("data/other.json", "[]")
    assert project.affected() == {IT}


def test_what_tests_write_is_no_source(project: Project) -> None:
    project.run(written=[project.at("out.txt")])
    project.write("out.txt", "1")
    assert project.affected() == set()


def test_a_crash_leaves_no_record(project: Project) -> None:
    assert project.run(verdict="crashed") == ALL
    assert project.book.shelf("py3").tests == {}


def test_a_file_that_changed_while_it_was_used_leaves_no_record(project: Project) -> None:
    def edit() -> None:
        project.write("pkg/apart.py", "def apart():\n    return 30\n")

    assert project.run(meanwhile=edit) == {APART}


@pytest.mark.parametrize(
    ("change", "without", "affected"),
    [
        ("return 30", set(), {APART}),
        ("return 3  # three", set(), set()),
        ("return 4 if opened", {APART}, set()),
        ("return 4 if another time", ALL, set()),
    ],
)
def test_a_module_that_changes_behind_its_loading_is_what_was_loaded(
    project: Project, change: str, without: set[str], affected: set[str]
) -> None:
    """An edit in the middle of a run took the records of all tests that had run, where all import what was edited."""
    place = project.folder / "pkg" / "shared.py"
    project.write("pkg/shared.py", "def shared():\n    return 3\n")
    project.write("pkg/__init__.py", "from pkg import shared\n")
    before = place.stat()
    while time.time_ns() < before.st_ctime_ns + 2 * GRANULARITY_NS:
        pass  # else another text may have had the same time

    def edit() -> None:
        project.write("pkg/shared.py", f"def shared():\n    {change.partition(' if')[0]}\n", age=0)

    def loaded(path: str) -> tuple[int, int] | None:
        return (before.st_mtime_ns + ("another time" in change), before.st_size) if path == str(place) else None

    uses = [Use(0, [0], [], [], False), Use(1, [2], [], [], False)]
    uses.append(Use(2, [3, 4, 5], [str(place)] if "opened" in change else [], [], False))
    project.run(*uses)
    assert project.run(*uses, meanwhile=edit, loaded=loaded) == without
    assert project.affected() == affected


def test_docstrings_count_where_they_are_read(project: Project) -> None:
    project.write("pkg/apart.py", 'def apart():\n    "A"\n    return apart.__doc__\n')
    project.run()
    project.write("pkg/apart.py", 'def apart():\n    "B"\n    return apart.__doc__\n')
    assert project.affected() == {APART}


def test_it_is_the_same_after_it_was_written_and_read(project: Project, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "state" / "affected.sqlite"))
    store.open(State(str(project.folder)))
    store.save(project.book, project.state, "py3", ALL)
    store.close()
    project.write("pkg/core.py", FILES["pkg/core.py"].replace("return 1", "return 10"))
    (project.folder / "unknown.cfg").unlink()
    expected = project.reasons()
    again = Project.__new__(Project)
    again.folder, again.state = project.folder, State(str(project.folder))
    again.book = store.open(again.state)
    assert again.reasons() == expected
    assert set(expected) == ALL
    store.close()


def test_a_process_that_ended_before_it_had_learned_leaves_no_records(project: Project, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "affected.sqlite"))
    store.open(State(str(project.folder)))
    store.save(project.book, project.state, "py3", ALL)
    store.mark("py3")
    store.close()
    assert store.open(State(str(project.folder))).shelf("py3").tests == {}
    store.close()


@pytest.mark.parametrize("data", [b"this is no database" * 100, b""])
def test_a_broken_file_is_put_aside(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "affected.sqlite"
    path.write_bytes(data)
    store = Store(str(path))
    assert not store.open(State(str(tmp_path))).parts
    assert not store.problem
    assert (tmp_path / "affected.sqlite.broken").exists() == bool(data)
    store.close()


def test_names_relative_to_another_folder_are_other_tests(project: Project, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "affected.sqlite"))
    store.open(State(str(project.folder)))
    project.book.shelf("py3").root = "/elsewhere"
    store.save(project.book, project.state, "py3", ALL)
    project.run(Use(0, [0, 1], [], [], False))
    assert project.book.shelf("py3").tests.keys() == {IT}
    store.save(project.book, project.state, "py3", [IT])
    store.close()
    assert store.open(State(str(project.folder))).shelf("py3").tests.keys() == {IT}
    store.close()


def test_a_sweep_takes_what_no_test_holds(project: Project) -> None:
    before = len(project.book.parts)
    project.write("pkg/core.py", FILES["pkg/core.py"].replace("return 1", "return 10"))
    project.run()
    assert len(project.book.parts) > before
    sets, parts = project.book.sweep()
    assert sets
    assert len(parts) == 1
    assert project.affected() == set()
