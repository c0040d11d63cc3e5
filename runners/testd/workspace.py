"""Which folder is the workspace: the project root that a command is about.

Imported by the quick client, the agent and `doctor`; standard library only, and nothing that a bare interpreter has
not loaded already. Looks at files, never at their meaning: a TOML file is searched for a line, not parsed.
"""

# Paths as text, not objects: pathlib is an import that a quick client does not pay for

from __future__ import annotations

import os

__all__ = ["PYTEST_FILES", "UNMARKED", "existing", "find", "pytest_configuration"]

#: Files that may hold pytest's configuration, in pytest's order, with the sections that make them count.
#: An empty tuple: the file counts by being there.
PYTEST_FILES: tuple[tuple[str, tuple[bytes, ...]], ...] = (
    ("pytest.toml", ()),
    (".pytest.toml", ()),
    ("pytest.ini", ()),
    (".pytest.ini", ()),
    ("pyproject.toml", (b"[tool.pytest.ini_options", b"[tool.pytest]")),
    ("tox.ini", (b"[pytest]",)),
    ("setup.cfg", (b"[tool:pytest]",)),
)
#: What `find` gives as the mark of a folder that nothing marks.
UNMARKED = "no project file above"
_PROJECT_FILES = ("pyproject.toml", "setup.cfg", "setup.py")
_REPOSITORY_FOLDERS = (".git", ".hg", ".jj")


def find(start: str, paths: list[str] | tuple[str, ...] = ()) -> tuple[str, str]:
    """Return the workspace for a command that was given in `start` about `paths`, and what marks it.

    The best mark wins, and of equal marks the nearest: testd's own configuration, pytest's configuration, a project
    file, a repository. The search ends with a repository's root and stops below the home folder. Paths take part as
    they do in pytest: the search begins at the deepest folder that holds them all. If nothing is marked it is the
    folder in which the command was given, or where that is not above the paths, the deepest that is.
    """
    begin = _common(start, paths)
    marks: dict[int, tuple[str, str]] = {}
    for folder in _upwards(begin):
        rank, mark = _mark(folder)
        if rank and rank not in marks:
            marks[rank] = (folder, mark)
        if rank == 1 or any(os.path.exists(os.path.join(folder, name)) for name in _REPOSITORY_FOLDERS):
            break
    if not marks:
        here = os.path.realpath(start)
        return (here if here in _upwards(begin) else begin, UNMARKED)
    return marks[min(marks)]


def pytest_configuration(folder: str) -> str:
    """Return the name of the file in `folder` that configures pytest, or an empty string."""
    for name, sections in PYTEST_FILES:
        path = os.path.join(folder, name)
        if (not sections and os.path.isfile(path)) or (sections and _has_line(path, sections)):
            return name
    return ""


def _mark(folder: str) -> tuple[int, str]:
    """Return how well `folder` is marked as a workspace (1 is best, 0 not at all), and by what."""
    if os.path.isfile(os.path.join(folder, "testd.toml")):
        return 1, "testd.toml"
    if _has_line(os.path.join(folder, "pyproject.toml"), (b"[tool.testd]", b"[tool.testd.")):
        return 1, "pyproject.toml [tool.testd]"
    name = pytest_configuration(folder)
    if name:
        return 2, name
    for name in _PROJECT_FILES:
        if os.path.isfile(os.path.join(folder, name)):
            return 3, name
    for name in _REPOSITORY_FOLDERS:
        if os.path.exists(os.path.join(folder, name)):
            return 4, name
    return 0, ""


def _has_line(path: str, starts: tuple[bytes, ...]) -> bool:
    """Tell whether a line of the file begins with one of these."""
    try:
        with open(path, "rb") as file:
            return any(line.lstrip().startswith(starts) for line in file)
    except OSError:
        return False


def _upwards(folder: str) -> list[str]:
    """Return `folder` and those above it that may be workspaces: neither the root nor the home folder nor above it."""
    home = os.path.realpath(os.path.expanduser("~"))
    found: list[str] = []
    while folder != os.path.dirname(folder):
        if found and (folder == home or home.startswith(folder + os.sep)):
            break
        found.append(folder)
        folder = os.path.dirname(folder)
    return found


def _common(start: str, paths: list[str] | tuple[str, ...]) -> str:
    """Return the deepest folder that holds every existing path, or `start`."""
    places = []
    for path in paths:
        place = os.path.realpath(os.path.join(start, existing(path, start)[0]))
        if os.path.exists(place):
            places.append(place if os.path.isdir(place) else os.path.dirname(place))
    if not places:
        return os.path.realpath(start)
    return os.path.commonpath(places)


def existing(argument: str, folder: str) -> tuple[str, str]:
    """Split `FILE::NAME` or `FILE:LINE` into the path and the rest, which keeps its colons.

    A path that exists as it stands is never split.
    """
    path, colons, name = argument.partition("::")
    if colons and not os.path.exists(os.path.join(folder, argument)):
        return path, colons + name
    head, colon, line = argument.rpartition(":")
    if colon and line.isdigit() and not os.path.exists(os.path.join(folder, argument)):
        return head, colon + line
    return argument, ""
