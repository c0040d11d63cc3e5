"""To hand on what an application does, root by root. Runs in the user's process."""

from __future__ import annotations

from contextlib import ExitStack

from testd.tracing.documents import document
from testd.tracing.options import Options
from testd.tracing.recording import Recording
from testd.tracing.registry import armed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from testd.tracing.calls import Call

__all__ = ["Installed", "install"]


class Installed:
    """What takes roots, until `close`. If it fails, that costs the root, and no call of the program."""

    def __init__(self, take: Callable[[Call], object], options: Options) -> None:
        """Begin to record roots for `take`."""
        self.lost = 0  #: roots with which it failed
        self._take = take
        self._stack = ExitStack()
        self._stack.enter_context(armed())
        self._stack.enter_context(Recording(options, ended=self._hand_on).opened())

    def close(self) -> None:
        """Record no more."""
        self._stack.close()

    def _hand_on(self, call: Call) -> None:
        try:
            self._take(call)
        except Exception:
            self.lost += 1


def install(sink: Callable[[dict[str, Any]], object], options: Options = Options()) -> Installed:  # noqa: B008 (immutable)
    """Call `sink` with the executed function of each root that ends from now on, on the thread where it ended.

    The sink decides what it does with it, and returns soon: the program waits meanwhile. Calls that a root has started
    and that end after it are told as unfinished.
    """
    return Installed(lambda root: sink(document(root)), options)
