"""From the command line to a verb, and from whatever went wrong to one clear line and an exit status.

Runs in the client, on the quick path.
"""

from __future__ import annotations

import atexit
import os
import sys

from testd_daemon.cli.verbs import VERBS, help_text
from testd_daemon.errors import Bug, TestdError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from testd_daemon.cli.arguments import Options, Parser

#: Exit statuses are pytest's.
INTERRUPTED, INTERNAL_ERROR, USAGE_ERROR = 2, 3, 4


def main(arguments: list[str] | None = None) -> int:
    """Run a command line (without the program's name) and return its exit status. Nothing is raised to the caller.

    With `TESTD_DEBUG=1` a traceback follows an internal error.
    """
    _open_closed_streams()
    try:
        status = _dispatch(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has enough of it (`testd run | head`). Nothing is wrong, and nobody to tell.
        _discard_output()
        return INTERRUPTED
    except KeyboardInterrupt:
        return INTERRUPTED
    except TestdError as error:
        _tell(error)
        return error.exit_code
    except OSError as error:
        return _tell_os_error(error)
    except Exception as error:  # the border of the program: a person gets words, not a traceback of ours
        return _tell_internal(error)
    return status


def script() -> None:
    """Be the program: run the command line of this process, and end it.

    The interpreter is not taken down object by object, which would cost more than a small run.
    """
    status = main()
    atexit._run_exitfuncs()  # noqa: SLF001  the part of an orderly end that others may count on
    try:
        sys.stderr.flush()
    finally:
        os._exit(status)


def _open_closed_streams() -> None:
    """Put the null device where a standard stream is closed (`testd run >&-`), before a socket takes its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8"))  # noqa: PTH123, SIM115


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        sys.stdout.write(help_text())
        return 0
    if arguments[0] in ("-V", "--version"):
        from testd_protocol.version import __version__

        sys.stdout.write(f"testd {__version__}\n")
        return 0
    verb = arguments[0]
    if verb not in VERBS:
        raise _unknown(verb)
    __import__(VERBS[verb][0])  # importlib's own function imports warnings and more
    module = sys.modules[VERBS[verb][0]]
    if getattr(module, "VERBATIM", False):
        return int(module.main(arguments[1:]))
    from testd_daemon.cli.arguments import Parser

    parser = Parser(verb, VERBS[verb][1], module.OPERANDS, getattr(module, "EPILOG", ""))
    module.arguments(parser)
    return int(module.main(parse(parser, arguments[1:])))


def parse(declared: Parser, arguments: list[str]) -> Options:
    """Parse what follows a verb. Raises UsageError."""
    options = declared.quickly(arguments)
    if options is None:
        from testd_daemon.cli.parser import FullParser

        options = FullParser(declared).parse(arguments)
    return options


def _unknown(word: str) -> UsageError:
    if word.startswith("-"):
        return UsageError(f"unknown option: {word}", hint=f"A verb comes first: testd run {word}")
    from testd_daemon.cli.arguments import nearest

    if os.path.exists(word.partition("::")[0]):  # noqa: PTH110 - pathlib costs more than this command
        return UsageError(f"unknown verb: {word}", hint=f"To run these tests: testd run {word}")
    near = nearest(word, VERBS)
    hint = f"Did you mean `testd {near}`? " if near else ""
    return UsageError(f"unknown verb: {word}", hint=f"{hint}The verbs are {', '.join(VERBS)}.")


def _tell(error: TestdError) -> None:
    """Write an error to stderr: what and where, then what would be right, then what else is known."""
    lines = [f"testd: {error.message}"]
    lines += [error.hint] if error.hint else []
    lines += [f"    {line}" for line in error.detail.splitlines()]
    if isinstance(error, Bug):
        lines.append(_where_to_look())
    _write_error("\n".join(lines) + "\n")
    if isinstance(error, Bug):
        _trace()


def _tell_os_error(error: OSError) -> int:
    """An operating system's error that nobody foresaw still has a name and often a file."""
    where = f"{error.filename}: " if error.filename else ""
    _write_error(f"testd: {where}{error.strerror or error}\n{_where_to_look()}\n")
    _trace()
    return INTERNAL_ERROR


def _tell_internal(error: Exception) -> int:
    _write_error(f"testd: internal error: {type(error).__name__}: {error}\n{_where_to_look()}\n")
    _trace()
    return INTERNAL_ERROR


def _where_to_look() -> str:
    return "See `testd logs` for what the daemon says; TESTD_DEBUG=1 shows the traceback."


def _trace() -> None:
    if os.environ.get("TESTD_DEBUG", "") not in ("", "0"):
        import traceback

        traceback.print_exc()


def _write_error(text: str) -> None:
    import contextlib

    from testd_daemon.reports import safe

    try:
        sys.stdout.flush()
    except OSError:  # a full disk: the interpreter would try again at its end, and exit with 120
        _discard_output()
    except (ValueError, AttributeError):  # it is closed, or nothing at all
        pass
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(safe.block(text, colour=False).encode("ascii", "backslashreplace").decode())
        sys.stderr.flush()


def _discard_output() -> None:
    """Let the interpreter's own flush at exit go nowhere instead of failing."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


__all__ = ["INTERNAL_ERROR", "INTERRUPTED", "USAGE_ERROR", "main", "parse", "script"]
