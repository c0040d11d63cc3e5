"""New text for functions in place, in real stems: what they then do is what a process does that loads it anew."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from driver import Driver, write
from recording import MODERN, driven, read

LIB = '''
"""A library."""
import functools, types

KEPT = []


def noted(function):
    """Say."""

    @functools.wraps(function)
    def wrapper(*args):
        # around
        return function(*args)

    KEPT.append(wrapper)
    return wrapper


@noted
def plain(x=1):
    """Say."""
    # here
    return x


def more(x=2):
    # here too
    return x


def last(x=3):
    # last
    return x


def adder(n):
    def add(m):
        # inside
        return n + m

    return add


add_2 = adder(2)
twice = lambda x: x * 2
copied = types.FunctionType(plain.__wrapped__.__code__, {"__builtins__": __builtins__}, "copied", (7,))


class Thing:
    FIELD = 1
    NAMES = ("a", "b")

    def __init__(self):
        self.size = 1

    @property
    def area(self):
        # area
        return self.size

    @staticmethod
    def steps():
        # steps
        yield 1

    @classmethod
    @functools.lru_cache(maxsize=None)
    def made(cls):
        # made
        return 1


class Below:
    """Stands last."""

    def boom(self):
        raise ValueError("boom")
'''
SEEN = """
import inspect, traceback
import lib

def line():
    try:
        lib.Below().boom()
    except ValueError as error:
        return error.__traceback__.tb_next.tb_lineno

def seen():
    return [
        lib.plain(), lib.plain.__wrapped__(4), lib.KEPT[0](5), lib.copied(), lib.add_2(1), lib.adder(3)(4),
        lib.twice(2), lib.more(), lib.last(), lib.Thing().area, list(lib.Thing.steps()), lib.Thing.made(),
        lib.Thing.FIELD, line(), lib.plain.__doc__,
        lib.plain.__wrapped__.__code__.co_firstlineno, lib.Below.boom.__code__.co_firstlineno,
        inspect.getsource(lib.Below), inspect.getsource(lib.Thing.area.fget), sorted(lib.Thing().__dict__),
        sorted(getattr(lib.Below, "__static_attributes__", ())), lib.plain.__wrapped__.__code__.co_stacksize,
    ]

def test_seen():
    raise AssertionError(repr(seen()))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    return root


def edit(path: Path, old: str, new: str) -> None:
    """Exchange a piece of a file, long enough after it was loaded. At no moment is the file there in part."""
    text = path.read_text()
    assert old in text
    written = path.with_name(path.name + ".new")
    written.write_text(text.replace(old, new))
    written.replace(path)


def amend(driver: Driver, *paths: Path, collection: int = 1) -> dict[str, Any]:
    """Have a checkpoint amended; return the answer."""
    driver.send("Amend", id=9, collection=collection, paths=list(map(str, paths)))
    answer = driver.until("Amended")
    assert answer["id"] == 9
    return answer


def said(driver: Driver, collection: int = 1) -> str:
    """Run the one test, which fails with what it has seen."""
    (outcome,) = driver.run([0], collection=collection).outcomes.values()
    assert outcome["verdict"] == "failed"
    message: str = outcome["detail"]["message"]
    return message


EDITS = {
    "a function": ("    # here\n", "    x += 10\n"),
    "a function that is longer": ("    # here too\n", "    x += 10\n    x += 100\n    x += 1000\n"),
    "an inner function of one that has run": ("        # around\n", "        args = [arg * 3 for arg in args]\n\n"),
    "an inner function with a variable of the outer one": ("        # inside\n", "        m = n * m\n"),
    "a lambda": ("x * 2", "x * 3"),
    "a property": ("        # area\n", "        return 5\n"),
    "a generator": ("        # steps\n", "        yield 0\n"),
    "a function that is cached": ("        # made\n", "        return cls.FIELD + 1\n"),
    "only lines": ("\n\nclass Thing", "\n\n\n\n\n# more\nclass Thing"),
    "an inner class": ("    # last\n", "    class Inner:\n        y = 5\n    x = Inner.y\n"),
}


@pytest.mark.parametrize("version", MODERN)
@pytest.mark.parametrize("checkpoint", ["collected", "configured"])
def test_what_is_amended_does_what_is_written(project, version, checkpoint):
    """Edits one after another, in one process; beside it another one loads the file anew after each."""
    write(project, lib=LIB, test_it=SEEN, **({"conftest": "import lib"} if checkpoint == "configured" else {}))
    with driven(project, version) as driver, driven(project, version) as other:
        driver.collect()
        seen = [said(driver)]
        there = [(old, new) for old, new in EDITS.values()]
        for old, new in [*there, *((new, old) for old, new in reversed(there))]:
            edit(project / "lib.py", old, new)
            for collection in [1, 0] if checkpoint == "configured" else [1]:
                answer = amend(driver, project / "lib.py", collection=collection)
                assert answer["reason"] == ""
                found = (project / "lib.py").stat()
                assert answer["files"] == [[str(project / "lib.py"), found.st_mtime_ns, found.st_size, 0o644]]
            seen.append(said(driver))
            assert seen[-1] != seen[-2]
            other.send("DropCollection", collection=0, configured=True)
            assert seen[-1] == said(other, other.collect()["collection"])
        assert seen[-1] == seen[0]
        if checkpoint == "configured":  # what is collected from it is amended, too
            edit(project / "lib.py", *EDITS["a function"])
            assert amend(driver, project / "lib.py", collection=0)["reason"] == ""
            assert said(driver, driver.collect()["collection"]) == seen[1]


REFUSED = {
    "a statement of the module": ("KEPT = []", "KEPT = [1]", "what runs at import has run"),
    "a constant of another type": ("FIELD = 1", "FIELD = True", "Thing has run"),
    "the order of names": ('NAMES = ("a", "b")', 'NAMES = ("b", "a")', "Thing has run"),
    "a method more": ("    FIELD = 1\n", "    FIELD = 1\n    def more(self): pass\n", "Thing has run"),
    "a decorator": ("@noted\n", "", "what runs at import has run"),
    "a parameter more": ("def plain(x=1)", "def plain(x=1, *, y=1)", ""),
    "another name for a parameter": ("def boom(self)", "def boom(this)", "the signature of Below.boom has changed"),
    "a generator now": ("    # here\n", "    yield\n", "the signature of plain has changed"),
    "a docstring": ('"""Say."""\n    # here', '"""Tell."""\n    # here', "the docstring of plain has changed"),
    "what has run": ("    KEPT.append(wrapper)\n", "    KEPT.append(None)\n", "noted has run"),
    "an import": ("    # here\n", "    import json\n", "it imports something else"),
    "no Python": ("    # here\n", "    x = = 1\n", "SyntaxError: "),
    "what the compiler warns of": ("    # here\n", "    x = 1 is 1\n", "SyntaxError: "),
    "a function that is none any more": ("def plain(x=1):", "class plain:", ""),
}


@pytest.mark.parametrize("version", MODERN)
def test_what_could_make_a_difference_is_refused(project, version):
    write(project, lib=LIB, test_it=SEEN)
    with driven(project, version) as driver:
        driver.collect()
        before = said(driver)
        for old, new, reason in REFUSED.values():
            edit(project / "lib.py", old, new)
            answer = amend(driver, project / "lib.py")
            assert answer["files"] == []
            assert answer["reason"].startswith(f"{project / 'lib.py'}: {reason}")
            (project / "lib.py").write_text(LIB)
        assert said(driver) == before


@pytest.mark.parametrize("version", MODERN)
def test_a_number_that_is_the_line_of_a_class_is_none_of_the_compiler_s(project, version):
    write(project, lib="class A:\n    N = 1\n", test_it="import lib\ndef test(): raise AssertionError(lib.A.N)")
    with driven(project, version) as driver:
        driver.collect()
        (project / "lib.py").write_text("\nclass A:\n    N = 2\n")
        assert amend(driver, project / "lib.py")["reason"].endswith("lib.py: A has run")


#: What a module does with a function `it` while it is loaded, and why that one cannot be amended then.
LOOKED_AT = {
    "it = it.__code__ and it; CODES = [it.__code__]": "somebody else has the code of it",
    "import pathlib; TEXT = pathlib.Path(__file__).read_text()": "it was read",
    "import inspect; TEXT = inspect.getsource(it)": "",
    "it.__code__ = it.__code__.replace(co_name='other')": "the code of it is not what is written",
    "it()": "it has run",
    "GOING_ON = it(); next(GOING_ON)": "it has run",
    "def outer():\n  yield\n  def it():\n    # here\n    return 1\n  yield it\nGOING_ON = outer(); next(GOING_ON)":
        "outer may be going on, and has outer.<locals>.it inside",
    "import importlib, sys; importlib.reload(sys.modules[__name__]) if 'DONE' not in globals() and "
    "globals().setdefault('DONE', 1) else None": "it was loaded 2 times",
}  # fmt: skip


@pytest.mark.parametrize("version", MODERN)
@pytest.mark.parametrize("done", LOOKED_AT)
def test_a_function_that_was_looked_at_is_not_exchanged(project, version, done):
    kind = "yield 1" if "next(" in done else "return 1"
    write(project, lib=f"def it():\n    # here\n    {kind}\n{done}\n", test_it="import lib\ndef test(): pass\n")
    with driven(project, version) as driver:
        assert driver.collect()["type"] == "Collected"
        edit(project / "lib.py", "    # here\n", "    x = 2\n")
        answer = amend(driver, project / "lib.py")
    assert answer["files"] == []
    assert LOOKED_AT[done] in answer["reason"]


@pytest.mark.parametrize("version", MODERN)
def test_what_is_read_to_guess_at_values_is_no_matter(project, version):
    """Hypothesis looks for constants in all modules of a project, once they are loaded."""
    reads = "import pathlib, lib\nTEXT = pathlib.Path(lib.__file__).read_bytes()\n"
    tests = "import lib, hypothesis.internal.constants_ast\ndef test(): raise AssertionError(lib.it())"
    write(project, lib="def it():\n    return 1\n", hypothesis__internal__constants_ast=reads, test_it=tests)
    with driven(project, version) as driver:
        driver.collect()
        edit(project / "lib.py", "return 1", "return 2")
        assert amend(driver, project / "lib.py")["reason"] == ""
        assert said(driver) == "AssertionError: 2"


@pytest.mark.parametrize("version", MODERN)
def test_of_several_files_all_are_amended_or_none(project, version):
    write(
        project,
        lib="def one():\n    return 1\n",
        other="def two():\n    return 2\nVALUE = 1\n",
        test_it="import lib, other\ndef test(): raise AssertionError([lib.one(), other.two(), other.VALUE])",
    )
    with driven(project, version) as driver:
        driver.collect()
        edit(project / "lib.py", "return 1", "return 10")
        edit(project / "other.py", "VALUE = 1", "VALUE = 3")
        answer = amend(driver, project / "lib.py", project / "other.py")
        assert answer["reason"] == f"{project / 'other.py'}: what runs at import has run"
        assert "[1, 2, 1]" in said(driver)
        edit(project / "other.py", "VALUE = 3", "VALUE = 1")
        edit(project / "other.py", "return 2", "return 20")
        assert amend(driver, project / "lib.py", project / "other.py")["reason"] == ""
        assert "[10, 20, 1]" in said(driver)


@pytest.mark.parametrize("version", MODERN)
def test_a_test_file_is_loaded_anew(project, version):
    write(project, test_it="def test():\n    raise AssertionError(1)\n")
    with driven(project, version) as driver:
        driver.collect()
        edit(project / "test_it.py", "AssertionError(1)", "AssertionError(2)")
        assert amend(driver, project / "test_it.py")["reason"] == f"{project / 'test_it.py'}: it was read"


@pytest.mark.parametrize("version", MODERN)
def test_what_tests_used_is_told_by_the_new_lines(project, version):
    lib = "def wrap(f):\n    return f\n@wrap\ndef one():\n    return two()\ndef two():\n    # here\n    return 2\n"
    write(project, lib=lib, test_it="import lib\ndef test(): lib.one()\n")
    with driven(project, version, record=True) as driver:
        found = driver.collect()
        driver.run([0])
        edit(project / "lib.py", "def wrap", "\n\n\ndef wrap")
        edit(project / "lib.py", "    # here\n", "    x = 1\n")
        assert amend(driver, project / "lib.py")["reason"] == ""
        driver.other.clear()
        driver.run([0])
        record = read(driver, project, found["ids"])
        lines = {name: line for page in record.messages for _, _, name, line in page["codes"]}
    assert record.functions_of("test") == {"one", "two"}
    assert "wrap" in record.loaded
    assert {name: lines[name] for name in ("wrap", "one", "two")} == {"wrap": 4, "one": 6, "two": 9}


def test_a_process_that_does_not_know_what_has_run_refuses(project):
    write(project, lib="def one():\n    return 1\n", test_it="import lib\ndef test(): lib.one()\n")
    with driven(project, "3.11") as driver:
        driver.collect()
        edit(project / "lib.py", "return 1", "return 2")
        assert amend(driver, project / "lib.py")["reason"] == "it is not known which functions have run"
        assert amend(driver, project / "lib.py", collection=7)["reason"] == "there is no such process"


@pytest.mark.parametrize("version", MODERN[-1:])
def test_a_file_that_is_written_at_that_moment_is_taken_as_it_is_in_the_end(project, version):
    write(project, lib="def one():\n    return 1\n", test_it="import lib\ndef test(): raise AssertionError(lib.one())")
    with driven(project, version) as driver:
        driver.collect()
        edit(project / "lib.py", "return 1", "return 2")
        driver.send("Amend", id=9, collection=1, paths=[str(project / "lib.py")])
        deadline = time.monotonic() + 0.01
        while time.monotonic() < deadline:
            pass
        edit(project / "lib.py", "return 2", "return 3")
        answer = driver.until("Amended")
        now = os.stat(project / "lib.py")
        assert answer["reason"] == ""
        is_newest = answer["files"] == [[str(project / "lib.py"), now.st_mtime_ns, now.st_size, 0o644]]
        assert said(driver) == f"AssertionError: {3 if is_newest else 2}"


@pytest.mark.parametrize("version", MODERN)
def test_what_was_compiled_in_vain_is_kept_for_the_import(project, version):
    write(project, lib="VALUE = 1\n", test_it="import lib\ndef test(): raise AssertionError(lib.VALUE)")
    with driven(project, version, variables={"PYTHONDONTWRITEBYTECODE": ""}) as driver:
        driver.collect()
        edit(project / "lib.py", "VALUE = 1", "VALUE = 22")
        assert amend(driver, project / "lib.py")["reason"].endswith("what runs at import has run")
        (kept,) = (project / "__pycache__").glob("lib.cpython-*.pyc")
        before = kept.stat().st_mtime_ns
        assert said(driver, driver.collect()["collection"]) == "AssertionError: 22"
        assert kept.stat().st_mtime_ns == before
    assert all(name.endswith(".pyc") for name in os.listdir(project / "__pycache__"))


@pytest.mark.parametrize("version", MODERN[-1:])
def test_a_process_that_is_killed_meanwhile_is_answered_for(project, version):
    write(project, lib="def one():\n    return 1\n", test_it="import lib\ndef test(): raise AssertionError(lib.one())")
    with driven(project, version) as driver:
        driver.collect()
        stems = psutil.Process(driver.process.pid).children(recursive=True)
        for stem in stems:
            stem.suspend()
        edit(project / "lib.py", "return 1", "return 2")
        driver.send("Amend", id=9, collection=1, paths=[str(project / "lib.py")])
        driver.send("Ping", id=1)
        driver.until("Pong")  # it has been passed on
        for stem in stems:
            with contextlib.suppress(psutil.NoSuchProcess):  # they end with one another
                stem.kill()
        assert driver.until("Amended")["reason"] == "its process has ended: killed by SIGKILL"
        assert driver.until("Fault")["code"] == "lost"
