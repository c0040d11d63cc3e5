"""Titles from several files, read side by side."""

from __future__ import annotations

import asyncio
from pathlib import Path


async def read_titles(path: Path) -> list[str]:
    """Return the titles in a file, one a line; blank lines and lines that begin with # are none."""
    text = await asyncio.to_thread(path.read_text, encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


async def merge(*paths: Path) -> list[str]:
    """Return the titles of all files, sorted, each once."""
    found = await asyncio.gather(*(read_titles(path) for path in paths))
    return sorted({title for titles in found for title in titles})
