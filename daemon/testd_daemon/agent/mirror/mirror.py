"""One runner's copy of the workspace: brought up to date before a run looks at what is still fresh. Runs in the agent.

What has changed since the last time goes at once, content included; the whole list goes when the runner is new, and
only the content that its machine does not have. While a run uses the runner its files stay as they are.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Final, Protocol

import anyio
import anyio.to_thread
import msgspec

from testd_daemon.agent.freshness import Checkpoint
from testd_daemon.agent.mirror.code import CodeFolder
from testd_daemon.agent.mirror.contents import ChangedMeanwhileError, pieces
from testd_daemon.agent.mirror.record import MirroredRecord
from testd_daemon.agent.mirror.scan import Scanner, Snapshot
from testd_daemon.agent.mirror.travel import Tell, Travel, tell_nobody
from testd_daemon.errors import DeadlineExpired, FaultError, TestdError
from testd_protocol.framing import Unknown
from testd_protocol.messages import (
    Code,
    ConfigureRunner,
    Content,
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
    RunnerMessage,
    StartWorker,
    SyncFiles,
    Use,
    Used,
    WriteFiles,
)

__all__ = ["Mirror", "Said", "mirror_name"]

#: Seconds without any sign that a sync goes on. That the connection hangs is noticed earlier, by its own heartbeat.
SYNC_DEADLINE: Final = 120.0
#: How often a sync begins anew because files changed under it.
MOST_TRIES: Final = 5
#: Entries of a page.
PAGE: Final = 5000
#: Bytes of changed files that are sent along without asking whether they are needed.
UNASKED: Final = 4 * 1024 * 1024

Said = FilesWanted | FilesReceived | FilesSynced | Fault


class Channel(Protocol):
    """What a mirror needs of its runner."""

    def send(self, *messages: Message) -> None:
        """Put messages in the queue."""

    async def flushed(self) -> None:
        """Wait until all that was sent is on its way. Raises LinkClosed or ProcessCrashed."""


class Mirror:
    """The copy that one runner has."""

    def __init__(
        self, scanner: Scanner, workspace: str, target: str, *, cache: str, silence: float, code: str = ""
    ) -> None:
        """Know nothing of what is there.

        `cache` is the target's folder, `silence` in seconds, `code` a folder here that goes along.
        """
        self.notices: list[str] = []  # what should be on the target and is not
        self.root = ""  # on the target
        self._scanner = scanner
        self._workspace = workspace
        self._name = mirror_name(workspace, target)
        self._cache = cache
        self._silence = silence
        self._code = CodeFolder(code)
        self._sent: dict[str, FileEntry] | None = None  # what is there, as far as is known
        self._heard: list[Said | TestdError] = []
        self._arrived = anyio.Event()
        self._id = -1
        self._travel = Travel(tell_nobody)

    # ── between the two sides ────────────────────────────────────────────────────────────────────────────────────────

    def opening(self, message: ConfigureRunner) -> ConfigureRunner:
        """Return what a runner with a mirror is told first."""
        settings = {**message.settings, "cache": self._cache} if self._cache else message.settings
        return msgspec.structs.replace(
            message, root="", cwd="", mirror=self._name, silence=self._silence, extend=True, settings=settings
        )

    def outward(self, message: Message) -> Message:
        """Return a message with the target's paths in place of ours."""
        if isinstance(message, StartWorker) and message.paths:
            return msgspec.structs.replace(message, paths=[self.there(path) for path in message.paths])
        return message

    def inward(self, message: RunnerMessage | Unknown) -> RunnerMessage | Unknown:
        """Return a message with our paths in place of the target's, inside of the workspace."""
        if isinstance(message, Modules):
            files = {module: self.here(path) for module, path in message.files.items()}
            return msgspec.structs.replace(message, files=files)
        if isinstance(message, Dependencies):
            return msgspec.structs.replace(
                message,
                files=[msgspec.structs.replace(file, path=self.here(file.path)) for file in message.files],
                directories=[
                    Directory(self.here(found.path), found.mtime_ns, found.names, found.everything)
                    for found in message.directories
                ],
            )
        if isinstance(message, Used):
            return self._used(message)
        return message

    def _used(self, message: Used) -> Used:
        def here(paths: list[str]) -> list[str]:
            return [self.here(path) for path in paths]

        return msgspec.structs.replace(
            message,
            codes=[Code(code.number, self.here(code.path), code.name, code.line) for code in message.codes],
            uses=[Use(u.test, u.codes, here(u.files), here(u.folders), u.everything) for u in message.uses],
            written=here(message.written),
        )

    def there(self, path: str) -> str:
        """Return where a path of the workspace is on the target; any other stays as it is."""
        return _moved(path, self._workspace, self.root)

    def here(self, path: str) -> str:
        """Return where a path of the target's copy is in the workspace; any other stays as it is."""
        return _moved(path, self.root, self._workspace)

    def record(self) -> MirroredRecord:
        """Return an empty record of what a checkpoint depends on."""
        return MirroredRecord(self._workspace)

    # ── bringing it up to date ───────────────────────────────────────────────────────────────────────────────────────

    def heard(self, message: Said | TestdError) -> None:
        """Take what the runner says, or why it says nothing more."""
        if isinstance(message, TestdError) or message.id == self._id:
            if isinstance(message, FilesReceived):  # at once: whoever sends does not listen meanwhile
                self._travel.received(message.files, message.size)
            self._heard.append(message)
            self._arrived.set()

    async def same(self) -> bool:
        """Tell whether the copy has all that is in the workspace now."""
        snapshot = await self._look()
        self.notices = snapshot.notices
        return self._sent is not None and not any(self._differing(snapshot))

    async def update(
        self,
        channel: Channel,
        numbers: count[int],
        records: Mapping[tuple[Checkpoint, int], MirroredRecord],
        tell: Tell = tell_nobody,
    ) -> None:
        """Bring the copy up to date, and tell the records what has changed. No run may be using the runner.

        `tell` is told how far it is where it takes longer than a moment.

        Raises FaultError for what the target says, DeadlineExpired, and whatever ends the connection.
        """
        for _ in range(MOST_TRIES):
            self._id = next(numbers)
            self._heard.clear()
            self._travel = Travel(tell)
            if self._sent is None:
                self._travel.looking()
            channel.send(SyncFiles(id=self._id, entries=[]))  # the target looks at its side while we look at ours
            snapshot = await self._look()
            changed, removed = self._differing(snapshot)
            before, self._sent = self._sent, None  # unless it comes to its end, nothing is known of what is there
            try:
                synced = await self._sync(channel, snapshot, changed, removed, whole=before is None)
            except ChangedMeanwhileError:
                self._sent = before  # the target has touched nothing yet, and begins anew with the next number
                continue
            finally:
                self._id = -1
            self._sent, self.notices = snapshot.entries, snapshot.notices
            _tell(records, before or {}, snapshot.entries, (*synced.changed, *changed, *removed), synced.outdated)
            return
        raise FaultError(
            "files", f"files changed {MOST_TRIES} times while they were sent to the target",
            hint="leave what writes to the workspace all the time out with .testdignore", exit_code=4,
        )  # fmt: skip

    async def _look(self) -> Snapshot:
        """Return what is to be on the target."""
        snapshot = await self._scanner.scan()
        snapshot.entries.update(await self._code.entries())
        return snapshot

    def _differing(self, snapshot: Snapshot) -> tuple[list[str], list[str]]:
        """Return what is to be sent, and what is to go. Entries that are equal are the same objects."""
        sent, entries = self._sent or {}, snapshot.entries
        changed = [path for path, entry in entries.items() if sent.get(path) is not entry]
        return changed, [path for path in sent if path not in entries]

    async def _sync(
        self, channel: Channel, snapshot: Snapshot, changed: list[str], removed: list[str], *, whole: bool
    ) -> FilesSynced:
        entries = snapshot.entries
        if not whole:
            small = [entries[path] for path in changed if entries[path].kind == "file"]
            if sum(entry.size for entry in small) <= UNASKED:
                unique = {entry.content: entry for entry in small}
                self._travel.add(unique.values())
                await self._write(channel, {digest: entry.path for digest, entry in unique.items()})
        for page in self._pages(changed, removed, entries, whole=whole):
            channel.send(page)
        while True:
            message = await self._next()
            match message:
                case FilesSynced():
                    return message
                case Fault():
                    raise FaultError(
                        message.code, message.message, hint=message.hint, detail=message.detail,
                        exit_code=message.exit_code,
                    )  # fmt: skip
                case FilesWanted():
                    places = {entry.content: entry for entry in entries.values() if entry.kind == "file"}
                    self._travel.add(places[digest] for digest in message.digests)
                    await self._write(channel, {digest: places[digest].path for digest in message.digests})
                case FilesReceived():
                    pass  # it goes on, and has been told

    def _pages(
        self, changed: list[str], removed: list[str], entries: Mapping[str, FileEntry], *, whole: bool
    ) -> Iterator[SyncFiles]:
        for start in range(0, max(1, len(changed)), PAGE):
            done = start + PAGE >= len(changed)
            yield SyncFiles(
                id=self._id, entries=[entries[path] for path in changed[start : start + PAGE]],
                removed=removed if done else [], whole=whole, done=done,
            )  # fmt: skip

    async def _write(self, channel: Channel, files: Mapping[str, str]) -> None:
        """Send content, reading one batch while the one before is on its way. Raises ChangedMeanwhileError."""
        batches = pieces((digest, self._code.here(path, self._workspace)) for digest, path in files.items())
        while batch := await anyio.to_thread.run_sync(_following, batches):
            await channel.flushed()
            channel.send(WriteFiles(id=self._id, contents=batch))

    async def _next(self) -> Said:
        """Return what the runner says next."""
        try:
            with anyio.fail_after(SYNC_DEADLINE):
                while not self._heard:
                    self._arrived = anyio.Event()
                    await self._arrived.wait()
        except TimeoutError:
            raise DeadlineExpired("bringing the workspace's files to the target", SYNC_DEADLINE) from None
        message = self._heard.pop(0)
        if isinstance(message, TestdError):
            raise message
        return message


def mirror_name(workspace: str, target: str) -> str:
    """Return what the copies of a workspace for a target are called there: one for each machine, user and place."""
    try:
        with open("/etc/machine-id", encoding="ascii") as file:
            machine = file.read().strip()
    except (OSError, UnicodeDecodeError):
        machine = ""
    told = "\0".join((machine, socket.gethostname(), str(os.getuid()), workspace, target))
    name = os.path.basename(workspace) or "root"
    return f"{hashlib.sha256(told.encode('utf-8', 'surrogateescape')).hexdigest()[:24]}/{name}"


def _following(batches: Iterator[list[Content]]) -> list[Content]:
    return next(batches, [])


def _moved(path: str, root: str, other: str) -> str:
    return other + path[len(root) :] if path == root or path.startswith(root + os.sep) else path


def _tell(
    records: Mapping[tuple[Checkpoint, int], MirroredRecord],
    before: Mapping[str, FileEntry],
    now: Mapping[str, FileEntry],
    changed: Iterable[str],
    outdated: Iterable[Outdated],
) -> None:
    """Tell each record what concerns it."""
    paths = set(changed)
    reshaped = {path: (now.get(path) or before[path]).kind == "folder" for path in before.keys() ^ now.keys()}
    for path in paths & before.keys() & now.keys():
        if "folder" in (before[path].kind, now[path].kind) and before[path].kind != now[path].kind:
            reshaped[path] = True
    for record in records.values():
        record.note(paths, reshaped)
    for found in outdated:
        concerned = records.get((Checkpoint[found.checkpoint.upper()], found.collection))
        if concerned is not None:
            concerned.outdate(found.path)
