"""pytest's capture across a fork, and within limits. Runs in stems and workers.

pytest captures into temporary files whose position parent and children would share, so the stem lets go of its own and
each worker starts anew. What a test prints is then read back in limits: a gigabyte stays on the disk.
"""

import os
import sys
from typing import Any

from testd.runner.capture import read_limited

__all__ = ["follow_descriptors", "hold_capture", "restart_capture"]


def hold_capture(config: Any) -> None:
    """Leave capture as the configuration asked for it, suspended between the stages of collection."""
    manager = config.pluginmanager.getplugin("capturemanager")
    if manager is not None and manager._global_capturing is not None:
        manager.suspend_global_capture(in_=True)


def follow_descriptors(config: Any) -> None:
    """Make the suspended capture give back this process's own output descriptors, not those it was forked with."""
    manager = config.pluginmanager.getplugin("capturemanager")
    capturing = manager._global_capturing if manager is not None else None
    if capturing is None:
        return
    for one in (capturing.out, capturing.err):
        saved = getattr(one, "targetfd_save", None)
        if saved is not None:
            os.dup2(one.targetfd, saved, inheritable=False)


def restart_capture(config: Any, limit: int, *, stream: bool) -> None:
    """Begin to capture in this process: not at all for `stream`, else by the project's method, in `limit` bytes."""
    manager = config.pluginmanager.getplugin("capturemanager")
    if manager is None:
        return
    if manager._global_capturing is not None:
        follow_descriptors(config)
        manager._global_capturing.readouterr()  # what the stem captured is not this worker's
        manager.stop_global_capturing()
    if stream:
        config.option.capture = manager._method = "no"
        _print_at_once()
    elif manager._method not in ("fd", "sys"):
        config.option.capture = manager._method = "fd"
    manager.start_global_capturing()
    capturing: Any = manager._global_capturing
    for one in (capturing.out, capturing.err):
        if one is not None:
            _limit(one, limit)


def _limit(capture: Any, limit: int) -> None:
    """Make `snap` of one captured stream cheap where nothing was printed, and limited where too much was."""
    file = capture.tmpfile
    original = capture.snap
    try:
        fd = file.fileno()
    except (OSError, AttributeError, ValueError):  # captured in memory
        return

    def snap() -> Any:
        size = os.fstat(fd).st_size  # the file is written through, nothing waits in it
        if size == 0:
            return ""
        if size <= limit:
            return original()
        text = read_limited(fd, limit)
        file.seek(0)
        file.truncate()
        return text

    capture.snap = snap


def _print_at_once() -> None:
    """Unbuffer what goes to a pipe: output is watched live."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(line_buffering=True, write_through=True)
