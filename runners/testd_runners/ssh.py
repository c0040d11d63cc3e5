"""A runner on another machine, reached through the user's own OpenSSH: its configuration, keys, agent and jump hosts.

Imported by the agent. Standard library only, no input or output. Options:

    host        as one would write it for ssh: an alias of ~/.ssh/config, or user@host
    port        in place of what the configuration says
    config      another configuration file
    identity    a key file
    cache       the folder on the host for the runner's code and the workspace's files (its user's cache)
    code        a folder on this machine that travels with the workspace
    silence     seconds without a sign of life after which the connection is taken for lost (20)

Nothing is installed on the host. A line of Python reads the runner's code from the stream's first bytes
(`testd/runner/bootstrap.py` is in there and goes on).
"""

import os
import re
from shlex import quote
from typing import List, NamedTuple, Optional

from testd_runners.launcher import Command, Explanation, Launcher, LaunchSettings

__all__ = ["SshLauncher", "remote_word"]

#: Seconds for the connection to be made.
CONNECT_TIMEOUT = 10
#: Seconds without a sign of life after which both sides take the connection for lost.
SILENCE = 20.0
#: Questions that may stay without an answer until then.
_ASKED = 3
#: Understood by every Python, so that one that is too old can say so; free of what any login shell would change.
_FIRST = (
    "import sys;sys.version_info<(3,8)and sys.exit("
    '"testd: Python 3.8 or later is needed, this is "+sys.version.split()[0]);'
    "import io,zipfile;f=io.BufferedReader(io.FileIO(0,closefd=False),1);"
    'h=f.readline().decode()[:-1].split(" ",2);'
    "z=zipfile.ZipFile(io.BytesIO(f.read(int(h[0]))));"
    'g={"__name__":"bootstrap"};exec(z.read("testd/runner/bootstrap.py"),g);g["start"](z,*h[1:])'
)


class _Reason(NamedTuple):
    """What ssh's words mean."""

    pattern: str
    message: str
    hint: str
    passing: bool = False


#: The first that is found in what ssh printed counts.
_REASONS = (
    _Reason(
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        "the host's key is not the one that is known",
        "if the host was set up anew, remove the old key ({forget}) and accept the new one with: {ssh}",
    ),
    _Reason(
        r"Host key verification failed",
        "the host's key is not known",
        "check and accept it once by hand: {ssh}",
    ),
    _Reason(
        r"Could not resolve hostname",
        "there is no such host",
        "check its name, or give it a Host entry in ~/.ssh/config",
    ),
    _Reason(
        r"Permission denied",
        "the host does not accept any of your keys",
        "this must work without a question: {ssh} true; add your key to the host's authorized_keys, or unlock it with"
        " ssh-add",
    ),
    _Reason(
        r"Identity file .* not accessible|Can't open user config file|Bad configuration option|no such identity",
        "ssh cannot use what it was configured with",
        "check the target's config and identity, and that this works: {ssh} true",
    ),
    _Reason(
        r"Connection refused",
        "nothing accepts connections there",
        "check the port, and that sshd runs on the host",
        passing=True,
    ),
    _Reason(
        r"timed out|No route to host|Network is unreachable|Host is down",
        "the host cannot be reached",
        "check that it is up and that this machine's network reaches it: {ssh} true",
        passing=True,
    ),
)


class SshLauncher(Launcher):
    """Start `ssh HOST python3 -c …` and speak through its stdin and stdout."""

    kind = "ssh"
    shares_disk = False

    def command(self, settings: LaunchSettings) -> Command:
        """Describe the ssh client. It never asks anything, and never becomes a master that stays behind.

        Raises ValueError for options that make no sense.
        """
        options = settings.options
        silence = self.silence(settings)
        argv = [
            *self._client(settings), "-T", "-x",
            "-o", "BatchMode=yes",
            "-o", f"ConnectTimeout={CONNECT_TIMEOUT}",
            "-o", f"ServerAliveInterval={max(1, round(silence / (_ASKED + 1)))}",
            "-o", f"ServerAliveCountMax={_ASKED}",
            "-o", "ClearAllForwardings=yes",
            "-o", "ControlMaster=no",
            "-o", "RemoteCommand=none",
            "--", _host(options.get("host", "")),
            f"exec {remote_word(settings.runtime or 'python3')} -I -c '{_FIRST}'",
        ]  # fmt: skip
        name, data = settings.archive
        header = f"{len(data)} {name.rpartition('.')[0] or name} {options.get('cache', '')}\n"
        return Command(
            argv=tuple(argv), env=dict(settings.environment), cwd=settings.root, channel="stdio",
            preamble=header.encode() + data,
        )  # fmt: skip

    def silence(self, settings: LaunchSettings) -> float:
        """Return after how many seconds the connection is taken for lost."""
        text = settings.options.get("silence", "")
        try:
            seconds = float(text) if text else SILENCE
        except ValueError:
            seconds = 0.0
        if not 2 <= seconds <= 3600:
            raise ValueError(f"silence is {text!r}: give the seconds, from 2 to 3600")
        return seconds

    def explain(self, settings: LaunchSettings, status: Optional[int], stderr: str) -> Optional[Explanation]:
        """Say what ssh, the host's shell or the bootstrap meant."""
        runtime, host = settings.runtime or "python3", settings.options.get("host", "")
        own = re.search(r"^testd: (.+)$", stderr, re.MULTILINE)
        if own is not None:
            return Explanation(f"{runtime} on {host}: {own[1]}", _hint_for(own[1], runtime))
        if status == 255:
            ssh = " ".join([*map(quote, self._client(settings)), quote(host)])
            for pattern, message, hint, passing in _REASONS:
                if re.search(pattern, stderr):
                    hint = hint.format(ssh=ssh, forget=_forget(settings, stderr))
                    return Explanation(f"ssh {host}: {message}", hint, passing)
            hint = f"this must work without a question: {ssh} true"
            return Explanation(f"ssh {host}: the connection ended", hint, passing=True)
        if status in (126, 127):
            what = "there is no" if status == 127 else "this is no program that can be run:"
            return Explanation(
                f"ssh {host}: {what} {runtime}", "install Python 3.8 or later there, or name another one with python"
            )
        return None

    @staticmethod
    def _client(settings: LaunchSettings) -> List[str]:
        options = settings.options
        argv = ["ssh"]
        for name, flag in (("config", "-F"), ("identity", "-i"), ("port", "-p")):
            if options.get(name):
                argv += [flag, options[name]]
        return argv


def _forget(settings: LaunchSettings, stderr: str) -> str:
    """Return the command that removes a host's old key from where ssh has found it, under the name that it has there.

    Ssh says both: the configuration may name other files, an alias for the key or a port, which makes it `[host]:port`.
    """
    name = re.search(r"^Host key for (\S+) has changed", stderr, re.MULTILINE)
    place = re.search(r"^Offending .*key in (.+):\d+\s*$", stderr, re.MULTILINE)
    argv = ["ssh-keygen"]
    if place is not None and place[1] != os.path.join(settings.environment.get("HOME", ""), ".ssh", "known_hosts"):
        argv += ["-f", place[1]]
    host = name[1] if name is not None else settings.options.get("host", "").rpartition("@")[2]
    return " ".join(map(quote, [*argv, "-R", host]))


def _hint_for(problem: str, runtime: str) -> str:
    if problem.startswith("Python 3.8"):
        return f"install a newer one there, or name another one than {runtime} with python"
    return "make room there, or set host_cache to a folder that can be written"


def _host(host: str) -> str:
    """Return a host that cannot be taken for an option. Raises ValueError."""
    if not host or host.startswith("-") or any(character.isspace() for character in host):
        raise ValueError(f"host is {host!r}: give a name as ssh takes it, such as build1 or user@build1.example.org")
    return host


def remote_word(path: str) -> str:
    """Quote a path for any login shell; a leading ~/ stays one's home there."""
    if path.startswith("~/"):
        return "~/" + quote(path[2:])
    return quote(path)
