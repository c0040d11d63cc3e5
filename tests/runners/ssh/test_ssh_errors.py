"""What keeps a host from being used is said in words that name it, what was tried, and what would be right."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ssh_hosts import Hosts, NoHosts, hosts

Project = Any  # of conftest.py


@pytest.fixture(autouse=True)
def some_test(project: Project) -> None:
    project.write("test_it.py", "def test_it():\n    pass\n")


def test_a_host_that_does_not_exist(project: Project) -> None:
    project.configure(build1={"ssh": "nowhere.invalid"})
    found = project.unavailable()
    assert found.reason == "build1: ssh nowhere.invalid: there is no such host"
    assert "~/.ssh/config" in found.hint
    assert "Could not resolve hostname" in found.detail


def test_a_key_that_the_host_does_not_know(project: Project, tmp_path: Path) -> None:
    other = project.hosts.folder / "other_key"
    if not other.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    config = tmp_path / "ssh_config"
    config.write_text(project.hosts.config.read_text().replace(str(project.hosts.key), str(other)))
    project.configure(build1={"ssh_config": str(config)})
    found = project.unavailable()
    assert found.reason == "build1: ssh build1: the host does not accept any of your keys"
    assert f"ssh -F {config} build1 true" in found.hint


def test_a_host_whose_key_is_not_known(project: Project, tmp_path: Path) -> None:
    config = tmp_path / "ssh_config"
    (tmp_path / "known").touch()
    text = project.hosts.config.read_text()
    config.write_text(text.replace(str(project.hosts.known), str(tmp_path / "known")))
    project.configure(build1={"ssh_config": str(config)})
    found = project.unavailable()
    assert found.reason == "build1: ssh build1: the host's key is not known"
    assert found.hint == f"check and accept it once by hand: ssh -F {config} build1"


def test_a_host_whose_key_has_changed(project: Project, tmp_path: Path) -> None:
    """The hint named no file, and removed the key from ~/.ssh/known_hosts, where it was not.

    What it says is done here word by word, and then only the new key is missing.
    """
    config = tmp_path / "ssh_config"
    (tmp_path / "known hosts").write_text(f"build2 {project.hosts['build1'].public_key}\n")
    text = project.hosts.config.read_text()
    config.write_text(text.replace(str(project.hosts.known), f'"{tmp_path}/known hosts"'))
    project.configure(build2={"ssh_config": str(config)})
    found = project.unavailable("build2")
    assert found.reason == "build2: ssh build2: the host's key is not the one that is known"
    assert f"(ssh-keygen -f '{tmp_path}/known hosts' -R build2)" in found.hint
    assert "IDENTIFICATION HAS CHANGED" in found.detail
    obey(found.hint)
    assert project.unavailable("build2").reason == "build2: ssh build2: the host's key is not known"


def test_a_changed_key_at_another_port_is_known_by_the_port(project: Project, tmp_path: Path) -> None:
    """The hint named the host alone, under which ssh knows no key where the port is not 22."""
    host = project.hosts["build2"]
    known, config = tmp_path / "known", tmp_path / "ssh_config"
    known.write_text(f"[{host.address}]:2222 {project.hosts['build1'].public_key}\n")
    text = project.hosts.config.read_text().replace("HostKeyAlias build2", "Port 2222")
    config.write_text(text.replace(str(project.hosts.known), str(known)))
    project.configure(build2={"ssh_config": str(config)})
    with host.other_port(2222):
        found = project.unavailable("build2")
    assert f"(ssh-keygen -f {known} -R '[{host.address}]:2222')" in found.hint
    obey(found.hint)
    assert not known.read_text()


def obey(hint: str) -> None:
    """Do what a hint proposes between brackets, as a user does who copies it into a shell."""
    subprocess.run(["sh", "-c", hint.partition("(")[2].partition(")")[0]], check=True, capture_output=True)


def test_a_host_on_which_nothing_listens(project: Project) -> None:
    project.hosts["build2"].stop_sshd()
    try:
        found = project.unavailable("build2")
        assert found.reason == "build2: ssh build2: nothing accepts connections there"
        assert "sshd runs" in found.hint
    finally:
        project.hosts["build2"].start_sshd()
    assert project.run(target="build2").verdicts == {"test_it": "passed"}


def test_a_configuration_that_is_not_there(project: Project, tmp_path: Path) -> None:
    project.configure(build1={"ssh_config": str(tmp_path / "none")})
    found = project.unavailable()
    assert found.reason == "build1: ssh build1: ssh cannot use what it was configured with"
    assert str(tmp_path / "none") in found.detail


@pytest.mark.parametrize("python", ["python9", "/nowhere/bin/python", "~/nothing"])
def test_a_host_without_that_python(project: Project, python: str) -> None:
    project.configure(build1={"python": python})
    found = project.unavailable()
    assert found.reason == f"build1: ssh build1: there is no {python}"
    assert "install Python 3.8 or later there" in found.hint


def script(project: Project, name: str, text: str) -> str:
    """Put a program on the host."""
    host = project.hosts["build1"]
    path = Path(f"/proc/{host._sshd.pid}/root{host.home}/{name}")
    path.write_text(text)
    path.chmod(0o755)
    return f"{host.home}/{name}"


def test_a_python_that_is_too_old(project: Project) -> None:
    """No such Python is at hand: one that says that it is older stands in for it."""
    fake = f"""#!{sys.executable} -S
import sys
sys.version_info, sys.version = (2, 7, 18), "2.7.18 (default)"
exec(sys.argv[sys.argv.index("-c") + 1])
"""
    project.configure(build1={"python": script(project, "python2", fake)})
    found = project.unavailable()
    assert "on build1: Python 3.8 or later is needed, this is 2.7.18" in found.reason
    assert "install a newer one there" in found.hint


def test_what_is_no_python_at_all(project: Project) -> None:
    project.configure(build1={"python": script(project, "noise", "#!/bin/sh\necho something else >&2; exit 3\n")})
    found = project.unavailable()
    assert "exited with status 3 while starting" in found.reason
    assert "something else" in found.detail


def test_a_shell_that_prints_before_the_runner_speaks(project: Project) -> None:
    text = f"#!/bin/sh\necho 'Welcome to build1'\nexec {sys.executable} \"$@\"\n"
    project.configure(build1={"python": script(project, "chatty", text)})
    found = project.unavailable()
    assert "printed something before the runner spoke: 'Welcome to build1" in found.reason
    assert "startup files" in found.hint


def test_an_environment_without_pytest(project: Project) -> None:
    project.configure(build1={"python": "/usr/bin/python3", "environment": "@"})
    text = (project.root / "pyproject.toml").read_text()
    project.write("pyproject.toml", text.replace("environment = '@'", 'environment = {PYTHONNOUSERSITE = "1"}'))
    found = project.unavailable()
    assert found.reason.startswith("build1: no usable pytest in /usr/bin/python3")
    assert "/usr/bin/python3 -m pip install pytest" in found.hint


def test_a_cache_that_cannot_be_used(project: Project) -> None:
    project.configure(build1={"host_cache": "/proc/nothing"})
    found = project.unavailable()
    assert "the runner's code cannot be put into /proc/nothing" in found.reason
    assert "host_cache" in found.hint


@pytest.fixture
def small(shared_folder: Path) -> Iterator[Hosts]:
    try:
        with hosts(shared_folder, "small", room="3m") as made:
            yield made
    except NoHosts as error:
        pytest.skip(f"left out, no hosts for ssh: {error}")


def test_a_full_disk_leaves_the_files_that_were_there(project: Project, small: Hosts) -> None:
    project.hosts = small
    project.configure(small={})
    project.write("test_it.py", "def test_it():\n    assert open('data').read(1) == 'a'\n")
    data = project.write("data", "a" * 100_000)
    assert project.run(target="small").verdicts == {"test_it": "passed"}
    (root,) = project.copies("small")
    data.write_text("b" * 8_000_000)
    found = project.unavailable("small")
    assert "the workspace's files cannot be written" in found.reason
    assert "No space left on device" in found.reason
    assert "host_cache" in found.hint
    assert (root / "data").read_text() == "a" * 100_000
    assert stat.S_ISREG((root / "test_it.py").stat().st_mode)
    data.write_text("a" * 200_000)
    assert project.run(target="small").verdicts == {"test_it": "passed"}
    project.close()
    assert not small["small"].left()


def test_the_other_targets_run(project: Project) -> None:
    project.configure(build1={}, build2={"ssh": "nowhere.invalid"})
    result = project.agent.run(targets=["build2", "build1"])
    assert [(row.target, row.verdict) for row in result.rows] == [("build1", "passed")]
    assert result.completed.exit_code == 0
    assert project.agent.run(targets=["build2", "build1"], require=True).completed.exit_code != 0
