"""What differs between a git revision and the workspace as it is. Runs in the agent, in a thread; starts git."""

# Paths as text, not objects: as in the record

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from testd_daemon.errors import UsageError

__all__ = ["Difference", "differences"]

#: Seconds for a question to git: what a cold disk needs for a large repository.
DEADLINE: Final = 120.0


class Difference(NamedTuple):
    """A file that is not as it was."""

    path: str  # absolute
    before: bytes | None  # its content in the revision, None where it was not there
    gone: bool  # it is not there now


def differences(workspace: str, revision: str) -> list[Difference]:
    """Return the files of a workspace that differ from a revision, those included that git does not know yet.

    Raises UsageError where there is no git, no repository or no such revision.
    """
    if _git(workspace, "rev-parse", "--is-inside-work-tree").returncode:
        raise UsageError(f"--since needs a git repository, and {workspace} is in none", hint="leave out --since")
    found = _git(workspace, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    commit = found.stdout.decode().strip()
    if found.returncode or not commit:
        raise UsageError(
            f"--since: git knows no revision {revision!r}", hint="name a commit, branch or tag: git log --oneline"
        )
    told = _answer(workspace, "diff", "--name-status", "-z", "--no-renames", "--relative", commit, "--", ".")
    words = told.split("\0")
    status = {path: word for word, path in zip(words[::2], words[1::2], strict=False)}
    new = _answer(workspace, "ls-files", "-z", "--others", "--exclude-standard").split("\0")
    status.update((path, "A") for path in new if path and path not in status)
    before = dict(_contents(workspace, commit, [path for path, word in status.items() if word != "A"]))
    return [
        Difference(f"{workspace}/{path}", before.get(path), not os.path.lexists(f"{workspace}/{path}"))
        for path in sorted(status)
    ]


def _contents(workspace: str, commit: str, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Yield what these files were; one whose name git cannot be asked for was something else."""
    asked = [path for path in paths if "\n" not in path]
    yield from ((path, b"") for path in paths if "\n" in path)
    order = "".join(f"{commit}:./{path}\n" for path in asked).encode("utf-8", "surrogateescape")
    data, start = _git(workspace, "cat-file", "--batch", given=order).stdout, 0
    for path in asked:
        end = data.index(b"\n", start)
        header = data[start:end].split()
        start = end + 1
        if len(header) == 3 and header[2].isdigit():  # else: missing, or of a submodule
            size = int(header[2])
            yield path, data[start : start + size]
            start += size + 1


def _answer(workspace: str, *arguments: str) -> str:
    done = _git(workspace, *arguments)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise UsageError(f"--since: git {arguments[0]} failed", hint="see what git says", detail=said)
    return done.stdout.decode("utf-8", "surrogateescape")


def _git(workspace: str, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.run(
            ["git", *arguments], cwd=workspace, env={**environment, "GIT_OPTIONAL_LOCKS": "0"}, input=given,
            capture_output=True, timeout=DEADLINE, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise UsageError("--since needs git, which is not on the daemon's PATH", hint="install it") from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"--since: git {arguments[0]} gave no answer for {DEADLINE:g} s", hint="try it") from None
