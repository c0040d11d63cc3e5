"""`testd pytest ARGUMENTS`: what `pytest ARGUMENTS` does, by a process that is warm where that is the same.

Runs in the client, on the quick path. The process has this command's own descriptors, environment and folder; what is
left to do here is to pass signals on and to end as it did. Where nothing warm will do, this process becomes pytest.
"""

from __future__ import annotations

import os
import sys

from testd_daemon.client.line import Line, PlainError
from testd_daemon.errors import LinkClosed, TestdError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

#: Every word behind the verb is pytest's.
VERBATIM = True
#: pytest's options of one letter that take no value: any of them may stand before a `v` in one word.
_SWITCHES = "hlqsvVx"


def main(arguments: list[str]) -> int:
    """Carry the command out and return its exit status; a signal that ended it ends this process too."""
    verbose = _verbose(arguments)
    try:
        status = _warm(arguments, verbose=verbose)
    except PlainError as plain:
        _become(plain.argv or _by_ourselves(arguments, plain.reason), plain.reason, verbose=verbose)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else _die(os.WTERMSIG(status))


def _warm(arguments: list[str], *, verbose: bool) -> int:
    """Have a warm process do it. Returns its wait status. Raises PlainError where none does."""
    if sys.gettrace() is not None:
        raise PlainError([], "a debugger is attached")
    try:
        line = Line(arguments, verbose=verbose)
    except TestdError as error:
        raise PlainError([], error.message) from error
    except UnicodeEncodeError:
        raise PlainError([], "an argument or a variable is not UTF-8") from None
    with line:
        try:
            return line.follow()
        except LinkClosed as error:
            if not line.started:
                raise PlainError([], "the daemon ended before the command was started") from error
            raise


def _verbose(arguments: list[str]) -> bool:
    """Tell whether pytest is asked to be verbose."""
    for word in arguments:
        if word == "--":
            break
        letters = word[1:] if word.startswith("-") else ""
        if word == "--verbose" or ("v" in letters and not letters.strip(_SWITCHES)):
            return True
    return False


def _by_ourselves(arguments: list[str], reason: str) -> list[str]:
    """Find out without a daemon what is to be executed. Raises TestdError where there is nothing."""
    from testd_daemon.cli.plain import command_line

    return command_line(arguments, reason)


def _become(argv: list[str], reason: str, *, verbose: bool) -> NoReturn:
    """Be pytest itself."""
    if verbose:
        sys.stderr.write(f"testd: plain: {reason}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, f"__{name}__") is None:  # it was closed when this process started, and is put to use by now
            os.close(number)
    os.execv(argv[0], argv)  # noqa: S606 - pytest, with what it was called with


def _die(number: int) -> NoReturn:
    """End by the signal that ended the process, and leave no second core behind."""
    import resource
    import signal

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)


__all__ = ["VERBATIM", "main"]
