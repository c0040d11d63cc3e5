"""Which files are the workspace's own: below its root, and neither installed there nor what tools keep for themselves.

Runs in stems and workers. Standard library only.
"""

import os
import sys
from typing import Dict, Tuple

__all__ = ["Workspace"]

#: What tools keep for themselves: it changes with every run, and no verdict may depend on it.
KEPT_BY_TOOLS = ("/.pytest_cache/", "/.hypothesis/", "/__pycache__/", "/.git/")
_INSTALLED = ("/site-packages/", "/dist-packages/")


class Workspace:
    """Tells own files from others, and remembers the answer."""

    def __init__(self, root: str) -> None:
        """Take the root as the agent names it; a process may see its real path as well."""
        self._root = root.rstrip("/") + "/"
        self._roots = tuple({self._root, os.path.realpath(root).rstrip("/") + "/"})
        inside = {sys.prefix, sys.base_prefix, os.path.dirname(os.path.abspath(__file__))}
        self._foreign: Tuple[str, ...] = tuple(
            folder.rstrip("/") + "/" for folder in inside if folder.startswith(self._roots)
        )
        self._known: Dict[str, bool] = {}

    def owns(self, path: str) -> bool:
        """Tell whether this absolute path is one of the workspace's own files."""
        if not path.startswith(self._roots):
            return False
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = self._is_own(path)
        return known

    def named(self, path: str) -> str:
        """Return an own path below the root as the agent names it."""
        for root in self._roots:
            if path.startswith(root):
                return self._root + path[len(root) :]
        return path

    def _is_own(self, path: str) -> bool:
        return not path.startswith(self._foreign) and not any(part in path for part in (*_INSTALLED, *KEPT_BY_TOOLS))
