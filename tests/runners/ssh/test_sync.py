"""The target's side of a sync: all of it at once or nothing, whatever is in the way."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from testd.runner import mirror as mirror_module
from testd.runner import sync as sync_module
from testd.runner.mirror import Mirror, MirrorError
from testd.runner.outside import Outside
from testd.runner.sync import Sync

MTIME = 1_600_000_000_123_456_789


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Side:
    """A mirror with its syncs, and what it told the agent."""

    def __init__(self, cache: Path, name: str = "n1/project") -> None:
        self.told: list[dict[str, Any]] = []
        self.busy = False
        self.mirror = Mirror(str(cache), name)
        self.outside = Outside(self.mirror.root)
        self.sync = Sync(self, self.mirror, self.outside, lambda: self.busy)  # type: ignore[arg-type]  # it only tells
        self.root = Path(self.mirror.root)
        self._number = 0

    def close(self) -> None:
        """What the end of the process does."""
        self.mirror.close()

    def tell(self, message: dict[str, Any]) -> None:
        self.told.append(message)

    def fault(self, code: str, message: str, **more: Any) -> None:
        self.tell({"type": "Fault", "code": code, "message": message, **more})

    def list(self, *entries: Any, removed: tuple[str, ...] = (), whole: bool = True, number: int = 0) -> dict[str, Any]:
        """Send one page and return the answer, or nothing."""
        self._number = number or self._number + 1
        self.told.clear()
        self.sync.files(
            {"id": self._number, "entries": [list(e) for e in entries], "removed": list(removed), "whole": whole,
             "done": True}
        )  # fmt: skip
        return self.told[-1] if self.told else {}

    def write(self, *texts: str) -> dict[str, Any]:
        self.sync.write({"id": self._number, "contents": [[digest(text), text.encode(), True] for text in texts]})
        return self.told[-1]

    def bring(self, *entries: Any, texts: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
        """Sync, giving what is asked for."""
        answer = self.list(*entries, **more)
        if answer["type"] == "FilesWanted":
            answer = self.write(*(text for text in texts if digest(text) in answer["digests"]))
        assert answer["type"] == "FilesSynced", answer
        return answer

    def tree(self) -> dict[str, str]:
        found = {}
        for path in sorted(self.root.rglob("*")):
            name = str(path.relative_to(self.root))
            found[name] = f"-> {os.readlink(path)}" if path.is_symlink() else "/" if path.is_dir() else path.read_text()
        return found


def file(path: str, text: str, *, mode: int = 0o644, mtime: int = MTIME) -> tuple[Any, ...]:
    return path, "file", mode, mtime, len(text), digest(text)


def folder(path: str, mode: int = 0o755) -> tuple[Any, ...]:
    return path, "folder", mode, 0, 0, ""


def link(path: str, to: str) -> tuple[Any, ...]:
    return path, "link", 0, 0, 0, to


@pytest.fixture
def open_side(tmp_path: Path) -> Iterator[Callable[..., Side]]:
    opened: list[Side] = []

    def make(**more: Any) -> Side:
        opened.append(Side(tmp_path / "cache", **more))
        return opened[-1]

    yield make
    for side in opened:
        side.close()


@pytest.fixture
def side(open_side: Callable[..., Side]) -> Side:
    return open_side()


# ── what is there afterwards ─────────────────────────────────────────────────────────────────────────────────────────


def test_files_links_folders_modes_and_times(side: Side) -> None:
    answer = side.list(folder("bin"), file("bin/tool", "run", mode=0o755), file("a.py", "x"), link("b.py", "a.py"))
    assert answer == {"type": "FilesWanted", "id": 1, "digests": [digest("run"), digest("x")]}
    assert side.tree() == {}
    assert side.write("run", "x") == {"type": "FilesSynced", "id": 1, "changed": [], "outdated": []}
    assert side.tree() == {"a.py": "x", "b.py": "-> a.py", "bin": "/", "bin/tool": "run"}
    found = os.stat(side.root / "bin" / "tool")
    assert (stat.S_IMODE(found.st_mode), found.st_mtime_ns) == (0o755, MTIME)
    assert os.listdir(side.mirror.staging) == []


def test_a_change_touches_nothing_else(side: Side) -> None:
    side.bring(file("a.py", "1"), file("b.py", "2"), texts=("1", "2"))
    untouched = os.stat(side.root / "b.py").st_ino
    side.bring(file("a.py", "3"), texts=("3",), whole=False)
    assert side.tree() == {"a.py": "3", "b.py": "2"}
    assert os.stat(side.root / "b.py").st_ino == untouched


def test_content_may_come_before_the_list(side: Side) -> None:
    side._number = 1
    side.sync.write({"id": 1, "contents": [[digest("new"), b"new", True]]})
    assert side.list(file("a.py", "new"), number=1)["type"] == "FilesSynced"
    assert side.tree() == {"a.py": "new"}


def test_what_is_not_named_goes_and_what_tests_made_stays(side: Side) -> None:
    side.bring(folder("old"), file("old/a.py", "1"), file("b.py", "2"), file("c.py", "3"), texts=("1", "2", "3"))
    (side.root / "old" / "left.txt").write_text("by a test")
    (side.root / "report.xml").write_text("by a test")
    side.bring(file("b.py", "2"), file("c.py", "3"))
    assert side.tree() == {"b.py": "2", "c.py": "3", "report.xml": "by a test"}
    side.bring(removed=("c.py",), whole=False)
    assert side.tree() == {"b.py": "2", "report.xml": "by a test"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([file("x", "1")], [folder("x"), file("x/y", "1")]),
        ([folder("x"), file("x/y", "1")], [file("x", "1")]),
        ([folder("x"), file("x/y", "1")], [link("x", "elsewhere")]),
        ([link("x", "y"), folder("y"), file("y/z", "1")], [folder("x"), file("x/z", "1"), folder("y")]),
    ],
    ids=["file-folder", "folder-file", "folder-link", "link-folder"],
)
@pytest.mark.parametrize("whole", [True, False])
def test_one_kind_becomes_another(side: Side, before: list[Any], after: list[Any], whole: bool) -> None:
    side.bring(*before, texts=("1",))
    names = {entry[0] for entry in after}
    removed = () if whole else tuple(entry[0] for entry in before if entry[0] not in names)
    side.bring(*after, texts=("1",), removed=removed, whole=whole)
    expected = {e[0]: "/" if e[1] == "folder" else f"-> {e[5]}" if e[1] == "link" else "1" for e in after}
    assert side.tree() == expected


def test_a_folder_keeps_its_mode_when_another_is_made_in_it(side: Side) -> None:
    """Making a folder gave the one above it the usual mode again."""
    side.bring(folder("a", 0o700), folder("a/b", 0o750), file("a/b/c", "1"), texts=("1",))
    assert [stat.S_IMODE(os.stat(side.root / path).st_mode) for path in ("a", "a/b")] == [0o700, 0o750]


def test_equal_content_in_many_places_comes_once(side: Side) -> None:
    answer = side.list(file("a", "same"), file("b", "same", mode=0o600), file("c", "same", mtime=MTIME + 5))
    assert answer["digests"] == [digest("same")]
    side.write("same")
    assert side.tree() == {"a": "same", "b": "same", "c": "same"}
    assert len({os.stat(side.root / name).st_ino for name in "abc"}) == 3
    assert [stat.S_IMODE(os.stat(side.root / name).st_mode) for name in "ab"] == [0o644, 0o600]


def test_a_file_that_moved_does_not_travel_again(side: Side) -> None:
    side.bring(file("a", "large"), texts=("large",))
    assert side.list(folder("sub"), file("sub/b", "large"))["type"] == "FilesSynced"
    assert side.tree() == {"sub": "/", "sub/b": "large"}


def test_a_new_time_or_mode_alone_needs_no_content(side: Side) -> None:
    side.bring(file("a", "1"), texts=("1",))
    assert side.list(file("a", "1", mode=0o755, mtime=MTIME + 7))["type"] == "FilesSynced"
    found = os.stat(side.root / "a")
    assert (stat.S_IMODE(found.st_mode), found.st_mtime_ns) == (0o755, MTIME + 7)


def test_compiled_code_of_a_changed_module_goes(side: Side) -> None:
    """Python takes compiled code for fresh by second and size alone: a quick edit of equal length ran old code."""
    side.bring(file("m.py", "A=1"), file("n.py", "B=1"), texts=("A=1", "B=1"))
    caches = side.root / "__pycache__"
    caches.mkdir()
    for name in ("m.cpython-311.pyc", "m.cpython-38.opt-1.pyc", "n.cpython-311.pyc", "mm.cpython-311.pyc"):
        (caches / name).write_text("")
    side.bring(file("m.py", "A=2"), texts=("A=2",), whole=False)
    assert sorted(os.listdir(caches)) == ["mm.cpython-311.pyc", "n.cpython-311.pyc"]


# ── what tests did to the copy ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("harm", ["written", "removed", "mode", "folder", "link", "locked"])
def test_what_a_test_changed_is_put_right_and_told(side: Side, harm: str) -> None:
    entries = (folder("d"), file("d/a.py", "1"), file("b.py", "2"))
    side.bring(*entries, texts=("1", "2"))
    path = side.root / "d" / "a.py"
    changed = ["d/a.py"]
    if harm == "written":
        path.write_text("other")
    elif harm == "mode":
        path.chmod(0o600)
    elif harm == "locked":
        (side.root / "d").chmod(0o500)
        changed = ["d"]
    else:
        path.unlink()
        if harm == "folder":
            path.mkdir()
            (path / "deep").mkdir()
            (path / "deep" / "file").write_text("x")
        elif harm == "link":
            path.symlink_to("/etc/hostname")
    answer = side.list(whole=False)
    if answer["type"] == "FilesWanted":
        answer = side.write("1")
    assert (answer["type"], answer["changed"]) == ("FilesSynced", changed)
    assert side.tree() == {"d": "/", "d/a.py": "1", "b.py": "2"}
    assert stat.S_IMODE(os.stat(side.root / "d").st_mode) == 0o755
    assert side.list(whole=False)["changed"] == []


def test_a_folder_that_a_test_replaced_by_a_link_does_not_lead_outside(side: Side, tmp_path: Path) -> None:
    side.bring(folder("d"), file("d/a.py", "1"), texts=("1",))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.py").write_text("mine")
    shutil.rmtree(side.root / "d")
    (side.root / "d").symlink_to(elsewhere)
    side.bring(folder("d"), file("d/a.py", "2"), texts=("2",))
    assert side.tree() == {"d": "/", "d/a.py": "2"}
    assert (elsewhere / "a.py").read_text() == "mine"


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "", "a//b", "./x", "a\0b"])
def test_a_path_that_leads_outside_is_refused(side: Side, path: str) -> None:
    answer = side.list(file(path, "1"))
    assert (answer["type"], answer["code"]) == ("Fault", "internal")
    assert repr(path) in answer["message"]


# ── all at once, or not at all ───────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_touched_while_workers_run(side: Side) -> None:
    side.bring(file("a", "1"), texts=("1",))
    side.busy = True
    side.list(file("a", "2"))
    side.write("2")
    assert side.tree() == {"a": "1"}
    assert side.told[-1]["type"] == "FilesWanted"
    side.busy = False
    side.sync.go_on()
    assert side.told[-1]["type"] == "FilesSynced"
    assert side.tree() == {"a": "2"}


def test_a_sync_that_is_given_up_leaves_what_was_there(side: Side) -> None:
    side.bring(file("a", "1"), texts=("1",))
    side.list(file("a", "2"), file("b", "3"))
    side.write("3")
    side.bring(file("a", "1"), file("c", "4"), texts=("4",))
    assert side.tree() == {"a": "1", "c": "4"}
    assert os.listdir(side.mirror.staging) == []


def test_no_room_is_a_fault_and_the_old_files_stay(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    side.bring(file("a", "1"), texts=("1",))

    def full(self: Any, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(sync_module._Writing, "add", full)
        side.list(file("a", "2"))
        answer = side.write("2")
    assert (answer["type"], answer["code"], answer["id"], answer["exit_code"]) == ("Fault", "disk", 2, 4)
    assert "No space left on device" in answer["message"]
    assert side.mirror.folder in answer["message"]
    assert "host_cache" in answer["hint"]
    assert side.tree() == {"a": "1"}
    assert os.listdir(side.mirror.staging) == []
    side.bring(file("a", "2"), texts=("2",))
    assert side.tree() == {"a": "2"}


def test_a_sync_cut_off_in_the_middle_is_completed_by_the_next_runner(
    open_side: Callable[..., Side], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_side()
    first.bring(file("a", "1"), file("b", "1b"), texts=("1", "1b"))
    place = sync_module._place

    class Killed(BaseException):
        pass

    def killed(source: str, path: str) -> None:
        if path.endswith("/b"):
            raise Killed
        place(source, path)

    first.list(file("a", "2"), file("b", "2b"))
    with monkeypatch.context() as patch:
        patch.setattr(sync_module, "_place", killed)
        with pytest.raises(Killed):
            first.write("2", "2b")
    assert first.tree() == {"a": "2", "b": "1b"}
    first.close()
    again = Side(tmp_path / "cache")
    try:
        assert again.root == first.root
        answer = again.list(file("a", "2"), file("b", "2b"))
        assert answer["digests"] == [digest("2"), digest("2b")]  # of neither is anything known
        again.write("2", "2b")
        assert again.tree() == {"a": "2", "b": "2b"}
    finally:
        again.close()


def test_what_tests_harmed_is_put_right_even_if_the_first_sync_is_given_up(side: Side) -> None:
    side.bring(file("a", "1"), file("b", "2"), texts=("1", "2"))
    (side.root / "a").write_text("harmed")
    side.sync.files({"id": 7, "entries": [list(file("b", "3"))], "removed": [], "whole": False, "done": False})
    answer = side.list(file("b", "4"), whole=False, number=8)
    assert sorted(answer["digests"]) == sorted([digest("1"), digest("4")])
    assert side.write("1", "4")["changed"] == ["a"]
    assert side.tree() == {"a": "1", "b": "4"}


def test_what_the_last_worker_harmed_is_put_right(side: Side) -> None:
    side.bring(file("a", "1"), file("b", "2"), texts=("1", "2"))
    side.busy = True
    assert side.list(whole=False) == {}
    (side.root / "a").write_text("harmed meanwhile")
    side.busy = False
    side.sync.go_on()
    assert side.told[-1] == {"type": "FilesWanted", "id": 2, "digests": [digest("1")]}
    assert side.write("1")["changed"] == ["a"]
    assert side.tree() == {"a": "1", "b": "2"}


def test_content_that_is_not_what_it_says_is_not_taken(side: Side) -> None:
    side.list(file("a", "1"))
    side.sync.write({"id": 1, "contents": [[digest("1"), b"not 1", True]]})
    assert side.told[-1]["type"] == "FilesWanted"
    assert side.tree() == {}
    assert os.listdir(side.mirror.staging) == []


def test_a_large_file_comes_in_pieces(side: Side) -> None:
    text = "ab" * 1000
    side.list(file("a", text))
    for start in (0, 500, 1500):
        end = {0: 500, 500: 1500, 1500: 2000}[start]
        piece = [digest(text), text[start:end].encode(), end == 2000]
        side.sync.write({"id": 1, "contents": [piece]})
    assert side.told[-1]["type"] == "FilesSynced"
    assert side.tree() == {"a": text}


def test_it_says_now_and_then_how_much_has_come(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_module, "_PROGRESS_INTERVAL", -1.0)
    side.list(file("a", "first"), file("b", "second"))
    assert side.write("first") == {"type": "FilesReceived", "id": 1, "size": 5, "files": 1}
    side.sync.write({"id": 1, "contents": [[digest("second"), b"sec", False]]})
    assert side.told[-1] == {"type": "FilesReceived", "id": 1, "size": 8, "files": 1}
    side.sync.write({"id": 1, "contents": [[digest("second"), b"ond", True]]})
    assert [message["type"] for message in side.told[-2:]] == ["FilesReceived", "FilesSynced"]


# ── copies ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_next_runner_finds_what_the_last_one_left(open_side: Callable[..., Side], tmp_path: Path) -> None:
    first = open_side()
    first.bring(file("a", "1"), texts=("1",))
    first.close()
    again = Side(tmp_path / "cache")
    try:
        assert again.list(file("a", "1"))["type"] == "FilesSynced"
    finally:
        again.close()


def test_two_runners_have_two_copies_and_content_travels_once(open_side: Callable[..., Side]) -> None:
    first = open_side()
    first.bring(file("a", "1"), texts=("1",))
    second = open_side()
    assert second.root != first.root
    assert second.list(file("a", "1"))["type"] == "FilesSynced"
    second.bring(file("a", "2"), texts=("2",))
    assert (first.tree(), second.tree()) == ({"a": "1"}, {"a": "2"})


def test_workspaces_do_not_meet(open_side: Callable[..., Side]) -> None:
    first, second = open_side(), open_side(name="n2/project")
    first.bring(file("a", "1"), texts=("1",))
    assert second.list(file("a", "1"))["type"] == "FilesWanted"


def test_too_many_copies_are_refused(open_side: Callable[..., Side], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_module, "_MOST_COPIES", 2)
    open_side(), open_side()
    with pytest.raises(MirrorError, match=r"all 2 copies of the workspace in .* are in use"):
        open_side()


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(MirrorError, match=r"cannot be used for the workspace's files: .*File exists"):
        Mirror(str(tmp_path / "cache"), "n1/project")


def test_a_cache_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    """Code is started from there: it must be nobody else's."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    with pytest.raises(MirrorError, match="everybody may write to"):
        Mirror(str(tmp_path / "cache"), "n1/project")


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user")
def test_a_cache_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    os.chown(tmp_path / "cache", 65534, 65534)
    with pytest.raises(MirrorError, match="belongs to another user"):
        Mirror(str(tmp_path / "cache"), "n1/project")


def test_many_digests_are_asked_for_in_pages(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_module, "_PAGE", 2)
    side.list(*(file(name, name) for name in "abcde"))
    assert [len(message["digests"]) for message in side.told] == [2, 2, 1]
    side.write(*"abcde")
    assert side.tree() == {name: name for name in "abcde"}


def test_copies_that_nobody_used_for_long_go(open_side: Callable[..., Side], monkeypatch: pytest.MonkeyPatch) -> None:
    old, used = open_side(name="old/project"), open_side(name="used/project")
    old.close()
    for side in (old, used):
        os.utime(Path(side.mirror.folder, "lock"), (1, 1))
    open_side(name="new/project")
    assert not Path(old.mirror.folder).exists()
    assert Path(used.mirror.folder).exists()


@pytest.mark.parametrize("text", ["", "{", "[]\n", '{"entries": [[1]]}\n', "\xff"])
def test_an_index_that_cannot_be_read_means_that_nothing_is_known(
    open_side: Callable[..., Side], tmp_path: Path, text: str
) -> None:
    first = open_side()
    first.bring(file("a", "1"), file("b", "2"), texts=("1", "2"))
    first.close()
    Path(first.mirror.folder, "index").write_text(text, "latin-1")
    again = Side(tmp_path / "cache")
    try:
        again.bring(file("a", "1"), texts=("1",))
        assert again.tree()["a"] == "1"
    finally:
        again.close()


# ── what is outside of the copy ──────────────────────────────────────────────────────────────────────────────────────


def looked_at(file: Path) -> tuple[str, int, int, int]:
    if not file.exists():
        return str(file), -1, -1, -1
    found = file.stat()
    return str(file), found.st_mtime_ns, found.st_size, found.st_mode & 0o7777


def told(side: Side, checkpoint: str, *files: Path, directories: tuple[Path, ...] = ()) -> dict[str, Any]:
    return {
        "type": "Dependencies", "checkpoint": checkpoint, "collection": 4,
        "files": [looked_at(file) for file in files],
        "directories": [(str(d), d.stat().st_mtime_ns, sorted(os.listdir(d)), False) for d in directories],
    }  # fmt: skip


def test_changes_outside_are_told_with_the_checkpoint_that_they_concern(side: Side, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    module, missing = site / "m.py", site / "later.pth"
    module.write_text("1")
    os.utime(module, (1, 1))
    side.bring(file("a.py", "1"), texts=("1",))
    rest = side.outside.keep(told(side, "collected", module, side.root / "a.py"))
    assert [found[0] for found in rest["files"]] == [str(side.root / "a.py")]
    side.outside.keep(told(side, "started", missing))
    side.outside.keep(told(side, "configured", directories=(site,)))
    assert side.list(whole=False)["outdated"] == []
    module.chmod(0)
    assert side.list(whole=False)["outdated"] == [["collected", 4, str(module)]]
    module.chmod(0o644)
    module.write_text("2")
    assert side.list(whole=False)["outdated"] == [["collected", 4, str(module)]]
    missing.write_text("x")
    found = side.list(whole=False)["outdated"]
    assert sorted(found) == [
        ["collected", 4, str(module)], ["configured", 0, str(site)], ["started", 0, str(missing)]
    ]  # fmt: skip
    side.outside.drop({"collection": 4})
    assert len(side.list(whole=False)["outdated"]) == 2
    side.outside.drop({"collection": 0, "configured": True})
    assert side.list(whole=False)["outdated"] == [["started", 0, str(missing)]]
    side.outside.drop({"collection": 0, "configured": True, "started": True})
    assert side.list(whole=False)["outdated"] == []
