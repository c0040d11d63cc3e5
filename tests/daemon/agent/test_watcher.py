"""What the watcher says has changed: by content, a burst at once, whatever way it was written."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import pytest

from testd_daemon.agent.watch import watcher as module
from testd_daemon.agent.watch.watcher import Watcher
from testd_daemon.errors import EnvironmentFault

pytestmark = pytest.mark.anyio
PATIENCE = 30.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["told", "polled"])
async def watched(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Watcher]:
    """A watcher of `work`, once with the kernel's help and once without."""
    root = tmp_path / "work"
    (root / "src" / "deep").mkdir(parents=True)
    for name in "src/a.py", "src/deep/b.py", "notes.txt":
        (root / name).write_text(name)
    (root / ".gitignore").write_text("*.log\nbuild/\n")
    if request.param == "polled":
        monkeypatch.setattr(module, "_shared_file_system", lambda root: "nfs4")
        monkeypatch.setattr(module, "POLL", 0.02)
    elif sys.platform != "linux":
        pytest.skip("the kernel tells of changes on Linux only")
    monkeypatch.setattr(module, "PRESENCE", 0.02)
    async with Watcher(str(root)) as found:
        assert [("nfs4" in text) for text in found.notices] == [True] * (request.param == "polled")
        yield found


async def changes(watcher: Watcher) -> list[str]:
    with anyio.fail_after(PATIENCE):
        return await watcher.changes()


async def test_a_file_that_is_written_made_removed_moved(watched: Watcher, tmp_path: Path) -> None:
    root = tmp_path / "work"
    (root / "src" / "a.py").write_text("new")
    assert await changes(watched) == ["src/a.py"]
    (root / "src" / "c.py").write_text("")
    assert await changes(watched) == ["src/c.py"]
    (root / "src" / "c.py").rename(root / "src" / "d.py")
    assert await changes(watched) == ["src/c.py", "src/d.py"]
    (root / "src" / "d.py").unlink()
    assert await changes(watched) == ["src/d.py"]
    (root / "src" / "a.py").chmod(0o755)
    assert await changes(watched) == ["src/a.py"]


async def test_what_holds_the_same_has_not_changed(watched: Watcher, tmp_path: Path) -> None:
    root = tmp_path / "work"
    (root / "src" / "a.py").write_text("src/a.py")
    os.utime(root / "notes.txt")
    (root / "src" / "deep" / "b.py").write_text("this one has")
    assert await changes(watched) == ["src/deep/b.py"]


async def test_a_change_that_keeps_time_and_size(watched: Watcher, tmp_path: Path) -> None:
    """Two writes within one tick of the clock, of the same length: the inode's change time tells, or the kernel."""
    file = tmp_path / "work" / "src" / "a.py"
    before = file.stat()
    file.write_text("src/z.py")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert await changes(watched) == ["src/a.py"]


async def test_an_editor_that_writes_through_a_temporary_file(watched: Watcher, tmp_path: Path) -> None:
    root = tmp_path / "work"
    for scratch in ".a.py.swp", "4913", "a.py~", "a.py___jb_tmp___":
        (root / "src" / scratch).write_text("x")
    (root / "src" / ".a.py.new").write_text("saved")
    (root / "src" / ".a.py.new").replace(root / "src" / "a.py")
    assert await changes(watched) == ["src/a.py"]


async def test_what_is_ignored_is_not_watched_until_it_no_longer_is(watched: Watcher, tmp_path: Path) -> None:
    root = tmp_path / "work"
    (root / "build").mkdir()
    (root / "build" / "x.py").write_text("x")
    (root / "src" / "run.log").write_text("x")
    (root / "src" / "__pycache__").mkdir()
    (root / "src" / "__pycache__" / "a.cpython-311.pyc").write_text("x")
    (root / "notes.txt").write_text("told")
    assert await changes(watched) == ["notes.txt"]
    (root / ".gitignore").write_text("*.log\n")
    assert await changes(watched) == [".gitignore", "build/x.py"]
    (root / "build" / "x.py").write_text("y")
    assert await changes(watched) == ["build/x.py"]


async def test_a_tree_that_comes_and_goes_as_a_whole(watched: Watcher, tmp_path: Path) -> None:
    root = tmp_path / "work"
    (tmp_path / "elsewhere" / "p" / "q").mkdir(parents=True)
    for name in "p/1.py", "p/q/2.py":
        (tmp_path / "elsewhere" / name).write_text(name)
    (tmp_path / "elsewhere").rename(root / "new")
    assert await changes(watched) == ["new/p/1.py", "new/p/q/2.py"]
    (root / "new" / "p" / "q" / "2.py").write_text("in a folder that came later")
    assert await changes(watched) == ["new/p/q/2.py"]
    (root / "new").rename(root / "src" / "new")
    assert await changes(watched) == ["new/p/1.py", "new/p/q/2.py", "src/new/p/1.py", "src/new/p/q/2.py"]
    (root / "src" / "new" / "p" / "q" / "2.py").write_text("in a folder that has moved")
    assert await changes(watched) == ["src/new/p/q/2.py"]
    shutil.rmtree(root / "src" / "new")
    found: list[str] = []
    while len(found) < 2:
        found += await changes(watched)
    assert sorted(found) == ["src/new/p/1.py", "src/new/p/q/2.py"]


async def test_five_hundred_changes_are_all_told(watched: Watcher, tmp_path: Path) -> None:
    root = tmp_path / "work"
    names = [f"src/n{number // 50}/m{number}.py" for number in range(500)]
    for name in names:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(name)
    found: set[str] = set()
    while len(found) < 500:
        found.update(await changes(watched))
    assert found == set(names)


async def test_a_workspace_that_is_removed_or_moved_ends_it(watched: Watcher, tmp_path: Path) -> None:
    (tmp_path / "work").rename(tmp_path / "moved")
    with pytest.raises(EnvironmentFault, match="is gone"):
        await changes(watched)


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
async def test_a_workspace_that_a_process_works_in_is_removed(watched: Watcher, tmp_path: Path) -> None:
    """The kernel tells that a folder is gone once nobody has it as its working directory, and runners have."""
    root = tmp_path / "work"
    shutil.rmtree(root / "src")
    for name in ".gitignore", "notes.txt":
        (root / name).unlink()
    await changes(watched)
    inside = os.open(root, os.O_RDONLY)
    root.rmdir()
    with pytest.raises(EnvironmentFault, match="is gone"):
        await changes(watched)
    os.close(inside)


async def test_a_folder_above_the_workspace_is_moved(watched: Watcher, tmp_path: Path) -> None:
    os.rename(tmp_path, f"{tmp_path}-elsewhere")
    with pytest.raises(EnvironmentFault, match="is gone"):
        await changes(watched)


async def test_another_folder_in_the_place_of_the_workspace(watched: Watcher, tmp_path: Path) -> None:
    root = tmp_path / "work"
    shutil.copytree(root, tmp_path / "other")
    (tmp_path / "other" / "notes.txt").write_text("other notes")
    root.rename(tmp_path / "before")
    (tmp_path / "other").rename(root)
    found = await changes(watched)
    assert found == ["notes.txt"]
    (root / "src" / "deep" / "b.py").write_text("and more")
    assert await changes(watched) == ["src/deep/b.py"]


async def test_too_many_folders_for_the_kernel_are_polled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from testd_daemon.agent.watch import inotify

    (tmp_path / "work" / "src").mkdir(parents=True)
    real: Callable[..., int] = inotify.INotify.add_watch

    def full(self: object, path: str, mask: int) -> int:
        if path.endswith("src"):
            raise OSError(28, "No space left on device")
        return real(self, path, mask)

    monkeypatch.setattr(inotify.INotify, "add_watch", full)
    monkeypatch.setattr(module, "POLL", 0.02)
    async with Watcher(str(tmp_path / "work")) as found:
        (text,) = found.notices
        assert "more than this user may watch" in text
        assert "fs.inotify.max_user_watches" in text
        (tmp_path / "work" / "src" / "a.py").write_text("polled")
        assert await changes(found) == ["src/a.py"]


async def test_what_is_installed_elsewhere_is_told_by_the_names_that_come(watched: Watcher, tmp_path: Path) -> None:
    packages = tmp_path / "site-packages"
    (packages / "six").mkdir(parents=True)
    watched.follow([str(packages), str(packages)])
    (packages / "__pycache__").mkdir()
    (packages / "attrs-1.0.dist-info").mkdir()
    assert await changes(watched) == [str(packages)]
    (packages / "attrs-1.0.dist-info" / "METADATA").write_text("inside, and no name of the folder itself")
    (packages / "attrs-1.0.dist-info").rename(packages / "attrs-1.1.dist-info")
    assert await changes(watched) == [str(packages)]
