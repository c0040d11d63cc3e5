"""Which call a thread belongs to that was started by a recorded one. Runs in the user's process."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from testd.tracing.calls import Call

__all__ = ["inherited"]


def inherited() -> Call | None:
    """Return the call that started the current thread, None if none did."""
    return None
