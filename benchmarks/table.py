"""What a benchmark found: rows of figures, each with its goal, printed as a table and kept as JSON."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil

__all__ = ["Row", "insert", "machine", "markdown", "write"]

#: Where `insert` puts the table in a document.
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure. `met` is None where there is no goal."""

    scenario: str
    case: str
    what: str  # the contender or the quantity
    value: str
    ratio: float | None = None
    against: str = ""  # what the ratio divides by
    goal: str = ""
    met: bool | None = None
    p90: float | None = None
    cpu: float | None = None
    note: str = ""


_HEADINGS = ("scenario", "case", "what", "median", "p90", "CPU", "ratio", "goal", "", "note")


def markdown(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table whose columns line up."""
    cells = [_HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADINGS))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else f"{row.ratio:.2f} of {row.against}"
    met = {None: "", True: "met", False: "MISSED"}[row.met]
    times = ["" if seconds is None else f"{seconds:.2f} s" for seconds in (row.p90, row.cpu)]
    return (row.scenario, row.case, row.what, row.value, *times, ratio, row.goal, met, row.note)


def write(path: Path, rows: Sequence[Row], rounds: int) -> None:
    """Keep the rows, with the machine that they were measured on."""
    document = {"machine": machine(), "rounds": rounds, "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def insert(path: Path, rows: Sequence[Row], rounds: int) -> None:
    """Replace the figures in a Markdown document, between its two markers. Raises ValueError without them."""
    text = path.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _old, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path}: no place for the figures: it needs the lines {BEGIN} and {END}")
    facts = machine()
    day = datetime.now(tz=timezone.utc).date()
    said = (
        f"{day}, {facts['cores']} cores of {facts['processor']}, {facts['memory'] / 1024**3:.0f} GiB, "
        f"{facts['system']}, CPython {facts['python']}; {rounds} rounds."
    )
    path.write_text(f"{head}{begin}\n{said}\n\n{markdown(rows)}\n{end}{tail}", encoding="utf-8")


def machine() -> dict[str, Any]:
    """Describe what the figures were measured on."""
    return {
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "processor": _processor(),
        "cores": psutil.cpu_count(),
        "memory": psutil.virtual_memory().total,
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
