"""`testd run --affected` with a real runner: what an edit selects, on a Python that tells which functions ran."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from agent_driver import AgentDriver, RunResult

import interpreters
from testd_daemon.agent.freshness import GRANULARITY_NS
from testd_protocol.messages import Outcomes, Shutdown, Why, WhyReport

#: What pytest consists of, where it is loaded by an interpreter into which nothing was installed.
PYTEST = ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "py", "pygments")
MODERN = [version for version in interpreters.found() if int(version.partition(".")[2]) >= 12]

FILES = {
    "pytest.ini": "[pytest]\naddopts = -p no:cacheprovider\n",
    "conftest.py": """
        import pytest
        @pytest.fixture(scope="session")
        def shared():
            return made()
        def made():
            return 1
        """,
    "pkg/__init__.py": "",
    "pkg/core.py": '''
        import functools

        def used():
            """Say."""
            return 1  # one

        def unused():
            return 2

        @functools.lru_cache(maxsize=None)
        def memo():
            return 3
        ''',
    "pkg/late.py": "VALUE = 1\n",
    "tests/test_core.py": """
        import json, pathlib, subprocess, sys
        import pytest
        from pkg import core

        def test_used():
            assert core.used()

        def test_memo():
            assert core.memo()

        def test_data():
            assert json.loads(pathlib.Path("data/table.json").read_text()) is not None

        @pytest.mark.parametrize("x", [1, 2])
        def test_many(x):
            assert x

        def test_shared(shared):
            assert shared
        """,
    "tests/test_apart.py": """
        import subprocess, sys, os

        def test_alone():
            assert True

        def test_late():
            from pkg import late
            assert late.VALUE

        def test_process():
            subprocess.run([sys.executable, "-c", "pass"], check=True)

        def test_listing():
            assert os.listdir("data")
        """,
    "data/table.json": "{}",
    "README.md": "about",
}


class Project:
    """A project whose tests have run, and its agent."""

    agent: AgentDriver
    last: RunResult

    def __init__(self, folder: Path, environment: Path) -> None:
        self.folder = folder
        self.environment = environment

    def write(self, path: str, text: str) -> None:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.folder / path).read_text()
        assert old in text
        self.write(path, text.replace(old, new, 1))

    def run(self, *paths: str, **request: object) -> RunResult:
        return self.agent.run(*paths, **request)

    def settle(self) -> None:
        """Let the agent learn what the last run told: who asks waits for that, and the next edit is not mixed up."""
        self.agent.send(Why(workspace=str(self.folder), test="no_test_has_this_name"))
        while not isinstance(self.agent.receive(), WhyReport):
            pass

    def affected(self, **request: object) -> set[str]:
        """Run what is affected; return the names of the tests that ran."""
        result = self.last = self.run(affected=True, **request)
        self.settle()
        return {row.test.rpartition("::")[2] for row in result.rows}


def dedented(text: str) -> str:
    lines = text.split("\n")
    width = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[width:] for line in lines).lstrip("\n")


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Virtual environments with pytest, which is linked to from this one; made once."""
    base = tmp_path_factory.mktemp("environments")

    def make(version: str) -> Path:
        folder = base / version
        if not folder.exists():
            command = [interpreters.found()[version], "-m", "venv", "--without-pip", str(folder)]
            subprocess.run(command, check=True, capture_output=True)
            (packages,) = folder.glob("lib/python*/site-packages")
            for name in PYTEST:
                spec = importlib.util.find_spec(name)
                origin = Path(spec.origin) if spec is not None and spec.origin is not None else Path()
                if origin.name == "__init__.py":
                    shutil.copytree(origin.parent, packages / name, ignore=shutil.ignore_patterns("*.pyc"))
                elif origin.name:
                    shutil.copy(origin, packages)
            for found in Path(pytest.__file__).parents[1].glob("pytest-*.dist-info"):
                shutil.copytree(found, packages / found.name)
        return folder

    return make


@pytest.fixture
def project(
    tmp_path: Path,
    agent: Callable[..., AgentDriver],
    environments: Callable[[str], Path],
    request: pytest.FixtureRequest,
) -> Project:
    version = getattr(request, "param", MODERN[-1] if MODERN else "")
    if not version:
        pytest.skip("needs Python 3.12 or newer")
    folder = (tmp_path / "project").resolve()
    found = Project(folder, environments(version))
    for path, text in FILES.items():
        found.write(path, dedented(text))
    for place in folder.rglob("*"):
        os.utime(place, (time.time() - 60,) * 2)
    found.write("pyproject.toml", f'[tool.testd]\npython = "{found.environment}/bin/python"\njobs = 1\n')
    found.agent = agent(folder)
    result = found.run()
    assert set(result.verdicts.values()) == {"passed"}, result.events
    found.settle()
    return found


def test_nothing_has_changed(project: Project) -> None:
    assert project.affected() == set()
    assert project.last.completed.exit_code == 0
    assert project.last.completed.reason == "nothing is affected by what has changed"


CORE = {"test_used", "test_memo", "test_data", "test_many[1]", "test_many[2]", "test_shared"}
APART = {"test_alone", "test_late", "test_process", "test_listing"}


def test_edits_one_after_another(project: Project) -> None:
    """Each edit stays; what it affects has run, so the next one starts from there."""
    steps = [
        ("a function", "pkg/core.py", "return 1  # one", "return 11  # one", {"test_used"}),
        ("one that nobody calls", "pkg/core.py", "return 2", "return 22", set()),
        ("a comment", "pkg/core.py", "# one", "# eleven", set()),
        ("a docstring", "pkg/core.py", '"""Say."""', '"""Tell."""', set()),
        ("what keeps its result", "pkg/core.py", "return 3", "return 33", CORE - {"test_used"}),  # that ran alone
        ("code at the top", "pkg/core.py", "import functools", "import functools, os", CORE),
        ("a data file", "data/table.json", "{}", "[]", {"test_data"}),
        ("documentation", "README.md", "about", "more", set()),
        ("a fixture's helper", "conftest.py", "return 1", "return 2", {"test_shared"}),
        ("a fixture's signature", "conftest.py", "def made():", "def made(x=1):", CORE | APART),
        ("configuration", "pytest.ini", "[pytest]", "[pytest]\nlog_level = INFO", CORE | APART),
        ("a late module", "pkg/late.py", "VALUE = 1", "VALUE = 2", APART),
        ("a test's parameters", "tests/test_core.py", "[1, 2]", "[1, 2, 3]", {f"test_many[{n}]" for n in (1, 2, 3)}),
        ("a new test", "tests/test_apart.py", "def test_alone", "def test_new(): pass\ndef test_alone", {"test_new"}),
        ("a test's body", "tests/test_apart.py", "assert True", "assert 1", {"test_alone"}),
    ]
    for what, path, old, new, expected in steps:
        project.edit(path, old, new)
        found = project.affected()
        assert found - {"test_process"} == expected - {"test_process"}, (what, project.last.notices)
        assert project.last.completed.exit_code == 0, what
        # whoever started a process may depend on any file that is no documentation
        assert ("test_process" in found) == (path != "README.md"), what
    assert project.affected() == set()


def test_files_that_come_and_go(project: Project) -> None:
    every = CORE | APART
    project.write("data/more.json", "{}")
    assert project.affected() == {"test_listing", "test_process"}
    project.write("unknown.bin", "1")
    assert project.affected() == every
    (project.folder / "unknown.bin").unlink()
    assert project.affected() == every
    project.write("tests/test_new.py", "def test_fresh(): pass\n")
    assert project.affected() == {"test_fresh", "test_process"}
    (project.folder / "pkg/late.py").rename(project.folder / "pkg/later.py")
    assert project.affected() == APART
    assert project.last.verdicts["test_late"] == "failed"
    assert project.affected() == {"test_late"}, "what failed runs again, changed or not"
    (project.folder / "pkg/later.py").rename(project.folder / "pkg/late.py")
    assert project.affected() >= {"test_late", "test_process"}
    project.write("tests/conftest.py", "import pytest\n")
    assert project.affected() == every | {"test_fresh"}
    (project.folder / "tests/test_new.py").unlink()
    assert project.affected() == {"test_process"}


def test_a_test_that_replaces_what_recording_needs(project: Project) -> None:
    project.write("tests/test_replaced.py", dedented("""
        import gc, os, sys, threading
        from pkg import core

        def test_replaced(monkeypatch):
            monkeypatch.delattr(sys, "_getframe")
            with monkeypatch.context() as replaced:
                for module, name in ((os, "getcwd"), (threading, "get_ident"), (gc, "get_objects")):
                    replaced.setattr(module, name, None)
                open(__file__).close()
                open("data/table.json").close()
                gc.collect()
                import pkg.late
                assert core.memo()
        """))  # fmt: skip
    assert project.affected() >= {"test_replaced"}
    assert project.last.verdicts["test_replaced"] == "passed", project.last.events
    assert "test_replaced" not in project.affected()
    project.edit("data/table.json", "{}", "[]")
    assert project.affected() >= {"test_replaced", "test_data"}


def test_a_module_that_a_test_has_written_is_no_dependency(project: Project) -> None:
    """It is another file each time, or gone: whoever loads modules by name had no record, nor who imports that."""
    project.write("pkg/load.py", "import importlib\n\ndef load(name):\n    return importlib.import_module(name)\n")
    project.write("tests/test_load.py", dedented("""
        from pkg.load import load

        def test_load(tmp_path, monkeypatch):
            (tmp_path / "written.py").write_text("VALUE = 1")
            monkeypatch.syspath_prepend(tmp_path)
            assert load("written").VALUE

        def test_beside():
            pass
        """))  # fmt: skip
    assert project.affected() == {"test_load", "test_beside", "test_process"}
    assert project.affected() == set()
    project.edit("pkg/load.py", "return importlib", "return  importlib")
    assert project.affected() == {"test_process"}
    project.edit("pkg/load.py", "(name):", "(name=None):")
    assert project.affected() == {"test_load", "test_beside", "test_process"}


def test_a_syntax_error_and_its_repair(project: Project) -> None:
    project.edit("pkg/core.py", "return 1", "return (1")
    project.affected()
    assert project.last.completed.exit_code == 1
    assert [row.verdict for row in project.last.rows if row.test == "tests/test_core.py"] == ["error"]
    project.edit("pkg/core.py", "return (1", "return 1")
    assert project.affected() == CORE | {"test_process"}
    assert project.last.completed.exit_code == 0
    assert project.affected() == set()


def test_it_is_remembered_by_another_agent(
    project: Project, agent: Callable[..., AgentDriver], tmp_path: Path
) -> None:
    assert project.affected() == set()
    project.agent.send(Shutdown(reason="stop"))
    assert project.agent.process.wait(30) == 0
    project.edit("pkg/core.py", "return 1", "return 11")
    project.agent = agent(project.folder)
    assert project.affected() == {"test_used", "test_process"}


LONG = """
    import pathlib, sys, time
    from pkg import core

    def test_long():
        tools = [sys.monitoring.get_tool(number) for number in range(6)]
        pathlib.Path(__file__).parents[2].joinpath("heard").write_text("yes" if "testd" in tools else "no")
        time.sleep(0.6)
        assert core.used()
    """


def test_what_is_known_is_not_recorded_again(project: Project, agent: Callable[..., AgentDriver]) -> None:
    """A run of tests that last, of which none is affected, costs no more than it would without a record."""
    heard = project.folder.parent / "heard"

    def ran(**request: object) -> str:
        heard.write_text("not run")
        while time.time_ns() < heard.stat().st_ctime_ns + 2 * GRANULARITY_NS:  # nor was any file just written
            time.sleep(0.001)
        result = project.run(**request)
        assert set(result.verdicts.values()) == {"passed"}, result.events
        project.settle()
        return heard.read_text()

    project.write("tests/test_long.py", dedented(LONG))
    assert ran() == "yes"
    assert ran() == "no"
    assert ran(fresh=True) == "yes"
    assert ran(shuffle=1) == "yes"
    assert ran() == "no"
    assert project.affected() == set()
    project.edit("pkg/core.py", "return 2", "return 22")
    assert project.affected() == {"test_process"}
    assert ran() == "no"
    project.edit("pkg/core.py", "return 1  # one", "return 11")
    assert project.affected() == {"test_used", "test_long", "test_process"}
    assert ran() == "no"
    project.edit("data/table.json", "{}", "[]")
    assert ran() == "yes", "others are affected"
    project.write("tests/test_more.py", "def test_more(): pass\n")
    assert ran() == "yes", "there is one without a record"
    assert ran() == "no"
    project.agent.send(Shutdown(reason="stop"))
    assert project.agent.process.wait(30) == 0
    project.agent = agent(project.folder)
    assert ran() == "yes", "another agent has yet to see what the files are"
    assert ran() == "no"
    project.edit("tests/test_long.py", "assert core.used()", "assert core.used() and core.unused()")
    assert project.affected() == {"test_long", "test_process"}
    project.edit("pkg/core.py", "return 22", "return 0")
    assert project.affected() == {"test_long", "test_process"}
    assert project.last.verdicts["test_long"] == "failed"


def test_a_selection_of_paths_and_an_expression(project: Project) -> None:
    project.edit("pkg/core.py", "import functools", "import functools, os")
    assert project.affected(keyword="used or data") == {"test_used", "test_data"}
    assert project.affected() == CORE - {"test_used", "test_data"} | {"test_process"}
    project.edit("pkg/core.py", "import functools, os", "import functools")
    result = project.run("tests/test_apart.py", affected=True)
    project.settle()
    assert {row.test.rpartition("::")[2] for row in result.rows} == {"test_process"}
    assert project.affected() == CORE


@pytest.mark.parametrize("project", MODERN, indirect=True)
@pytest.mark.parametrize("at", ["collected", "configured"])
def test_functions_that_have_not_run_are_exchanged_in_place(project: Project, at: str) -> None:
    """What is loaded serves on, and does what is written; what cannot be exchanged is loaded anew, for a reason."""
    if at == "configured":
        project.edit("conftest.py", "import pytest", "import pytest, pkg.core")
        assert project.affected() == CORE | APART
    project.edit("pkg/core.py", "return 1  # one", "value = 0\n    return value")
    assert project.affected() - {"test_process"} == {"test_used"}
    assert (project.last.ready.warm, project.last.verdicts["test_used"]) == (True, "failed")
    project.edit("pkg/core.py", "return value", "return value + 1")
    assert project.affected() - {"test_process"} == {"test_used"}
    assert (project.last.ready.warm, project.last.verdicts["test_used"]) == (True, "passed")
    project.edit("pkg/core.py", "def unused", "VALUE = 1\n\ndef unused")
    expected = CORE if at == "collected" else CORE | APART
    assert project.affected() - {"test_process"} == expected - {"test_process"}
    assert not project.last.ready.warm
    place = f"loaded anew: {project.folder}/pkg/core.py: "
    assert place + "what runs at import has run" in project.last.notices
    assert set(project.run().verdicts.values()) == {"passed"}


@pytest.mark.parametrize("project", MODERN, indirect=True)
def test_a_module_with_tests_in_docstrings_is_loaded_anew(project: Project) -> None:
    """Its tests know on which lines they are."""
    project.edit("pytest.ini", "-p no:cacheprovider", "-p no:cacheprovider --doctest-modules")
    text = 'def told():\n    return 1\n\n\ndef shown():\n    """\n    >>> told()\n    2\n    """\n'
    project.write("pkg/told.py", text)
    result = project.run("pkg/told.py")
    assert "pkg/told.py:7: DocTestFailure" in str(result.of(Outcomes))
    project.edit("pkg/told.py", "return 1", "value = 1\n    return value")
    result = project.run("pkg/told.py")
    assert "pkg/told.py:8: DocTestFailure" in str(result.of(Outcomes))


def test_since_a_revision(project: Project) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=Eve", "-c", "user.email=eve@example", *arguments],
            cwd=project.folder, check=True, capture_output=True,
        )  # fmt: skip

    result = project.run(affected=True, since="main")
    assert result.completed.exit_code == 4
    assert "in none" in result.completed.reason
    git("init", "-q", "-b", "main")
    project.write(".gitignore", "__pycache__/\n")
    git("add", ".")
    git("commit", "-q", "-m", "all")
    project.settle()
    assert project.affected(since="main") == set()
    project.edit("pkg/core.py", "return 1  # one", "return 11")
    project.edit("pkg/core.py", "return 2", "return 22")
    assert project.affected() == {"test_used", "test_process"}
    assert project.affected() == set(), "it has run"
    assert project.affected(since="main") == {"test_used", "test_process"}, "it still differs"
    git("commit", "-q", "-a", "-m", "more")
    assert project.affected(since="main") == set()
    assert project.affected(since="HEAD~1") == {"test_used", "test_process"}
    git("checkout", "-q", "HEAD~1")
    assert project.affected() == {"test_used", "test_process"}, "another branch is an edit as any other"
    assert project.affected(since="main") == {"test_used", "test_process"}
    result = project.run(affected=True, since="nowhere")
    assert (result.completed.exit_code, result.completed.reason) == (4, "--since: git knows no revision 'nowhere'")
    (project.folder / "pkg/late.py").unlink()
    project.write("pkg/added.py", "")
    assert project.affected(since="HEAD") >= {"test_late", "test_process"}
