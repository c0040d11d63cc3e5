"""What tests do to the process that they run in, and what has to be said about each."""

from __future__ import annotations

from typing import NamedTuple

#: Seconds of a test, and memory of a worker, in the project that holds all of these.
TIMEOUT, MEMORY_LIMIT = 4, "400MB"
#: Seconds that a laborious test may take: far more than it needs on a busy machine.
PATIENCE = 60


class Case(NamedTuple):
    """A body of a test function, the verdicts that are right, and a part of what is said about it."""

    body: str
    verdicts: tuple[str, ...]
    said: str = ""
    laborious: bool = False  # it has seconds of work to do, where the others are quick or do not end


IGNORE = """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
"""
CRASHED, FAILED, PASSED, HUNG = ("crashed",), ("failed",), ("passed",), ("timed out",)

CASES = {
    "ends_the_process": Case("import os; os._exit(0)", CRASHED, "status 0"),
    "prints_a_gigabyte": Case(
        "import os\nblock = b'x' * (1 << 20)\nfor _ in range(1024): os.write(1, block)\nassert 0", FAILED,
        laborious=True,
    ),
    "closes_stdout": Case("import os\nos.close(1)\nprint('said')", ("passed", "failed")),
    "closes_what_it_did_not_open": Case("import os\nos.closerange(3, 10000)", CRASHED, "status"),
    "closes_everything": Case("import os\nos.closerange(0, 10000)", CRASHED, "status"),
    "replaces_its_streams": Case("import sys\nsys.stdout = sys.stderr = None", PASSED),
    "forks_and_goes_on_twice": Case("import os\nos.fork()", PASSED),
    "leaves_a_child": Case("import os, signal\nif os.fork() == 0: signal.pause()", PASSED, "child process"),
    "leaves_a_session": Case(
        "import subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'], start_new_session=True)",
        PASSED, "child process",
    ),
    "leaves_a_daemon_thread": Case(
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()", PASSED, "thread"
    ),
    "leaves_a_thread": Case(
        "import threading\nthreading.Thread(target=threading.Event().wait).start()", PASSED, "thread"
    ),
    "changes_the_directory": Case("import os\nos.chdir('/')", PASSED, "directory"),
    "recurses": Case("def again(): again()\nagain()", FAILED, "RecursionError"),
    "exhausts_the_c_stack": Case(
        "import sys\nsys.setrecursionlimit(10**9)\n"
        "class Deep:\n    def __repr__(self): return repr(Deep())\nrepr(Deep())",
        ("crashed", "failed"),
    ),
    "ignores_signals": Case(IGNORE, PASSED),
    "ignores_signals_and_hangs": Case(IGNORE + "while True: signal.pause()", HUNG, f"limit of {TIMEOUT} s"),
    "hangs_in_c": Case("import re\nre.match(r'(a+)+$', 'a' * 64 + 'b')", HUNG, f"limit of {TIMEOUT} s"),
    "allocates_without_end": Case(
        "held = []\nwhile True: held.append(bytearray(10**7))", CRASHED, "MiB, more than", laborious=True
    ),
    "stops_itself": Case("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", HUNG, f"limit of {TIMEOUT} s"),
    "kills_itself": Case("import os\nos.kill(os.getpid(), 9)", CRASHED, "SIGKILL"),
    "kills_its_group": Case("import os\nos.killpg(0, 9)", CRASHED, "SIGKILL"),
    "kills_its_parent": Case("import os\nos.kill(os.getppid(), 9)", ("passed", "crashed")),
    "interrupts_itself": Case(
        "import os\nfrom signal import SIGINT, default_int_handler, signal\n"
        "signal(SIGINT, default_int_handler)\nos.kill(os.getpid(), SIGINT)",
        ("error",), "KeyboardInterrupt",
    ),
    "faults": Case("import ctypes\nctypes.string_at(0)", CRASHED, "SIGSEGV"),
    "exits": Case("import sys\nsys.exit(3)", FAILED, "SystemExit: 3"),
    "raises_what_cannot_be_shown": Case(
        "class Bad(Exception):\n    def __str__(self): raise RuntimeError('no')\nraise Bad", FAILED, "Bad"
    ),
    "raises_what_ends_the_report": Case(
        "class Bad:\n    def __repr__(self): raise SystemExit(1)\nraise ValueError(Bad())", CRASHED, "status"
    ),
    "raises_a_surrogate": Case("raise ValueError('\\ud800')", FAILED, "ValueError"),
    "raises_a_huge_text": Case("raise ValueError('x' * 50_000_000)", FAILED, "ValueError: xxx", laborious=True),
    "breaks_the_clock": Case("import time\ntime.time = time.monotonic = time.perf_counter = lambda: 0", PASSED),
    "breaks_os": Case("import os\nos.write = os.fstat = os.getpid = os._exit = None", CRASHED),
    "forgets_its_environment": Case("import os\nos.environ.clear()", PASSED),
    "takes_all_descriptors": Case(
        "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))", ("passed", "crashed")
    ),
    "waits_for_any_child": Case(
        "import contextlib, os\nwith contextlib.suppress(ChildProcessError): os.waitpid(-1, os.WNOHANG)", PASSED
    ),
}  # fmt: skip
