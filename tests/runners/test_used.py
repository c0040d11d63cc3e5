"""What tests have used, from outside: exported tests on every interpreter."""

from __future__ import annotations

from pathlib import Path

import pytest
from driver import write
from recording import MODERN, driven, read, recorded

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


@pytest.mark.parametrize("version", MODERN)
def test_a_generator_that_goes_on_with_an_exception_has_run(project, version):
    """A generator or coroutine resumed by `throw` was not recorded: a test that only ended it was missed."""
    write(project, lib="""
def made():
    try:
        yield
    except ValueError:
        cleaned()
def cleaned(): pass

FOUND = []
def gathering():
    try:
        yield
    except ValueError:
        FOUND.append(gathered())
        yield
def gathered(): pass
def plain(): pass
""", test_it="""
import contextlib
import lib

left = {}
def begins():
    for function in lib.made, lib.gathering:
        left[function.__name__] = function()
        next(left[function.__name__])
def ends():
    with contextlib.suppress(StopIteration): left["made"].throw(ValueError)
def goes_on(): left["gathering"].throw(ValueError)
def never_began():
    with contextlib.suppress(ValueError): lib.made().throw(ValueError)
def follows(): lib.plain()
""")  # fmt: skip
    record = recorded(project, version, kind="exports")
    for name, ran in {
        "begins": {"made", "gathering"},
        "ends": {"made", "cleaned"},
        "goes_on": {"gathering", "gathered"},
        "follows": {"plain"},
    }.items():
        assert record.functions_of(name) - record.shared <= ran <= record.functions_of(name), name
    assert "gathered" in record.shared
    assert "plain" not in record.shared


@pytest.mark.parametrize("version", MODERN)
def test_what_is_called_often_in_front_is_heard_inside_of_what_keeps_it(project, version):
    """What was heard too often while something ran that keeps it was not heard when that itself called it."""
    counts = range(97, 513)
    lib, tests = ["KEPT = []"], ["import lib"]
    for n in counts:
        lib += [f"def hot{n}(): pass", f"def cold{n}(): pass"]
        lib += [f"def keep{n}():", f"    for _ in range(20): cold{n}()", f"    KEPT.append(hot{n}())"]
        tests += [f"def often{n}():", f"    for _ in range({n}): lib.hot{n}()", f"    lib.keep{n}()"]
    write(project, lib="\n".join(lib), test_it="\n".join(tests))
    record = recorded(project, version, kind="exports")
    assert {f"hot{n}" for n in counts} <= record.shared


@pytest.mark.parametrize("version", MODERN)
def test_of_calls_that_keep_in_the_same_object_the_later_ones_count_too(project, version):
    """What had been heard before such a call, is heard in it alone, or had to be heard again in the meantime."""
    write(project, lib="""
class Thing:
    def keep(self, make=None):
        self._cache = make() if make else None
    def keep_in(self, make):
        self._cache = make()
ONE, OTHER = Thing(), Thing()
def often(make):
    for _ in range(2000): make()
def early(): pass
def early_too(): pass
def late(): pass
def again(): pass
def quiet(): pass
def apart(): pass
""", test_it="""
import lib
def in_front():
    for _ in range(5): lib.ONE.keep()
    lib.often(lib.early)
    lib.ONE.keep()
    lib.often(lib.late)
    lib.ONE.keep(lib.late)
def alone():
    lib.ONE.keep()
    lib.ONE.keep(lib.quiet)
def heard_again():
    for _ in range(5): lib.ONE.keep()
    lib.often(lib.early)
    lib.often(lib.early_too)
    lib.ONE.keep()
    lib.OTHER.keep_in(int)
    lib.often(lib.again)
    lib.ONE.keep(lib.again)
def does_not(): lib.apart()
""")  # fmt: skip
    record = recorded(project, version, kind="exports")
    assert {"late", "quiet", "again"} <= record.shared
    assert "apart" not in record.shared


@pytest.mark.parametrize("version", MODERN)
def test_what_lasts_is_told_of_the_tests_of_another_file_only_if_they_run_it(project, version):
    write(project, lib="""
KEPT = []
def keep(): KEPT.append(made())
def made(): pass
def plain(): pass
""", test_a="""
import lib
def keeps(): lib.keep()
def runs(): lib.made()
def runs_again(): lib.made()
def follows(): lib.plain()
""", test_b="""
import lib
def other(): lib.plain()
def others(): lib.made()
""")  # fmt: skip
    record = recorded(project, version, kind="exports")
    assert record.shared == {"keep", "made"}
    assert record.functions_of("other") == {"plain"}
    assert record.functions_of("others") == {"made"}


@pytest.mark.parametrize("version", MODERN)
def test_what_keeps_its_result_is_shared_however_often_it_runs(project, version):
    """Also where the list of starts is emptied in the middle, where it raises, and where several threads are inside."""
    write(project, lib="""
import functools

class Thing:
    @functools.cached_property
    def size(self): return measured()
def measured(): return 1
THING = Thing()

_seen = []
def notes(n):
    _seen.append(noted(n))
def noted(n): return deeply(n)
def deeply(n): return rarely(n) if n == 4000 else n
def rarely(n): return n
def outside(n): return n
@functools.lru_cache(maxsize=None)
def fails(n):
    before(n)
    raise ValueError
def before(n): return n
""", test_it="""
import threading
import lib

def fills(): lib.THING.size
def finds(): lib.THING.size
def notes():
    for n in range(4001):
        lib.outside(n)
        lib.notes(n)
def fails():
    for n in range(3):
        try: lib.fails(n)
        except ValueError: lib.outside(n)
def threads():
    def work():
        for n in range(2000): lib.notes(n)
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
def after(): lib.outside(1)
""")  # fmt: skip
    record = recorded(project, version, kind="exports")
    noting = {"notes", "noted", "deeply"}
    assert {name: record.functions_of(name) - {"threads.work"} for name in record.uses} == {
        "fills": {"Thing.size", "measured"},
        "finds": set(),
        "notes": {"noted", "deeply", "rarely", "outside"},
        "fails": {"before", "outside"},
        "threads": noting,
        "after": {"outside"},
    }
    assert record.shared - {"threads.work"} == {"Thing.size", "measured", *noting, "rarely", "fails", "before"}


@pytest.mark.parametrize("version", MODERN)
@pytest.mark.parametrize("mode", ["worker", "bin"])
def test_a_worker_that_crashes_leaves_no_wrong_record(project, version, mode):
    """Its tests have no record and count as affected; those of the worker that goes on have theirs, as in each mode."""
    write(project, lib="def one(): pass\ndef two(): pass\ndef three(): pass\n", test_it="""
import os, signal
import lib
def first(): lib.one()
def dies(): os.kill(os.getpid(), signal.SIGKILL)
def second(): lib.two()
def third(): lib.three()
""")  # fmt: skip
    with driven(project, version, kind="exports", mode=mode) as driver:
        ids = driver.collect()["ids"]
        numbers = {name.partition("::")[2]: number for number, name in enumerate(ids)}
        for names in ["first", "dies", "second"], ["second", "third"]:
            tests = [numbers[name] for name in names]
            driver.run(tests, ids=[ids[test] for test in tests], paths=["test_it.py"])
        record = read(driver, project, ids)
    assert record.functions
    assert {name: record.functions_of(name) for name in record.uses} == {"second": {"two"}, "third": {"three"}}


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


@pytest.mark.parametrize("version", MODERN)
def test_an_inner_function_that_fills_what_is_around_it_keeps_nothing_unless_it_may_be_called_later(project, version):
    write(project, lib="""
def gathering(items):
    found = []
    def gather(item): found.append(made(item))
    for item in items: gather(item)
    return found
def made(item): return item

def keeper():
    found = []
    def keep(): found.append(kept())
    return keep
def kept(): return 1
""", test_it="""
import lib
KEEP = lib.keeper()
def gathers(): lib.gathering([1])
def keeps(): KEEP()
""")  # fmt: skip
    record = recorded(project, version, kind="exports")
    assert record.functions_of("gathers") == {"gathering", "gathering.gather", "made"}
    assert record.shared == {"keeper.keep", "kept"}


@pytest.mark.parametrize("version", MODERN)
def test_what_is_kept_in_an_object_lasts_as_long_as_that(project, version):
    write(project, lib="""
import functools

class Thing:
    @functools.cached_property
    def size(self): return measured()
    def area(self):
        self._cached_area = area = computed()
        return area
    def shape(self, other):
        self = other
        self._cached_shape = formed()
    def callback(self):
        def called(): self.values["x"] = filled()
        return called
    values = {}
def measured(): return 1
def computed(): return 2
def formed(): return 3
def filled(): return 4

class Slotted:
    __slots__ = ("_cached",)
    def value(self): self._cached = valued()
def valued(): return 5

class Looped:
    def weight(self): self._cached_weight = weighed()
def weighed(): return 6

class Threaded:
    def weight(self): self._cached_weight = threaded()
def threaded(): return 8

def keeps(thing): thing.cache = made()
def made(): return 7
THING = Thing()
""", test_it="""
import threading
import lib

def passes():
    thing = lib.Thing()
    thing.size, thing.area()
    thing.callback()()
def gives_another():
    lib.Thing().shape(lib.Thing())
def has_no_references():
    lib.Slotted().value()
def in_a_cycle():
    thing = lib.Looped()
    thing.itself = thing
    thing.weight()
def stays():
    lib.keeps(lib.THING)
def in_a_cycle_beside_a_thread():
    thing = lib.Threaded()
    thing.itself = thing
    thing.weight()
    threading.Thread(target=threading.Event().wait, daemon=True).start()
""")  # fmt: skip
    record = recorded(project, version, kind="exports")
    assert {name: record.functions_of(name) for name in record.uses} == {
        "passes": {f"Thing.{name}" for name in ("size", "area", "callback", "callback.called")}
        | {"measured", "computed", "filled"},
        "gives_another": {"Thing.shape", "formed"},
        "has_no_references": {"Slotted.value", "valued"},
        "in_a_cycle": {"Looped.weight", "weighed"},
        "stays": {"keeps", "made"},
        "in_a_cycle_beside_a_thread": {"Threaded.weight", "threaded"},
    }
    threaded = record.functions_of("in_a_cycle_beside_a_thread")
    assert record.shared == {"Thing.shape", "formed", "Slotted.value", "valued", "keeps", "made"} | threaded


@pytest.mark.parametrize("version", MODERN)
def test_a_file_that_is_kept_in_an_object_lasts_as_long_as_that(project, version):
    write(project, lib="""
class Loader:
    def load(self):
        with open("data.txt") as file: self.cache = file.read()
LOADER = Loader()
""", test_it="""
import lib

def loads(): lib.Loader().load()
def follows(): pass
def fills(): lib.LOADER.load()
def finds(): lib.LOADER.cache
""")  # fmt: skip
    (project / "data.txt").write_text("text")
    record = recorded(project, version, kind="exports")
    read_by = {name for name, use in record.uses.items() if "data.txt" in use.files}
    assert read_by == {"loads", "fills", "finds"}


@pytest.mark.parametrize("version", MODERN)
def test_a_text_that_is_executed_lasts_as_long_as_what_it_has_defined(project, version):
    write(project, lib="""
import pathlib
def load(name):
    names = {}
    exec(compile(pathlib.Path(name).read_text(), str(pathlib.Path(name).resolve()), "exec"), names)
    return names
KEPT = []
def keep(names): KEPT.extend([names])
""", test_it="""
import lib

def passes():
    names = lib.load("template.txt")
    names["itself"] = names
    names["render"]()
def data(): lib.load("data.txt")
def stays(): lib.keep(lib.load("kept.txt"))
""")  # fmt: skip
    for name in ("template", "kept"):
        (project / f"{name}.txt").write_text(f"def render(): return {name}()\ndef {name}(): return 1\nrender()\n")
    (project / "data.txt").write_text("def helper(): pass\nhelper()\ndel helper\n")
    record = recorded(project, version, kind="exports")
    assert {"template", "render"} <= record.functions_of("passes")
    assert "template" not in record.shared
    assert {"helper", "kept"} <= record.shared


@pytest.mark.parametrize("version", MODERN)
def test_a_text_that_is_executed_twice_lasts_as_long_as_what_the_second_time_has_defined(project, version):
    write(project, lib="KEPT = []\ndef keep(names): KEPT.extend([names])\n", test_it="""
import lib

def twice():
    code = compile("def render(): pass", lib.__file__ + ".txt", "exec")
    for names in ({}, {}):
        exec(code, names)
    lib.keep(names)
""")  # fmt: skip
    assert "<module>" in recorded(project, version, kind="exports").shared


@pytest.mark.parametrize("version", MODERN)
def test_of_what_is_kept_in_an_object_only_that_lasts_which_is_kept_elsewhere_too(project, version):
    write(project, lib="""
import functools

class Loader:
    def load(self):
        with open("data.txt") as file: before(file.read())
        self.cache = outer()
        after()
def before(text): return text
@functools.lru_cache(maxsize=None)
def outer():
    with open("deep.txt") as file: return inner(file.read())
def inner(text): return text
def after(): return 1
""", test_it="""
import lib

def loads(): lib.Loader().load()
def follows(): pass
""")  # fmt: skip
    for name in ("data.txt", "deep.txt"):
        (project / name).write_text("text")
    record = recorded(project, version, kind="exports")
    assert record.functions_of("loads") == {"Loader.load", "before", "outer", "inner", "after"}
    assert record.shared == {"outer", "inner"}
    assert (record.uses["loads"].files, record.uses["follows"].files) == ({"data.txt", "deep.txt"}, {"deep.txt"})
