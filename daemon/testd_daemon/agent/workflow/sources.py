"""Where the code of a workflow's functions is. Runs in the agent; reads the file system.

In this order: FunctionLocalFile; FunctionGitRepo, which means the workspace's own files where the workspace is that
repository, or has the folder that is named; else a folder `functions` beside the workflow's file, else the file's own
folder.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec

from testd_daemon.errors import EnvironmentFault, UsageError
from testd_protocol.workflows import WorkflowFile

__all__ = ["Repository", "Source", "repository", "source"]

_REMOTE: Final = re.compile(r"^\s*url\s*=\s*(?P<url>\S+)", re.MULTILINE)


class Source(msgspec.Struct, frozen=True):
    """Where a function's code is."""

    path: str  # a folder or a file, relative to the workspace
    why: str  # what says so, for people


class Repository(msgspec.Struct, frozen=True):
    """What an entry of FunctionGitRepo means."""

    name: str  # owner/repository, or the URL of one
    branch: str = ""  # empty: its default
    path: str = ""  # in the repository; empty: all of it


def repository(entry: str) -> Repository:
    """Take an entry apart: OWNER/REPO[/FOLDER], OWNER/REPO/BRANCH/FILE.py, https://HOST/OWNER/REPO[.git].

    Raises UsageError.
    """
    if "://" in entry or entry.endswith(".git"):
        return Repository(entry)
    parts = [part for part in entry.split("/") if part]
    if len(parts) < 2:
        raise UsageError(
            f"FunctionGitRepo: {entry!r} names no repository", hint="OWNER/REPO, OWNER/REPO/FOLDER, or https://…"
        )
    name = "/".join(parts[:2])
    if len(parts) > 3 and entry.endswith(".py"):
        return Repository(name, parts[2], "/".join(parts[3:]))
    return Repository(name, "", "/".join(parts[2:]))


def source(file: WorkflowFile, function: str, workspace: Path, beside: Path) -> Source | list[Repository]:
    """Return where a function's code is, or the repositories that it has to be fetched from.

    `beside` is the folder of the workflow's file. Raises UsageError, EnvironmentFault.
    """
    local = file.function_local_file.get(function)
    if local is not None:
        found = next((path for path in (beside / local, workspace / local) if path.exists()), None)
        if found is None:
            raise EnvironmentFault(
                f"FunctionLocalFile.{function}: there is no {local}, seen from {beside} and from {workspace}",
                hint="give the path of the file or folder that has the function",
            )
        return Source(_inside(found, workspace), "FunctionLocalFile")
    entries = file.function_git_repo.get(function)
    if entries is None:
        usual = beside / "functions"
        return Source(_inside(usual if usual.is_dir() else beside, workspace), "beside the workflow")
    repositories = [repository(entry) for entry in ([entries] if isinstance(entries, str) else entries)]
    for each in repositories:
        here = _here(each, workspace, beside)
        if here is not None:
            return Source(_inside(here, workspace), f"{each.name} is here")
    return repositories


def _here(wanted: Repository, workspace: Path, beside: Path) -> Path | None:
    """Return what an entry means in the workspace, if that is the repository or has the folder that is named."""
    if _is_checkout(wanted.name, workspace):
        return workspace / wanted.path if (workspace / wanted.path).exists() else None
    if not wanted.path:
        return None
    return next((folder / wanted.path for folder in (beside, workspace) if (folder / wanted.path).exists()), None)


def _is_checkout(name: str, workspace: Path) -> bool:
    try:
        config = (workspace / ".git" / "config").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    wanted = name.removesuffix(".git").rstrip("/")
    urls = (match["url"].removesuffix(".git").rstrip("/") for match in _REMOTE.finditer(config))
    return any(url == wanted or url.endswith(("/" + wanted, ":" + wanted)) for url in urls)


def _inside(path: Path, workspace: Path) -> str:
    """Return a path as seen from the workspace. Raises UsageError for one that is not in there."""
    found = path.resolve()
    if not found.is_relative_to(workspace):
        raise UsageError(f"the functions' code, {path}, is not in the workspace {workspace}", hint="put it there")
    return str(found.relative_to(workspace))
