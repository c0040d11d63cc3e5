"""Machines to reach by ssh: each is a network namespace with a sshd, a home and a cache of its own.

A host sees no file of the folder in which the tests' workspaces are: what a runner has, came over the connection. Only
root on Linux can make them. On Debian what is missing is installed; elsewhere the tests that need hosts are left out,
and say so. Everything of a host ends with its block. TESTD_TEST_SSH=none leaves the tests out.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

__all__ = ["Host", "Hosts", "NoHosts", "hosts"]

_PACKAGES = {"sshd": "openssh-server", "ssh": "openssh-client", "ssh-keygen": "openssh-client", "ip": "iproute2",
             "rsync": "rsync", "unshare": "util-linux", "setpriv": "util-linux", "mount": "mount"}  # fmt: skip
#: Seconds for a sshd to answer, and for all of a host to be gone.
_START_DEADLINE = 20.0
_STOP_DEADLINE = 10.0
#: In front of a command: it ends when this process does, however that was.
_ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL")
_numbers = count(1)


def _tool(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


class NoHosts(Exception):
    """Hosts cannot be made here; the message says why."""


def _prepare() -> None:
    """Install what is missing where that can be done. Raises NoHosts."""
    if os.environ.get("TESTD_TEST_SSH") == "none":
        raise NoHosts("TESTD_TEST_SSH is none")
    if sys.platform != "linux" or os.geteuid() != 0:
        raise NoHosts("they are made of network namespaces, which takes root on Linux")
    if _missing() and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "--no-install-recommends", *_missing()]
        if subprocess.run(install, env=environment, capture_output=True, check=False).returncode:
            subprocess.run(["apt-get", "update"], env=environment, capture_output=True, check=False)
            subprocess.run(install, env=environment, capture_output=True, check=False)
    if _missing():
        raise NoHosts(f"not installed: {', '.join(_missing())}")


def _missing() -> list[str]:
    return sorted({package for tool, package in _PACKAGES.items() if _tool(tool) is None})


class Host:
    """A machine. `name` is what to give to ssh together with `config`."""

    def __init__(self, folder: Path, hidden: Path, name: str, key: Path, *, room: str) -> None:
        self.name = name
        self.home = folder / name / "home"
        self.key = key
        self._folder = folder / name
        self._hidden = hidden
        self._room = room
        self._number = next(_numbers)
        self._tag = f"{os.getpid() % 0xFFFFF:x}-{self._number}"
        self.namespace = f"testd-{self._tag}"
        self._near, self._far = f"td{self._tag}a", f"td{self._tag}b"
        net = (os.getpid() * 7 + self._number) % (62 * 256)  # others may do the same at the same time
        self._subnet = f"10.{213 + net // (62 * 64) % 8}.{net // 64 % 256}"
        self._base = net % 64 * 4
        self.address = f"{self._subnet}.{self._base + 2}"
        self._sshd: subprocess.Popen[bytes] | None = None

    # ── its life ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        self.home.mkdir(parents=True)
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self._folder / "host_key"))
        shutil.copy(f"{self.key}.pub", self._folder / "authorized_keys")
        self._configure()
        _run("ip", "netns", "add", self.namespace)
        inside = ("ip", "-n", self.namespace)
        _run("ip", "link", "add", self._near, "type", "veth", "peer", "name", self._far)
        _run("ip", "link", "set", self._far, "netns", self.namespace)
        _run("ip", "addr", "add", f"{self._subnet}.{self._base + 1}/30", "dev", self._near)
        _run("ip", "link", "set", self._near, "up")
        _run(*inside, "addr", "add", f"{self.address}/30", "dev", self._far)
        _run(*inside, "link", "set", self._far, "up")
        _run(*inside, "link", "set", "lo", "up")
        self.start_sshd()

    def _configure(self) -> None:
        (self._folder / "sshd_config").write_text(
            f"""
            HostKey {self._folder}/host_key
            AuthorizedKeysFile {self._folder}/authorized_keys
            PidFile none
            UsePAM no
            StrictModes no
            PermitRootLogin yes
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            MaxStartups 100
            SetEnv HOME={self.home}
            """
        )

    def start_sshd(self) -> None:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        room = f"mount -t tmpfs -o size={self._room} tmpfs {self.home};" if self._room else ""
        script = (
            f"set -e; mount --make-rprivate /; mount -t tmpfs tmpfs {self._hidden}; {room}"
            f"exec {_tool('sshd')} -D -e -f {self._folder}/sshd_config"
        )
        with (self._folder / "sshd.log").open("ab") as log:
            self._sshd = subprocess.Popen(
                [*_ENDS_WITH_US, "ip", "netns", "exec", self.namespace, "unshare", "--mount", "sh", "-c", script],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._await_answer(self._sshd, 22)

    def _await_answer(self, sshd: subprocess.Popen[bytes], port: int) -> None:
        deadline = time.monotonic() + _START_DEADLINE
        while True:
            try:
                with socket.create_connection((self.address, port), timeout=1) as link:
                    if link.recv(4) == b"SSH-":
                        return
            except OSError:
                pass
            log = (self._folder / "sshd.log").read_text()
            assert sshd.poll() is None, f"sshd ended: {log}"
            assert time.monotonic() < deadline, f"sshd does not answer: {log}"
            time.sleep(0.02)  # there is nothing to wait on: the other side is yet to listen

    def stop_sshd(self) -> None:
        """End sshd and every connection; what runs on the host is left to end by itself."""
        if self._sshd is not None:
            for pid in self.processes(named="sshd"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._sshd.wait(_STOP_DEADLINE)
            self._sshd = None

    def stop(self) -> None:
        self.stop_sshd()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        subprocess.run(["ip", "netns", "del", self.namespace], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", self._near], capture_output=True, check=False)
        shutil.rmtree(self._folder, ignore_errors=True)

    # ── what happens to it ───────────────────────────────────────────────────────────────────────────────────────────

    def cut(self) -> None:
        """Pull the plug: nothing goes through any more, and neither side is told."""
        _run("ip", "link", "set", self._near, "down")

    def mend(self) -> None:
        _run("ip", "link", "set", self._near, "up")

    def new_key(self) -> None:
        """Become another machine to those who know the old one."""
        (self._folder / "host_key").unlink()
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self._folder / "host_key"))
        self.stop_sshd()
        self.start_sshd()

    @contextlib.contextmanager
    def other_port(self, port: int) -> Iterator[None]:
        """Let a sshd listen at another port too, for the length of a block."""
        with (self._folder / "sshd.log").open("ab") as log:
            sshd = subprocess.Popen(
                [*_ENDS_WITH_US, "ip", "netns", "exec", self.namespace, _tool("sshd") or "", "-D", "-e",
                 "-p", str(port), "-f", f"{self._folder}/sshd_config"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            self._await_answer(sshd, port)
            yield
        finally:
            sshd.kill()
            sshd.wait()

    # ── what can be seen of it ───────────────────────────────────────────────────────────────────────────────────────

    def processes(self, *, named: str = "") -> list[int]:
        """Return what runs on it."""
        done = subprocess.run(["ip", "netns", "pids", self.namespace], capture_output=True, text=True, check=False)
        return [pid for pid in map(int, done.stdout.split()) if not named or _name(pid).startswith(named)]

    def runners(self) -> list[int]:
        """Return the processes that are not sshd's."""
        return [pid for pid in self.processes() if _name(pid) not in ("sshd", "sshd-session", "")]

    def connections(self) -> list[int]:
        """Return the processes of sshd that serve one connection each."""
        assert self._sshd is not None
        return [pid for pid in self.processes(named="sshd") if pid != self._sshd.pid]

    def left(self, deadline: float = 10.0) -> list[str]:
        """Wait until nothing of a runner is left; return what is, if that takes longer."""
        until = time.monotonic() + deadline
        while self.runners() and time.monotonic() < until:
            time.sleep(0.02)  # they are no children of ours: there is nothing to wait on
        return [f"{_name(pid)} {pid} on {self.name}" for pid in self.runners()]

    @property
    def public_key(self) -> str:
        return " ".join((self._folder / "host_key.pub").read_text().split()[:2])

    @property
    def mirrors(self) -> Path:
        """Where its copies of workspaces are, as they look from here."""
        assert self._sshd is not None
        seen_by = self._sshd.pid
        return Path(f"/proc/{seen_by}/root{self.home}/.cache/testd/mirrors")


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _run(*argv: str) -> None:
    done = subprocess.run([_tool(argv[0]) or argv[0], *argv[1:]], capture_output=True, text=True, check=False)
    assert not done.returncode, f"{' '.join(argv)}: {done.stderr}"


class Hosts:
    """Some hosts, and the client's side: a configuration file that knows them."""

    def __init__(self, folder: Path, hosts: dict[str, Host], key: Path) -> None:
        self.folder = folder
        self.by_name = hosts
        self.key = key
        self.config = folder / "ssh_config"
        self.known = folder / "known_hosts"

    def __getitem__(self, name: str) -> Host:
        return self.by_name[name]

    def write(self, more: str = "") -> None:
        """Write the client's files; `more` is configuration beside what every host needs."""
        self.known.write_text("".join(f"{host.name} {host.public_key}\n" for host in self.by_name.values()))
        entries = [_entry(host.name, host.address, self.key, self.known) for host in self.by_name.values()]
        self.config.write_text("".join(entries) + more)


@contextlib.contextmanager
def hosts(hidden: Path, *names: str, room: str = "") -> Iterator[Hosts]:
    """Make hosts. Raises NoHosts.

    None of them sees anything of the folder `hidden`. `room` is the size of each one's home, none for no limit.
    """
    _prepare()
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="testd-hosts-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        key = folder / "key"
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
        made = Hosts(folder, {name: Host(folder, hidden, name, key, room=room) for name in names}, key)
        for host in made.by_name.values():
            stack.callback(host.stop)
            host.start()
        made.write()
        yield made


def _entry(name: str, address: str, key: Path, known: Path) -> str:
    return f"""
Host {name}
    HostName {address}
    HostKeyAlias {name}
    User root
    IdentityFile {key}
    IdentitiesOnly yes
    UserKnownHostsFile {known}
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
"""
