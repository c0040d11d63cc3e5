"""One run on every kind at once, for real: interpreters, Node.js, a container, hosts, and what cannot start."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from mixed import HERE, HOSTS, Gate, Mixed, host_folder, versions

from interpreters import found
from ssh_hosts import Hosts

#: Making images and fetching Node.js takes longer than any test, where that is not done yet.
pytestmark = pytest.mark.timeout(900)

PYTHON = (
    "test_dates.py::test_reads_week_dates",
    *(f"test_gate.py::test_{name}" for name in ("before", "gate", "after")),
)
JAVASCRIPT = ("prices.test.mjs::addsUp", "prices.test.mjs::groups")
REFUSED = "127.0.0.1:1/none:1"  # an image of a registry that nobody serves
UNUSABLE = {"lost": "ssh nowhere.invalid: there is no such host", "empty": f"the image {REFUSED} is not there"}


def expected(project: Mixed) -> dict[str, dict[str, str]]:
    """Return what every target that can start says: one test fails on the oldest Python, one on the oldest Node.js."""
    names = [name for name in project.targets if name not in UNUSABLE]
    verdicts = {name: dict.fromkeys(JAVASCRIPT if name.startswith("node") else PYTHON, "passed") for name in names}
    first_node = next(name for name in names if name.startswith("node"))
    verdicts["old"][PYTHON[0]] = verdicts[first_node][JAVASCRIPT[1]] = "failed"
    return verdicts


@pytest.fixture
def broken(project: Mixed) -> Mixed:
    """The project with a host and an image that are not there."""
    project.configure(lost={"ssh": "nowhere.invalid"}, empty={"docker": REFUSED})
    return project


def test_one_run_on_all_kinds(broken: Mixed) -> None:
    wanted = expected(broken)
    report = broken.project / "report.xml"
    first = broken.run("--target", "all", "--junitxml", str(report))
    assert first.verdicts() == wanted, first.err
    assert first.completed["exit_code"] == 1
    said = {event["target"]: event for event in first.of("unavailable")}
    assert {name: event["message"].startswith(UNUSABLE[name]) for name, event in said.items()} == {
        "lost": True, "empty": True,
    }  # fmt: skip
    assert all(event["hint"] and not event["required"] for event in said.values())
    assert list(first.of("plan")[0]["targets"]) == list(broken.targets)
    what_they_are(broken, first.of("target"))
    in_junit(report, wanted)
    in_text(broken)

    broken.house.stop()
    assert not list(broken.house.runtime.iterdir())


def what_they_are(project: Mixed, told: list[dict[str, str]]) -> None:
    """Each target says which interpreter it has, and where it is."""
    old, new, first_node, last_node = versions()
    runs_on = {event["target"]: (event["python"] or event["framework"], event["host"]) for event in told}
    wanted = {
        "old": (f"{old}.", ""), "new": (f"{new}.", ""), "box": (f"{new}.", project.targets["box"]["docker"]),
        **{host: (f"{HERE}.", host) for host in HOSTS},
        **{f"node{version}": (f"testd exports, Node.js {version}.", "") for version in (first_node, last_node)},
    }  # fmt: skip
    assert set(runs_on) == set(wanted)
    for name, (version, host) in wanted.items():
        assert runs_on[name][0].startswith(version)
        assert runs_on[name][1] == host


def in_junit(report: Path, wanted: dict[str, dict[str, str]]) -> None:
    """JUnit has a suite for each target, and a skipped case for each one that cannot start."""
    suites = {suite.get("name"): suite for suite in ET.parse(report).getroot()}
    assert set(suites) == {*wanted, *UNUSABLE}
    for target, verdicts in wanted.items():
        failed = [case.get("name") for case in suites[target] if case.find("failure") is not None]
        assert failed == [f"{test.partition('::')[2]} [{target}]" for test in verdicts if verdicts[test] == "failed"]
        assert suites[target].get("tests") == str(len(verdicts))
    for target, problem in UNUSABLE.items():
        (skipped,) = suites[target].iter("skipped")
        assert problem in (skipped.get("message") or "")


def in_text(project: Mixed) -> None:
    """The second run finds everything warm, and its end says what fails where."""
    status, text = project.say("run", "--target", "all", "--require")
    assert status == 1
    assert "1 test fails only on old\n" in text
    first_node = versions()[2]
    assert f"1 test fails only on node{first_node}\n" in text
    for target, problem in UNUSABLE.items():
        assert f"unavailable: {target} (required): {problem}" in text
    last = text.strip().splitlines()[-1]
    assert re.match(r"6 tests . 7 of 9 targets: 2 failed, 22 passed in [\d.]+ s \(warm\); ", last), text
    assert f"1 fails only on node{first_node}, 1 only on old" in last


# ── what dies in the middle ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def gates(project: Mixed, ssh_hosts: Hosts, tmp_path: Path) -> Iterator[list[Gate]]:
    """One test on an interpreter, in the container and on a host waits here; the rest goes on."""
    home = host_folder(ssh_hosts["build1"])
    with ExitStack() as stack:
        made = {
            "old": Gate(tmp_path / "gate", str(tmp_path / "gate")),
            "box": Gate(project.project / "gate", str(project.project / "gate")),
            "build1": Gate(home / "gate", f"{ssh_hosts['build1'].home}/gate"),
        }
        for gate in made.values():
            stack.enter_context(closing(gate))
        for name, gate in made.items():
            project.targets[name]["environment"] = {"GATE": gate.folder}
        # No environment is made here: the first test has shown that.
        project.targets["old"] = {"python": found()[versions()[0]], "kind": "exports", **_environment(project, "old")}
        del project.targets["new"]
        project.configure()
        yield list(made.values())


def _environment(project: Mixed, target: str) -> dict[str, dict[str, str]]:
    return {"environment": project.targets[target]["environment"]}


def kill_handler(project: Mixed) -> None:
    project.process("testd_daemon.handler").kill()


def kill_container(project: Mixed) -> None:
    (name,) = project.engine.containers(project.label)
    project.engine.run("kill", name)


def kill_connection(project: Mixed) -> None:
    project.process("ssh", "build1").kill()


#: By the target that loses its runner.
VICTIMS: dict[str, Callable[[Mixed], None]] = {"": kill_handler, "box": kill_container, "build1": kill_connection}


@pytest.mark.parametrize("victim", VICTIMS, ids=["handler", "container", "connection"])
def test_each_test_of_each_target_has_one_outcome_whatever_is_killed(
    project: Mixed, gates: list[Gate], victim: str
) -> None:
    client = project.start("run", "--format", "json", "--target", "all")
    for gate in gates:
        gate.wait()
    VICTIMS[victim](project)
    for gate in gates:
        gate.open()
    told = project.told(client)
    assert told.verdicts() == expected(project), told.err
    assert told.completed["exit_code"] == 1
    gone_on = {event["target"] for event in told.of("notice") if "go on in another" in event["text"]}
    assert gone_on == ({victim} if victim else set()), "what nobody has killed goes on undisturbed"
