"""Where functions come from: folders, files, git repositories; and the packages that they bring along."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from flows import Flow, Told, git

if TYPE_CHECKING:
    from ssh_hosts import Hosts


def _right(told: Told, *printed: str) -> None:
    assert told.code == 0, told.failures()
    assert [told.printed(name).strip() for name in told.statuses] == list(printed)


@pytest.mark.parametrize(("function", "entry"), [
    ("one", "eve/code"), ("two", "eve/code/deep"), ("one", "eve/code/main/one.py"), ("one", "{base}/eve/code"),
    ("two", ["eve/code/deep", "eve/code/main/one.py"]),
])  # fmt: skip
def test_a_function_comes_from_a_repository(flow: Flow, forge: Path, function: str, entry: str | list[str]) -> None:
    entry = entry.format(base=flow.environment["TESTD_GIT_BASE"]) if isinstance(entry, str) else entry
    flow.workflow({function: []}, FunctionGitRepo={function: entry})
    _right(flow.run(), function)


def test_what_is_new_in_a_repository_runs_and_without_a_network_what_is_there(flow: Flow, forge: Path) -> None:
    flow.workflow({"one": []}, FunctionGitRepo={"one": "eve/code"})
    _right(flow.run(), "one")
    (forge / "one.py").write_text("def one(): faasr_log('newer')\n")
    git(forge, "commit", "-qam", "second")
    _right(flow.run(), "newer")
    forge.rename(forge.with_name("gone"))
    told = flow.run()
    _right(told, "newer")
    assert [event for event in told.of("notice") if "is used, which is there" in event["text"]]


def test_a_repository_that_is_nowhere_fails_its_functions_alone(flow: Flow, forge: Path) -> None:
    flow.functions("def a(): pass\nb = a\n")
    flow.workflow({"a": ["one", "b"], "one": [], "b": []}, FunctionGitRepo={"one": "eve/nothing"})
    told = flow.run()
    assert told.verdicts == {"a": "passed", "one": "error", "b": "passed"}
    assert "eve/nothing" in told.message("one")


def test_a_folder_that_a_repository_does_not_have_is_told(flow: Flow, forge: Path) -> None:
    flow.workflow({"one": []}, FunctionGitRepo={"one": "eve/code/../../etc"})
    told = flow.run()
    assert told.verdicts == {"one": "error"}
    assert "there is no ../../etc" in told.message("one")


def test_what_is_in_the_workspace_is_what_runs(flow: Flow) -> None:
    """An entry that names the workspace's own repository, or a folder that is there, means the files as they are."""
    flow.functions("def one(): faasr_log('here')\n")
    flow.workflow({"one": []}, FunctionGitRepo={"one": "eve/code/functions"})
    _right(flow.run(), "here")
    git(flow.root, "init", "-q")
    git(flow.root, "remote", "add", "origin", "https://github.com/eve/code.git")
    flow.functions("def one(): faasr_log('top')\n", "top.py")
    flow.workflow({"one": []}, FunctionGitRepo={"one": "eve/code"})
    (flow.root / "functions" / "all.py").unlink()
    _right(flow.run(), "top")


def test_an_edit_is_what_runs_next(flow: Flow) -> None:
    flow.functions("def one(): faasr_log('first')\n")
    flow.workflow({"one": []})
    _right(flow.run(), "first")
    flow.functions("from .more import text\ndef one(): faasr_log(text)\n")
    flow.functions("text = 'second'\n", "functions/more.py")
    _right(flow.run(), "second")
    flow.functions("text = 'third'\n", "functions/more.py")
    _right(flow.run(), "third")


def test_a_function_has_a_file_of_its_own(flow: Flow) -> None:
    flow.functions("def one(): faasr_log('of its own')\n", "elsewhere/mine.py")
    flow.workflow({"one": []}, FunctionLocalFile={"one": "elsewhere/mine.py"})
    _right(flow.run(), "of its own")


@pytest.mark.parametrize(("path", "said"), [("nowhere.py", "there is no nowhere.py"), ("../x.py", "is not in the")])
def test_a_file_that_is_not_there_or_outside_is_told(flow: Flow, path: str, said: str) -> None:
    (flow.root.parent / "x.py").write_text("def one(): pass\n")
    flow.workflow({"one": []}, FunctionLocalFile={"one": path})
    told = flow.run()
    assert told.verdicts == {"one": "error"}
    assert said in told.message("one")


# ── packages ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def wheels(flow: Flow, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel of `tinything` 1.0 and of 2.0; whatever installs looks there and nowhere else."""
    folder = tmp_path_factory.mktemp("wheels")
    for version in ("1.0", "2.0"):
        info = f"tinything-{version}.dist-info"
        with zipfile.ZipFile(folder / f"tinything-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr("tinything.py", f"VERSION = '{version}'\n")
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tinything\nVersion: {version}\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    flow.environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "UV_NO_INDEX": "1",
                         "UV_FIND_LINKS": str(folder), "TESTD_CACHE_DIR": str(tmp_path_factory.mktemp("cache")),
                         }  # fmt: skip
    return folder


def test_each_function_has_its_own_packages(flow: Flow, wheels: Path) -> None:
    flow.functions("""
        def old():
            import tinything
            faasr_log(tinything.VERSION)
        new = old
        def without():
            try:
                import tinything
            except ImportError:
                faasr_log("none")
    """)
    packages = {"old": "tinything==1.0", "new": ["tinything==2.0"]}
    flow.workflow({"old": ["new"], "new": ["without"], "without": []}, PyPIPackageDownloads=packages)
    told = flow.run()
    _right(told, "1.0", "2.0", "none")
    installs = {event["function"]: event["install"] for event in told.of("measured")}
    assert installs["old"] > installs["without"]


def test_a_package_that_is_nowhere_fails_its_function(flow: Flow, wheels: Path) -> None:
    flow.functions("def a(): pass\nb = a\n")
    flow.workflow({"a": ["b"], "b": []}, PyPIPackageDownloads={"b": "nothing-of-the-kind"})
    told = flow.run()
    assert told.verdicts == {"a": "passed", "b": "error"}
    assert "nothing-of-the-kind" in told.log("b")


def test_a_host_installs_packages_itself(flow: Flow, wheels: Path, ssh_hosts: Hosts) -> None:
    flow.functions("def one():\n    import tinything\n    faasr_log(tinything.VERSION)\n")
    wheel = "wheels/tinything-1.0-py3-none-any.whl"
    (flow.root / "wheels").mkdir()
    (flow.root / wheel).write_bytes((wheels / Path(wheel).name).read_bytes())
    settings = {"ssh": "build1", "ssh_config": str(ssh_hosts.config), "python": sys.executable}
    lines = ["[targets.build1]", *(f"{key} = {json.dumps(value)}" for key, value in settings.items()), ""]
    (flow.root / "testd.toml").write_text("\n".join(lines))
    flow.workflow({"one": []}, PyPIPackageDownloads={"one": f"./{wheel}"})
    told = flow.run("--target", "build1")
    _right(told, "1.0")
