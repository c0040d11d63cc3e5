"""The exports suite from outside: files in, collection and outcomes out, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest

import interpreters

HERE = Path(__file__).resolve().parent
SOURCE = str(HERE.parent.parent / "runners")
#: A driver that is not done by then hangs.
DEADLINE = 60


class Project:
    """A folder of test files, and the suite that runs them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.stdout = self.stderr = ""

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def run(self, *paths: str, python: str = sys.executable, keyword=None, update=False, stream=False, limit=4096,
            stopping=False):
        asked = {"source": SOURCE, "root": str(self.root), "paths": paths, "keyword": keyword, "update": update,
                 "stream": stream, "limit": limit, "stopping": stopping}
        with tempfile.TemporaryFile("w+") as answer:
            done = subprocess.run(
                [python, str(HERE / "exports_driver.py"), str(answer.fileno())], input=json.dumps(asked), text=True,
                pass_fds=[answer.fileno()], capture_output=True, timeout=DEADLINE, check=False,
                env={key: value for key, value in os.environ.items() if not key.startswith(("TESTD_", "PYTEST_"))},
            )
            self.stdout, self.stderr = done.stdout, done.stderr
            assert done.returncode == 0, done.stderr
            answer.seek(0)
            told = SimpleNamespace(**json.load(answer))
        told.ids = [name for name, _ in told.items]
        told.of = {
            name.rpartition("::")[2]: SimpleNamespace(verdict=verdict, duration=duration, detail=detail)
            for (name, _), (verdict, duration, detail) in zip(told.items, told.outcomes, strict=told.fault is None)
        }
        told.verdicts = {name: outcome.verdict for name, outcome in told.of.items()}
        return told


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


EVERYTHING = '''
    import asyncio, json, threading
    from os.path import join
    from typing import Any, List, Literal, Optional, Tuple, Union
    from testd import Skip, current_test
    from testd.assertions import conforms, deep_equal, is_, maybe, snapshot, throws
    from testd.assertions.variation import observe, strays

    _ended = threading.Event()

    class NotATest:
        def method(self): raise AssertionError("a method is no test")

    def passes():
        is_(2, 1 + 1)

    async def coroutine(t):
        await asyncio.sleep(0)
        assert current_test() is t
        await throws(_raises, ValueError, "bad")

    async def _raises():
        raise ValueError("bad")

    def fails():
        total, expected = {"a": 1}, {"a": 2}
        assert total == expected

    def skipped():
        raise Skip("not here")

    def deep():
        deep_equal([1, {"x": 2.0}], [1, {"x": 3.0}])

    def snap():
        snapshot({"a": {1, 2}})

    def structures():
        conforms({"n": [1, None], "s": ("a", 2.0), "w": "x"}, {
            "n": List[Optional[int]], "s": Tuple[str, float], "w": Literal["x"], "gone": maybe(int), ...: Any,
        })
        with throws(AssertionError, match="expected int or str"):
            conforms(1.0, Union[int, str])

    def places():
        rows, index = [{"a": 1}], 0
        assert rows[index]["a"] == 2

    def leaves(t):
        (t.tmp_path / "file").write_text("x")
        threading.Thread(target=_ended.wait, name="left", daemon=True).start()
        print("seen")
        json.loads("{")

    def ranges():
        spans = observe([{"n": 1, "t": "a"}, {"n": 3}])
        deep_equal([], list(strays({"n": 2}, spans)))
        deep_equal(["value['n']: expected 1 to 3, is 4"], list(strays({"n": 4}, spans)))
'''


def test_every_supported_interpreter_gives_the_same_verdicts(project):
    project.write("all_test.py", EVERYTHING)
    expected = {"passes": "passed", "coroutine": "passed", "fails": "failed", "skipped": "skipped", "deep": "failed",
                "snap": "failed", "structures": "passed", "places": "failed", "leaves": "failed", "ranges": "passed"}
    for version, python in interpreters.found().items():
        told = project.run(python=python)
        assert (version, told.verdicts) == (version, expected)
        assert told.of["fails"].detail["message"].startswith("assert total == expected where total = {'a': 1}")
        assert "value[1]['x']:\n    expected: 2.0\n    actual:   3.0" in told.of["deep"].detail["text"]
        assert told.of["places"].detail["message"] == 'assert rows[index]["a"] == 2 where rows[index]["a"] = 1'
        left = told.of["leaves"].detail
        assert (left["kind"], left["sections"]) == ("library", [{"name": "Captured stdout call", "text": "seen\n"}])
        assert left["leaks"] == ["thread 'left' still alive (daemon), running threading.Event.wait"]
        assert (version, project.stdout) == (version, "")


def test_only_public_functions_of_the_file_itself_are_tests(project):
    project.write("helpers.py", "def imported(): raise AssertionError\n")
    project.write("some_test.py", """
        from helpers import imported
        from functools import partial
        def one(): pass
        def _private(): raise AssertionError
        class Thing: pass
        bound = partial(one)
        def make(n=1):
            def made(): pass
            return made
        two = make()
        check = lambda: None
    """)
    assert project.run().ids == [f"some_test.py::{name}" for name in ("one", "make", "two", "check")]


def test_all_narrows_what_is_exported(project):
    project.write("some_test.py", "__all__ = ['one']\ndef one(): pass\ndef helper(): raise AssertionError\n")
    assert project.run().ids == ["some_test.py::one"]


def test_lines_are_where_the_functions_begin(project):
    project.write("test_lines.py", """\
        import functools

        def plain(): pass

        def _decorate(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs): return function(*args, **kwargs)
            return wrapper

        @_decorate
        def decorated(t): assert t.name == "decorated"
    """)
    told = project.run()
    assert told.items == [["test_lines.py::plain", 3], ["test_lines.py::decorated", 10]]
    assert told.verdicts["decorated"] == "passed"


def test_folders_are_walked_without_those_that_hold_no_tests_of_the_project(project):
    for folder in ("", "b/", "a/deep/", ".hidden/", "node_modules/x/", "__pycache__/", "env/", "build/"):
        project.write(f"{folder}x_test.py", "def t(): pass\n")
    project.write("env/pyvenv.cfg", "")
    project.write("x.py", "raise AssertionError('not a test file')\n")
    assert project.run().ids == ["x_test.py::t", "a/deep/x_test.py::t", "b/x_test.py::t"]
    assert project.run("build").ids == ["build/x_test.py::t"]


def test_files_of_the_same_name_do_not_clash(project):
    for folder in ("a", "b", "c/d"):
        project.write(f"{folder}/same_test.py", f"WHERE = {folder!r}\ndef here(): assert WHERE == {folder!r}\n")
    told = project.run()
    assert told.ids == ["a/same_test.py::here", "b/same_test.py::here", "c/d/same_test.py::here"]
    assert [verdict for verdict, _, _ in told.outcomes] == ["passed"] * 3


def test_siblings_packages_and_an_uninstalled_source_folder_can_be_imported(project):
    project.write("src/shop/__init__.py", "PRICE = 3\n")
    project.write("flat/helper.py", "VALUE = 1\n")
    project.write("flat/flat_test.py", "import helper, shop\ndef t(): assert (helper.VALUE, shop.PRICE) == (1, 3)\n")
    project.write("pack/__init__.py", "")
    project.write("pack/part.py", "VALUE = 2\n")
    project.write("pack/inner_test.py", "from .part import VALUE\nimport pack.part\ndef t(): assert VALUE == 2\n")
    assert [verdict for verdict, _, _ in project.run().outcomes] == ["passed", "passed"]


def test_a_package_that_was_loaded_from_elsewhere_is_told(project):
    project.write("one/pack/__init__.py", "")
    project.write("one/pack/a_test.py", "def t(): pass\n")
    project.write("two/pack/__init__.py", "")
    project.write("two/pack/a_test.py", "def t(): pass\n")
    told = project.run()
    assert told.ids == ["one/pack/a_test.py::t"]
    [(where, verdict, detail)] = told.errors
    assert (where, verdict, detail["kind"]) == ("two/pack/a_test.py", "error", "import")
    assert "already loaded from" in detail["message"]


def test_files_that_cannot_be_imported_are_errors_of_their_own(project):
    project.write("broken_test.py", "def f(:\n")
    project.write("exits_test.py", "raise SystemExit(3)\n")
    project.write("good_test.py", "def t(): pass\n")
    project.write("import_test.py", "import no_such_module\n")
    project.write("raises_test.py", "def _f(): return 1 / 0\n_f()\n")
    project.write("skip_test.py", "from testd import Skip\nraise Skip('no database')\n")
    told = project.run()
    assert told.verdicts == {"t": "passed"}
    assert [(name, verdict, detail["kind"], detail["message"]) for name, verdict, detail in told.errors] == [
        ("broken_test.py", "error", "syntax", "SyntaxError: invalid syntax (broken_test.py, line 1)"),
        ("exits_test.py", "error", "test", "SystemExit: 3"),
        ("import_test.py", "error", "import", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raises_test.py", "error", "test", "ZeroDivisionError: division by zero"),
        ("skip_test.py", "skipped", None, "no database"),
    ]
    assert "importlib" not in told.errors[3][2]["text"]
    assert [frame["line"] for frame in told.errors[3][2]["frames"]] == [2, 1]


@pytest.mark.parametrize(
    ("path", "message", "hint"),
    [
        ("nowhere", "no such file or folder: nowhere", "paths are relative to"),
        ("a_test.py::tow", "a_test.py has no test 'tow'", "did you mean two?"),
        ("a_test.py::_private", "a_test.py has no test '_private'", "public functions"),
        ("a_test.py:1", "a_test.py has no test at line 1", "inside a test function"),
        (".::two", "is a folder", "name the file"),
    ],
)
def test_paths_that_mean_nothing_are_told(project, path, message, hint):
    project.write("a_test.py", "\ndef two(): pass\ndef _private(): pass\n")
    fault = project.run(path).fault
    assert fault["code"] == "usage"
    assert fault["exit"] == 4
    assert message in fault["message"]
    assert hint in fault["hint"]


def test_tests_by_name_by_line_and_twice(project):
    project.write("a_test.py", "def one():\n    pass\n\ndef two():\n    pass\n\ndef three():\n    pass\n")
    assert project.run("a_test.py::three", "a_test.py::one").ids == ["a_test.py::three", "a_test.py::one"]
    assert project.run("a_test.py:5").ids == ["a_test.py::two"]
    assert project.run("a_test.py::two", "a_test.py:4").ids == ["a_test.py::two"]
    assert project.run("a_test.py::two", "a_test.py").ids == [f"a_test.py::{name}" for name in ("one", "two", "three")]


def test_keywords_select_by_file_folder_and_name(project):
    project.write("cart/price_test.py", "def adds(): pass\ndef removes(): pass\n")
    project.write("stock_test.py", "def adds(): pass\n")
    assert project.run(keyword="ADDS and not stock").selected == [1]
    assert project.run(keyword="cart").selected == [1, 2]
    fault = project.run(keyword="adds and (cart").fault
    assert fault["message"] == "-k 'adds and (cart': at column 15: expected ')', got the end"


def test_functions_that_cannot_be_tests_are_errors_with_a_way_out(project):
    project.write("odd_test.py", """
        import contextlib
        def generator(): yield
        async def stream(): yield
        def needs(a, b=1, *, c): raise AssertionError
        def positional(t, /): pass
        @contextlib.contextmanager
        def manager(): yield
        def hidden(): return (n for n in ())
        def value(): return 3
    """)
    told = project.run()
    assert told.verdicts == {"generator": "error", "stream": "error", "needs": "error", "positional": "error",
                             "manager": "error", "hidden": "error", "value": "passed"}
    assert "'a', 'c'" in told.of["needs"].detail["message"]
    assert "begin the name with _" in told.of["generator"].detail["message"]
    assert told.of["needs"].detail["frames"][0]["line"] == 5
    assert told.of["hidden"].detail["kind"] == "usage"


def test_output_is_captured_cut_and_belongs_to_its_test(project):
    project.write("out_test.py", """
        import os, sys
        def quiet(): assert 0
        def loud(t):
            print("python")
            os.write(1, b"descriptor\\n")
            os.system("echo child >&2")
            t.log("kept", 1)
            assert 0
        def flood():
            print("x" * 100_000)
            assert 0
        def closes():
            os.close(1)
            sys.stdout = None
            assert 0
        def after():
            print("still here")
            assert 0
    """)
    told = project.run(limit=1000)
    sections = {name: [(s["name"], s["text"]) for s in outcome.detail["sections"]] for name, outcome in told.of.items()}
    assert sections["quiet"] == []
    assert sections["loud"] == [
        ("Captured stdout call", "python\ndescriptor\n"), ("Captured stderr call", "child\n"),
        ("Logged call", "kept 1\n"),
    ]
    assert "[... 99001 bytes left out ...]" in sections["flood"][0][1]
    assert len(sections["flood"][0][1]) < 1100
    assert sections["after"] == [("Captured stdout call", "still here\n")]
    assert project.stdout == ""


def test_stream_leaves_output_alone(project):
    project.write("out_test.py", "def loud():\n    print('seen live')\n    assert 0\n")
    told = project.run(stream=True)
    assert told.of["loud"].detail["sections"] == []
    assert project.stdout == "seen live\n"


def test_what_a_test_leaves_behind_is_named_once(project):
    project.write("leaks_test.py", """
        import asyncio, os, subprocess, threading
        _ended = threading.Event()
        _child = []
        def thread(): threading.Thread(target=_ended.wait, name="left", daemon=True).start()
        def child(): _child.append(subprocess.Popen(["sleep", "60"]))
        def directory(): os.chdir("/")
        async def task(): asyncio.create_task(asyncio.sleep(60), name="rogue"); await asyncio.sleep(0)
        def clean():
            _ended.set()
            for child in _child: child.kill(); child.wait()
    """)
    told = project.run()
    assert set(told.verdicts.values()) == {"passed"}
    leaks = {name: outcome.detail["leaks"] if outcome.detail else [] for name, outcome in told.of.items()}
    assert leaks["thread"] == ["thread 'left' still alive (daemon), running threading.Event.wait"]
    assert len(leaks["child"]) == 1
    assert leaks["child"][0].endswith("still running: sleep 60")
    assert leaks["directory"] == [f"working directory left at /; set back to {os.path.realpath(project.root)}"]
    assert "task 'rogue' still pending: sleep" in leaks["task"][0]
    assert leaks["clean"] == []


def test_each_coroutine_has_a_loop_of_its_own_and_stubborn_tasks_end_it_anyway(project):
    project.write("loops_test.py", """
        import asyncio
        _loops = []
        async def one(): _loops.append(asyncio.get_running_loop())
        async def two(): assert asyncio.get_running_loop() not in _loops and _loops[0].is_closed()
        async def stubborn():
            async def _never():
                while True:
                    try: await asyncio.sleep(60)
                    except asyncio.CancelledError: pass
            asyncio.create_task(_never(), name="never")
            await asyncio.sleep(0)
        async def cancelled(): raise asyncio.CancelledError
        def wraps(): return two()
    """)
    told = project.run()
    assert told.verdicts == {
        "one": "passed", "two": "passed", "stubborn": "passed", "cancelled": "failed", "wraps": "passed"
    }
    assert any("did not end when cancelled" in leak for leak in told.of["stubborn"].detail["leaks"])


def test_the_context_has_a_folder_that_goes_with_the_test(project):
    project.write("context_test.py", """
        import os
        from testd import NoTest, current_test
        from testd.assertions import throws
        _seen, _path = [], []
        def writes(t):
            (t.tmp_path / "file").write_text("x")
            _seen.append(t)
            _path.append(t.tmp_path)
            assert t.id == "context_test.py::writes"
        def gone():
            assert not _seen[0]._folder and not os.path.exists(_path[0])
            assert current_test() is not _seen[0]
        throws(current_test, NoTest)
    """)
    told = project.run()
    assert (told.verdicts, told.errors) == ({"writes": "passed", "gone": "passed"}, [])


def test_a_throws_that_is_not_awaited_fails_the_test(project):
    project.write("a_test.py", """
        from testd.assertions import throws
        async def _fine(): pass
        async def forgotten(): throws(_fine, ValueError)
        async def awaited(): await throws(_fine, ValueError)
    """)
    told = project.run()
    assert told.verdicts == {"forgotten": "failed", "awaited": "failed"}
    assert "was never awaited, so it asserted nothing" in told.of["forgotten"].detail["message"]
    assert told.of["awaited"].detail["message"].endswith("nothing was raised, it returned None, expected ValueError")


def test_failures_say_whose_code_raised(project):
    project.write("shop.py", "def price(): return {}['missing']\n")
    project.write("kinds_test.py", """
        import json, shop
        def test_code(): int("x")
        def project_code(): shop.price()
        def library_code(): json.loads("{")
        def assertion(): raise AssertionError("said")
        def imports(): import no_such_module
        def leaves(): raise SystemExit(3)
    """)
    told = project.run()
    assert {name: outcome.detail["kind"] for name, outcome in told.of.items()} == {
        "test_code": "test", "project_code": "project", "library_code": "library", "assertion": "assertion",
        "imports": "import", "leaves": "test",
    }
    frames = told.of["project_code"].detail["frames"]
    assert [(frame["file"], frame["line"], frame["function"]) for frame in frames] == [
        ("kinds_test.py", 4, "project_code"), ("shop.py", 1, "price"),
    ]
    assert all("exports" not in outcome.detail["text"] for outcome in told.of.values())


def test_snapshots_are_stored_compared_and_forgotten_with_their_tests(project):
    project.write("snap_test.py", """
        from testd.assertions import similar, snapshot
        VALUE = {"items": ["one", "two"], "total": 3}
        def first(): snapshot(VALUE); snapshot("second", name="named")
        def second(): snapshot([1])
        def ranged(): similar(lambda: len(VALUE))
    """)
    assert project.run().verdicts == {"first": "failed", "second": "failed", "ranged": "failed"}
    assert project.run(update=True).verdicts == {"first": "passed", "second": "passed", "ranged": "passed"}
    stored = project.root / "__snapshots__" / "snap_test.json"
    assert set(json.loads(stored.read_text())["snapshots"]) == {"first", "second", "ranged"}
    assert set(project.run().verdicts.values()) == {"passed"}

    project.write("snap_test.py", """
        from testd.assertions import snapshot
        VALUE = {"items": ["one", "three"], "total": 3}
        def first(): snapshot(VALUE)
    """)
    told = project.run()
    text = told.of["first"].detail["text"]
    assert "-{'items': ['one', 'two'], 'total': 3}" in text
    assert "+{'items': ['one', 'three'], 'total': 3}" in text
    assert "testd run --update-snapshots" in text
    project.run(update=True)
    assert json.loads(stored.read_text())["snapshots"] == {"first": {"1": ["{'items': ['one', 'three'], 'total': 3}"]}}
    project.write("snap_test.py", "def first(): pass\n")
    project.run(update=True)
    assert not stored.exists()


def test_an_assert_is_explained_without_running_code(project):
    project.write("explain_test.py", """
        class Thing:
            def __init__(self): self.size = 3
            @property
            def boom(self): raise RuntimeError("a property was run")
            def __eq__(self, other): return False
            __hash__ = None
        def attribute():
            thing = Thing()
            assert thing.size == 4
        def items():
            rows, index = [{"a": 1}], 0
            assert rows[index]["a"] > 2
        def several_lines():
            left = "a\\nb\\nc"
            assert (
                left
                ==
                "a\\nB\\nc"
            )
        def with_message():
            count = 2
            assert count == 3, "must be three"
        def property_is_left_alone():
            thing = Thing()
            assert thing == Thing() or len("") or thing.size is None and thing.boom
        def multiple():
            assert 1 == 1; x = 5; assert x < 2
    """)
    told = project.run()
    text = {name: outcome.detail["text"] for name, outcome in told.of.items()}
    message = {name: outcome.detail["message"] for name, outcome in told.of.items()}
    assert message["attribute"] == "assert thing.size == 4 where thing.size = 3"
    assert message["items"] == "assert rows[index][\"a\"] > 2 where rows[index][\"a\"] = 1"
    assert "-B" in text["several_lines"]
    assert "+b" in text["several_lines"]
    assert message["with_message"] == "AssertionError: must be three"
    assert "count = 2" in text["with_message"]
    assert "thing.size = 3" in text["property_is_left_alone"]
    assert "RuntimeError" not in text["property_is_left_alone"]


def test_a_fork_that_returns_from_its_test_reports_nothing(project):
    project.write("fork_test.py", """
        import os
        def forks():
            pid = os.fork()
            if pid:
                assert os.waitpid(pid, 0)[1] == 0
        def after(): pass
    """)
    assert project.run().verdicts == {"forks": "passed", "after": "passed"}


def test_classes_of_tests_are_not_passed_over_in_silence(project):
    project.write("mixed_test.py", """
        import unittest
        class Case(unittest.TestCase): pass
        class TestGroup:
            def test_it(self): pass
        class TestData: pass
        def function(): pass
    """)
    told = project.run()
    assert told.ids == ["mixed_test.py::function"]
    [notice] = told.notices
    assert notice.startswith("mixed_test.py: Case, TestGroup not run: exported tests are functions; ")
    assert notice.endswith('set kind = "pytest"')


def test_an_interruption_ends_the_run_and_leaves_nothing(project):
    project.write("stop_test.py", """
        import asyncio, os, signal
        async def stops(t):
            (t.tmp_path / "file").write_text(str(t.tmp_path))
            print(t.tmp_path, flush=True)
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(60)
        def never(): raise AssertionError
    """)
    with pytest.raises(AssertionError, match="KeyboardInterrupt"):
        project.run(stream=True, stopping=True)
    assert project.stdout
    assert not Path(project.stdout.strip()).exists()


def test_an_interrupt_of_the_tests_own_making_ends_that_test_alone(project):
    project.write("own_test.py", """
        import os, signal, time
        def interrupts():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)
        def raises(): raise KeyboardInterrupt
        def other(): pass
    """)
    assert project.run().verdicts == {
        "interrupts": "failed",
        "raises": "failed",
        "other": "passed",
    }


def test_the_example_passes_and_runs_as_a_script():
    example = Path(SOURCE).parent / "examples" / "exports"
    told = Project(example).run()
    assert (told.errors, set(told.verdicts.values())) == ([], {"passed"})
    assert len(told.ids) == 13
    done = subprocess.run(
        [sys.executable, "tests/fees_test.py"], cwd=example, env={**os.environ, "PYTHONPATH": f".:{SOURCE}"},
        capture_output=True, text=True, timeout=DEADLINE, check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
