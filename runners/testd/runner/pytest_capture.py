"""pytest's capture across a fork, and within limits. Runs in stems and workers.

pytest captures into temporary files whose position parent and children would share, so each worker puts a file of its
own under the objects that pytest made. What a test prints is then read back in limits: a gigabyte stays on the disk.
"""

import contextlib
import io
import os
import sys
import tempfile
from typing import Any, List, Optional

from testd.runner.capture import read_limited

__all__ = ["follow_descriptors", "hold_capture", "restart_capture", "restart_log_file"]

#: Captures that are out of use, but whose files user code may still write to.
_held: List[Any] = []


def hold_capture(config: Any) -> None:
    """Leave capture as the configuration asked for it, suspended between the stages of collection."""
    manager = config.pluginmanager.getplugin("capturemanager")
    if manager is not None and manager._global_capturing is not None:
        manager.suspend_global_capture(in_=True)


def follow_descriptors(config: Any) -> None:
    """Make the suspended capture give back this process's own output descriptors, not those it was forked with."""
    _dump_stacks_here(config)
    manager = config.pluginmanager.getplugin("capturemanager")
    capturing = manager._global_capturing if manager is not None else None
    if capturing is None:
        return
    for one in (capturing.out, capturing.err):
        saved = getattr(one, "targetfd_save", None)
        if saved is not None:
            os.dup2(one.targetfd, saved, inheritable=False)


def _dump_stacks_here(config: Any) -> None:
    """Make `faulthandler_timeout` write to this process's own error output: pytest keeps a copy of the descriptor."""
    plugin = sys.modules.get("_pytest.faulthandler")
    key = getattr(plugin, "fault_handler_stderr_fd_key", None) or getattr(plugin, "fault_handler_stderr_key", None)
    kept = config.stash.get(key, None)
    if kept is not None:
        os.dup2(2, kept if isinstance(kept, int) else kept.fileno(), inheritable=False)


def restart_capture(config: Any, limit: int, *, stream: bool) -> None:
    """Begin to capture in this process: not at all for `stream`, else by the project's method, in `limit` bytes.

    What stands for `sys.stdout` stays the same object: modules that were imported by now may hold it.
    """
    manager = config.pluginmanager.getplugin("capturemanager")
    if manager is None:
        return
    capturing = manager._global_capturing
    if capturing is not None:
        manager.suspend_global_capture(in_=True)
        follow_descriptors(config)
        _own_files(capturing)
        capturing.readouterr()  # what the stem captured in memory is not this worker's
    if stream:
        _let_through(capturing)
        _start(manager, config, "no")
        _print_at_once()
        return
    if manager._method == "no" or capturing is None:
        _start(manager, config, "fd")
        _free_input(manager._global_capturing)
    else:
        manager.resume_global_capture()
    for one in (manager._global_capturing.out, manager._global_capturing.err):
        if one is not None:
            _limit(one, limit)


def restart_log_file(config: Any, *, append: bool) -> None:
    """Write the log file of the project's options anew, as each session does: the stem's may have been removed."""
    handler = getattr(config.pluginmanager.getplugin("logging-plugin"), "log_file_handler", None)
    if handler is None or handler.baseFilename == os.devnull:
        return
    with contextlib.suppress(OSError):  # what cannot be opened any more goes on where the stem has opened it
        mode = "a" if append else handler.mode
        stream = open(handler.baseFilename, mode, encoding=handler.encoding)  # noqa: SIM115  # the handler closes it
        old = handler.setStream(stream)
        if old is not None:
            old.close()


def _start(manager: Any, config: Any, method: str) -> None:
    """Capture by another method. What the first one wrote to stays open: modules may hold it."""
    _held.append(manager._global_capturing)
    manager._global_capturing = None
    config.option.capture = manager._method = method
    manager.start_global_capturing()


def _free_input(capturing: Any) -> None:
    """Let tests read standard input, as they can where pytest does not capture."""
    if capturing.in_ is not None:
        capturing.in_.done()
        capturing.in_ = None


def _own_files(capturing: Any) -> None:
    """Put a file of this process's own under each object that captures to one; no copy to the screen."""
    for one in (capturing.out, capturing.err):
        fd = _descriptor(one)
        if fd is not None:
            with tempfile.TemporaryFile(buffering=0) as file:
                os.dup2(file.fileno(), fd, inheritable=False)
        elif hasattr(getattr(one, "tmpfile", None), "_other"):  # --capture=tee-sys
            one.tmpfile._other = io.StringIO()
            one.tmpfile._other.write = len


def _let_through(capturing: Any) -> None:
    """Send what is written to the objects that captured to this process's output."""
    for one in (capturing.out, capturing.err) if capturing is not None else ():
        fd = _descriptor(one)
        if fd is not None:
            os.dup2(one.targetfd, fd, inheritable=False)


def _descriptor(capture: Any) -> Optional[int]:
    """Return the descriptor of the file that a stream is captured into, if it is one."""
    try:
        return int(capture.tmpfile.fileno())
    except (OSError, AttributeError, ValueError):  # not captured, or in memory
        return None


def _limit(capture: Any, limit: int) -> None:
    """Make `snap` of one captured stream cheap where nothing was printed, and limited where too much was."""
    file = capture.tmpfile
    original = capture.snap
    fd = _descriptor(capture)
    if fd is None:
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
