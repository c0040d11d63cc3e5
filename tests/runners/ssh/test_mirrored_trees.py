"""Whatever happens to a workspace and to its copy, the next sync makes the copy what the workspace is."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from testd.msgpack import packb, unpackb
from testd.runner.mirror import Mirror as Copy
from testd.runner.outside import Outside
from testd.runner.sync import Sync
from testd_daemon.agent.mirror import Mirror, Scanner
from testd_protocol.framing import decode, decoder
from testd_protocol.messages import Message, RunnerMessage

_decoder = decoder(RunnerMessage)


class Both:
    """A workspace and its copy, joined by the bytes that would go over the connection."""

    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self.work.mkdir()
        self.mirror = Mirror(Scanner(str(self.work)), str(self.work), "t", cache="", silence=5)
        self.copy = Copy(str(folder / "cache"), "name/work")
        self.sync = Sync(self, self.copy, Outside(self.copy.root), lambda: False)  # type: ignore[arg-type]
        self._numbers = count(1)

    def send(self, *messages: Message) -> None:
        for message in messages:
            told = unpackb(msgspec.msgpack.encode(message))
            (self.sync.files if told["type"] == "SyncFiles" else self.sync.write)(told)

    async def flushed(self) -> None:
        pass

    def tell(self, message: dict[str, Any]) -> None:
        self.mirror.heard(decode(packb(message), _decoder))  # type: ignore[arg-type]  # what a sync says

    def fault(self, code: str, message: str, **more: Any) -> None:
        raise AssertionError(f"{code}: {message}")

    def bring(self) -> None:
        async def bring() -> None:
            await self.mirror.update(self, self._numbers, {})

        anyio.run(bring)


def tree(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            now = path.lstat()
            told = os.readlink(path) if path.is_symlink() else None if path.is_dir() else path.read_bytes()
            time_ns = now.st_mtime_ns if path.is_file() and not path.is_symlink() else 0
            found[str(path.relative_to(root))] = (now.st_mode & 0o170777, time_ns, told)
    return found


NAMES = st.sampled_from(["a", "b", "c.py", "ü"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
CHANGES = st.tuples(
    st.sampled_from(["write", "write", "remove", "folder", "link", "mode", "move", "touch"]),
    PATHS,
    st.sampled_from(["", "1", "2", "other"]),
    PATHS,
)
#: Between two syncs: what happens to the workspace, and what tests do to the copy.
ROUNDS = st.lists(st.tuples(st.lists(CHANGES, max_size=6), st.lists(CHANGES, max_size=2)), min_size=1, max_size=4)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def change(root: Path, what: str, name: str, text: str, other: str) -> None:
    """Make one change, unless what is there does not allow it."""
    path = root / name
    try:
        if what == "write":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        elif what == "remove":
            remove(path)
        elif what == "folder":
            path.mkdir(parents=True)
        elif what == "link":
            path.symlink_to(other)
        elif what == "mode":
            path.chmod(0o755 if text else 0o700 if path.is_dir() else 0o644)
        elif what == "move":
            path.rename(root / other)
        else:
            os.utime(path, (time.time() - 100 * len(text),) * 2)
    except (OSError, shutil.Error):
        pass


def played(rounds: Any, folder: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Play rounds; yield the workspace and the copy after each sync."""
    both = Both(folder)
    try:
        for here, there in rounds:
            for one in here:
                change(both.work, *one)
            both.bring()
            yield tree(both.work), tree(Path(both.copy.root))
            for one in there:
                change(Path(both.copy.root), *one)
    finally:
        both.copy.close()


@settings(max_examples=60)
@given(rounds=ROUNDS)
def test_the_copy_is_what_the_workspace_is(rounds: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made_by_tests: set[str] = set()
        for number, (work, copy) in enumerate(played(rounds, Path(folder))):
            missing = {path: (work[path], copy.get(path)) for path in work if copy.get(path) != work[path]}
            assert not missing, f"after sync {number + 1}"
            extra = {path for path in copy if path not in work}
            touched = {name for _, there in rounds[:number] for what, *names in there for name in (names[0], names[2])}
            made_by_tests = {path for path in extra if any(_concerns(path, name) for name in touched)}
            assert extra <= made_by_tests, f"after sync {number + 1}"


def _concerns(path: str, name: str) -> bool:
    return path == name or path.startswith(f"{name}/") or name.startswith(f"{path}/")
