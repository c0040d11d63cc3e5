"""Tests on real hosts: the same verdicts as here, warm, on the files as they are here."""

from __future__ import annotations

import hashlib
import os
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from agent_driver import RunResult

from testd_protocol.messages import Notice, Outcomes, Output, Preparing, Probe, TargetReady

Project = Any  # of conftest.py


def reason(result: RunResult) -> str:
    return f"{'warm' if result.ready.warm else 'cold'}: {result.ready.reason}"


def test_it_runs_there_and_is_warm_the_next_time(project: Project) -> None:
    project.write("lib.py", "VALUE = 1\n")
    project.write(
        "test_it.py",
        "import os, socket, lib\n"
        "def test_value():\n    assert lib.VALUE == 1\n"
        f"def test_elsewhere():\n    assert not os.path.exists({str(project.root)!r})\n"
        "def test_fails():\n    assert lib.VALUE == 2\n",
    )
    first = project.run()
    assert first.verdicts == {"test_value": "passed", "test_elsewhere": "passed", "test_fails": "failed"}
    assert reason(first) == "cold: first run"
    detail = first.row("test_fails").detail
    assert detail is not None
    assert (detail.frames[-1].file, detail.frames[-1].line) == ("test_it.py", 7)
    assert str(project.hosts["build1"].home) not in detail.text
    second = project.run()
    assert second.verdicts == first.verdicts
    assert second.ready.warm, second.ready.reason
    assert project.run("test_it.py::test_value").verdicts == {"test_value": "passed"}


def test_a_first_run_says_what_it_waits_for_and_a_warm_one_does_not(project: Project) -> None:
    project.write("test_it.py", "def test_it():\n    pass\n")
    said = [event.text for event in project.run().of(Preparing)]
    assert said[:2] == ["connecting to build1", "looking through the workspace's files"]
    assert said[-1] == "collecting"
    assert project.run().of(Preparing) == []


def test_its_memory_is_that_of_the_runner_on_the_host(project: Project, until: Callable[..., None]) -> None:
    """`testd status` showed what ssh holds here."""
    large = 64 * 1024
    project.write("test_it.py", f"kept = b'x' * {large * 1024}\ndef test_it():\n    pass\n")
    project.run()

    def told() -> bool:
        project.agent.send(Probe(id=1))
        (runner,) = project.agent.receive().status.runners
        return runner.memory > large

    until(told)


def test_two_hosts_at_once(project: Project) -> None:
    project.write("test_it.py", "import os\ndef test_home():\n    print(os.environ['HOME'])\n    assert 0\n")
    result = project.agent.run(targets=["build1", "build2"])
    texts = {row.target: row.detail.sections[0].text for row in result.rows if row.detail is not None}
    assert texts == {name: f"{project.hosts[name].home}\n" for name in ("build1", "build2")}


@pytest.mark.parametrize("mode", ["worker", "bin"])
def test_what_changes_here_is_what_runs_there(project: Project, mode: str) -> None:
    project.write("lib.py", "VALUE = 1\n")
    project.write("conftest.py", "")
    project.write("test_it.py", "import lib\ndef test_it():\n    assert lib.VALUE == 1\n")
    project.write("test_other.py", "def test_other():\n    pass\n")
    assert project.run(mode=mode).verdicts == {"test_it": "passed", "test_other": "passed"}
    project.write("lib.py", "VALUE = 2\n")
    changed = project.run(mode=mode)
    assert changed.verdicts["test_it"] == "failed"
    assert reason(changed) == "cold: lib.py changed"
    project.write("test_new.py", "def test_new():\n    pass\n")
    assert project.run(mode=mode).verdicts["test_new"] == "passed"
    (project.root / "test_other.py").unlink()
    (project.root / "test_new.py").rename(project.root / "test_moved.py")
    moved = project.run(mode=mode)
    assert set(moved.verdicts) == {"test_it", "test_new"}
    assert [row.test for row in moved.rows if "new" in row.test] == ["test_moved.py::test_new"]
    project.write("conftest.py", "import pytest\n@pytest.fixture(autouse=True)\ndef more():\n    raise ValueError\n")
    assert project.run(mode=mode).verdicts["test_it"] == "error"
    project.write("unrelated.txt", "x")
    assert project.run(mode=mode).ready.warm


def test_files_there_are_as_they_are_here(project: Project) -> None:
    project.write(".gitignore", "*.log\nbuild/\n")
    project.write("x.log", "")
    project.write("build/out.py", "")
    project.write("data/table.csv", "1,2\n")
    project.write("tool", "#!/bin/sh\necho it runs\n").chmod(0o755)
    (project.root / "link").symlink_to("data/table.csv")
    (project.root / "empty").mkdir()
    stat = (project.root / "data" / "table.csv").stat()
    project.write(
        "test_it.py",
        f"""
import os, subprocess
def test_files():
    found = sorted(p for p in os.listdir() if not p.startswith("__"))
    assert found == [".gitignore", "data", "empty", "link", "pyproject.toml", "test_it.py", "tool"]
    assert os.readlink("link") == "data/table.csv" and open("link").read() == "1,2\\n"
    assert subprocess.check_output(["./tool"]) == b"it runs\\n"
    assert os.stat("data/table.csv").st_mtime_ns == {stat.st_mtime_ns}
""",
    )
    result = project.run()
    assert result.verdicts == {"test_files": "passed"}, result.rows


def test_what_a_test_writes_to_the_workspace_is_put_right(project: Project) -> None:
    project.write("data.txt", "1")
    project.write(
        "test_it.py",
        "def test_it():\n    assert open('data.txt').read() == '1'\n    open('data.txt', 'w').write('2')\n",
    )
    assert project.run().verdicts == {"test_it": "passed"}
    assert project.run().verdicts == {"test_it": "passed"}
    assert (project.root / "data.txt").read_text() == "1"


def test_what_changes_on_the_host_is_noticed(project: Project) -> None:
    """Only the host can tell: the agent cannot look at its files."""
    host = project.hosts["build1"]
    site = Path(f"/proc/{host._sshd.pid}/root{host.home}/site")
    site.mkdir()
    (site / "installed.py").write_text("VALUE = 1\n")
    os.utime(site / "installed.py", (1_600_000_000,) * 2)
    project.configure(build1={"environment": f"@{host.home}/site"})
    text = (project.root / "pyproject.toml").read_text()
    project.write("pyproject.toml", text.replace(f"'@{host.home}/site'", f'{{PYTHONPATH = "{host.home}/site"}}'))
    project.write("test_it.py", "import installed\ndef test_it():\n    assert installed.VALUE == 1\n")
    assert project.run().verdicts == {"test_it": "passed"}
    assert project.run().ready.warm
    (site / "installed.py").write_text("VALUE = 2\n")
    changed = project.run()
    assert changed.verdicts == {"test_it": "failed"}
    assert reason(changed) == f"cold: {host.home}/site/installed.py changed"


def test_user_code_has_the_environment_of_the_host(project: Project) -> None:
    project.write("test_it.py", "import os\ndef test_it():\n    print(sorted(os.environ))\n    assert 0\n")
    result = project.run(environment={"ONLY_HERE": "1"})
    detail = result.rows[0].detail
    assert detail is not None
    names = detail.sections[0].text
    assert "'HOME'" in names
    assert "'SSH_CONNECTION'" in names
    assert "ONLY_HERE" not in names
    assert "TESTD" not in names


def test_a_run_keeps_its_files_while_they_change_here(project: Project, tmp_path: Path) -> None:
    """The second run has a copy of its own, and the first one never sees what it did not begin with."""
    project.write(
        "test_it.py",
        """
import os, threading
def test_first():
    print("begun", flush=True)
    while not os.path.exists(os.environ["HOME"] + "/go"):
        threading.Event().wait(0.02)
def test_second():
    assert open("data.txt").read() == "1"
""",
    )
    project.write("data.txt", "1")
    host = project.hosts["build1"]
    go = Path(f"/proc/{host._sshd.pid}/root{host.home}/go")
    go.unlink(missing_ok=True)
    agent = project.agent
    first = agent.submit(targets=["build1"], stream=True, jobs=1)
    agent.follow(first, until=lambda result: "begun" in result.output)
    project.write("data.txt", "2")
    second = agent.submit("test_it.py::test_second", targets=["build1"])
    beside = agent.follow(second, first, until=lambda result: any(isinstance(e, Outcomes) for e in result.events))
    go.touch()
    rest = agent.follow(second, first)
    go.unlink()
    rows = {(report.run, row.verdict) for result in (beside, rest) for report in result.reports
            for row in _rows(report)}  # fmt: skip
    assert rows == {(second, "failed"), (first, "passed")}
    assert len(project.copies()) == 2


def _rows(report: Any) -> list[Any]:
    from agent_driver import _events

    event = _events.decode(report.body)
    return event.rows if isinstance(event, Outcomes) else []


def test_a_large_file_travels_whole(project: Project) -> None:
    data = project.write("data.bin", "0123456789abcdef" * (20 * 65536) + "end")
    project.write(
        "test_it.py",
        "import hashlib\ndef test_it():\n"
        f"    assert hashlib.sha256(open('data.bin', 'rb').read()).hexdigest() == "
        f"{hashlib.sha256(data.read_bytes()).hexdigest()!r}\n",
    )
    assert data.stat().st_size > 16 * 1024 * 1024  # more than a frame may hold
    assert project.run().verdicts == {"test_it": "passed"}


def test_a_new_daemon_finds_what_the_last_one_sent(project: Project) -> None:
    project.write("test_it.py", "def test_it():\n    pass\n")
    assert project.run().verdicts == {"test_it": "passed"}
    (copy,) = project.copies()
    before = (copy / "test_it.py").stat().st_ino
    project.close()
    assert not project.hosts["build1"].left()
    assert project.run().verdicts == {"test_it": "passed"}
    assert project.copies() == [copy]
    assert (copy / "test_it.py").stat().st_ino == before


def test_fresh_is_a_runner_and_a_copy_of_its_own(project: Project) -> None:
    project.write("test_it.py", "def test_it():\n    pass\n")
    assert project.run().verdicts == {"test_it": "passed"}
    assert project.run(fresh=True).verdicts == {"test_it": "passed"}
    assert len(project.copies()) == 2
    assert project.run().ready.warm


def test_output_is_live(project: Project) -> None:
    project.write("test_it.py", "import sys\ndef test_it():\n    print('out')\n    sys.stderr.write('err\\n')\n")
    result = project.run(stream=True)
    assert {(o.stream, o.text.strip()) for o in result.of(Output) if o.text.strip(".\n")} >= {
        ("stdout", "out"), ("stderr", "err")
    }  # fmt: skip


def test_a_file_that_cannot_travel_is_named(project: Project) -> None:
    project.write("test_it.py", "def test_it():\n    pass\n")
    Path(os.fsdecode(bytes(project.root) + b"/\xff.txt")).touch()
    result = project.run()
    assert result.verdicts == {"test_it": "passed"}
    assert any("a name that is not UTF-8 cannot be on the target" in n.text for n in result.of(Notice))


def test_through_a_jump_host(project: Project) -> None:
    """`inner` is an address that only build1 reaches."""
    host = project.hosts["build1"]
    project.hosts.write(
        f"Host inner\n HostName 127.0.0.1\n HostKeyAlias build1\n User root\n ProxyJump build1\n"
        f" IdentityFile {host.key}\n IdentitiesOnly yes\n UserKnownHostsFile {project.hosts.known}\n"
    )
    project.configure(inner={})
    project.write("test_it.py", "import os\ndef test_it():\n    assert '127.0.0.1' in os.environ['SSH_CONNECTION']\n")
    try:
        assert project.run(target="inner").verdicts == {"test_it": "passed"}
        project.close()
    finally:
        project.hosts.write()


def test_beside_a_target_here(project: Project) -> None:
    project.configure(build1={}, build2={"python": "/nowhere/python"})
    project.write("test_it.py", "def test_it():\n    pass\n")
    here = "{}.{}".format(*sys.version_info)
    text = (project.root / "pyproject.toml").read_text()
    project.write("pyproject.toml", f"{text}[tool.testd.targets.here]\npython = {sys.executable!r}\n")
    result = project.agent.run(targets=["here", "build1", "build2"])
    assert {(row.target, row.verdict) for row in result.rows} == {("here", "passed"), ("build1", "passed")}
    assert {ready.target for ready in result.of(TargetReady)} == {"here", "build1"}
    assert result.of(TargetReady)[0].python.startswith(here)


def test_without_pytest_there_plain_functions_run_as_exports_and_with_it_as_pytest(project: Project) -> None:
    """The kind was chosen as if every host had pytest: a project of plain functions could not be run without it."""
    bare = project.hosts["build1"].home / "bare"
    venv.create(bare, with_pip=False)
    table = {"ssh": "build1", "ssh_config": str(project.hosts.config), "python": str(bare / "bin" / "python")}
    lines = ["[tool.testd.targets.build1]", *(f"{key} = {value!r}" for key, value in table.items())]
    project.write("pyproject.toml", "\n".join(lines))
    project.write("test_it.py", "import sys\ndef test_it():\n    assert 'pytest' not in sys.modules\n")
    first = project.run()
    assert (first.ready.kind, first.verdicts) == ("exports", {"test_it": "passed"})
    (packages,) = bare.glob("lib/python3*/site-packages")
    (packages / "here.pth").write_text(str(Path(pytest.__file__).parents[1]))
    second = project.run()
    assert (second.ready.kind, second.verdicts) == ("pytest", {"test_it": "failed"})
