"""Where the user stands, and the command that runs a test again from there.

Runs in the client, on the quick path: imports os.path; shlex with the first failure.
"""

from __future__ import annotations

import os.path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Place:
    """Where the user stands, so that a printed command works from there."""

    def __init__(self, workspace: str, cwd: str, verb: str = "run") -> None:
        """Take absolute paths, and the verb that runs tests. Node ids are relative to `workspace`."""
        self.verb = verb
        self._workspace = workspace
        self._cwd = cwd

    def again(self, test: str, options: Sequence[str] = ()) -> str:
        """Give the command that runs just this test again, quoted for a shell."""
        path, separator, name = test.partition("::")
        if self._workspace != self._cwd:
            path = os.path.relpath(f"{self._workspace}/{path}", self._cwd)
        target = path + separator + name
        # An argument that starts with a dash is an option to every parser: say that options have ended.
        import shlex

        words = ["testd", *self.verb.split(), *options, *(["--"] if target.startswith("-") else []), target]
        return shlex.join(words)


__all__ = ["Place"]
