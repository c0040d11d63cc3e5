"""To have mocked functions answered that nobody traces. Runs in the user's process."""

from __future__ import annotations

from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from testd.tracing.mocks import Mocks

__all__ = ["patched"]


@contextmanager
def patched(mocks: Mocks) -> Iterator[None]:
    """Trace all functions that have answers."""
    yield
