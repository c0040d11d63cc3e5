"""How `testd list` is written: the lines of its two formats. Pure; runs in the agent.

Each method returns a page: the stream that it belongs on, and whole lines.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final, Literal, Protocol

import msgspec

from testd_daemon.agent.collection import Collection
from testd_daemon.agent.jobs import file_of
from testd_daemon.errors import TestdError
from testd_protocol.messages import CollectError, Stream

__all__ = ["JsonLines", "Lines", "Page", "TextLines"]

Page = tuple[Stream, str]
#: Tests in one page: a client prints the first while the next is made.
PAGE: Final = 4000
_encoder = msgspec.json.Encoder()


class Lines(Protocol):
    """One format."""

    several: bool  # more than one target is listed

    def tests(self, found: Collection, chosen: Sequence[int], target: str) -> Iterator[Page]:
        """Yield the tests with these indexes."""
        ...

    def error(self, error: CollectError, target: str) -> Page:
        """Return a file that could not be collected."""
        ...

    def unusable(self, target: str, error: TestdError) -> Page:
        """Return why nothing comes from a target; an empty name: from none."""
        ...

    def notice(self, text: str) -> Page:
        """Return what the user should know."""
        ...

    def end(self, exit_code: int, tests: int, errors: int, deselected: int | None) -> Page:
        """Return the last line."""
        ...


class TextLines:
    """Node ids on standard output, a line each; what else there is to say on standard error."""

    def __init__(self) -> None:
        """Begin with one target."""
        self.several = False

    def tests(self, found: Collection, chosen: Sequence[int], target: str) -> Iterator[Page]:
        """Yield node ids; where there are several targets, with the name of theirs."""
        end = f"  [{target}]\n" if self.several else "\n"
        ids = found.ids
        for part in _parts(chosen):
            yield "stdout", "".join([ids[index].replace("\n", "\\n") + end for index in part])

    def error(self, error: CollectError, target: str) -> Page:
        """Return the file, the message and the traceback."""
        where = f" [{target}]" if self.several else ""
        if error.verdict == "skipped":
            return "stderr", f"SKIPPED {error.id}{where}: {error.detail.message}\n"
        text = "".join(f"    {line}\n" for line in error.detail.text.splitlines())
        return "stderr", f"ERROR {error.id}{where}: {error.detail.message}\n{text}"

    def unusable(self, target: str, error: TestdError) -> Page:
        """Return the message, the hint and more."""
        lines = [f"testd: {target}: {error.message}" if target else f"testd: {error.message}", error.hint]
        lines += [f"    {line}" for line in error.detail.splitlines()]
        return "stderr", "".join(f"{line}\n" for line in lines if line)

    def notice(self, text: str) -> Page:
        """Return the text."""
        return "stderr", f"{text}\n"

    def end(self, exit_code: int, tests: int, errors: int, deselected: int | None) -> Page:
        """Return how many there are, unless it was said why there are none."""
        if not tests and exit_code in (3, 4):
            return "stderr", ""
        parts = [f"{tests} test{'s' * (tests != 1)}"]
        parts += [f"{errors} file{'s' * (errors != 1)} could not be collected"] if errors else []
        parts += [f"{deselected} deselected"] if deselected else []
        return "stderr", ", ".join(parts) + "\n"


class _Test(msgspec.Struct):
    event: Literal["test"]
    test: str
    file: str
    line: int
    target: str


class JsonLines:
    """Everything on standard output, an object a line (docs/json-events.md)."""

    def __init__(self, workspace: str) -> None:
        """Tell files relative to the workspace."""
        self.several = False
        self._workspace = workspace

    def tests(self, found: Collection, chosen: Sequence[int], target: str) -> Iterator[Page]:
        """Yield a `test` for each."""
        ids, lines = found.ids, found.lines
        files: dict[str, str] = {}
        for part in _parts(chosen):
            tests = []
            for index in part:
                name = file_of(ids[index])
                file = files.get(name)
                if file is None:
                    file = files[name] = os.path.relpath(found.path_of(name), self._workspace)
                tests.append(_Test("test", ids[index], file, lines[index], target))
            text = _encoder.encode_lines(tests)
            if not text.isascii():
                text = b"".join(_ascii(msgspec.to_builtins(test)) for test in tests)
            yield "stdout", text.decode("ascii")

    def error(self, error: CollectError, target: str) -> Page:
        """Return an `error`."""
        detail = error.detail
        return self._line(
            event="error", file=error.id, target=target, verdict=error.verdict, message=detail.message, text=detail.text
        )

    def unusable(self, target: str, error: TestdError) -> Page:
        """Return `unavailable`, with the keys that it has in a run."""
        return self._line(
            event="unavailable", target=target, message=error.message, hint=error.hint, detail=error.detail
        )

    def notice(self, text: str) -> Page:
        """Return a `notice`."""
        return self._line(event="notice", level="info", text=text)

    def end(self, exit_code: int, tests: int, errors: int, deselected: int | None) -> Page:
        """Return `completed`."""
        return self._line(
            event="completed", exit_code=exit_code, tests=tests, errors=errors, deselected=deselected,
            workspace=self._workspace,
        )  # fmt: skip

    def _line(self, **values: Any) -> Page:
        return "stdout", _ascii(values).decode("ascii")


def _ascii(values: dict[str, Any]) -> bytes:
    """Return a line that no terminal or encoding changes."""
    return json.dumps(values, separators=(",", ":")).encode("ascii") + b"\n"


def _parts(chosen: Sequence[int]) -> Iterator[list[int]]:
    left = iter(chosen)
    while part := list(islice(left, PAGE)):
        yield part
