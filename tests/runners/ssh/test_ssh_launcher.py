"""What the launcher says: a command line that no shell and no option-like name can bend, and errors in plain words."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from testd_runners import bundle
from testd_runners.choose import choose
from testd_runners.launcher import Command, LaunchSettings


def settings(runtime: str = "python3", **options: str) -> LaunchSettings:
    options = {"host": "build1", **options}
    return LaunchSettings(
        runtime, "/nowhere", "/work", {"HOME": "/home/eve"}, options, "1", ("testd-12ab.zip", b"PK")
    )  # fmt: skip


def command(runtime: str = "python3", **options: str) -> Command:
    return choose("ssh").command(settings(runtime, **options))


def test_the_client_asks_nothing_and_leaves_nothing_behind() -> None:
    made = command()
    assert made.argv[:3] == ("ssh", "-T", "-x")
    assert made.argv[-3:-1] == ("--", "build1")
    told = [made.argv[n + 1] for n, part in enumerate(made.argv) if part == "-o"]
    assert told == [
        "BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=3",
        "ClearAllForwardings=yes", "ControlMaster=no", "RemoteCommand=none",
    ]  # fmt: skip
    assert (made.channel, made.cwd, made.env, made.cleanup) == ("stdio", "/work", {"HOME": "/home/eve"}, ())
    assert made.preamble == b"2 testd-12ab \nPK"


def test_options_go_to_the_client_and_the_cache_to_the_host() -> None:
    made = command(config="/c f", identity="/k", port="2222", silence="8", cache="/big disk/testd")
    assert made.argv[:7] == ("ssh", "-F", "/c f", "-i", "/k", "-p", "2222")
    assert "ServerAliveInterval=2" in made.argv
    assert made.preamble == b"2 testd-12ab /big disk/testd\nPK"


@pytest.mark.parametrize("host", ["", "-oProxyCommand=evil", "a b", "a\nb"])
def test_a_host_that_is_no_name_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="give a name as ssh takes it"):
        command(host=host)


@pytest.mark.parametrize("silence", ["soon", "0", "1", "nan", "1e9"])
def test_a_silence_that_makes_no_sense_is_refused(silence: str) -> None:
    with pytest.raises(ValueError, match=f"silence is '{silence}': give the seconds, from 2 to 3600"):
        command(silence=silence)


@pytest.mark.parametrize(
    ("runtime", "written"),
    [
        ("python3", "exec python3 -I -c '"),
        ("/opt/my python/bin/python", "exec '/opt/my python/bin/python' -I"),
        ("~/venv/bin/python", "exec ~/venv/bin/python -I"),
        ("~/it's", "exec ~/'it'\"'\"'s' -I"),
        ("$(reboot)", "exec '$(reboot)' -I"),
    ],
)
def test_the_interpreter_is_one_word_to_any_shell(runtime: str, written: str) -> None:
    assert command(runtime).argv[-1].startswith(written)


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "zsh", "fish", "tcsh", "csh"])
def test_login_shells_start_the_runner_and_keep_to_its_bytes(shell: str, tmp_path: Path) -> None:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed")
    name, data = bundle.archive()
    made = choose("ssh").command(settings(sys.executable, cache=str(tmp_path))._replace(archive=(name, data)))
    ended = subprocess.run([path, "-c", made.argv[-1]], input=made.preamble, capture_output=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")  # nobody is there to work for
    assert (tmp_path / "runners" / name.removesuffix(".zip") / "__main__.py").is_file()


def test_a_python_that_is_too_old_says_so(tmp_path: Path) -> None:
    first = shlex.split(command().argv[-1])[4]
    old = first.replace("sys.version_info<(3,8)", "sys.version_info<(99,)")
    ended = subprocess.run([sys.executable, "-c", old], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("testd: Python 3.8 or later is needed, this is 3.")
    compile(first.partition(";import io")[0], "first", "exec")


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    archive = bundle.archive()
    made = choose("ssh").command(
        settings(sys.executable, cache=str(tmp_path / "cache"))._replace(archive=archive)
    )  # fmt: skip
    ended = subprocess.run(["sh", "-c", made.argv[-1]], input=made.preamble, capture_output=True, check=False)
    assert ended.returncode == 1
    assert f"testd: the runner's code cannot be put into {tmp_path / 'cache'}" in ended.stderr.decode()


@pytest.mark.parametrize(
    ("status", "stderr", "message", "hint"),
    [
        (255, "ssh: Could not resolve hostname build1: Name or service not known", "no such host", "~/.ssh/config"),
        (255, "root@build1: Permission denied (publickey).", "does not accept any of your keys", "ssh build1 true"),
        (255, "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
         "key is not the one that is known", "ssh-keygen -R build1"),
        (255, "No host key is known for build1.\nHost key verification failed.", "key is not known", "ssh build1"),
        (255, "ssh: connect to host build1 port 22: Connection refused", "nothing accepts connections", "sshd runs"),
        (255, "ssh: connect to host build1 port 22: Connection timed out", "cannot be reached", "network"),
        (255, "ssh: connect to host build1 port 22: No route to host", "cannot be reached", "network"),
        (255, "Can't open user config file /x: No such file or directory", "configured", "config"),
        (255, "kex_exchange_identification: Connection closed by remote host", "connection ended", "ssh build1 true"),
        (127, "bash: line 1: exec: python3: not found", "there is no python3", "install Python 3.8"),
        (126, "permission denied", "no program that can be run: python3", "install Python 3.8"),
        (1, "Banner\ntestd: Python 3.8 or later is needed, this is 2.7.18", "this is 2.7.18", "install a newer one"),
        (1, "testd: the runner's code cannot be put into /x: No space left", "No space left", "host_cache"),
    ],
)  # fmt: skip
def test_what_went_wrong_is_said_with_what_would_be_right(status: int, stderr: str, message: str, hint: str) -> None:
    found = choose("ssh").explain(settings(), status, stderr)
    assert found is not None
    assert "build1" in found.message
    assert message in found.message
    assert hint in found.hint


@pytest.mark.parametrize("status", [None, 0, 1, -9])
def test_what_is_not_understood_is_left_to_speak_for_itself(status: Any) -> None:
    assert choose("ssh").explain(settings(), status, "Traceback: something") is None


def test_a_key_in_the_users_own_file_is_forgotten_without_naming_it() -> None:
    said = (
        "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nOffending ED25519 key in /home/eve/.ssh/known_hosts:3\n"
        "Host key for build1.example.org has changed and you have requested strict checking."
    )
    found = choose("ssh").explain(settings()._replace(environment={"HOME": "/home/eve"}), 255, said)
    assert found is not None
    assert "(ssh-keygen -R build1.example.org)" in found.hint
    found = choose("ssh").explain(settings()._replace(environment={"HOME": "/home/adam"}), 255, said)
    assert found is not None
    assert "(ssh-keygen -f /home/eve/.ssh/known_hosts -R build1.example.org)" in found.hint
