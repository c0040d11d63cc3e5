"""A real container engine for tests: a dockerd of our own, with folders and socket of its own, and images made here.

As root on Debian what is missing is installed. Elsewhere the user's own docker is taken, if one answers; tests that
need an engine are left out where there is none, and say so.

TESTD_TEST_CACHE: where images are kept (~/.cache/testd-tests). TESTD_TEST_ENGINE=none leaves the tests out.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

import container_images
import interpreters

__all__ = ["Dockerd", "Engine", "NoEngine", "data_folder", "engine", "install", "sweep", "test_cache"]

START_DEADLINE = 60.0
STOP_DEADLINE = 30.0
COMMAND_DEADLINE = 300.0
GONE_DEADLINE = 20.0
_INSTALL_DEADLINE = 600.0
_LOOK = 0.02
_PACKAGES = ("docker.io", "iptables")


class NoEngine(Exception):
    """There is no engine, and why: what tests that are left out say."""


def test_cache() -> Path:
    """Return the folder, outside of the project, in which tests keep what takes long to make."""
    return Path(os.environ.get("TESTD_TEST_CACHE") or Path.home() / ".cache" / "testd-tests")


class Engine:
    """An engine that answers. `environment` is what a client needs to reach it."""

    program = "docker"

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def run(self, *arguments: str, check: bool = True) -> str:
        """Run a command of the client and return what it prints."""
        done = subprocess.run(
            [self.program, *arguments], env={**os.environ, **self.environment}, capture_output=True, text=True,
            timeout=COMMAND_DEADLINE, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{self.program} {' '.join(arguments)}: {done.stderr}"
        return done.stdout.strip()

    def image(self, kind: str, version: str = "") -> str:
        """Return the name of an image of this kind (`container_images.IMAGES`), made where it is not there."""
        python = interpreters.found()[version] if version else ""
        digest = container_images.recipe_digest(kind, python)
        stem = f"{version or 'any'}-"
        name = f"testd-test/{kind}:{stem}{digest}"
        if not self.run("image", "ls", "--quiet", name):
            packed = test_cache() / "images" / f"{kind}-{stem}{digest}.tar"
            if not packed.exists():
                if kind == "debian":
                    install("debootstrap", program="debootstrap")
                container_images.write_archive(kind, python, packed)
            self.run("import", str(packed), name)
            self._forget(kind, stem, digest)
        return name

    def _forget(self, kind: str, stem: str, digest: str) -> None:
        """Remove what was made of the same by an earlier recipe."""
        for packed in (test_cache() / "images").glob(f"{kind}-{stem}*.tar"):
            if digest not in packed.name:
                packed.unlink(missing_ok=True)
        for name in self.run("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"testd-test/{kind}").split():
            if f":{stem}" in name and digest not in name:
                self.run("image", "rm", name, check=False)

    def containers(self, *filters: str, running: bool = False) -> list[str]:
        """Return the names of containers, stopped ones included unless only what is `running` counts."""
        wanted = [part for text in filters for part in ("--filter", text)]
        return self.run("ps", *([] if running else ["--all"]), "--format", "{{.Names}}", *wanted).split()

    def left(self, *filters: str) -> list[str]:
        """Return the containers that are still there after they had time to go."""
        give_up = time.monotonic() + GONE_DEADLINE
        while (found := self.containers(*filters)) and time.monotonic() < give_up:
            time.sleep(_LOOK)
        return found


def install(*packages: str, program: str) -> None:
    """Install Debian packages unless `program` is there. Raises NoEngine where that cannot be done."""
    if shutil.which(program) is not None:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NoEngine(f"{program} is not installed, and only root on Debian can install {' '.join(packages)} here")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    lock = ["-o", f"DPkg::Lock::Timeout={_INSTALL_DEADLINE / 2:g}"]
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run(
            ["apt-get", "-qq", *lock, *command], env=environment, capture_output=True, text=True,
            timeout=_INSTALL_DEADLINE, check=False,
        )  # fmt: skip
        if done.returncode:
            raise NoEngine(f"apt-get {command[0]} failed: {done.stderr[-500:]}")


@contextlib.contextmanager
def engine() -> Iterator[Engine]:
    """Hold an engine for the length of a block. Raises NoEngine."""
    if os.environ.get("TESTD_TEST_ENGINE") == "none":
        raise NoEngine("TESTD_TEST_ENGINE=none")
    if os.geteuid() != 0:
        yield _users_own()
        return
    install(*_PACKAGES, program="dockerd")
    install("iptables", program="iptables")
    with (
        data_folder("docker") as data,
        tempfile.TemporaryDirectory(prefix="testd-dockerd-") as folder,
        Dockerd(data, Path(folder)) as found,
    ):
        yield found


def _users_own() -> Engine:
    """The user's own engine: there is no root to start another one."""
    if shutil.which("docker") is None:
        raise NoEngine("docker is not installed, and only root on Debian can install it here")
    asked = ["docker", "version", "--format", "{{.Server.Version}}"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=START_DEADLINE, check=False)
    if done.returncode:
        raise NoEngine(f"the user's docker does not answer: {done.stderr.strip()}")
    return Engine({})


@contextlib.contextmanager
def data_folder(engine_name: str) -> Iterator[Path]:
    """Take a data folder that no other test session uses: its images stay for the next one."""
    top = test_cache() / engine_name
    top.mkdir(parents=True, exist_ok=True)
    for number in range(100):
        with open(top / f"{number}.lock", "w", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            yield top / str(number)
            return
    raise NoEngine(f"100 engines run already: {top}")


@contextlib.contextmanager
def _one_at_a_time(top: Path) -> Iterator[None]:
    """Let one engine start at a time: they make the same bridge."""
    with open(top / "start.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Dockerd(Engine):
    """A dockerd of our own. Leaving the block ends it, and what it has started."""

    def __init__(self, data: Path, folder: Path) -> None:
        super().__init__({"DOCKER_HOST": f"unix://{folder}/docker.sock"})
        self._data = data
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Dockerd:  # noqa: PYI034  typing has no Self in 3.10
        try:
            self.start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            left = self.run("ps", "--all", "--quiet", check=False).split()
            if left:
                self.run("rm", "--force", "--volumes", *left, check=False)
        finally:
            self._stop()

    def start(self) -> None:
        """Start it, and wait until it answers. Raises NoEngine with the end of its log."""
        folder = self._folder
        argv = ["setpriv", "--pdeathsig", "TERM", "dockerd", "--host", f"unix://{folder}/docker.sock"]
        argv += ["--data-root", str(self._data), "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid"]
        argv += ["--iptables=false", "--ip6tables=false"]  # the machine has one set of chains: engines would share them
        with _one_at_a_time(self._data.parent), (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
            self._await_answer()

    def _await_answer(self) -> None:
        assert self._process is not None
        give_up = time.monotonic() + START_DEADLINE
        while not self.run("version", "--format", "{{.Server.Version}}", check=False):
            if self._process.poll() is not None or time.monotonic() > give_up:
                log_text = (self._folder / "log").read_text("utf-8", "replace")
                raise NoEngine(f"dockerd does not start: {log_text[-1500:]}")
            time.sleep(_LOOK)

    def kill(self) -> None:
        """Kill it as a crash does: its containers go on."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_DEADLINE)
        for name in ("pid", "exec/containerd/containerd.pid"):  # the numbers may be those of zombies for a while
            (self._folder / name).unlink(missing_ok=True)

    def _stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_DEADLINE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        sweep(self._folder, self._data)


def sweep(folder: Path, data: Path) -> None:
    """Kill what an engine has left that works in `folder`, and take off what it has mounted there and in `data`.

    Podman's monitor of a container starts a command when that has ended, which makes the folder anew: so until nobody
    is left.
    """
    give_up = time.monotonic() + STOP_DEADLINE
    while (left := _working_in(folder)) and time.monotonic() < give_up:
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, STOP_DEADLINE)
    _take_off(folder, data)


def _working_in(folder: Path) -> list[psutil.Process]:
    found = [process for process in psutil.process_iter() if str(folder) in " ".join(_words(process))]
    return [*(child for process in found for child in _below(process)), *found]


def _take_off(*folders: Path) -> None:
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    ours = tuple(f"{folder}/" for folder in folders)
    for mount in reversed([path for path in mounts if f"{path}/".startswith(ours)]):
        subprocess.run(["umount", "--lazy", mount], check=False, timeout=STOP_DEADLINE)


def _words(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return process.cmdline() if process.pid != os.getpid() else []
    return []


def _below(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return process.children(recursive=True)
    return []
