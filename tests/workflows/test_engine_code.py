"""Code from git repositories on targets that do not see where it was fetched to: containers and hosts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flows import Flow, Told, git

from interpreters import found

if TYPE_CHECKING:
    from container_engine import Engine
    from ssh_hosts import Hosts

ENTRIES: list[tuple[str, str | list[str]]] = [
    ("one", "eve/code"), ("two", "eve/code/deep"), ("one", "eve/code/main/one.py"),
    ("two", ["eve/code/deep", "eve/code/main/one.py"]),
]  # fmt: skip


def _configure(flow: Flow, **settings: Any) -> None:
    lines = ["[targets.far]", *(f"{key} = {json.dumps(value)}" for key, value in settings.items()), ""]
    (flow.root / "testd.toml").write_text("\n".join(lines))


@pytest.fixture
def box(flow: Flow, container_engine: Engine) -> Flow:
    """The target `far` is a container."""
    _configure(flow, docker=container_engine.image("full", list(found())[-1]))
    flow.environment |= container_engine.environment
    return flow


@pytest.fixture
def host(flow: Flow, ssh_hosts: Hosts) -> Flow:
    """The target `far` is a host."""
    _configure(flow, ssh="build1", ssh_config=str(ssh_hosts.config), python=sys.executable)
    return flow


def _right(told: Told, *printed: str) -> None:
    assert told.code == 0, told.failures()
    assert {event["target"] for event in told.of("outcome")} == {"far"}
    assert [told.printed(name).strip() for name in told.statuses] == list(printed)


@pytest.mark.parametrize(("function", "entry"), ENTRIES)
def test_a_container_has_the_code_of_a_repository(
    box: Flow, forge: Path, function: str, entry: str | list[str]
) -> None:
    box.workflow({function: []}, FunctionGitRepo={function: entry})
    _right(box.run("--target", "far"), function)


@pytest.mark.parametrize(("function", "entry"), ENTRIES)
def test_a_host_has_the_code_of_a_repository(
    host: Flow, forge: Path, function: str, entry: str | list[str]
) -> None:
    host.workflow({function: []}, FunctionGitRepo={function: entry})
    _right(host.run("--target", "far"), function)


def test_a_container_cannot_write_to_what_was_fetched(box: Flow, forge: Path) -> None:
    (forge / "one.py").write_text(
        "import os\n"
        "def one():\n"
        "    try:\n"
        "        open(os.path.join(os.path.dirname(__file__), 'new'), 'w')\n"
        "    except OSError as error:\n"
        "        faasr_log(error.strerror)\n"
    )
    git(forge, "commit", "-qam", "second")
    box.workflow({"one": []}, FunctionGitRepo={"one": "eve/code"})
    _right(box.run("--target", "far"), "Read-only file system")


def test_a_host_has_each_tracked_file_and_the_newest_commit(host: Flow, forge: Path) -> None:
    """What a repository tracks is wanted, also where its ignore file would leave it out of a workspace."""
    (forge / ".gitignore").write_text("*.txt\n")
    (forge / "kept.txt").write_text("tracked")
    (forge / "one.py").write_text(
        "import os\ndef one(): faasr_log(open(os.path.join(os.path.dirname(__file__), 'kept.txt')).read())\n"
    )
    git(forge, "add", "-f", "-A")
    git(forge, "commit", "-qm", "second")
    host.workflow({"one": []}, FunctionGitRepo={"one": "eve/code"})
    _right(host.run("--target", "far"), "tracked")
    (forge / "kept.txt").write_text("newer")
    git(forge, "commit", "-qam", "third")
    _right(host.run("--target", "far"), "newer")


def test_code_of_the_workspace_and_of_a_repository_run_on_one_host(host: Flow, forge: Path) -> None:
    host.functions("def a(): faasr_log('a')\nb = a\n")
    host.workflow({"a": ["one"], "one": ["b"], "b": []}, FunctionGitRepo={"one": "eve/code"})
    _right(host.run("--target", "far"), "a", "one", "a")


def test_a_function_in_r_comes_from_a_repository_to_a_host(host: Flow, forge: Path) -> None:
    (forge / "r.R").write_text("in_r <- function() faasr_log('in R')\n")
    git(forge, "add", "-A")
    git(forge, "commit", "-qm", "second")
    host.workflow({"in-r": {"Type": "R"}}, FunctionGitRepo={"in_r": "eve/code"})
    _right(host.run("--target", "far"), "in R")
