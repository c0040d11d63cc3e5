"""Which targets a run is for, from tables and from names; and real runs on several interpreters at once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interpreters import found
from testd_daemon.agent.shares import Shares
from testd_daemon.config import Resolved, resolve
from testd_daemon.config.targets import choose
from testd_daemon.errors import ConfigError, UsageError
from testd_protocol.messages import Planned, TargetReady, TargetUnavailable

TABLES = """
[tool.testd]
timeout = 5
python = "3.12"
pytest_args = ["-q"]
default_targets = ["old", "box"]

[tool.testd.targets.old]
python = "3.9"
install = ["pytest"]
timeout = 7

[tool.testd.targets.box]
docker = "python:3.13"
memory = "2GiB"
cpus = 1.5
network = "none"

[tool.testd.targets.build1]
ssh = "eve@build1"

[tool.testd.targets."py3.10"]
python = "/opt/python3.10/bin/python"
"""


def resolved(folder: Path, text: str = TABLES, **given: Any) -> Resolved:
    (folder / "pyproject.toml").write_text(text, "utf-8")
    return resolve(str(folder), **given)


def problem(folder: Path, text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        resolved(folder, text)
    return caught.value


def names(found: Resolved, *wanted: str) -> list[str]:
    return [target.name for target in choose(found, wanted)]


def test_a_target_has_the_values_of_the_workspace_but_not_its_place(tmp_path: Path) -> None:
    config = resolved(tmp_path)
    old, box = config.targets["old"].settings, config.targets["box"].settings
    assert (old.timeout, old.python, old.install, old.pytest_args) == (7.0, "3.9", ("pytest",), ("-q",))
    assert (box.timeout, box.python, box.docker) == (5.0, "", "python:3.13")
    assert (box.memory, box.cpus, box.network) == (2 * 1024**3, 1.5, "none")
    assert config.settings.python == "3.12"
    assert config.targets["old"].sources["timeout"].endswith("pyproject.toml:11")
    assert config.targets["box"].sources["timeout"].endswith("pyproject.toml:3")


def test_the_command_line_is_above_all_targets_and_the_environment_above_no_place(tmp_path: Path) -> None:
    config = resolved(tmp_path, environment={"TESTD_PYTHON": "3.8", "TESTD_TIMEOUT": "9"}, options={"mode": "bin"})
    old = config.targets["old"]
    assert (old.settings.python, old.settings.timeout, old.settings.mode) == ("3.9", 9.0, "bin")
    assert old.sources["mode"] == "command line --mode"
    assert config.settings.python == "3.8"


def test_without_a_name_the_default_targets_run(tmp_path: Path) -> None:
    assert names(resolved(tmp_path)) == ["old", "box"]
    assert names(resolved(tmp_path, "[tool.testd]\n")) == [""]


def test_names_need_no_table(tmp_path: Path) -> None:
    config = resolved(tmp_path)
    found = choose(
        config,
        ["3.8", "python3.13", "node22", "node", "docker:alpine:3", "podman:x", "ssh:eve@h", "3.13T", "pypy-3.10"],
    )
    assert [target.name for target in found] == [
        "py3.8", "py3.13", "node22", "node", "docker:alpine:3", "podman:x", "ssh:eve@h", "py3.13t",
        "pypy3.10",
    ]  # fmt: skip
    settings = [target.settings for target in found]
    assert (settings[0].python, settings[2].node, settings[3].node) == ("3.8", "22", "node")
    assert (settings[4].docker, settings[4].engine, settings[5].engine) == ("alpine:3", "", "podman")
    assert (settings[7].python, settings[8].python) == ("3.13t", "pypy3.10")
    assert (settings[6].ssh, settings[6].timeout, settings[6].python) == ("eve@h", 5.0, "")


def test_all_is_every_table_and_each_target_runs_once(tmp_path: Path) -> None:
    assert names(resolved(tmp_path), "all", "old") == ["old", "box", "build1", "py3.10"]
    assert names(resolved(tmp_path), "3.8", "py3.8", "python3.8") == ["py3.8"]
    assert names(resolved(tmp_path), "3.13t", "py3.13t", "3.13") == ["py3.13t", "py3.13"]
    assert names(resolved(tmp_path, "[tool.testd]\n"), "all") == [""]


def test_a_name_that_would_mean_two_targets_is_a_clash(tmp_path: Path) -> None:
    config = resolved(tmp_path)
    assert names(config, "py3.10") == ["py3.10"]
    with pytest.raises(
        UsageError, match=r"'3\.10' would be named py3\.10, and the configuration has another"
    ) as caught:
        choose(config, ["3.10"])
    assert "--target py3.10" in caught.value.hint


def test_an_unknown_name_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--target: unknown target 'bulid1'") as caught:
        choose(resolved(tmp_path), ["bulid1"])
    assert caught.value.hint == "did you mean build1?"
    with pytest.raises(UsageError) as caught:
        choose(resolved(tmp_path, '[tool.testd]\ndefault_targets = ["zz"]\n'), [])
    assert caught.value.message.endswith("pyproject.toml:2: unknown target 'zz'")
    assert "none is configured" in caught.value.hint


@pytest.mark.parametrize(
    ("table", "wrong", "right"),
    [
        ("[tool.testd.targets.a]\nimage = 3", "unknown key tool.testd.targets.a.image", "the keys are"),
        ("[tool.testd.targets.a]\njobs = 3", "this is of the workspace", "move it to [tool.testd]"),
        ("[tool.testd.targets.all]\nnode = 'x'", "'all' cannot be the name of a target", "letters"),
        ("[tool.testd.targets.'a b']\nnode = 'x'", "'a b' cannot be the name of a target", "letters"),
        ("[tool.testd.targets]\na = 3", "tool.testd.targets.a: expected a table", "[tool.testd.targets.a]"),
        ("[tool.testd]\ntargets = 3", "tool.testd.targets: expected a table", "[tool.testd.targets.NAME]"),
        ("[tool.testd.targets.a]\nnode = '22'\nssh = 'h'", "node and ssh exclude each other", "a target of each"),
        ("[tool.testd.targets.a]\nssh = 'h'\nextras = ['x']", "local interpreters only", "leave extras out, or ssh"),
        ("[tool.testd.targets.a]\ncpus = -1", "-1.0 is no number of processors", "1.5"),
        ("[tool.testd.targets.a]\nengine = 'lxc'", "'lxc' is none of these", "podman"),
    ],
)
def test_a_mistake_in_a_table_is_told_with_its_place(tmp_path: Path, table: str, wrong: str, right: str) -> None:
    error = problem(tmp_path, table)
    assert wrong in error.message
    assert error.message.startswith(f"{tmp_path}/pyproject.toml:")
    assert right in error.hint


class _Member:
    def __init__(self) -> None:
        self.widened = 0

    def widen(self) -> None:
        self.widened += 1


def test_processors_are_shared_and_given_back() -> None:
    shares, one, two, three = Shares(), _Member(), _Member(), _Member()
    assert shares.share(4) == 4
    for member in (one, two, three):
        shares.join(member)
    assert [shares.share(limit) for limit in (4, 6, 2)] == [1, 2, 1]
    shares.leave(two)
    assert (one.widened, two.widened, three.widened) == (1, 0, 1)
    assert shares.share(4) == 2


# ── real runs ────────────────────────────────────────────────────────────────────────────────────────────────────────

EXPORTS = """
import sys

def is_new():
    assert sys.version_info >= (3, 10), "old"

def always():
    pass
"""
Make = Callable[..., Path]
StartAgent = Callable[..., Any]


@pytest.fixture
def pair() -> tuple[str, str]:
    """An old and a new Python of this machine. One is enough where there is only one: then both are it."""
    versions = sorted(found(), key=lambda version: [int(part) for part in version.split(".")])
    return versions[0], versions[-1]


def of_target(result: Any, target: str) -> dict[str, str]:
    return {row.test.partition("::")[2]: row.verdict for row in result.rows if row.target == target}


def test_several_interpreters_run_at_once_each_warm_the_second_time(
    project: Make, agent: StartAgent, pair: tuple[str, str]
) -> None:
    old, new = (f"py{version}" for version in pair)
    driver = agent(project(testd_toml="kind = 'exports'\n", one_test_py=EXPORTS))
    first = driver.run(targets=[old, new])
    assert of_target(first, new) == {"is_new": "passed", "always": "passed"}
    assert of_target(first, old)["always"] == "passed"
    expected = "passed" if tuple(map(int, pair[0].split("."))) >= (3, 10) else "failed"
    assert of_target(first, old)["is_new"] == expected
    assert first.completed.exit_code == (1 if expected == "failed" else 0)
    targets = {old: None, new: None}
    assert first.of(Planned)[0].targets == targets
    assert first.planned.tests == 2 * len(targets)
    assert {ready.target: ready.python.startswith(ready.target[2:]) for ready in first.of(TargetReady)} == {
        old: True, new: True,
    }  # fmt: skip

    second = driver.run(targets=[old, new])
    assert all(ready.warm for ready in second.of(TargetReady))
    assert len(second.rows) == len(first.rows)


def test_a_target_that_is_not_usable_is_reported_and_hides_nothing(project: Make, agent: StartAgent) -> None:
    here = "py{}.{}".format(*sys.version_info)
    driver = agent(project(testd_toml="kind = 'exports'\n", one_test_py=EXPORTS))
    result = driver.run(targets=["3.1", here])
    assert of_target(result, here) == {"is_new": "passed", "always": "passed"}
    missing = result.of(TargetUnavailable)
    assert [(event.target, event.required) for event in missing] == [("py3.1", False)]
    assert "no python3.1" in missing[0].message
    assert missing[0].hint
    assert result.completed.exit_code == 0

    required = driver.run(targets=["3.1", here], require=True)
    assert of_target(required, here) == {"is_new": "passed", "always": "passed"}
    assert required.of(TargetUnavailable)[0].required
    assert (required.completed.exit_code, required.completed.reason) == (4, "not usable: py3.1")

    none = driver.run(targets=["3.1", "3.0"])
    assert (none.completed.exit_code, none.completed.reason) == (4, "no target is usable: py3.1, py3.0")


def test_the_first_failure_ends_the_run_on_all_targets(
    project: Make, agent: StartAgent, pair: tuple[str, str], tmp_path: Path
) -> None:
    """The old one fails once the new one is in its test, which would go on for minutes."""
    old, new = (f"py{version}" for version in pair)
    assert old != new, "this needs two versions of Python"
    body = f"""
import pathlib, sys, time

STARTED = pathlib.Path({str(tmp_path / "started")!r})

def fails_or_waits():
    is_old = sys.version_info[:2] == {tuple(map(int, pair[0].split(".")))}
    if not is_old:
        STARTED.touch()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (is_old and STARTED.exists()):
        time.sleep(0.01)
    assert not is_old

def never_runs():
    pass
"""
    driver = agent(project(testd_toml="kind = 'exports'\n", one_test_py=body))
    result = driver.run(targets=[old, new], maxfail=1)
    assert result.completed.exit_code == 1
    assert of_target(result, old) == {"fails_or_waits": "failed", "never_runs": "cancelled"}
    assert set(of_target(result, new).values()) == {"cancelled"}
