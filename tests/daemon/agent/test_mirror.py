"""What of a workspace travels to a target that shares no disk, and which checkpoints a change concerns."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import pytest

from testd_daemon.agent.freshness import GRANULARITY_NS, Checkpoint
from testd_daemon.agent.mirror import Mirror, MirroredRecord, Scanner
from testd_daemon.agent.mirror.contents import PIECE, ChangedMeanwhileError, pieces
from testd_daemon.agent.mirror.mirror import mirror_name
from testd_daemon.agent.mirror.travel import Travel
from testd_daemon.errors import FaultError, ProcessCrashed
from testd_protocol.messages import (
    Code,
    ConfigureRunner,
    Dependencies,
    Directory,
    Fault,
    FileEntry,
    FilesReceived,
    FilesSynced,
    FilesWanted,
    Message,
    Modules,
    Outdated,
    StartWorker,
    Stat,
    SyncFiles,
    Use,
    Used,
    WriteFiles,
)

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file of the workspace, as if that had been a while ago."""

    def write(name: str, text: str = "", *, ago: float = 10.0) -> Path:
        path = tmp_path / "work" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (time.time() - ago,) * 2)
        return path

    (tmp_path / "work").mkdir()
    return write


def scanner(tmp_path: Path) -> Scanner:
    return Scanner(str(tmp_path / "work"))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


# ── what travels ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_files_folders_and_links_are_told_with_mode_time_and_content(tmp_path: Path, write: Write) -> None:
    script = write("bin/tool", "#!/bin/sh\n")
    script.chmod(0o755)
    (tmp_path / "work" / "empty").mkdir(mode=0o750)
    (tmp_path / "work" / "near").symlink_to("bin/tool")
    (tmp_path / "work" / "bin" / "whole").symlink_to(tmp_path / "work" / "empty")
    (tmp_path / "work" / "far").symlink_to("/etc/hosts")
    os.mkfifo(tmp_path / "work" / "pipe")
    entries = scanner(tmp_path).look().entries
    assert entries["bin/tool"] == FileEntry(
        "bin/tool", "file", 0o755, script.stat().st_mtime_ns, 10, digest("#!/bin/sh\n")
    )
    assert entries["empty"] == FileEntry("empty", "folder", 0o750, 0, 0, "")
    assert entries["near"].content == "bin/tool"
    assert entries["bin/whole"].content == "../empty"
    assert entries["far"].content == "/etc/hosts"
    assert sorted(entries) == ["bin", "bin/tool", "bin/whole", "empty", "far", "near"]


@pytest.mark.parametrize(
    ("rules", "path", "travels"),
    [
        ({}, "a.py", True),
        ({}, ".git/config", False),
        ({}, "sub/__pycache__/a.cpython-311.pyc", False),
        ({}, "sub/.pytest_cache/README.md", False),
        ({}, ".env", True),
        ({".gitignore": "*.log\n"}, "deep/down/x.log", False),
        ({".gitignore": "/x.log\n"}, "deep/x.log", True),
        ({".gitignore": "build/\n"}, "build/out.py", False),
        ({".gitignore": "build/\n"}, "build", True),
        ({".gitignore": "*.log\n!keep.log\n"}, "keep.log", True),
        ({".gitignore": "*.log\n", "deep/.gitignore": "!*.log\n"}, "deep/x.log", True),
        ({"deep/.gitignore": "/x.log\n"}, "x.log", True),
        ({"deep/.gitignore": "/x.log\n"}, "deep/x.log", False),
        ({".gitignore": "generated.py\n", ".testdignore": "!generated.py\n"}, "generated.py", True),
        ({".gitignore": "generated.py\n", ".testdignore": "!generated.py\n"}, "deep/generated.py", True),
        ({".testdignore": "data/\n"}, "data/large.bin", False),
        ({".testdignore": "!.hypothesis/\n"}, ".hypothesis/examples/1", True),
    ],
)
def test_ignore_files_mean_what_they_mean_to_git(
    tmp_path: Path, write: Write, rules: dict[str, str], path: str, travels: bool
) -> None:
    for name, text in rules.items():
        write(name, text)
    write(path)
    assert (path in scanner(tmp_path).look().entries) is travels


def test_a_virtual_environment_stays_here(tmp_path: Path, write: Write) -> None:
    write("env311/pyvenv.cfg")
    write("env311/lib/a.py")
    write("lib/b.py")
    assert sorted(scanner(tmp_path).look().entries) == ["lib", "lib/b.py"]


def test_a_changed_ignore_file_counts_at_once(tmp_path: Path, write: Write) -> None:
    found = scanner(tmp_path)
    write("sub/x.log")
    assert "sub/x.log" in found.look().entries
    write(".gitignore", "*.log\n")
    assert "sub/x.log" not in found.look().entries
    write(".gitignore", "*.txt\n", ago=5)
    assert "sub/x.log" in found.look().entries
    (tmp_path / "work" / ".gitignore").unlink()
    assert "sub/x.log" in found.look().entries


def test_what_nobody_touched_is_the_same_object(tmp_path: Path, write: Write) -> None:
    found = scanner(tmp_path)
    write("a.py", "a")
    write("b.py", "b")
    before = found.look().entries
    write("b.py", "c", ago=5)
    after = found.look().entries
    assert before["a.py"] is after["a.py"]
    assert after["b.py"].content == digest("c")


def test_a_write_within_the_same_tick_is_seen(tmp_path: Path, write: Write) -> None:
    """Two writes of equal size can leave the same time: a file that was only just written is looked into again."""
    found = scanner(tmp_path)
    path = write("a.py", "1", ago=0)
    first = found.look().entries["a.py"]
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    with path.open("r+") as file:  # in place: the same inode
        file.write("2")
    os.utime(path, ns=times)
    second = found.look().entries["a.py"]
    assert time.time_ns() > times[1] - GRANULARITY_NS
    assert (first.content, second.content) == (digest("1"), digest("2"))


def test_what_cannot_travel_is_named(tmp_path: Path, write: Write) -> None:
    write("a.py")
    Path(os.fsdecode(bytes(tmp_path / "work") + b"/\xff.txt")).touch()
    snapshot = scanner(tmp_path).look()
    assert list(snapshot.entries) == ["a.py"]
    assert snapshot.notices == [r"'\udcff.txt': a name that is not UTF-8 cannot be on the target"]


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user, who may not read what is ours")
def test_what_cannot_be_read_is_named_until_it_can_be(tmp_path: Path, write: Write) -> None:
    work = tmp_path / "work"
    write("a.py")
    write("secret.py").chmod(0o600)
    write("closed/x.py")
    (work / "closed").chmod(0o700)
    for folder in (work, *work.parents):
        if folder != Path("/") and folder.stat().st_uid == os.getuid() and "pytest" in str(folder):
            folder.chmod(0o755)
    code = (
        "import sys, os; from testd_daemon.agent.mirror import Scanner; scan = Scanner(sys.argv[1]);"
        "os.setuid(65534); found = scan.look(); print(sorted(found.entries), found.notices)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(work)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(
        (
            ["a.py", "closed"],
            [
                "secret.py cannot be read and is not on the target: Permission denied",
                "closed cannot be read and is empty on the target: Permission denied",
            ],
        )
    ).strip("()").replace("], [", "] [")


def test_a_file_that_went_while_it_was_looked_at_is_not_there(tmp_path: Path, write: Write) -> None:
    write("gone/a.py")
    found = scanner(tmp_path)
    found.look()
    (tmp_path / "work" / "gone" / "a.py").unlink()
    (tmp_path / "work" / "gone").rmdir()
    assert found.look().entries == {}


# ── the bytes ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_large_files_come_in_pieces_and_small_ones_together(tmp_path: Path, write: Write) -> None:
    large = "x" * (2 * PIECE + 5)
    files = [(digest(text), str(write(name, text))) for name, text in (("a", "1"), ("b", large), ("c", ""))]
    batches = list(pieces(iter(files)))
    flat = [piece for batch in batches for piece in batch]
    assert [(piece.digest, len(piece.data), piece.last) for piece in flat] == [
        (files[0][0], 1, True),
        (files[1][0], PIECE, False), (files[1][0], PIECE, False), (files[1][0], 5, True),
        (files[2][0], 0, True),
    ]  # fmt: skip
    assert all(sum(len(piece.data) for piece in batch) <= 2 * PIECE for batch in batches)


@pytest.mark.parametrize("text", ["other", None], ids=["changed", "gone"])
def test_a_file_that_is_not_what_was_promised_is_not_sent(tmp_path: Path, write: Write, text: str | None) -> None:
    path = write("a.py", "this")
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    with pytest.raises(ChangedMeanwhileError, match=r"a\.py"):
        list(pieces([(digest("this"), str(path))]))


# ── what a change concerns ───────────────────────────────────────────────────────────────────────────────────────────


def record(*, files: tuple[str, ...] = (), listed: tuple[tuple[str, bool], ...] = ()) -> MirroredRecord:
    made = MirroredRecord("/work")
    made.add(
        Dependencies(
            checkpoint="collected",
            collection=1,
            files=[Stat(f"/work/{path}", 1, 1) for path in files],
            directories=[Directory(f"/work/{path}".rstrip("/"), 1, [], everything) for path, everything in listed],
        ),
        0,
    )
    return made


@pytest.mark.parametrize(
    ("depends", "changed", "reshaped", "stale"),
    [
        ({"files": ("a.py",)}, ["a.py"], {}, "a.py"),
        ({"files": ("a.py",)}, ["b.py"], {}, None),
        ({"files": ("missing.py",)}, ["missing.py"], {"missing.py": False}, "missing.py"),
        ({"listed": (("sub", False),)}, ["sub/new.py"], {"sub/new.py": False}, "sub/new.py"),
        ({"listed": (("sub", False),)}, ["sub/old.py"], {}, None),
        ({"listed": (("sub", False),)}, ["sub/new.txt"], {"sub/new.txt": False}, None),
        ({"listed": (("sub", True),)}, ["sub/new.txt"], {"sub/new.txt": False}, "sub/new.txt"),
        ({"listed": (("sub", False),)}, ["sub/new"], {"sub/new": True}, "sub/new"),
        ({"listed": (("sub", False),)}, ["sub/deep/new.py"], {"sub/deep/new.py": False}, None),
        ({"listed": (("", False),)}, ["new.py"], {"new.py": False}, "new.py"),
    ],
)
def test_a_record_is_stale_for_what_it_depends_on(
    depends: dict[str, Any], changed: list[str], reshaped: dict[str, bool], stale: str | None
) -> None:
    made = record(**depends)
    made.note(changed, reshaped)
    assert made.change() == stale


def test_a_record_that_was_told_nothing_of_the_workspace_was_told_nevertheless() -> None:
    """A checkpoint that loads nothing of the project must not look like one that was never reached."""
    assert len(MirroredRecord("/work")) == 0
    assert len(record()) == 1


# ── one copy ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Target:
    """A runner that has a copy: answers like one, and remembers what it was sent."""

    def __init__(self, tmp_path: Path) -> None:
        self.mirror = Mirror(scanner(tmp_path), str(tmp_path / "work"), "build1", cache="", silence=20)
        self.mirror.root = "/there/work"
        self.has: set[str] = set()
        self.sent: list[Message] = []
        self.records = {
            (Checkpoint.STARTED, 0): record(),
            (Checkpoint.CONFIGURED, 0): record(files=("conftest.py",)),
            (Checkpoint.COLLECTED, 7): record(files=("a.py", "b.py")),
        }
        self.answer: Callable[[SyncFiles], Any] | None = None
        self.before_content: Callable[[], None] = lambda: None
        self.numbers = count(100)
        self.told: list[tuple[str, int, int]] = []

    async def flushed(self) -> None:
        self.before_content()

    def send(self, *messages: Message) -> None:
        for message in messages:
            self.sent.append(message)
            if isinstance(message, WriteFiles):
                self.has.update(piece.digest for piece in message.contents)
                if any(isinstance(sent, SyncFiles) and sent.id == message.id for sent in self.sent):
                    self.mirror.heard(FilesReceived(id=message.id, size=2, files=2))
                    self.finish(message.id)
            elif isinstance(message, SyncFiles) and message.done:
                wanted = [entry.content for entry in message.entries if entry.kind == "file"]
                missing = [content for content in dict.fromkeys(wanted) if content not in self.has]
                if missing:
                    self.mirror.heard(FilesWanted(id=message.id, digests=missing))
                else:
                    self.finish(message.id)

    def finish(self, number: int) -> None:
        self.mirror.heard(FilesSynced(id=number))

    def update(self) -> list[Message]:
        """Bring it up to date; return what that took."""
        self.sent = []

        async def update() -> None:
            await self.mirror.update(self, self.numbers, self.records, lambda *told: self.told.append(told))

        anyio.run(update)
        assert self.sent[0] == SyncFiles(id=self.sent[0].id, entries=[])  # type: ignore[attr-defined]
        return self.sent[1:]

    @property
    def stale(self) -> dict[Checkpoint, str]:
        return {key[0]: str(r.change()) for key, r in self.records.items() if r.change() is not None}


def test_a_new_copy_gets_the_list_and_then_what_it_lacks(tmp_path: Path, write: Write) -> None:
    target = Target(tmp_path)
    write("a.py", "a")
    write("b.py", "b")
    target.has.add(digest("b"))
    listed, written = target.update()
    assert isinstance(listed, SyncFiles)
    assert (listed.whole, listed.done, [entry.path for entry in listed.entries]) == (True, True, ["a.py", "b.py"])
    assert isinstance(written, WriteFiles)
    assert [(piece.digest, piece.data) for piece in written.contents] == [(digest("a"), b"a")]


def test_the_first_sync_says_how_far_it_is(tmp_path: Path, write: Write) -> None:
    target = Target(tmp_path)
    for name in ("a", "b", "c"):
        write(name, name)
    write("same as c", "c")  # travels once
    target.update()
    assert target.told == [("looking through the workspace's files", 0, 0), ("2 of 3 files", 2, 3)]
    target.told.clear()
    target.update()
    assert target.told == []


def test_many_bytes_are_told_as_well() -> None:
    told: list[tuple[str, int, int]] = []
    travel = Travel(lambda *words: told.append(words))
    travel.add([FileEntry("large.bin", "file", 0o644, 1, 5 * 1024 * 1024 + 1, "d1")])
    travel.received(0, 3 * 1024 * 1024)
    assert told == [("0 of 1 file, 3 of 5 MiB", 0, 1)]


def test_a_change_goes_with_its_content_and_nothing_else_does(tmp_path: Path, write: Write) -> None:
    target = Target(tmp_path)
    write("a.py", "a")
    write("conftest.py", "b")
    write("sub/old.py", "o")
    target.update()
    target.records = Target(tmp_path).records
    write("a.py", "changed", ago=5)
    (tmp_path / "work" / "sub" / "old.py").unlink()
    written, listed = target.update()
    assert isinstance(written, WriteFiles)
    assert [piece.data for piece in written.contents] == [b"changed"]
    assert isinstance(listed, SyncFiles)
    assert ([e.path for e in listed.entries], listed.removed, listed.whole) == (["a.py"], ["sub/old.py"], False)
    assert target.stale == {Checkpoint.COLLECTED: "a.py"}


def test_nothing_new_is_one_short_message(tmp_path: Path, write: Write) -> None:
    target = Target(tmp_path)
    write("a.py", "a")
    target.update()
    target.records = Target(tmp_path).records
    assert target.update() == [SyncFiles(id=101, entries=[], done=True)]
    assert target.stale == {}


def test_what_the_target_says_of_itself_makes_stale(tmp_path: Path, write: Write) -> None:
    target = Target(tmp_path)
    write("a.py", "a")
    target.update()
    target.records = Target(tmp_path).records
    outdated = [Outdated("started", 0, "/usr/lib/x.py"), Outdated("collected", 8, "/of/another.py")]
    target.finish = lambda number: target.mirror.heard(FilesSynced(id=number, changed=["b.py"], outdated=outdated))  # type: ignore[method-assign]
    target.update()
    assert target.stale == {Checkpoint.STARTED: "/usr/lib/x.py", Checkpoint.COLLECTED: "b.py"}


def test_a_file_that_changes_on_its_way_is_sent_as_it_is_then(tmp_path: Path, write: Write) -> None:
    target = Target(tmp_path)
    write("a.py", "a")
    target.update()
    write("a.py", "second", ago=5)
    scan = target.mirror._scanner.scan
    scans = count()

    async def scanned_then_changed() -> Any:
        found = await scan()
        if next(scans) == 0:
            write("a.py", "third", ago=2)
        return found

    target.mirror._scanner.scan = scanned_then_changed  # type: ignore[method-assign]
    sent = target.update()
    assert [piece.data for m in sent if isinstance(m, WriteFiles) for piece in m.contents] == [b"third"]
    assert [m.done for m in sent if isinstance(m, SyncFiles)] == [False, True]  # begun anew with an empty page


def test_files_that_change_all_the_time_are_a_fault(tmp_path: Path, write: Write) -> None:
    target = Target(tmp_path)
    scan = target.mirror._scanner.scan
    numbers = count()

    async def scanned_then_changed() -> Any:
        write("a.py", f"{next(numbers)}", ago=2)
        found = await scan()
        write("a.py", f"{next(numbers)}", ago=1)
        return found

    target.mirror._scanner.scan = scanned_then_changed  # type: ignore[method-assign]
    with pytest.raises(FaultError, match="files changed 5 times while they were sent"):
        target.update()


def test_a_fault_is_raised_and_the_next_sync_sends_the_whole_list(tmp_path: Path, write: Write) -> None:
    target = Target(tmp_path)
    write("a.py", "a")
    target.update()
    write("a.py", "b", ago=5)
    finish = target.finish
    target.finish = lambda number: target.mirror.heard(Fault(code="disk", message="no room", id=number))  # type: ignore[method-assign]
    with pytest.raises(FaultError, match="no room"):
        target.update()
    target.finish = finish  # type: ignore[method-assign]
    assert [m.whole for m in target.update() if isinstance(m, SyncFiles)] == [True]


def test_the_end_of_the_runner_ends_the_wait(tmp_path: Path, write: Write) -> None:
    target = Target(tmp_path)
    write("a.py", "a")
    target.finish = lambda number: target.mirror.heard(ProcessCrashed("runner build1", 255))  # type: ignore[method-assign]
    with pytest.raises(ProcessCrashed, match="runner build1 exited with status 255"):
        target.update()


def test_same_tells_whether_anything_has_changed(tmp_path: Path, write: Write) -> None:
    target = Target(tmp_path)
    write("a.py", "a")
    assert anyio.run(target.mirror.same) is False
    target.update()
    assert anyio.run(target.mirror.same) is True
    write("a.py", "b", ago=5)
    assert anyio.run(target.mirror.same) is False


def test_paths_are_those_of_each_side(tmp_path: Path) -> None:
    mirror = Target(tmp_path).mirror
    work = str(tmp_path / "work")
    assert mirror.there(f"{work}/a.py") == "/there/work/a.py"
    assert mirror.there(f"{work}x/a.py") == f"{work}x/a.py"
    assert mirror.outward(StartWorker(worker=1, collection=1, paths=[f"{work}/a.py"])) == StartWorker(
        worker=1, collection=1, paths=["/there/work/a.py"]
    )
    modules = Modules(collection=1, files={"a": "/there/work/a.py", "os": "/usr/os.py"}, imports={})
    assert mirror.inward(modules) == Modules(collection=1, files={"a": f"{work}/a.py", "os": "/usr/os.py"}, imports={})
    used = Used(
        collection=1, worker=2, codes=[Code(0, "/there/work/a.py", "f", 3)], written=["/there/work/out"],
        uses=[Use(7, [0], ["/there/work/a.json"], ["/there/work/data"], True)],
    )  # fmt: skip
    assert mirror.inward(used) == Used(
        collection=1, worker=2, codes=[Code(0, f"{work}/a.py", "f", 3)], written=[f"{work}/out"],
        uses=[Use(7, [0], [f"{work}/a.json"], [f"{work}/data"], True)],
    )  # fmt: skip


def test_the_opening_names_the_copy(tmp_path: Path) -> None:
    opening = ConfigureRunner(kind="pytest", mode="worker", root="/w", cwd="/w", environment={})
    told = Mirror(scanner(tmp_path), str(tmp_path / "work"), "b", cache="/big", silence=7).opening(opening)
    assert (told.root, told.cwd, told.extend, told.silence) == ("", "", True, 7)
    assert told.settings == {"cache": "/big"}
    assert told.mirror == mirror_name(str(tmp_path / "work"), "b")


def test_the_copies_name_is_of_machine_workspace_and_target() -> None:
    assert mirror_name("/a/project", "build1") == mirror_name("/a/project", "build1")
    names = {mirror_name("/a/project", "build1"), mirror_name("/b/project", "build1"), mirror_name("/a/project", "b2")}
    assert len(names) == 3
    assert all(name.endswith("/project") for name in names)


def test_scans_of_several_targets_do_not_disturb_each_other(tmp_path: Path, write: Write) -> None:
    for number in range(50):
        write(f"sub{number % 5}/{number}.py", str(number))
    found = scanner(tmp_path)
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(found.look().entries)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(entries == results[0] for entries in results)
    assert len(results[0]) == 55
