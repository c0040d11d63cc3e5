"""`List` answered by the real agent: what is listed, what is collected again after an edit, and what is not."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from testd_protocol.messages import List, Listed, RunRequest

Make = Callable[..., Path]
StartAgent = Callable[..., Any]

TESTS = "import pytest\n\n@pytest.mark.parametrize('n', [1, 2])\ndef test_p(n): pass\n\ndef test_q(): pass\n"
#: Leaves a line for each time that it is imported.
COUNTING = "import pathlib\npathlib.Path(__file__).with_name('imported.txt').open('a').write(__name__ + '\\n')\n"


class Lists:
    """Asks an agent for lists."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self.asked = 0

    def pages(self, *paths: str, form: str = "json", **request: Any) -> list[Listed]:
        driver = self.driver
        self.asked += 1
        asked = RunRequest(
            workspace=driver.workspace, cwd=driver.workspace, python=sys.executable, paths=list(paths),
            environment=driver.environment, **request,
        )  # fmt: skip
        driver.send(List(request=asked, format=form, id=self.asked))  # type: ignore[arg-type]
        pages: list[Listed] = []
        while not pages or not pages[-1].done:
            page = driver.receive()
            assert isinstance(page, Listed), page
            assert page.id == self.asked
            pages.append(page)
        return pages

    def lines(self, *paths: str, **request: Any) -> list[dict[str, Any]]:
        return [json.loads(line) for page in self.pages(*paths, **request) for line in page.text.splitlines()]

    def names(self, *paths: str, **request: Any) -> list[str]:
        return [line["test"] for line in self.lines(*paths, **request) if line["event"] == "test"]


def edit(path: Path, text: str) -> None:
    """Write a file so that its time is not that of the last write, nor of now: it will be trusted."""
    path.write_text(text)
    os.utime(path, ns=(time.time_ns() - 10**9, time.time_ns() - 10**9 + len(text)))


def imports(folder: Path) -> list[str]:
    """The modules that were imported since this was last asked."""
    noted = folder / "imported.txt"
    names = noted.read_text().split() if noted.exists() else []
    noted.write_text("")
    return sorted(names)


def listed_apart(lists: Lists, file: Path, text: str, name: str) -> list[str]:
    """List after an edit, again and again until only that file was imported for it, and return the names.

    The agent hears who imports whom when the runner has nothing more urgent to do; before that all is collected.
    """
    for attempt in range(40):
        imports(file.parent)
        edit(file, text + f"# {attempt}\n")
        names = lists.names()
        if imports(file.parent) == [name]:
            return names
        time.sleep(0.25)  # the runner's leisure
    raise AssertionError(f"{file} was never collected alone")


def test_tests_are_listed_with_file_and_line_and_nothing_runs(project: Make, agent: StartAgent) -> None:
    folder = project(test_a_py=TESTS, sub__test_b_py="def test_z():\n    open('ran', 'w')\n")
    lists = Lists(agent(folder))
    *tests, completed = lists.lines()
    target = "py{}.{}".format(*sys.version_info)
    assert tests == [
        {"event": "test", "test": "sub/test_b.py::test_z", "file": "sub/test_b.py", "line": 1, "target": target},
        {"event": "test", "test": "test_a.py::test_p[1]", "file": "test_a.py", "line": 3, "target": target},
        {"event": "test", "test": "test_a.py::test_p[2]", "file": "test_a.py", "line": 3, "target": target},
        {"event": "test", "test": "test_a.py::test_q", "file": "test_a.py", "line": 6, "target": target},
    ]
    assert completed == {
        "event": "completed", "exit_code": 0, "tests": 4, "errors": 0, "deselected": 0, "workspace": str(folder),
    }  # fmt: skip
    assert not (folder / "ran").exists()
    assert lists.names("test_a.py::test_p") == ["test_a.py::test_p[1]", "test_a.py::test_p[2]"]
    assert lists.names("test_a.py:6") == ["test_a.py::test_q"]
    assert lists.names(keyword="test_p and not 1") == ["test_a.py::test_p[2]"]


def test_text_has_ids_on_stdout_and_all_else_on_stderr(project: Make, agent: StartAgent) -> None:
    lists = Lists(agent(project(test_a_py=TESTS, test_bad_py="import nowhere\n")))
    pages = lists.pages(form="text")
    said = {stream: "".join(page.text for page in pages if page.stream == stream) for stream in ("stdout", "stderr")}
    assert said["stdout"] == "test_a.py::test_p[1]\ntest_a.py::test_p[2]\ntest_a.py::test_q\n"
    assert said["stderr"].startswith("ERROR test_bad.py: ModuleNotFoundError: No module named 'nowhere'\n    ")
    assert said["stderr"].endswith("\n3 tests, 1 file could not be collected\n")
    assert pages[-1].exit_code == 1


def test_exit_codes(project: Make, agent: StartAgent) -> None:
    lists = Lists(agent(project(test_a_py="")))
    assert lists.pages()[-1].exit_code == 5
    assert lists.pages("nowhere.py")[-1].exit_code == 4
    assert "file or directory not found: nowhere.py" in lists.pages("nowhere.py", form="text")[0].text
    (unavailable, completed) = lists.lines(targets=["nonsense"])
    assert unavailable["event"] == "unavailable"
    assert "unknown target 'nonsense'" in unavailable["message"]
    assert completed["exit_code"] == 4


def test_ids_that_are_not_ascii_make_ascii_lines(project: Make, agent: StartAgent) -> None:
    lists = Lists(agent(project(test_a_py="class TestÜ:\n    def test_é(self): pass\n")))
    assert "TestÜ" in lists.names()[0]
    assert all(page.text.isascii() for page in lists.pages())


def test_after_an_edit_to_one_test_file_only_that_file_is_collected(project: Make, agent: StartAgent) -> None:
    folder = project(
        test_a_py=COUNTING + TESTS, test_b_py=COUNTING + "def test_b(): pass\n", test_c_py=COUNTING + TESTS
    )
    lists = Lists(agent(folder))
    before = lists.names()
    assert imports(folder) == ["test_a", "test_b", "test_c"]
    names = listed_apart(
        lists, folder / "test_b.py", COUNTING + "def test_b2(): pass\ndef test_b1(): pass\n", "test_b"
    )
    assert names == [*before[:3], "test_b.py::test_b2", "test_b.py::test_b1", *before[4:]]
    assert lists.lines()[-1]["deselected"] is None
    assert imports(folder) == [], "nothing has changed"

    broken = listed_apart(lists, folder / "test_b.py", COUNTING + "import nowhere\n", "test_b")
    assert broken == before[:3] + before[4:]
    assert [line["file"] for line in lists.lines() if line["event"] == "error"] == ["test_b.py"]
    assert listed_apart(lists, folder / "test_b.py", COUNTING + "def test_b(): pass\n", "test_b")[-1] in before

    run = lists.driver.run()
    assert run.ready.warm is False, "what was collected apart is no collection to fork from"
    assert len(run.rows) == 7


def test_what_may_reach_other_files_is_collected_as_a_whole(project: Make, agent: StartAgent) -> None:
    folder = project(
        test_a_py=COUNTING + TESTS,
        test_b_py=COUNTING + "from test_a import TESTS\nfrom helper import N\n"
        "import pytest\n@pytest.mark.parametrize('n', TESTS)\ndef test_b(n): pass\n",
        helper_py="N = 1\n",
        test_c_py=COUNTING + "def test_c(): pass\n",
    )
    (folder / "test_a.py").write_text(COUNTING + "TESTS = [1]\n" + TESTS)
    lists = Lists(agent(folder))
    lists.names()
    listed_apart(lists, folder / "test_c.py", COUNTING + "def test_c(): pass\n", "test_c")

    edit(folder / "test_a.py", COUNTING + "TESTS = [1, 2]\n" + TESTS)
    assert "test_b.py::test_b[2]" in lists.names(), "test_b imports test_a"
    imports(folder)
    edit(folder / "helper.py", "N = 23\n")
    lists.names()
    assert len(imports(folder)) == 3
    (folder / "test_new.py").write_text("def test_new(): pass\n")
    assert "test_new.py::test_new" in lists.names()
    (folder / "test_new.py").unlink()
    assert "test_new.py::test_new" not in lists.names()
    (folder / "conftest.py").write_text("collect_ignore = ['test_c.py']\n")
    assert "test_c.py::test_c" not in lists.names()
