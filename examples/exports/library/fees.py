"""What it costs to be late, in cents."""

from __future__ import annotations

from datetime import date

FIRST_WEEK = 10
LATER = 25
MOST = 1000


def fee(due: date, returned: date) -> int:
    """Return the fee: 10 cents for each of the first seven days, then 25, and never more than ten euros."""
    late = max(0, (returned - due).days)
    return min(MOST, min(late, 7) * FIRST_WEEK + max(0, late - 7) * LATER)
