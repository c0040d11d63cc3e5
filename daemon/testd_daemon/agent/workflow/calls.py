"""What functions ask for while they run: their files, secrets, their log. Runs in the agent.

A function asks for one thing at a time, and waits for the answer. While it waits somebody else may run.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Final

from anyio.abc import TaskGroup

from testd_daemon.agent.workflow.files import Files
from testd_daemon.agent.workflow.function import Function
from testd_daemon.agent.workflow.turns import Turns
from testd_daemon.errors import TestdError
from testd_daemon.workflows import layout
from testd_protocol.messages import ApiAnswered, CallApi

__all__ = ["Calls"]

#: Bytes of an object in one answer: a worker's socket holds as much, so that nobody waits for it to read.
PIECE: Final = 64 * 1024
Answer = Callable[[ApiAnswered], None]


class Calls:
    """Serves the functions of one run."""

    def __init__(
        self, tasks: TaskGroup, files: Files, secrets: Mapping[str, str], spool: Path, turns: Turns,
        say: Callable[[Function, str], None],
    ) -> None:  # fmt: skip
        """Serve from these files and secrets.

        `spool` is a folder for contents on their way, `say` shows a line of a log.
        """
        self._tasks = tasks
        self._files = files
        self._secrets = secrets
        self._spool = spool
        self._turns = turns
        self._say = say
        self._coming: dict[int, IO[bytes]] = {}  # by worker: what is being put
        self._going: dict[int, IO[bytes]] = {}  # by worker: what is being got

    def serve(self, function: Function, message: CallApi, answer: Answer) -> None:
        """Take a message of a function's worker; `answer` is called once, but for what nobody waits for."""
        match message.procedure:
            case "log":
                if function.log.write(message.text):
                    self._say(function, message.text)
            case "note":
                function.log.say(message.level, "executor.py", message.text)
            case "put" if not message.done:
                self._take(message)
            case "more":
                answer(self._piece(message))
            case _:
                self._tasks.start_soon(self._serve, function, message, answer)

    def forget(self, worker: int) -> None:
        """Let go of what a worker that has ended was about to put or get."""
        for files in (self._coming, self._going):
            file = files.pop(worker, None)
            if file is not None:
                file.close()

    async def _serve(self, function: Function, message: CallApi, answer: Answer) -> None:
        began = time.monotonic()
        with self._turns.aside():
            try:
                answered = await self._carry_out(function, message)
            except TestdError as error:
                answered = ApiAnswered(id=message.id, worker=message.worker, error=str(error).partition("\n")[0])
            except OSError as error:
                answered = ApiAnswered(id=message.id, worker=message.worker, error=str(error))
        function.calls += 1
        function.waited += time.monotonic() - began
        answer(answered)

    async def _carry_out(self, function: Function, message: CallApi) -> ApiAnswered:
        key = layout.object_key(message.folder, message.name)
        answered = ApiAnswered(id=message.id, worker=message.worker)
        match message.procedure:
            case "put":
                await self._put(function, message, key)
            case "get":
                return await self._get(function, message, key)
            case "delete":
                await self._files.delete(function.name, message.store, key)
            case "list":
                keys = await self._files.listing(message.store, message.name)
                return ApiAnswered(id=message.id, worker=message.worker, keys=keys)
            case "secret":
                return self._secret(message)
            case "credentials":
                values = self._files.credentials(message.store)
                return ApiAnswered(id=message.id, worker=message.worker, values=values)
        return answered

    # ── objects ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _take(self, message: CallApi) -> None:
        if message.worker not in self._coming:
            self._coming[message.worker] = tempfile.NamedTemporaryFile(dir=self._spool)  # noqa: SIM115
        self._coming[message.worker].write(message.data)

    async def _put(self, function: Function, message: CallApi, key: str) -> None:
        file = self._coming.pop(message.worker, None)
        if file is None:
            size, content = len(message.data), message.data
            await self._files.put(function.name, message.store, key, content, size)
        else:
            with file:
                file.write(message.data)
                file.flush()
                size = file.tell()
                await self._files.put(function.name, message.store, key, Path(file.name), size)
        function.bytes_out += size

    async def _get(self, function: Function, message: CallApi, key: str) -> ApiAnswered:
        descriptor, name = tempfile.mkstemp(dir=self._spool)
        file = os.fdopen(descriptor, "rb")
        try:
            function.bytes_in += await self._files.fetch(message.store, key, Path(name))
        except BaseException:
            file.close()
            raise
        finally:
            os.unlink(name)
        self._going[message.worker] = file
        return self._piece(message)

    def _piece(self, message: CallApi) -> ApiAnswered:
        """Return the next piece of what a worker gets."""
        file = self._going.get(message.worker)
        if file is None:
            return ApiAnswered(id=message.id, worker=message.worker, error="nothing is being got")
        data = file.read(PIECE)
        more = len(data) == PIECE and bool(file.read(1))
        if more:
            file.seek(-1, os.SEEK_CUR)
        else:
            del self._going[message.worker]
            file.close()
        return ApiAnswered(id=message.id, worker=message.worker, data=data, more=more)

    def _secret(self, message: CallApi) -> ApiAnswered:
        value = self._secrets.get(message.name)
        if value is None:
            error = f"faasr_secret: Secret '{message.name}' not found in environment variables"
            return ApiAnswered(id=message.id, worker=message.worker, error=error)
        return ApiAnswered(id=message.id, worker=message.worker, values={"value": value})
