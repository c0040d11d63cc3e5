"""Sizes and durations as people write them. Pure; imported by `schema.py`."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

__all__ = ["duration", "machine_memory", "memory", "size"]

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?b?|b)?\s*", re.IGNORECASE)
_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|min|h)?\s*", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def size(value: str | float) -> int:
    """Return a size in bytes: a number of bytes, or text such as "64 KiB" or "2GB". Raises ValueError."""
    if isinstance(value, str):
        match = _SIZE.fullmatch(value)
        if match is None:
            raise ValueError(f"{value!r} is no size")
        unit = (match[2] or "b").lower()
        base = 1024 if "i" in unit or unit in "kmgt" else 1000
        exponent = " kmgt".index(unit[0]) if unit[0] in "kmgt" else 0
        return int(float(match[1]) * base**exponent)
    if value < 0 or not math.isfinite(value):
        raise ValueError(f"{value} is no size")
    return int(value)


def memory(value: str | float) -> int:
    """Return a limit in KiB: a size, or a share of the machine such as "80 %"; 0 is none. Raises ValueError."""
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return size(value) // 1024
    share = float(match[1])
    if not 0 < share <= 100:
        raise ValueError(f"{value!r} is no share of the machine's memory")
    return int(machine_memory() * share / 100) // 1024


def duration(value: str | float) -> float:
    """Return a duration in seconds: a number of them, or text such as "90s", "2 min", "1h". Raises ValueError."""
    if isinstance(value, str):
        match = _DURATION.fullmatch(value)
        if match is None:
            raise ValueError(f"{value!r} is no duration")
        return float(match[1]) * _SECONDS[(match[2] or "s").lower()]
    if value < 0 or not math.isfinite(value):
        raise ValueError(f"{value} is no duration")
    return float(value)


def machine_memory() -> int:
    """Return how many bytes of memory this process may hope for: the machine's, or less where its group is limited."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(path).read_text("ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text))
    return total
