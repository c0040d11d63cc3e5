"""Targets that cannot be used, by the command: each is named with what was tried and what would be right, one runs."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mixed import Mixed, Told

from container_engine import Engine
from interpreters import found
from ssh_hosts import Hosts, NoHosts, hosts

#: Making images takes longer than any test.
pytestmark = pytest.mark.timeout(900)

#: What stands for an interpreter answers this when it is asked what it is.
SAYS = """#!/bin/sh
echo '["{version}", "CPython", false, false]'
"""
#: Root without the right to read what its permissions close to it.
AS_OTHERS = ("setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search")

Bad = dict[str, tuple[dict[str, Any], str, str]]  # target → its table, what is said, what would be right


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str, str], str]:
    def write(name: str, text: str) -> str:
        path = tmp_path / "programs" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return str(path)

    return write


def check(project: Mixed, bad: Bad, **variables: str) -> Told:
    """Run all of them and a good one, then each alone: what is said is the same, and the good one runs."""
    project.configure(good={"python": sys.executable}, **{name: table for name, (table, _, _) in bad.items()})
    told = project.run("--target", "all", **variables)
    assert (told.code, told.verdicts()) == (0, {"good": {"test_it.py::test_it": "passed"}}), told.err
    said = {event["target"]: event for event in told.of("unavailable")}
    assert set(said) == set(bad)
    for name, (_, problem, right) in bad.items():
        assert re.search(problem, said[name]["message"]), said[name]
        assert re.search(right, said[name]["hint"]), said[name]
    name, (_, problem, right) = next(iter(bad.items()))
    status, text = project.say("run", "--target", name, **variables)
    assert (status in (3, 4), name in text) == (True, True), text
    assert re.search(problem, text)
    assert re.search(right, text)
    status, text = project.say("run", "--target", "all", "--require", "-q", **variables)
    assert status == 4, text
    assert f"not usable: {', '.join(bad)}\n" in text
    return told


def test_interpreters(plain: Mixed, program: Callable[[str, str], str], tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    bare = f"{tmp_path}/bare/bin/python"
    broken = program("broken", "#!/bin/sh\necho no library >&2\nexit 127\n")
    old = program("python2.7", SAYS.format(version="2.7.18"))
    older = program("python3.7", SAYS.format(version="3.7.16"))
    told = check(
        plain,
        {
            "bare": (
                {"python": bare, "kind": "pytest"}, f"no pytest in {bare}",
                r'-m pip install pytest; .*install = \["pytest"\] in \[tool.testd.targets."bare"\]',
            ),
            "broken": ({"python": broken}, f"{broken} does not run as a Python interpreter", "repair|another"),
            "py2": ({"python": old}, f"{old} is Python 2.7.18; 3.8 is the oldest that works", "newer"),
            "py3.7": ({"python": older}, f"{older} is Python 3.7.16; 3.8 is the oldest that works", "newer"),
            "gone": ({"python": "3.1"}, r"no python3.1 on PATH", "install it, or give the path"),
            "nowhere": ({"python": "/nowhere/bin/python"}, "/nowhere/bin/python", "."),
            "node": ({"node": "4"}, "no Node.js 4 ", "install it"),
            "empty": ({"python": sys.executable, "install": ["--no-index", "not-there"]}, "environment", "."),
        },
    )  # fmt: skip
    said = {event["target"]: event["detail"] for event in told.of("unavailable")}
    assert "no library" in said["broken"]
    assert "not-there" in said["empty"]


def test_images(plain: Mixed, container_engine: Engine) -> None:
    newest = list(found())[-1]
    with socket.create_server(("127.0.0.1", 0)) as nobody:  # a registry's address at which nobody serves
        missing = f"127.0.0.1:{nobody.getsockname()[1]}/none:1"
    nothing, old = container_engine.image("nothing"), container_engine.image("old")
    bare = container_engine.image("bare", next(iter(found())))
    check(
        plain,
        {
            "missing": ({"docker": missing}, f"the image {missing} is not there, and it cannot be pulled", "build it"),
            "nothing": ({"docker": nothing}, f"the image {nothing} has no Python .looked for python3, ", "name "),
            "old": ({"docker": old}, f"python3 in the image {old} is Python 2.7.18", "newer Python"),
            "bare": ({"docker": bare, "kind": "pytest"}, f"no pytest for .* in the image {bare}", "pip install pytest"),
            "path": (
                {"docker": container_engine.image("full", newest), "python": "/opt/python"},
                "has no Python .looked for /opt/python.", "name the interpreter",
            ),
        },
        **container_engine.environment,
    )  # fmt: skip


def test_a_socket_at_which_no_engine_answers(plain: Mixed, tmp_path: Path) -> None:
    nobody = f"unix://{tmp_path}/nobody.sock"
    problem, right = f"no docker engine answers at {nobody}|not on PATH", "DOCKER_HOST|install docker"
    check(plain, {"box": ({"docker": "python:3.12", "engine": "docker"}, problem, right)}, DOCKER_HOST=nobody)


# ── hosts ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def small(shared_folder: Path, ssh_hosts: Hosts) -> Iterator[Hosts]:
    """A host with little room on its disk."""
    try:
        with hosts(shared_folder, "small", room="3m") as made:
            yield made
    except NoHosts as error:
        pytest.skip(f"left out, no hosts for ssh: {error}")


def other_config(folder: Path, made: Hosts, old: Path | str, new: Path | str) -> str:
    """Write a copy of the hosts' configuration in which something else stands."""
    text = made.config.read_text()
    assert str(old) in text
    folder.mkdir()
    (folder / "ssh_config").write_text(text.replace(str(old), str(new)))
    return str(folder / "ssh_config")


def test_hosts(plain: Mixed, ssh_hosts: Hosts, small: Hosts, tmp_path: Path) -> None:
    known = {"ssh_config": str(ssh_hosts.config), "python": sys.executable}
    build1 = {**known, "ssh": "build1"}
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    wrong_key = other_config(tmp_path / "a", ssh_hosts, ssh_hosts.key, tmp_path / "key")
    (tmp_path / "known").write_text(f"build1 {ssh_hosts['build2'].public_key}\n")
    changed = other_config(tmp_path / "b", ssh_hosts, ssh_hosts.known, tmp_path / "known")
    unknown = other_config(tmp_path / "c", ssh_hosts, ssh_hosts.known, "/dev/null")
    plain.write("data", "a" * 8_000_000)
    told = check(
        plain,
        {
            "lost": ({**known, "ssh": "nowhere.invalid"}, "ssh nowhere.invalid: there is no such host", ".ssh/config"),
            "key": ({**build1, "ssh_config": wrong_key}, "ssh build1: the host does not accept any", "authorized_keys"),
            "changed": (
                {**build1, "ssh_config": changed}, "ssh build1: the host's key is not the one that is known",
                f"ssh-keygen -f {tmp_path}/known -R build1",
            ),
            "unknown": (
                {**build1, "ssh_config": unknown}, "ssh build1: the host's key is not known",
                f"ssh -F {unknown} build1",
            ),
            "python": ({**build1, "python": "python9"}, "ssh build1: there is no python9", "install Python 3.8"),
            "full": (
                {**known, "ssh": "small", "ssh_config": str(small.config)},
                "files cannot be written.*No space left on device", "make room",
            ),
        },
    )  # fmt: skip
    said = {event["target"]: event["detail"] for event in told.of("unavailable")}
    assert "IDENTIFICATION HAS CHANGED" in said["changed"]
    plain.end()
    left = [process for host in (*ssh_hosts.by_name.values(), small["small"]) for process in host.left()]
    assert not left


def without_pytest(host: dict[str, Any]) -> Bad:
    """Return a target with an interpreter of this machine that has no pytest; none where all have it."""
    for path in found().values():
        if subprocess.run([path, "-s", "-c", "import pytest"], capture_output=True, check=False).returncode:
            table = {**host, "python": path, "environment": {"PYTHONNOUSERSITE": "1"}}
            return {"pytest": (table, f"no usable pytest in {path}", f"{path} -m pip install pytest")}
    return {}


# ── the project ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(os.geteuid() != 0, reason="left out: only root can make itself another user")
def test_a_file_that_cannot_be_read_is_named_and_the_rest_runs(plain: Mixed, ssh_hosts: Hosts) -> None:
    plain.configure(
        good={"python": sys.executable},
        build1={"ssh": "build1", "ssh_config": str(ssh_hosts.config), "python": sys.executable},
    )
    secret = plain.write("test_secret.py", "def test_secret():\n    pass\n")
    secret.chmod(0)
    told = Mixed.told(plain.start("run", "--format", "json", "--target", "all", before=AS_OTHERS))
    assert told.code == 1
    assert told.verdicts() == {
        "good": {"test_it.py::test_it": "passed", "test_secret.py": "error"},
        "build1": {"test_it.py::test_it": "passed"},
    }
    (error,) = [event["detail"] for event in told.of("outcome") if event["test"] == "test_secret.py"]
    assert "Permission denied" in error["message"]
    assert "testd" not in error["text"], "frames of ours are nobody's business"
    assert "test_secret.py cannot be read and is not on the target: Permission denied" in [
        event["text"] for event in told.of("notice")
    ]
    secret.chmod(stat.S_IRUSR)
    assert plain.run("--target", "all").verdicts() == {
        target: {"test_it.py::test_it": "passed", "test_secret.py::test_secret": "passed"}
        for target in ("good", "build1")
    }, "that it can be read now moves neither its time nor its size"

    (plain.project / "pyproject.toml").chmod(0)
    plain.house.stop()
    out, err = plain.start("run", "--target", "all", before=AS_OTHERS).communicate()
    assert f"{plain.project}/pyproject.toml: cannot be read" in out + err
    assert "make it a readable UTF-8 file" in out + err


def test_a_name_that_means_two_targets(plain: Mixed) -> None:
    plain.configure(good={"python": sys.executable}, **{"py3.9": {"python": "/opt/python3.9/bin/python"}})
    status, text = plain.say("run", "--target", "good", "--target", "3.9")
    assert status == 4
    assert "--target: '3.9' would be named py3.9, and the configuration has another target of that name" in text
    assert "use --target py3.9 for that one, or rename its table" in text
    told = plain.run("--target", "good", "--target", "py3.9")
    assert told.verdicts() == {"good": {"test_it.py::test_it": "passed"}}
    assert [event["target"] for event in told.of("unavailable")] == ["py3.9"]

    table = plain.project / "pyproject.toml"
    table.write_text(table.read_text() + '[tool.testd.targets.good]\nnode = "22"\n')
    status, text = plain.say("run")
    assert status == 4
    assert f"{table}" in text
    assert "good" in text
