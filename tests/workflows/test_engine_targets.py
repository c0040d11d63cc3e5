"""Functions on other targets: another Python, a container, a host; each action where its document says."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from flows import Flow, Told

from interpreters import found

if TYPE_CHECKING:
    from container_engine import Engine
    from ssh_hosts import Hosts

FUNCTIONS = """
    import os, sys
    from helpers import text

    def start(folder):
        with open("x", "w") as file: file.write(text() * 100_000)
        faasr_put_file("x", "x.txt", remote_folder=folder)
        faasr_log("%d.%d" % sys.version_info[:2])
        print("printed there")
        return True

    def end(folder):
        faasr_get_file("y", "x.txt", remote_folder=folder)
        faasr_log(str(os.path.getsize("y")))
        faasr_log(faasr_secret("TOKEN"))
        faasr_log(os.environ["PASSED"])

    def fails():
        raise ValueError("there")
"""


@pytest.fixture
def far(flow: Flow) -> Flow:
    flow.functions(FUNCTIONS)
    flow.functions("def text(): return '0123456789'\n", "functions/helpers.py")
    arguments = {"Arguments": {"folder": "out"}}
    flow.workflow(
        {
            "start": {**arguments, "InvokeNext": [{"True": ["end"], "False": []}]},
            "end": {**arguments, "InvokeNext": ["fails"]},
            "fails": [],
        },
        Secrets=["PASSED"],
    )
    return flow


def _configure(flow: Flow, **targets: dict[str, Any]) -> None:
    lines = []
    for name, settings in targets.items():
        lines += [f'[targets."{name}"]', *(f"{key} = {json.dumps(value)}" for key, value in settings.items())]
    (flow.root / "testd.toml").write_text("\n".join([*lines, ""]))


def _right(told: Told, target: str) -> None:
    assert told.verdicts == {"start": "passed", "end": "passed", "fails": "failed"}, told.failures()
    assert {event["target"] for event in told.of("outcome")} == {target}
    assert told.printed("end").splitlines() == ["1000000", "t0ken", "p4ssed"]
    assert "printed there\n" in told.printed("start")
    assert "ValueError: there" in told.log("fails")


@pytest.mark.parametrize("version", found())
def test_any_python_runs_functions(far: Flow, version: str) -> None:
    _configure(far, other={"python": found()[version]})
    told = far.run("--target", "other", TOKEN="t0ken", PASSED="p4ssed")
    _right(told, "other")
    assert told.printed("start").splitlines()[0] == version


@pytest.mark.parametrize("mode", ["worker", "bin"])
def test_a_function_can_have_a_process_from_the_ground_up(far: Flow, mode: str) -> None:
    told = far.run("--mode", mode, TOKEN="t0ken", PASSED="p4ssed")
    _right(told, "py{}.{}".format(*sys.version_info))
    assert told.of("target")[0]["mode"] == mode


def test_a_host_runs_functions(far: Flow, ssh_hosts: Hosts) -> None:
    _configure(far, build1={"ssh": "build1", "ssh_config": str(ssh_hosts.config), "python": sys.executable})
    told = far.run("--target", "build1", TOKEN="t0ken", PASSED="p4ssed")
    _right(told, "build1")


def test_a_container_runs_functions(far: Flow, container_engine: Engine) -> None:
    version = list(found())[-1]
    _configure(far, box={"docker": container_engine.image("full", version)})
    far.environment |= container_engine.environment
    told = far.run("--target", "box", TOKEN="t0ken", PASSED="p4ssed")
    _right(told, "box")
    assert told.printed("start").splitlines()[0] == version


def test_each_action_runs_where_its_document_says(far: Flow) -> None:
    old, new = next(iter(found())), list(found())[-1]
    _configure(far, old={"python": found()[old]}, new={"python": found()[new]})
    far.functions("import sys\ndef a(): faasr_log('%d.%d' % sys.version_info[:2])\nb = c = a\n")
    far.workflow({"a": ["b", "c"], "b": [], "c": []}, Testd={"Target": "old", "Targets": {"b": "new"}})
    told = far.run()
    assert told.code == 0, told.failures()
    assert [told.printed(name).strip() for name in "abc"] == [old, new, old]
    assert {event["test"]: event["target"] for event in told.of("outcome")} == {"a": "old", "b": "new", "c": "old"}
    assert sorted(event["target"] for event in told.of("target")) == ["new", "old"]


def test_a_target_that_cannot_be_used_fails_its_functions_alone(far: Flow) -> None:
    far.functions("def a(): pass\nb = c = a\n")
    _configure(far, gone={"python": "/no/such/python"})
    far.workflow({"a": ["b", "c"], "b": [], "c": []}, Testd={"Targets": {"b": "gone"}})
    told = far.run()
    assert told.code == 1
    assert told.verdicts == {"a": "passed", "b": "error", "c": "passed"}
    assert "/no/such/python" in told.message("b")
    assert "/no/such/python" in told.log("b")


def test_a_function_is_in_another_language(far: Flow) -> None:
    far.functions("def a(): pass\nb = a\n")
    far.workflow({"a": ["b"], "b": {"Type": "Julia"}})
    told = far.run()
    assert told.verdicts == {"a": "passed", "b": "error"}
    assert "Julia" in told.message("b")
