"""Ctrl-C and SIGTERM while a run is followed: the first asks, the second leaves.

Runs in the client, on the quick path, and so takes the C module of signals: `signal` makes enumerations at its import,
which costs more than following a small run does. A handler only notes what came; the loop that follows the run looks
at it between two events, where nothing can be torn in half. Before there is a run, the first one leaves at once.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from types import FrameType
    from typing import Any

    from typing_extensions import Self
else:
    import _signal as signal


class Leave(KeyboardInterrupt):
    """The user wants out now."""


class Interrupts:
    """Own SIGINT and SIGTERM inside a `with` block."""

    #: The signals that ask for the end.
    ending: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        """Start with nothing asked for."""
        self.gentle = False  # True: the first signal asks, and does not leave
        self.asked = 0
        self._before: list[tuple[int, Any]] = []

    def __enter__(self) -> Self:
        """Take the signals over."""
        self._before = [(number, signal.signal(number, self._take)) for number in self.ending]
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        for number, handler in self._before:
            signal.signal(number, handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.asked += 1
        if self.asked > 1 or not self.gentle:
            # Whatever runs now is unwound; a third signal then meets the way out again, not a half-done one.
            raise Leave


__all__ = ["Interrupts", "Leave"]
