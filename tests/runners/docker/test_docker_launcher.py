"""The command lines of docker and podman, word by word: nothing here starts anything."""

from __future__ import annotations

import pytest

from testd_runners.choose import choose
from testd_runners.launcher import LaunchSettings

BUNDLE = "/cache/testd-0123"


def settings(root: str = "/work", **options: str) -> LaunchSettings:
    return LaunchSettings("python3", BUNDLE, root, {"PATH": "/bin"}, {"image": "python:3.12", **options}, "7-1")


def test_a_container_is_described() -> None:
    command = choose("docker").command(settings(image_id="sha256:ab", user="1000:100"))
    assert command.argv == (
        "docker", "run", "--interactive", "--rm", "--init", "--pull", "never", "--name", "testd-7-1",
        "--label", "testd.launch=7-1", "--label", "testd.workspace=/work", "--log-driver", "none",
        "--tmpfs", "/tmp:rw,exec,mode=1777,uid=1000,gid=100",
        "--mount", "type=bind,source=/work,target=/work",
        "--mount", f"type=bind,source={BUNDLE},target={BUNDLE},readonly",
        "--security-opt", "label=disable",
        "--user", "1000:100", "--env", "HOME=/tmp", "--env", "USER=testd",
        "--pids-limit", "16384", "--shm-size", "1g",
        "--workdir", "/work", "--entrypoint", "python3", "sha256:ab", BUNDLE, "--stdio",
    )  # fmt: skip
    assert (command.env, command.cwd, command.channel) == ({"PATH": "/bin"}, "/work", "stdio")
    assert command.preamble == b""
    assert command.cleanup == (("docker", "rm", "--force", "--volumes", "testd-7-1"),)


def test_podman_takes_the_same_words() -> None:
    docker = choose("docker").command(settings())
    podman = choose("docker").command(settings(engine="/usr/bin/podman"))
    assert podman.argv == ("/usr/bin/podman", *docker.argv[1:])
    remove = ("/usr/bin/podman", *docker.cleanup[0][1:])
    assert podman.cleanup == ((*remove, "--time", "0"), remove)  # podman 3 does not know how to be quick


def test_podman_without_root_keeps_the_users_number() -> None:
    argv = choose("docker").command(settings(user="1000:100", userns="keep-id", engine="podman")).argv
    assert argv[argv.index("--tmpfs") + 1] == "/tmp:rw,exec,mode=1777", "it knows no owner there"
    place = argv.index("--userns")
    assert argv[place : place + 4] == ("--userns", "keep-id", "--user", "1000:100")


def test_root_keeps_the_home_that_the_image_has() -> None:
    argv = choose("docker").command(settings(user="0:0")).argv
    assert "--env" not in argv


def test_the_name_of_an_image_does_where_its_content_is_not_known() -> None:
    argv = choose("docker").command(settings()).argv
    assert argv[-3:] == ("python:3.12", BUNDLE, "--stdio")
    assert "--user" not in argv


def test_limits_are_passed_on_and_swap_is_no_way_around_them() -> None:
    argv = choose("docker").command(settings(memory="1073741824", cpus="1.5", network="none")).argv
    place = argv.index("--memory")
    assert argv[place : place + 8] == (
        "--memory", "1073741824", "--memory-swap", "1073741824", "--cpus", "1.5", "--network", "none",
    )  # fmt: skip


@pytest.mark.parametrize("none", ["", "0", "0.0"])
def test_no_limit_is_no_word(none: str) -> None:
    argv = choose("docker").command(settings(memory=none, cpus=none)).argv
    assert not {"--memory", "--memory-swap", "--cpus", "--network"} & set(argv)


def test_a_path_may_have_what_separates_fields() -> None:
    argv = choose("docker").command(settings('/work/a,b "c":d')).argv
    assert 'type=bind,"source=/work/a,b ""c"":d","target=/work/a,b ""c"":d"' in argv
