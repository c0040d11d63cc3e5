"""What tests have used, from outside: exported tests on every interpreter."""

from __future__ import annotations

from pathlib import Path

import pytest
from driver import write
from recording import MODERN, recorded

import interpreters

LIB = """
import functools

def outer(): return inner()
def inner(): return 1
def never(): return 2

@functools.lru_cache(maxsize=None)
def cached(): return expensive()
def expensive(): return 3

_made = None
def lazily():
    global _made
    if _made is None:
        _made = make()
    return _made
def make(): return 4

def hot(n): return cold(n) if n == 9999 else n
def cold(n): return n
def factorial(n): return 1 if n < 2 else n * factorial(n - 1)
def steps():
    yield step()
def step(): return 5
async def wait(): return waited()
def waited(): return 6
class Thing:
    @property
    def size(self): return measure()
def measure(): return 7
"""
TESTS = """
import asyncio, os, threading
import lib

def calls(): lib.outer()
def fills(): lib.cached()
def finds(): lib.cached()
def makes(): lib.lazily()
def takes(): lib.lazily()
def heats():
    for n in range(10000): lib.hot(n)
def warms(): lib.hot(0)
def recurses(): lib.factorial(100)
def iterates(): list(lib.steps())
def awaits(): asyncio.run(lib.wait())
def threads():
    thread = threading.Thread(target=lib.inner)
    thread.start()
    thread.join()
def measures(): lib.Thing().size
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    return root


@pytest.mark.parametrize("version", MODERN)
def test_functions_that_ran_are_told_for_each_test(project, version):
    write(project, lib=LIB, test_it=TESTS)
    record = recorded(project, version, kind="exports")
    assert record.functions
    assert {name: record.functions_of(name) for name in record.uses} == {
        "calls": {"outer", "inner"},
        "fills": {"cached", "expensive"},
        "finds": set(),
        "makes": {"lazily", "make"},
        "takes": {"lazily"},
        "heats": {"hot", "cold"},
        "warms": {"hot"},
        "recurses": {"factorial"},
        "iterates": {"steps", "step"},
        "awaits": {"wait", "waited"},
        "threads": {"inner"},
        "measures": {"Thing.size", "measure"},
    }
    assert record.shared == {"cached", "expensive", "lazily", "make"}
    assert record.loaded == {"<module>"}


@pytest.mark.parametrize("version", interpreters.found())
def test_files_folders_and_processes_are_told_for_each_test(project, version):
    write(project, lib="def read(name):\n    with open(name) as file: return file.read()\n", test_it="""
import glob, os, pathlib, subprocess, sys
import lib

def reads(): lib.read("data.json")
def reads_by_path(): (pathlib.Path(__file__).parent / "data.json").read_text()
def misses():
    try: open("none.txt")
    except FileNotFoundError: pass
def lists(): os.listdir("folder")
def looks(): glob.glob("folder/*.txt")
def writes():
    with open("made.txt", "w") as file: file.write("x")
    lib.read("made.txt")
def starts(): subprocess.run([sys.executable, "-c", ""], check=True)
def shells(): os.system("true")
def imports(): import late
def inspects(): lib.read("lib.py")
def elsewhere(): lib.read(os.__file__)
""", late="import json\n", folder__a="")  # fmt: skip
    (project / "data.json").write_text("{}")
    record = recorded(project, version, kind="exports")
    assert {name: (use.files, use.folders, use.everything) for name, use in record.uses.items()} == {
        "reads": ({"data.json"}, set(), False),
        "reads_by_path": ({"data.json"}, set(), False),
        "misses": ({"none.txt"}, set(), False),
        "lists": (set(), {"folder"}, False),
        "looks": (set(), {"folder"}, False),
        "writes": (set(), set(), False),
        "starts": (set(), set(), True),
        "shells": (set(), set(), True),
        "imports": (set(), set(), False),
        "inspects": ({"lib.py"}, set(), False),
        "elsewhere": (set(), set(), False),
    }
    assert record.written == {"made.txt"}
    assert record.functions == (version in MODERN)
