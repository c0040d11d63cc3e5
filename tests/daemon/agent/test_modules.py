"""The graph of modules: what a change of files may reach."""

from __future__ import annotations

from testd_daemon.agent.modules import ModuleGraph
from testd_protocol.messages import Modules


def graph(*messages: tuple[dict[str, str], dict[str, list[str]]]) -> ModuleGraph:
    made = ModuleGraph()
    for worker, (files, imports) in enumerate(messages):
        made.add(Modules(collection=1, files=files, imports=imports, worker=worker))
    return made


STEM = (
    {"a": "/p/a.py", "b": "/p/b.py", "test_x": "/p/test_x.py", "test_y": "/p/test_y.py"},
    {"test_x": ["a"], "a": ["b"], "test_y": ["sys"]},
)


def test_a_change_reaches_those_who_import_it_directly_or_not() -> None:
    made = graph(STEM)
    assert made.affected(["/p/b.py"]) == {"b", "a", "test_x"}
    assert made.affected(["/p/a.py"]) == {"a", "test_x"}
    assert made.affected(["/p/test_y.py", "/p/test_x.py"]) == {"test_x", "test_y"}
    assert made.affected(["/p/unknown.py"]) == frozenset()


def test_what_workers_load_is_merged() -> None:
    made = graph(STEM, ({"late": "/p/late.py"}, {"test_y": ["late"], "late": ["b"]}), ({}, {"test_y": ["a"]}))
    assert made.imported_by("test_y") == {"sys", "late", "a"}
    assert made.importers_of("b") == {"a", "late"}
    assert made.affected(["/p/late.py"]) == {"late", "test_y"}
    assert made.affected(["/p/b.py"]) == {"b", "a", "late", "test_x", "test_y"}
    assert len(made) == 5


def test_modules_that_import_each_other_end() -> None:
    made = graph(({"a": "/a.py", "b": "/b.py"}, {"a": ["b"], "b": ["a"]}))
    assert made.affected(["/a.py"]) == made.affected(["/b.py"]) == {"a", "b"}


def test_one_file_under_two_names_and_one_name_with_two_files() -> None:
    made = graph(({"conftest": "/p/conftest.py", "p.conftest": "/p/conftest.py"}, {"t": ["p.conftest"]}),
                 ({"conftest": "/q/conftest.py"}, {}))  # fmt: skip
    assert made.modules_of("/p/conftest.py") == {"conftest", "p.conftest"}
    assert made.affected(["/p/conftest.py"]) == {"conftest", "p.conftest", "t"}
    assert made.file_of("conftest") == "/p/conftest.py"
    assert made.affected(["/q/conftest.py"]) == {"conftest"}


def test_a_package_reaches_the_modules_in_it_and_not_the_other_way() -> None:
    made = graph(({"p": "/p/__init__.py", "p.a": "/p/a.py", "pa": "/pa.py"}, {"test": ["p.a"]}))
    assert made.affected(["/p/__init__.py"]) == {"p", "p.a", "test"}
    assert made.affected(["/p/a.py"]) == {"p.a", "test"}
