"""`testd targets` from outside: what is configured, what is found, why something is not usable."""

from __future__ import annotations

import json
import os
import sys

import pytest

OLD = '["2.7.18", "CPython", false, false]'


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(cli, tmp_path):
    """A machine with little on it: what a test puts into `bin` comes first on PATH."""
    cli.bin = tmp_path / "bin"
    cli.bin.mkdir()
    cli.environment |= {"PATH": f"{cli.bin}:/usr/bin:/bin", "PYENV_ROOT": str(tmp_path / "pyenv")}
    cli.environment["TESTD_CACHE_DIR"] = str(tmp_path / "cache")
    for name in ("NVM_DIR", "DOCKER_HOST", "DOCKER_CONTEXT", "VIRTUAL_ENV"):
        cli.environment.pop(name, None)
    return cli


def configure(machine, text):
    (machine.project / "pyproject.toml").write_text(text)


def looked(machine, *options):
    done = machine.run("targets", "--format", "json", *options)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def one(found, **wanted):
    matching = [each for each in found if all(each[key] == value for key, value in wanted.items())]
    assert len(matching) == 1, (wanted, found)
    return matching[0]


def test_without_configuration_there_is_the_target_that_is_always_there(machine):
    status, found = looked(machine)
    assert status == 0
    (target,) = found["targets"]
    assert target["name"] == "py{}.{}".format(*sys.version_info)
    assert target["usable"] is True
    assert target["facts"] == ["the default: the interpreter of the testd command"]
    assert found["workspace"] == str(machine.project)


def test_every_interpreter_with_what_it_is(machine, tmp_path):
    good = program(machine.bin / "python3.99", """printf '["3.99.1", "CPython", true, false]'""")
    old = program(tmp_path / "pyenv" / "versions" / "2.7.18" / "bin" / "python2.7", f"printf '%s' '{OLD}'")
    broken = program(tmp_path / "pyenv" / "versions" / "3.98.0" / "bin" / "python3.98", "echo no library >&2; exit 127")
    _, found = looked(machine)
    assert one(found["pythons"], place=str(good)) == {
        "kind": "python", "name": "3.99", "place": str(good), "version": "3.99.1", "usable": True, "facts": ["pytest"],
        "problem": "", "fix": "", "detail": "",
    }  # fmt: skip
    assert one(found["pythons"], place=str(old))["problem"] == "3.8 is the oldest that works"
    said = one(found["pythons"], place=str(broken))
    assert (said["usable"], said["detail"]) == (False, "no library")
    assert said["problem"] == f"{broken} does not run as a Python interpreter"


def test_of_two_of_a_version_the_one_that_the_option_takes_has_its_name(machine, tmp_path):
    said = """printf '["3.99.1", "CPython", true, false]'"""
    first = program(machine.bin / "python3.99", said)
    second = program(tmp_path / "pyenv" / "versions" / "3.99.1" / "bin" / "python3.99", said + " ")
    _, found = looked(machine)
    assert one(found["pythons"], place=str(first))["name"] == "3.99"
    assert one(found["pythons"], place=str(second))["name"] == ""


def test_every_node(machine):
    program(machine.bin / "node", """echo '["v22.1.0", "/x"]'""")
    program(machine.home / ".nvm" / "versions" / "node" / "v16.1.0" / "bin" / "node", """echo '["v16.1.0", "/y"]'""")
    _, found = looked(machine)
    assert one(found["nodes"], version="22.1.0")["name"] == "node22"
    assert one(found["nodes"], version="16.1.0")["problem"] == "18 is the oldest that works"


SILENT = 'echo "Cannot connect to the Docker daemon at unix:///x.sock. Is the docker daemon running?" >&2; exit 1'
REFUSED = 'echo "permission denied while trying to connect to the Docker daemon socket at unix:///x.sock" >&2; exit 1'
ANSWERS = """echo '{"Client": {"Version": "27.1"}, "Server": {"Version": "27.0"}}'"""


@pytest.mark.parametrize(
    ("text", "usable", "problem"),
    [
        (ANSWERS, True, ""),
        (SILENT, False, "no docker engine answers"),
        (REFUSED, False, "this user may not speak with the docker engine"),
        ("exit 3", False, "docker failed"),
    ],
)
def test_an_engine_and_why_it_is_of_no_use(machine, text, usable, problem):
    program(machine.bin / "docker", text)
    engine = one(looked(machine)[1]["engines"], name="docker")
    assert engine["usable"] is usable
    assert engine["problem"].startswith(problem)
    assert bool(engine["fix"]) is not usable
    if usable:
        assert engine["version"] == "27.0"


def test_an_engine_that_is_not_there(machine):
    machine.environment["PATH"] = str(machine.bin)
    _, found = looked(machine)
    assert [(each["name"], each["problem"]) for each in found["engines"]] == [
        ("docker", "not on PATH"), ("podman", "not on PATH"),
    ]  # fmt: skip


def test_hosts_are_listed_and_not_connected(machine):
    folder = machine.home / ".ssh"
    (folder / "more").mkdir(parents=True)
    (folder / "config").write_text(
        "Include more/*\nHost build1 build1.example.org  # two\n  HostName 10.0.0.1\n"
        "host = quick\nHost * !no *.wild\n  User me\nMatch host x\n"
    )
    (folder / "more" / "a").write_text('Host "inner host" inner\nInclude ~/.ssh/config\n')
    program(machine.bin / "ssh", f"touch {machine.home}/called")
    status, found = looked(machine)
    assert status == 0
    assert {each["name"]: each["place"] for each in found["hosts"]} == {
        "ssh:inner host": f"{folder}/more/a:1", "ssh:inner": f"{folder}/more/a:1",
        "ssh:build1": f"{folder}/config:2", "ssh:build1.example.org": f"{folder}/config:2",
        "ssh:quick": f"{folder}/config:4",
    }  # fmt: skip
    assert {each["usable"] for each in found["hosts"]} == {None}
    assert not (machine.home / "called").exists()


@pytest.mark.parametrize(
    ("text", "usable", "said"),
    [
        ("echo 3.11.2 True", True, ["pytest"]),
        ("echo Welcome; echo 3.11.2 False", True, ["no pytest"]),
        ("echo 3.7.1 False", False, "python3 there is Python 3.7.1; 3.8 is the oldest that works"),
        ('echo "me@build1: Permission denied (publickey)." >&2; exit 255', False, "does not accept any of your keys"),
        ("exit 127", False, "there is no python3"),
    ],
)
def test_check_connects(machine, text, usable, said):
    (machine.home / ".ssh").mkdir()
    (machine.home / ".ssh" / "config").write_text("Host build1\n")
    program(machine.bin / "ssh", f'echo "$@" > {machine.home}/called; {text}')
    host = one(looked(machine, "--check")[1]["hosts"], name="ssh:build1")
    assert host["usable"] is usable
    assert said == host["facts"] if usable else said in host["problem"]
    called = (machine.home / "called").read_text()
    assert "-o BatchMode=yes" in called
    assert " -- build1 " in called


TARGETS = """
[tool.testd.targets.own]
python = "{python}"
[tool.testd.targets.made]
python = "{python}"
install = ["pytest"]
[tool.testd.targets.gone]
python = "3.99"
[tool.testd.targets.box]
docker = "python:3.12"
engine = "docker"
[tool.testd.targets.far]
ssh = "build1"
[tool.testd.targets.js]
node = "22"
"""


def test_each_configured_target_and_whether_it_would_run(machine):
    program(machine.bin / "docker", SILENT)
    program(machine.bin / "node", """echo '["v22.1.0", "/x"]'""")
    configure(machine, TARGETS.format(python=sys.executable))
    status, found = looked(machine)
    assert status == 1
    targets = {each["name"]: each for each in found["targets"]}
    assert [(name, each["usable"]) for name, each in targets.items()][1:] == [
        ("own", True), ("made", True), ("gone", False), ("box", False), ("far", None), ("js", True),
    ]  # fmt: skip
    assert targets["made"]["facts"] == ["the first run makes its environment"]
    assert "no python3.99 on PATH" in targets["gone"]["problem"]
    assert targets["gone"]["problem"].startswith(f"{machine.project}/pyproject.toml:")
    assert (targets["box"]["place"], targets["box"]["problem"]) == ("docker:python:3.12", "no docker engine answers")
    assert targets["far"]["facts"] == ["not connected"]
    assert targets["js"]["version"] == "22.1.0"


@pytest.mark.parametrize(
    ("image", "usable", "said"),
    [
        ("echo '[{}]'", True, "image is here"),
        ("echo no such image >&2; exit 1", None, "image is not here; the first run"),
    ],
)
def test_a_container_and_whether_its_image_is_there(machine, image, usable, said):
    program(machine.bin / "docker", f'case "$1" in version) {ANSWERS};; image) {image};; *) exit 1;; esac')
    configure(machine, '[tool.testd.targets.box]\ndocker = "python:3.12"\n')
    status, found = looked(machine)
    box = one(found["targets"], name="box")
    assert (status, box["usable"]) == (0, usable)
    assert box["facts"][0].startswith(said)


def test_a_target_without_pytest_says_how_it_gets_one(machine):
    program(machine.bin / "python3.99", """printf '["3.99.1", "CPython", false, false]'""")
    configure(machine, '[tool.pytest.ini_options]\n[tool.testd.targets.bare]\npython = "3.99"\n')
    status, found = looked(machine)
    bare = one(found["targets"], name="bare")
    assert (status, bare["usable"]) == (1, False)
    assert bare["problem"] == f"no pytest in {machine.bin}/python3.99"
    assert 'install = ["pytest"]' in bare["fix"]


def test_a_host_without_pytest_says_how_it_gets_one(machine):
    program(machine.bin / "ssh", f'echo "$@" > {machine.home}/called; echo 3.11.2 False')
    configure(machine, '[tool.pytest.ini_options]\n[tool.testd.targets.far]\nssh = "build1"\npython = "~/py"\n')
    status, found = looked(machine, "--check")
    far = one(found["targets"], name="far")
    assert (status, far["usable"], far["version"]) == (1, False, "3.11.2")
    assert (far["problem"], far["facts"]) == ("no pytest for ~/py there", [])
    assert "~/py -m pip install pytest" in far["fix"]
    assert "exec ~/py -c" in (machine.home / "called").read_text(), "quoted, it would not be one's home there"


def test_a_wrong_declaration_is_a_problem_of_its_target(machine):
    configure(machine, f'[tool.testd.targets.a]\npython = "{sys.executable}"\ninstall = ["-r none.txt"]\n')
    status, found = looked(machine)
    assert status == 1
    assert "pyproject.toml:3: install: none.txt: No such file" in one(found["targets"], name="a")["problem"]


def test_a_broken_configuration_hides_nothing_else(machine):
    configure(machine, "[tool.testd]\njobs = 0\n")
    status, found = looked(machine)
    assert status == 1
    assert "jobs" in found["problem"]["message"]
    assert found["targets"] == []
    assert found["pythons"]


def test_people_get_lines(machine):
    program(machine.bin / "docker", SILENT)
    configure(machine, TARGETS.format(python=sys.executable))
    done = machine.run("targets")
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[0] == f"targets of {machine.project}"
    assert any(line.startswith("  + own") and sys.executable in line for line in lines)
    assert any(line.startswith("  - gone") for line in lines)
    assert any(line.startswith("  ? far") and line.endswith("not connected") for line in lines)
    assert "      fix  install it, or give the path of an interpreter" in lines
    assert "Python" in lines
    assert "container engines" in lines


def test_it_starts_no_daemon_and_writes_nothing(machine):
    machine.run("targets")
    assert not machine.runtime.exists()
    assert not os.path.exists(machine.environment["TESTD_CACHE_DIR"])
