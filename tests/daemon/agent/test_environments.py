"""Environments are made once, as a whole or not at all, and go when nobody needs them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from environment_parts import Installer, request, running, wheel

import interpreters
from testd_daemon.agent.environments import DEADLINE, EnvironmentRequest, Failure, Made, builder, ensure, known, sweep
from testd_daemon.agent.environments.ensure import _has_pip
from testd_daemon.agent.environments.lock import held, try_lock
from testd_daemon.errors import EnvironmentFault

#: Seconds within which everything here has happened, on a machine that does other things as well.
PATIENCE = 60.0


@pytest.fixture
def offline(tmp_path: Path) -> tuple[str, ...]:
    """Options and requirements that need no index."""
    wheel(tmp_path / "wheels", "tiny", requires="small")
    wheel(tmp_path / "wheels", "small", "2.0")
    return ("--no-index", f"--find-links={tmp_path / 'wheels'}", "tiny")


@pytest.fixture
def installer(tmp_path: Path) -> Iterator[Installer]:
    made = Installer(tmp_path / "installer")
    yield made
    if made.pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(made.pid, signal.SIGKILL)


@pytest.fixture
def without_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "_find_uv", lambda caller: "")


def make(wanted: EnvironmentRequest) -> tuple[str, list[str]]:
    told: list[str] = []
    return anyio.run(ensure, wanted, told.append), told


def says(python: str, code: str) -> str:
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def until(condition: Callable[[], Any]) -> None:
    """Wait for what another process does."""

    async def wait() -> None:
        with anyio.fail_after(PATIENCE):
            while not condition():  # noqa: ASYNC110  it is another process that does it
                await anyio.sleep(0.01)

    anyio.run(wait)


def folders(wanted: EnvironmentRequest) -> list[str]:
    home = Path(wanted.cache, "environments")
    return sorted(path.name for path in home.iterdir() if path.is_dir()) if home.exists() else []


# ── real ones ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", sorted(interpreters.found()))
def test_an_environment_for_every_interpreter(tmp_path: Path, offline: tuple[str, ...], version: str) -> None:
    base = interpreters.found()[version]
    full = says(base, "import platform; print(platform.python_version())")
    wanted = request(tmp_path, target=f"py{version}", python=base, version=full, install=offline)
    python, told = make(wanted)
    assert says(python, "import sys, tiny, small; print(sys.version.split()[0], small.VERSION)") == f"{full} 2.0"
    assert told[0] == f"py{version}: making an environment with uv", "uv belongs to the group test"
    assert any(line.startswith(f"py{version}: installing --no-index ") for line in told)
    assert told[-1].startswith(f"py{version}: the environment is ready")
    assert make(wanted) == (python, [])


def least_and_running() -> list[str]:
    found = sorted(interpreters.found(), key=lambda version: int(version.split(".")[1]))
    return sorted({found[0], "{}.{}".format(*sys.version_info)})


@pytest.mark.parametrize("version", least_and_running())
@pytest.mark.usefixtures("without_uv")
def test_venv_and_pip_where_there_is_no_uv(tmp_path: Path, offline: tuple[str, ...], version: str) -> None:
    base = interpreters.found()[version]
    full = says(base, "import platform; print(platform.python_version())")
    python, told = make(request(tmp_path, python=base, version=full, install=offline))
    assert says(python, "import tiny, small; print(small.VERSION)") == "2.0"
    assert told[0] == "py: making an environment with venv and pip"


def test_an_interpreter_without_pip_gets_one_with_its_environment(tmp_path: Path) -> None:
    """Only then: putting pip into an environment takes seconds, and the interpreter's own can do the work."""
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    assert not anyio.run(_has_pip, str(bare / "bin" / "python"), {})
    made = builder.Builder("", {}).steps("/b/python", "/e", ("tiny",), "tiny", has_pip=False)
    assert [step.argv for step in made] == [
        ("/b/python", "-m", "venv", "/e"),
        ("/e/bin/python", "-m", "pip", "install", "tiny"),
    ]
    assert anyio.run(_has_pip, sys.executable, {})
    made = builder.Builder("", {}).steps("/b/python", "/e", ("tiny",), "tiny", has_pip=True)
    assert [step.argv for step in made] == [
        ("/b/python", "-m", "venv", "--without-pip", "/e"),
        ("/b/python", "-m", "pip", "--python", "/e/bin/python", "install", "tiny"),
    ]


def test_the_project_itself_where_it_is(tmp_path: Path) -> None:
    """Its Python files are the workspace's own: what is edited there counts without another installation."""
    workspace = tmp_path / "workspace"
    (workspace / "src").mkdir(parents=True)
    (workspace / "backend.py").write_text(BACKEND)
    (workspace / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "demo"\nversion = "1"\n'
    )
    (workspace / "src" / "demo.py").write_text("A = 1\n")
    wanted = request(tmp_path, install=("--no-index", "-e ."))
    python, _ = make(wanted)
    assert says(python, "import demo; print(demo.A, demo.__file__)") == f"1 {workspace}/src/demo.py"
    (workspace / "src" / "demo.py").write_text("A = 22\n")
    assert make(wanted) == (python, [])
    assert says(python, "import demo; print(demo.A)") == "22"


#: The least that a build backend can be, for an installation in place.
BACKEND = """
import os, zipfile

def build_editable(directory, config_settings=None, metadata_directory=None):
    name = "demo-1-py3-none-any.whl"
    info = "demo-1.dist-info"
    files = {
        "demo.pth": os.path.join(os.getcwd(), "src") + "\\n",
        info + "/METADATA": "Metadata-Version: 2.1\\nName: demo\\nVersion: 1\\n",
        info + "/WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    files[info + "/RECORD"] = "".join(file + ",,\\n" for file in [*files, info + "/RECORD"])
    with zipfile.ZipFile(os.path.join(directory, name), "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return name

def build_wheel(directory, config_settings=None, metadata_directory=None):
    raise SystemExit("not asked for")
"""


# ── once, and as a whole ─────────────────────────────────────────────────────────────────────────────────────────────


def test_two_at_the_same_instant_make_one(tmp_path: Path, installer: Installer) -> None:
    wanted = request(tmp_path, install=("tiny",), environment=installer.environment)
    told: list[str] = []
    found: list[str] = []

    async def one() -> None:
        found.append(await ensure(wanted, told.append))

    async def both() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            tasks.start_soon(one)

    anyio.run(both)
    assert found[0] == found[1]
    assert installer.calls == ["venv", "pip"]
    assert [line for line in told if "waiting for another process" in line and str(os.getpid()) in line]


def test_no_more_are_made_at_once_than_there_are_turns_and_who_waits_says_so(
    tmp_path: Path, installer: Installer
) -> None:
    """Five targets with an environment each started five installers, which took turns at the same processors."""
    first = request(tmp_path, install=("tiny",), environment=installer.environment)
    second = request(tmp_path, target="other", install=("small",), environment=installer.environment)
    told: list[str] = []
    waits = anyio.Event()
    made: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        waits.set()

    async def other(turns: anyio.Semaphore) -> None:
        made.append(await ensure(second, tell, turns))

    async def scene() -> None:
        turns = anyio.Semaphore(1)
        installer.hang()
        async with anyio.create_task_group() as tasks, anyio.create_task_group() as hanging:
            hanging.start_soon(ensure, first, lambda line: None, turns)
            with anyio.fail_after(PATIENCE):
                while not installer.pid:  # noqa: ASYNC110  it is another process that does it
                    await anyio.sleep(0.01)
                tasks.start_soon(other, turns)
                await waits.wait()
            assert told == ["other: waiting until another environment is ready: each takes a processor"]
            assert installer.calls == ["venv", "pip"]
            installer.behave()
            hanging.cancel_scope.cancel()  # what ends without success gives its turn back as well

    anyio.run(scene)
    assert Path(made[0]).exists()
    assert installer.calls == ["venv", "pip", "venv", "pip"]


OTHER = """
import anyio, msgspec, sys
from testd_daemon.agent.environments import EnvironmentRequest, ensure
anyio.run(ensure, msgspec.json.decode(sys.stdin.buffer.read(), type=EnvironmentRequest), print)
"""


def other_process(wanted: EnvironmentRequest) -> subprocess.Popen[bytes]:
    import msgspec

    process = subprocess.Popen([sys.executable, "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(wanted))
    process.stdin.close()
    return process


def test_a_builder_that_is_killed_leaves_nothing_that_counts_and_what_it_started_ends(
    tmp_path: Path, installer: Installer
) -> None:
    installer.hang()
    wanted = request(tmp_path, install=("tiny",), environment=installer.environment)
    process = other_process(wanted)
    until(lambda: installer.pid)
    process.kill()
    process.wait()
    orphan = installer.pid
    assert known(wanted) is None
    installer.behave()
    python, _ = make(wanted)
    assert not running(orphan)
    assert installer.calls == ["venv", "pip", "venv", "pip"]
    assert os.access(python, os.X_OK)
    assert isinstance(known(wanted), Made)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next builder ends it")
def test_what_a_killed_builder_started_ends_at_once(tmp_path: Path, installer: Installer) -> None:
    """It went on by itself until somebody wanted the same environment."""
    installer.hang()
    process = other_process(request(tmp_path, install=("tiny",), environment=installer.environment))
    until(lambda: installer.pid)
    process.kill()
    process.wait()
    until(lambda: not running(installer.pid))


#: Takes a lock, starts something that inherits it, and is gone.
DYING = """
import os, subprocess, sys
from testd_daemon.agent.environments.lock import try_lock
lock = try_lock(sys.argv[1])
child = subprocess.Popen(
    ["sleep", "1000"], pass_fds=[lock.descriptor], env={**os.environ, **lock.environment}, stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
)
print(child.pid, flush=True)
os._exit(0)
"""


def test_an_orphan_that_still_holds_the_lock_is_ended(tmp_path: Path) -> None:
    """On its way to its end, or where nothing ends it with its parent."""
    path = str(tmp_path / "x.lock")
    orphan = int(subprocess.run([sys.executable, "-c", DYING, path], capture_output=True, check=True).stdout)
    assert try_lock(path) is None

    async def take() -> None:
        async with held(path, name="x", deadline=PATIENCE, waiting=lambda pid: None):
            assert not running(orphan)

    anyio.run(take)


def test_one_that_is_cancelled_leaves_no_process_and_no_folder(tmp_path: Path, installer: Installer) -> None:
    installer.hang()
    wanted = request(tmp_path, install=("tiny",), environment=installer.environment)

    async def cancelled() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ensure, wanted, lambda line: None)
            with anyio.fail_after(PATIENCE):
                while not installer.pid:  # noqa: ASYNC110  it is another process that does it
                    await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()

    anyio.run(cancelled)
    assert not running(installer.pid)
    assert folders(wanted) == []
    assert known(wanted) is None


def test_one_that_takes_too_long_is_ended_and_told(tmp_path: Path, installer: Installer) -> None:
    """The deadline counts the start of the environment too, so it is not too short for a busy machine."""
    installer.hang()
    wanted = request(tmp_path, install=("tiny",), environment=installer.environment, deadline=3.0)
    with pytest.raises(EnvironmentFault, match=r"no environment: making it took longer than 3 s"):
        make(wanted)
    assert not installer.pid or not running(installer.pid)
    assert folders(wanted) == []


def test_a_lock_that_is_held_too_long_is_told(tmp_path: Path, installer: Installer) -> None:
    wanted = request(tmp_path, install=("tiny",), environment=installer.environment)
    python, _ = make(wanted)
    environment = Path(python).parents[1]
    (environment / "testd.json").unlink()
    lock = try_lock(f"{environment}.lock")
    assert lock is not None
    assert try_lock(f"{environment}.lock") is None
    with pytest.raises(EnvironmentFault, match=rf"process {os.getpid()} makes, took longer than 0.3 s"):
        make(request(tmp_path, install=("tiny",), environment=installer.environment, deadline=0.3))
    lock.release()


def test_one_whose_interpreter_is_gone_is_made_again(tmp_path: Path, installer: Installer) -> None:
    wanted = request(tmp_path, install=("tiny",), environment=installer.environment)
    python, _ = make(wanted)
    Path(python).unlink()
    assert known(wanted) is None
    assert make(wanted)[0] == python
    assert installer.calls == ["venv", "pip", "venv", "pip"]


def test_a_declaration_of_nothing_is_an_empty_environment(tmp_path: Path, installer: Installer) -> None:
    make(request(tmp_path, environment=installer.environment))
    assert installer.calls == ["venv"]


def test_a_declaration_that_changes_while_it_is_read_makes_no_mixture(tmp_path: Path, installer: Installer) -> None:
    """The name was that of the old files, and what was installed might have been the new ones."""
    (tmp_path / "workspace").mkdir()
    requirements = tmp_path / "workspace" / "r.txt"
    requirements.write_text("one\n")
    wanted = request(tmp_path, install=("-r r.txt",), environment=installer.environment)
    before = Path(anyio.run(partial(ensure, tell=lambda line: requirements.write_text("two\n")), wanted)).parents[1]
    assert installer.calls == ["venv", "pip", "venv", "pip"]
    requirements.write_text("one\n")
    assert known(wanted) is None
    requirements.write_text("two\n")
    assert make(wanted) == (str(before / "bin" / "python"), [])


def test_one_that_changes_its_own_inputs_is_told(tmp_path: Path, installer: Installer) -> None:
    (tmp_path / "workspace").mkdir()
    requirements = tmp_path / "workspace" / "r.txt"
    requirements.touch()
    wanted = request(tmp_path, install=("-r r.txt",), environment=installer.environment)

    def write(line: str) -> None:
        requirements.write_text(requirements.read_text() + "more\n")

    with pytest.raises(EnvironmentFault, match="has changed while it was made, 3 times"):
        anyio.run(ensure, wanted, write)
    assert folders(wanted) == []


# ── what fails ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_failure_is_told_with_what_was_printed_and_not_tried_again(tmp_path: Path, installer: Installer) -> None:
    installer.fail("No solution found: tiny>2 is not available\n")
    wanted = request(tmp_path, install=("tiny>2",), environment=installer.environment)
    with pytest.raises(
        EnvironmentFault, match=r"no environment: installing tiny>2 failed: uv exited with status 7"
    ) as caught:
        make(wanted)
    assert caught.value.detail == "No solution found: tiny>2 is not available"
    assert "(pyproject.toml:4)" in caught.value.hint
    assert isinstance(known(wanted), Failure)
    assert folders(wanted) == []
    with pytest.raises(
        EnvironmentFault, match=r"failed: .* \(tried \d+ s ago, and nothing has changed since\)"
    ) as caught:
        make(wanted)
    assert caught.value.detail == "No solution found: tiny>2 is not available"
    assert installer.calls == ["venv", "pip"]


@pytest.mark.parametrize(
    "change",
    [{"install": ("tiny",)}, {"again": True}, {"variable": "UV_INDEX_URL"}, {"variable": "https_proxy"}],
    ids=["declaration", "asked", "index", "proxy"],
)
def test_it_is_tried_again_when_something_has_changed(
    tmp_path: Path, installer: Installer, change: dict[str, Any]
) -> None:
    installer.fail("no\n")
    with pytest.raises(EnvironmentFault):
        make(request(tmp_path, install=("tiny>2",), environment=installer.environment))
    installer.behave()
    variables = {
        **installer.environment,
        **({change.pop("variable"): "http://127.0.0.1:9"} if "variable" in change else {}),
    }
    make(request(tmp_path, **{"install": ("tiny>2",), "environment": variables, **change}))
    assert installer.calls == ["venv", "pip", "venv", "pip"]


def test_without_a_network_what_uv_has_kept_is_tried_and_the_failure_passes(
    tmp_path: Path, installer: Installer, monkeypatch: pytest.MonkeyPatch
) -> None:
    installer.fail("error sending request for url: dns error: failed to lookup address\n")
    wanted = request(tmp_path, install=("tiny",), environment=installer.environment)
    with pytest.raises(EnvironmentFault) as caught:
        make(wanted)
    assert caught.value.hint.startswith("the package index cannot be reached: connect, or name an environment")
    assert installer.calls == ["venv", "pip", "pip"]
    installer.behave()
    with pytest.raises(EnvironmentFault, match="nothing has changed since"):
        make(wanted)
    later = time.time() + 31
    monkeypatch.setattr(time, "time", lambda: later)
    make(wanted)


@pytest.mark.parametrize(
    ("printed", "hint"),
    [
        ("OSError: [Errno 28] No space left on device", "there is no room in .*TESTD_CACHE_DIR"),
        (
            "The virtual environment was not created because ensurepip is not available.",
            "install uv, or .*python3-venv",
        ),
    ],
)
def test_a_failure_is_explained(tmp_path: Path, installer: Installer, printed: str, hint: str) -> None:
    import re

    installer.fail(printed)
    with pytest.raises(EnvironmentFault) as caught:
        make(request(tmp_path, install=("tiny",), environment=installer.environment))
    assert re.search(hint, caught.value.hint)


def test_an_interpreter_that_does_not_start_and_a_cache_that_cannot_be_written_are_told(
    tmp_path: Path, installer: Installer, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(EnvironmentFault, match="Not a directory") as caught:
        make(request(tmp_path, cache=str(blocked), environment=installer.environment))
    assert "TESTD_CACHE_DIR" in caught.value.hint
    monkeypatch.setattr(builder, "_find_uv", lambda caller: "")
    with pytest.raises(EnvironmentFault, match=r"No such file.*/none/python") as caught:
        make(request(tmp_path, python="/none/python", environment=installer.environment))
    with pytest.raises(EnvironmentFault, match=r"is Python 3.7.9; 3.8 is the oldest that works"):
        make(request(tmp_path, version="3.7.9"))


# ── what goes ────────────────────────────────────────────────────────────────────────────────────────────────────────

DAY = 86400.0


def test_what_nobody_uses_goes_and_what_was_replaced_goes_sooner(tmp_path: Path, installer: Installer) -> None:
    now = time.time()
    cache = str(tmp_path / "cache")
    names = {}
    for days, entry in ((20.0, "a"), (2.0, "b"), (0.5, "c"), (0.0, "d")):
        python, _ = make(request(tmp_path, install=(entry,), environment=installer.environment))
        names[entry] = Path(python).parents[1].name
        os.utime(Path(python).parents[1] / "testd.json", (now - days * DAY, now - days * DAY))
    python, _ = make(request(tmp_path, target="other", install=("e",), environment=installer.environment))
    os.utime(Path(python).parents[1] / "testd.json", (now - 5 * DAY, now - 5 * DAY))
    gone = sweep(cache, now=now)
    # the first went when the others were made: it had been replaced for long
    assert names["a"] not in os.listdir(f"{cache}/environments")
    assert names["b"] in gone or names["b"] not in os.listdir(f"{cache}/environments")
    assert {names["c"], names["d"], Path(python).parents[1].name} <= set(os.listdir(f"{cache}/environments"))
    assert sweep(cache, now=now + 15 * DAY) == sorted([names["c"], names["d"], Path(python).parents[1].name])
    assert os.listdir(f"{cache}/environments") == []


def test_what_is_being_made_is_left_alone_and_remains_of_a_build_go(tmp_path: Path) -> None:
    home = tmp_path / "cache" / "environments"
    (home / "py3.9-half" / "bin").mkdir(parents=True)
    (home / "py3.9-busy").mkdir()
    (home / "py3.9-none.failed").write_text("{}")
    lock = try_lock(str(home / "py3.9-busy.lock"))
    assert lock is not None
    assert sweep(str(tmp_path / "cache"), now=time.time() + 2 * DAY) == ["py3.9-half", "py3.9-none"]
    assert sorted(os.listdir(home)) == ["py3.9-busy", "py3.9-busy.lock"]
    lock.release()


def test_use_keeps_it(tmp_path: Path, installer: Installer) -> None:
    wanted = request(tmp_path, install=("a",), environment=installer.environment)
    python, _ = make(wanted)
    mark = Path(python).parents[1] / "testd.json"
    os.utime(mark, (1, 1))
    make(wanted)
    assert mark.stat().st_mtime > 1


def test_there_is_a_deadline() -> None:
    assert EnvironmentRequest(target="", python="", version="", workspace="", cache="").deadline == DEADLINE
