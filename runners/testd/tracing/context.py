"""Where we are: the call that runs here, and what records. Runs in the user's process."""

from __future__ import annotations

from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from testd.tracing.calls import Call
    from testd.tracing.recording import Recording

__all__ = ["current", "recording_now", "recordings"]

#: The call that runs here, or the recording that takes roots here.
current: ContextVar[Call | Recording | None] = ContextVar("testd_current_call", default=None)
#: Those that are open, on all threads; the last one takes roots that come from anywhere.
recordings: list[Recording] = []


def recording_now() -> Recording | None:
    """Return what takes a root that comes from nowhere in particular."""
    return recordings[-1] if recordings else None
