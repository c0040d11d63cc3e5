"""A process that is left early has done all that anybody could see."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = str(Path(__file__).resolve().parents[2] / "runners")
BEFORE = f"import sys\nsys.path.insert(0, {SOURCE!r})\nfrom testd.runner.leaving import leaver\nleave = leaver()\n"
#: Printed only by an interpreter that is taken down.
AFTER = "import atexit\nleave(3)\nprint('taken down', flush=True)\nsys.exit(3)\n"

NOTHING_LEFT = (
    "print('said', end='')",
    "import atexit; atexit.register(print, 'said', end='')",
    "import threading, time; threading.Thread(target=lambda: (time.sleep(0.1), print('said', end=''))).start()",
    "import io; kept = io.StringIO(), io.BytesIO(); print('said', end='')",
)
SOMETHING_LEFT = (
    "class C:\n    def __del__(self): print('said', end='')\nkept = C()",
    "def f():\n    try: yield\n    finally: print('said', end='')\nkept = f(); next(kept)",
    "kept = open(2, 'w', closefd=False); print('said', end='')",
)


def run(text: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", BEFORE + text + "\n" + AFTER], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("text", NOTHING_LEFT)
def test_where_nothing_is_left_to_do_the_process_ends_at_once(text: str):
    assert run(text) == (3, "said")


@pytest.mark.parametrize("text", SOMETHING_LEFT)
def test_where_something_is_left_to_do_the_interpreter_does_it(text: str):
    code, out = run(text)
    assert code == 3
    assert "taken down" in out
    assert "said" in out
