"""What user code raises to end the process that loads it: as a fault that names the file. Runs in stems.

A plugin or a conftest file of the whole suite can do so; a test file's own `SystemExit` is the verdict on that file.
"""

import os
import traceback
from types import TracebackType
from typing import Optional

from testd.runner.settings import SuiteFault

__all__ = ["ending_fault", "place_of"]

_INTERRUPTED = 2  # pytest's exit codes
_NOTHING_RAN = 5


def ending_fault(error: BaseException, root: str) -> SuiteFault:
    """Return the fault for a `SystemExit` or `KeyboardInterrupt` that came out of the suite's own code."""
    place = place_of(error, root)
    at = f" at {place}" if place else ""
    detail = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    if isinstance(error, KeyboardInterrupt):
        return SuiteFault(
            "interrupted",
            f"the suite was not loaded: KeyboardInterrupt{at}",
            "unless somebody interrupted it, that file raises it itself",
            detail,
            _INTERRUPTED,
        )
    status = _status(error)
    told = f": {error}" if str(error) else ""
    return SuiteFault(
        "exit",
        f"the suite was not loaded: SystemExit{told}{at}",
        "to leave tests out, skip them or set collect_ignore; to refuse to run, raise pytest.UsageError",
        detail,
        status or _NOTHING_RAN,  # nothing was tested: that is no success, whatever the file says
    )


def place_of(error: BaseException, root: str) -> str:
    """Return `file:line` of the innermost frame inside the project, the file relative to `root`; empty if none."""
    found = ""
    tb: Optional[TracebackType] = error.__traceback__
    while tb is not None:
        file = tb.tb_frame.f_code.co_filename
        if file.startswith(os.path.join(root, "")) and "site-packages" not in file:
            found = f"{os.path.relpath(file, root)}:{tb.tb_lineno}"
        tb = tb.tb_next
    return found


def _status(error: BaseException) -> int:
    """Return the exit status that an interpreter would end with."""
    code = getattr(error, "code", None)
    if code is None:
        return 0
    return int(code) & 0xFF if isinstance(code, int) else 1
