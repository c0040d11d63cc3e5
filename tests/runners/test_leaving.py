"""A process that is left early has done all that anybody could see."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = str(Path(__file__).resolve().parents[2] / "runners")
BEFORE = (
    f"import sys\nsys.path.insert(0, {SOURCE!r})\nfrom testd.runner.leaving import Leaver\n"
    "leaver = Leaver()\nleave = leaver.leave\n"
)
#: Printed only by an interpreter that is taken down.
AFTER = "import atexit\nleave(3)\nprint('taken down', flush=True)\nsys.exit(3)\n"

NOTHING_LEFT = (
    "print('said', end='')",
    "import atexit; atexit.register(print, 'said', end='')",
    "import threading, time; threading.Thread(target=lambda: (time.sleep(0.1), print('said', end=''))).start()",
    "import io; kept = io.StringIO(), io.BytesIO(); print('said', end='')",
    "import io; kept = io.TextIOWrapper(io.BufferedRandom(io.BytesIO())); kept.write('it'); print('said', end='')",
    "import io\nclass C(io.TextIOWrapper):\n    def close(self): 'No.'\nkept = C(io.BytesIO()); print('said', end='')",
    "import socket; kept = socket.socket(); kept.close(); print('said', end='')",
)
SOMETHING_LEFT = (
    "class C:\n    def __del__(self): print('said', end='')\nkept = C()",
    "def f():\n    try: yield\n    finally: print('said', end='')\nkept = f(); next(kept)",
    "kept = open(2, 'w', closefd=False); print('said', end='')",
    "import io\nclass C(io.BytesIO):\n    def close(self): print('said', end='')\nkept = C()",
    "import io\nclass C(io.BytesIO): write = lambda *_: print('said', end='')\nk = io.TextIOWrapper(C()); k.write('k')",
    "import io\nclass C(io.TextIOWrapper):\n    def flush(self): print('said', end='')\nkept = C(io.BytesIO())",
    "import io\nclass C(io.StringIO):\n    def __del__(self): print('said', end='')\nkept = C()",
    "import socket; kept = socket.socket(); print('said', end='')",
    "import io, unittest.mock as m; kept = io.TextIOWrapper(m.MagicMock(closed=False)); print('said', end='')",
    "import io; kept = io.TextIOWrapper(io.BytesIO()); kept.detach(); print('said', end='')",
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


#: Looked through before, and frozen; `kept` is alive then.
FROZEN = "from testd.runner import garbage\ngarbage.install()\n{}\nleaver.look()\ngarbage.freeze_live()\n"


@pytest.mark.parametrize("before", [*NOTHING_LEFT[3:], *SOMETHING_LEFT])
@pytest.mark.parametrize("later", ["", "import gc; gc.unfreeze(); garbage.release(); gc.collect()"])
def test_what_was_looked_through_before_counts_at_the_end(before: str, later: str):
    code, out = run(FROZEN.format(before) + later)
    assert code == 3
    assert out.count("said") == 1
    assert ("taken down" in out) == (before in SOMETHING_LEFT)


def test_what_has_begun_since_it_was_looked_at_counts():
    begins = "def f():\n    try: yield\n    finally: print('said', end='')\nkept = f()"
    code, out = run(FROZEN.format(begins) + "next(kept)")
    assert (code, out) == (3, "taken down\nsaid")


def test_what_came_after_the_look_counts():
    code, out = run(FROZEN.format("") + SOMETHING_LEFT[0])
    assert (code, out) == (3, "taken down\nsaid")
