"""Modules from outside of the project and of its environment are told; what the environment brings along is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from driver import Driver, write
from driver import runner as driven

USES_IT = "import helper, json\ndef passes():\n    assert helper.VALUE\n"


def library(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    return write(folder, **dict.fromkeys(names or ("helper",), "VALUE = 1\n"))


def told(runner: Driver, *paths: str) -> list[list[Any]]:
    page = runner.collect(*paths)
    assert not page["errors"], page["errors"]
    found: list[list[Any]] = page["strangers"]
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def test_a_folder_in_pythonpath_is_told_with_what_came_from_it(project: Path, tmp_path: Path) -> None:
    lib = library(tmp_path / "lib", "helper", "tools__inner", "unused")
    (lib / "tools" / "__init__.py").touch()
    write(project, it_test="import helper, tools.inner\ndef passes():\n    pass\n")
    with driven(project, kind="exports", environment={"PYTHONPATH": f"{lib}:/nowhere"}) as runner:
        assert told(runner) == [[str(lib), "PYTHONPATH", ["helper", "tools"]]]


def test_a_conftest_above_and_a_sibling_folder_are_told(project: Path, tmp_path: Path) -> None:
    sibling = library(tmp_path / "sibling")
    write(tmp_path, conftest=f"import sys\nsys.path.append({str(sibling)!r})\n")
    write(project, test_it="import helper\ndef test_it():\n    pass\n")
    with driven(project, arguments=["--rootdir", str(tmp_path), "--confcutdir", str(tmp_path)]) as runner:
        assert told(runner) == [
            [str(tmp_path), "a folder above the project", ["conftest"]],
            [str(sibling), "", ["helper"]],
        ]


def test_the_users_own_packages_are_told(project: Path, tmp_path: Path) -> None:
    write(project, it_test=USES_IT)
    base = Path(os.path.realpath(sys.executable))
    version = "python{}.{}".format(*sys.version_info)
    library(tmp_path / "user" / "lib" / version / "site-packages")
    variables = {"PYTHONUSERBASE": str(tmp_path / "user")}
    with driven(project, python=str(base), kind="exports", environment=variables) as runner:
        ((folder, way, names),) = told(runner)
    assert folder.startswith(str(tmp_path / "user"))
    assert (way, names) == ("the user's own packages", ["helper"])


@pytest.mark.parametrize("how", ["installed", "a .pth file", "setuptools' finder", "the project's own"])
def test_what_the_environment_brings_along_is_inside(project: Path, tmp_path: Path, how: str) -> None:
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    (site,) = (environment / "lib").glob("python*/site-packages")
    place = {"installed": site / "folder", "the project's own": project / "src"}.get(how, tmp_path / "elsewhere")
    library(place)
    if how == "setuptools' finder":
        finder = f"MAPPING = {{'helper': {str(place / 'helper.py')!r}}}\nimport sys\nsys.path.append({str(place)!r})\n"
        (site / "__editable___it_finder.py").write_text(finder)
        (site / "it.pth").write_text("import __editable___it_finder\n")
    else:
        (site / "it.pth").write_text(f"# a comment\n{place}\n")
    write(project, it_test=USES_IT)
    with driven(project, python=str(environment / "bin" / "python"), kind="exports") as runner:
        assert told(runner) == []


@pytest.mark.parametrize("kind", ["exports", "pytest"])
def test_the_standard_library_and_what_is_installed_are_inside(project: Path, kind: str) -> None:
    write(project, test_it="import asyncio, sqlite3, xml.dom.minidom\ndef test_it():\n    pass\n")
    (project / "it_test.py").write_text("import pytest, decimal\ndef passes():\n    pass\n")
    with driven(project, kind=kind) as runner:
        assert told(runner) == []


def test_what_a_test_loads_itself_is_told_by_its_worker_unless_it_made_it(project: Path, tmp_path: Path) -> None:
    lib = library(tmp_path / "lib", "late", "early")
    write(
        project,
        it_test="import early, sys, tempfile, pathlib\n"
        "def loads():\n    import late\n"
        "def makes():\n"
        "    folder = tempfile.mkdtemp(dir=pathlib.Path(__file__).parents[1])\n"
        "    pathlib.Path(folder, 'made.py').touch()\n"
        "    sys.path.insert(0, folder)\n"
        "    import made\n",
    )
    with driven(project, kind="exports", environment={"PYTHONPATH": str(lib)}) as runner:
        page = runner.collect()
        assert page["strangers"] == [[str(lib), "PYTHONPATH", ["early"]]]
        runner.start_worker([0, 1])
        assert {runner.until("Outcome")["verdict"] for _ in range(2)} == {"passed"}
        message = runner.until("Modules")
        while not message["worker"]:
            message = runner.until("Modules")
        assert message["strangers"] == [[str(lib), "PYTHONPATH", ["late"]]]
        assert runner.finish().exited["completed"]
