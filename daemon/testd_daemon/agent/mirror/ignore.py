"""Which files of a workspace do not travel: `.gitignore`, `.testdignore`, and what is never of use elsewhere.

Runs in the agent, in the thread that scans. Both files may be in any folder and mean what git says they mean.
`.testdignore` has the last word, so that a file which git ignores and tests need can be let through: `!generated.py`.
"""

# Paths as text, not objects: tens of thousands are looked at

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

__all__ = ["GIT", "OURS", "Rules"]

GIT: Final = ".gitignore"
OURS: Final = ".testdignore"
#: Version control, caches of tools, and compiled code: made anew where they are needed.
_NEVER: Final = frozenset(
    {".git", ".hg", ".svn", ".jj", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".tox", ".nox",
     ".hypothesis", ".eggs", ".coverage"}
)  # fmt: skip
_NEVER_ENDINGS: Final = (".pyc", ".pyo")
#: What editors keep beside a file while it is open, or put in its place for a moment.
_SCRATCH_BEGINNINGS: Final = (".#", "#", ".goutputstream-")
_SCRATCH_ENDINGS: Final = ("~", ".swp", ".swo", ".swx", "___jb_tmp___", "___jb_old___")
_SCRATCH: Final = frozenset({"4913", ".DS_Store"})


class Rules:
    """What the ignore files of one folder and those above it say about what is directly in it."""

    __slots__ = ("_base", "_decided", "_git", "_ours", "_parent")

    def __init__(self, parent: Rules | None, folder: str, base: str, *, git: bool, ours: bool) -> None:
        """Read the folder's own files, if it has them. `base` is its path in the workspace, empty for the top."""
        self._parent = parent
        self._base = f"{base}/" if base else ""
        self._git = _read(os.path.join(folder, GIT)) if git else None
        self._ours = _read(os.path.join(folder, OURS)) if ours else None
        self._decided: dict[str, bool] = {}

    def leaves_out(self, name: str, *, folder: bool) -> bool:
        """Tell whether what has this name in the folder stays here."""
        key = f"{name}/" if folder else name
        found = self._decided.get(key)
        if found is None:
            found = self._decided[key] = self._decide(self._base + key)
        return found

    def _decide(self, path: str) -> bool:
        said = self.says(path, ours=True)
        if said is None:
            name = path.rstrip("/").rpartition("/")[2]
            said = name in _NEVER or name.endswith(_NEVER_ENDINGS) or _is_scratch(name) or self.says(path, ours=False)
        return bool(said)

    def says(self, path: str, *, ours: bool) -> bool | None:
        """Return what the nearest ignore file that names this path of the workspace says of it."""
        spec = self._ours if ours else self._git
        said = spec.check_file(path[len(self._base) :]).include if spec is not None else None
        if said is None and self._parent is not None:
            return self._parent.says(path, ours=ours)
        return said


def _is_scratch(name: str) -> bool:
    return name in _SCRATCH or name.startswith(_SCRATCH_BEGINNINGS) or name.endswith(_SCRATCH_ENDINGS)


def _read(path: str) -> GitIgnoreSpec | None:
    """Return what an ignore file says; one that cannot be read says nothing, and a notice names it as a file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            from pathspec import GitIgnoreSpec  # here: it takes as long to load as a tenth of the agent

            return GitIgnoreSpec.from_lines(file)
    except (OSError, ValueError):
        return None
