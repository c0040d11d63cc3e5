"""The pytest suite in a real runner: verdicts, details, selection, and what a fork must not change."""

from pathlib import Path

import pytest

from runners.driver import runner, write

VERDICTS = """
import pytest, unittest

def test_passes(): pass
def test_fails():
    print("printed")
    assert {"a": 1} == {"a": 2}
@pytest.fixture
def broken(): raise RuntimeError("in setup")
def test_setup(broken): pass
@pytest.fixture
def leaves():
    yield
    raise RuntimeError("in teardown")
def test_teardown(leaves): pass
def test_both(leaves): assert 0
@pytest.mark.skip(reason="not today")
def test_skip(): pass
@pytest.mark.xfail(reason="known")
def test_xfail(): assert 0
@pytest.mark.xfail
def test_xpass(): pass
@pytest.mark.xfail(strict=True)
def test_strict(): pass
def test_exit(): pytest.exit("stop everything")
def test_interrupt(): raise KeyboardInterrupt("from a test")
def test_system_exit(): raise SystemExit(3)
class TestUnit(unittest.TestCase):
    def test_unit(self): self.assertEqual(1, 2)
def test_last(): pass
"""


def test_every_verdict_is_pytests(tmp_path: Path) -> None:
    with runner(write(tmp_path, test_v=VERDICTS)) as driver:
        outcomes = driver.run_all()
    assert {name: outcome["verdict"] for name, outcome in outcomes.items()} == {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_setup": "error",
        "test_teardown": "error",
        "test_both": "failed",
        "test_skip": "skipped",
        "test_xfail": "xfailed",
        "test_xpass": "xpassed",
        "test_strict": "failed",
        "test_exit": "error",
        "test_interrupt": "error",
        "test_system_exit": "failed",
        "test_unit": "failed",
        "test_last": "passed",
    }
    assert outcomes["test_skip"]["detail"]["message"] == "not today"
    assert outcomes["test_xfail"]["detail"]["message"] == "known"
    detail = outcomes["test_fails"]["detail"]
    assert detail["kind"] == "assertion"
    assert "'a': 2" in detail["text"], "assertion rewriting is on"
    assert detail["sections"] == [{"name": "Captured stdout call", "text": "printed\n"}]
    assert detail["frames"][-1]["file"] == "test_v.py"
    assert "stop everything" in outcomes["test_exit"]["detail"]["message"]


def test_a_collection_is_kept_and_forked_again(tmp_path: Path) -> None:
    write(tmp_path, test_state="seen = []\ndef test_one(): seen.append(1); assert seen == [1]\n")
    with runner(tmp_path) as driver:
        driver.collect()
        first, second = driver.run([0]), driver.run([0])
    assert first.verdicts() == second.verdicts() == {0: "passed"}, "a worker saw what an earlier one did"
    assert first.exited["completed"]


def test_session_fixtures_live_once_per_worker(tmp_path: Path) -> None:
    text = """
import pytest
@pytest.fixture(scope="session")
def number(): number.calls += 1; return number.calls
number.calls = 0
@pytest.fixture(scope="session", autouse=True)
def calls():
    made = []
    yield made
@pytest.mark.parametrize("n", range(3))
def test_it(n, calls):
    calls.append(n)
    assert calls == list(range(n + 1))
""".replace("def number(): number.calls += 1; return number.calls\nnumber.calls = 0\n", "def number(): return 1\n")
    with runner(write(tmp_path, test_s=text)) as driver:
        driver.collect()
        driver.start_worker([0, 1], finish=False)
        driver.send("RunJob", job=9, worker=1, tests=[2], ids=[])
        driver.send("FinishWorker", worker=1)
        assert driver.finish().verdicts() == {0: "passed", 1: "passed", 2: "passed"}


def test_the_last_test_waits_for_the_one_that_follows(tmp_path: Path) -> None:
    """A module fixture was torn down between two jobs of the same module when the first job was run to its end."""
    text = """
import pytest
events = []
@pytest.fixture(scope="module", autouse=True)
def module():
    events.append("up")
    yield
    events.append("down")
def test_a(): assert events == ["up"]
def test_b(): assert events == ["up"]
"""
    with runner(write(tmp_path, test_m=text)) as driver:
        driver.collect()
        worker = driver.start_worker([0], finish=False)
        driver.send("RunJob", job=2, worker=worker, tests=[1], ids=[])
        assert driver.until("Outcome")["test"] == 0
        driver.send("FinishWorker", worker=worker)
        assert driver.finish().verdicts() == {1: "passed"}


def test_select_is_pytests_own_expression(tmp_path: Path) -> None:
    text = "import pytest\ndef test_red(): pass\ndef test_blue(): pass\n@pytest.mark.red\ndef test_other(): pass\n"
    write(tmp_path, test_k=text)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = red\n")
    with runner(tmp_path) as driver:
        driver.collect()
        driver.send("Select", id=5, collection=1, keyword="red")
        assert driver.until("Selected")["tests"] == [0, 2]
        driver.send("Select", id=6, collection=1, keyword="not red")
        assert driver.until("Selected")["tests"] == [1]
        driver.send("Select", id=7, collection=1, keyword="red and (")
        fault = driver.until("Fault")
        assert (fault["id"], fault["exit_code"]) == (7, 4)
        assert "red and (" in fault["message"]
        driver.send("Select", id=8, collection=1, keyword="blue")
        assert driver.until("Selected")["tests"] == [1], "a bad expression must not harm the stem"


def test_what_cannot_be_collected_is_told_and_the_rest_runs(tmp_path: Path) -> None:
    write(
        tmp_path,
        test_good="def test_fine(): pass\n",
        test_syntax="def test_x(:\n",
        test_import="import no_such_module\n",
        test_skipped="import pytest\npytest.importorskip('no_such_module')\n",
    )
    with runner(tmp_path) as driver:
        found = driver.collect()
        assert found["ids"] == ["test_good.py::test_fine"]
        errors = {error["id"]: (error["verdict"], error["detail"]["kind"]) for error in found["errors"]}
        assert errors == {
            "test_syntax.py": ("error", "syntax"),
            "test_import.py": ("error", "import"),
            "test_skipped.py": ("skipped", None),
        }
        assert driver.run([0]).verdicts() == {0: "passed"}


@pytest.mark.parametrize(
    ("files", "code", "word"),
    [
        ({"conftest": "import no_such_module\n"}, "conftest", "no_such_module"),
        ({"conftest": "def pytest_configure(config): raise ValueError('broken')\n"}, "internal", "broken"),
        ({"conftest": "import pytest\ndef pytest_sessionstart(): pytest.exit('no base', 3)\n"}, "exit", "no base"),
    ],
)
def test_a_session_that_cannot_start_says_why(tmp_path: Path, files: dict[str, str], code: str, word: str) -> None:
    write(tmp_path, test_a="def test_a(): pass\n", **files)
    with runner(tmp_path) as driver:
        fault = driver.collect()
        assert (fault["type"], fault["code"], fault["id"]) == ("Fault", code, 1)
        assert word in fault["message"] + fault["detail"]
        (tmp_path / "conftest.py").write_text("")
        driver.send("DropCollection", collection=1, configured=True, started=False)
        assert driver.collect()["ids"] == ["test_a.py::test_a"], "repaired, it works in the same runner"


def test_a_process_that_dies_while_collecting_is_a_fault(tmp_path: Path) -> None:
    write(tmp_path, test_a="import os; os.write(2, b'last words'); os.abort()\n")
    with runner(tmp_path) as driver:
        fault = driver.collect()
        assert fault["type"] == "Fault"
        assert "SIGABRT" in fault["message"]


def test_threads_after_loading_forbid_the_fork_and_say_so(tmp_path: Path) -> None:
    thread = "import threading, time\nthreading.Thread(None, time.sleep, 'pump', (600,), daemon=True).start()\n"
    write(tmp_path, conftest=thread, test_a="def test_a(): pass\n")
    with runner(tmp_path) as driver:
        found = driver.collect()
        assert not found["forkable"]
        assert "pump" in found["reason"]
        ended = driver.run([0], paths=["test_a.py"], ids=["test_a.py::test_a"])
        assert ended.verdicts() == {0: "passed"}, "it runs in a process of its own"


def test_bin_runs_each_job_in_a_new_process(tmp_path: Path) -> None:
    text = "import os\ndef test_a(): open('pids', 'a').write(f'{os.getpid()} ')\ndef test_b(): test_a()\n"
    write(tmp_path, test_b=text)
    with runner(tmp_path, mode="bin") as driver:
        ids = driver.collect()["ids"]
        for n in (0, 1):
            assert driver.run([n], paths=["test_b.py"], ids=[ids[n]]).verdicts() == {n: "passed"}
        gone = driver.run([0], paths=["test_b.py"], ids=["test_b.py::test_gone"])
        assert gone.verdicts() == {0: "error"}
        assert "test_gone" in gone.outcomes[0]["detail"]["message"]
    assert len(set((tmp_path / "pids").read_text().split())) == 2


def test_bin_finds_tests_whose_ids_changed_by_their_place(tmp_path: Path) -> None:
    """Two ids of a real suite hold the time of day: collected again, they were not found."""
    text = """
import os, pytest
now = str(os.getpid())
@pytest.mark.parametrize("at", [now, "fixed", now + "::x"])
def test_when(at): assert at != now + "::x"
@pytest.mark.parametrize("at", [now, now + "b"])
def test_other(at): pass
def test_plain(): pass
"""
    write(tmp_path, test_t=text)
    with runner(tmp_path, mode="bin") as driver:
        ids = driver.collect()["ids"]
        every = driver.run([0, 1, 2, 3, 4, 5], paths=["test_t.py"], ids=ids)
        assert every.verdicts() == {0: "passed", 1: "passed", 2: "failed", 3: "passed", 4: "passed", 5: "passed"}
        assert ids[2] != ids[0]
        some = driver.run([2, 3, 5], paths=["test_t.py"], ids=[ids[2], ids[3], ids[5]])
        assert some.verdicts() == {2: "error", 3: "error", 5: "passed"}, "which of several it was cannot be told"
        assert ids[3] in some.outcomes[3]["detail"]["message"]


def test_sharing_workers_look_like_xdist(tmp_path: Path) -> None:
    text = """
import os
def test_w(request):
    assert request.config.workerinput["workercount"] == 2
    assert os.environ["PYTEST_XDIST_WORKER"] == request.config.workerinput["workerid"] == "gw0"
"""
    alone = "import os\ndef test_w(request):\n    assert not hasattr(request.config, 'workerinput')\n"
    with runner(write(tmp_path, test_w=text)) as driver:
        driver.collect()
        assert driver.run([0], workers=2).verdicts() == {0: "passed"}
        (tmp_path / "test_w.py").write_text(alone)
        driver.collect()
        assert driver.run([0], workers=1).verdicts() == {0: "passed"}


def test_output_is_live_when_asked_and_limited_when_captured(tmp_path: Path) -> None:
    text = "import os\ndef test_loud():\n    os.write(1, b'raw '); print('x' * 100_000); assert 0\n"
    with runner(write(tmp_path, test_o=text), output_limit=2000) as driver:
        driver.collect()
        captured = driver.run([0]).outcomes[0]["detail"]["sections"][0]["text"]
        assert captured.startswith("raw xxx")
        assert len(captured) < 9000
        assert "95" in captured, "it says how much was left out"
        ended = driver.run([0], stream=True)
        assert ended.outcomes[0]["detail"]["sections"] == []
        live = "".join(message["text"] for message in driver.seen("Output"))
        assert live.startswith("raw xxx")
        assert "the rest is not shown" in live


def test_the_interpreter_looks_like_python_m_pytest(tmp_path: Path) -> None:
    text = """
import sys, os, __main__
def test_main():
    assert __main__.__package__ == "pytest"
    assert sys.argv == [__main__.__file__]
    assert sys.path[0] == os.getcwd()
    assert __main__.__spec__.name == "pytest.__main__"
"""
    with runner(write(tmp_path, test_i=text)) as driver:
        outcomes = driver.run_all()
        assert outcomes["test_main"]["verdict"] == "passed", outcomes["test_main"]["detail"]["text"]


def test_warnings_are_blamed_on_the_importer(tmp_path: Path) -> None:
    """The wrapper that records imports once showed in warnings: `stacklevel=2` of a module blamed testd's own file."""
    write(
        tmp_path,
        old="import warnings\nwarnings.warn('old', DeprecationWarning, stacklevel=2)\n",
        test_w="""
import sys, warnings
def test_blame():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        import old
    assert [w.filename for w in caught] == [__file__]
""",
    )
    with runner(tmp_path) as driver:
        assert driver.run_all()["test_blame"]["verdict"] == "passed"


def test_what_a_test_leaves_behind_is_named(tmp_path: Path) -> None:
    text = """
import os, subprocess, sys, threading, time
def test_thread(): threading.Thread(target=time.sleep, args=(60,), daemon=True, name="left").start()
def test_child(): subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
def test_directory(): os.chdir("/")
def test_after(): assert os.getcwd() != "/"
"""
    with runner(write(tmp_path, test_l=text)) as driver:
        outcomes = driver.run_all()
    assert "left" in outcomes["test_thread"]["detail"]["leaks"][0]
    assert "time.sleep(60)" in outcomes["test_child"]["detail"]["leaks"][0]
    assert "working directory" in outcomes["test_directory"]["detail"]["leaks"][0]
    assert {outcome["verdict"] for outcome in outcomes.values()} == {"passed"}


def test_a_fixtures_directory_is_left_alone(tmp_path: Path) -> None:
    text = """
import os, pytest
@pytest.fixture(scope="module", autouse=True)
def elsewhere(tmp_path_factory):
    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("there"))
    yield
    os.chdir(before)
def test_a(): assert os.path.basename(os.getcwd()).startswith("there")
def test_b(): test_a()
"""
    with runner(write(tmp_path, test_d=text)) as driver:
        outcomes = driver.run_all()
    assert {name: (o["verdict"], o["detail"]) for name, o in outcomes.items()} == {
        "test_a": ("passed", None),
        "test_b": ("passed", None),
    }


def test_a_forked_child_reports_nothing(tmp_path: Path) -> None:
    """A test that forks and lets the child return ran the rest of the suite twice."""
    text = "import os\ndef test_fork():\n    if os.fork():\n        os.wait()\ndef test_next(): pass\n"
    with runner(write(tmp_path, test_f=text)) as driver:
        driver.collect()
        ended = driver.run([0, 1])
        assert ended.verdicts() == {0: "passed", 1: "passed"}




HELD = """
import logging, os, sys
OUT, ERR = sys.stdout, sys.stderr
def test_open(): OUT.write("x"); OUT.flush(); print("y", file=ERR); assert not OUT.closed
def test_shown(): print("to out", file=OUT); print("to err", file=ERR); assert 0
def test_same(): assert OUT is sys.stdout and ERR is sys.stderr
def test_capsys(capsys):
    print("past", file=OUT); print("through")
    assert capsys.readouterr().out == "through\\n"
"""


@pytest.mark.parametrize("capture", ["fd", "sys", "tee-sys", "no"])
def test_streams_that_modules_hold_stay_open(tmp_path: Path, capture: str) -> None:
    """A module that kept `sys.stdout` at its import wrote to a closed file in every worker."""
    (tmp_path / "pytest.ini").write_text(f"[pytest]\naddopts = --capture={capture}\n")
    with runner(write(tmp_path, test_h=HELD)) as driver:
        driver.collect()
        first, second = driver.run([0, 1, 2, 3]), driver.run([0, 1, 2, 3])
    for ended in (first, second):
        same = "failed" if capture == "no" else "passed"  # not captured by pytest, but by the worker
        assert ended.verdicts() == {0: "passed", 1: "failed", 2: same, 3: "passed"}
        if capture != "no":
            sections = {section["name"]: section["text"] for section in ended.outcomes[1]["detail"]["sections"]}
            assert sections == {"Captured stdout call": "to out\n", "Captured stderr call": "to err\n"}


@pytest.mark.parametrize("capture", ["fd", "sys", "no"])
def test_streams_that_modules_hold_are_live_when_asked(tmp_path: Path, capture: str) -> None:
    (tmp_path / "pytest.ini").write_text(f"[pytest]\naddopts = --capture={capture}\n")
    with runner(write(tmp_path, test_h=HELD)) as driver:
        driver.collect()
        ended = driver.run([0, 1], stream=True)
        live = "".join(message["text"] for message in driver.seen("Output"))
    assert ended.verdicts() == {0: "passed", 1: "failed"}
    assert capture == "sys" or "to out" in live, "only what is captured in memory cannot be let through"


@pytest.mark.parametrize(("capture", "verdict"), [("no", "passed"), ("fd", "failed")])
def test_input_can_be_read_where_pytest_does_not_capture(tmp_path: Path, capture: str, verdict: str) -> None:
    (tmp_path / "pytest.ini").write_text(f"[pytest]\naddopts = --capture={capture}\n")
    text = "import sys\ndef test_read(): assert sys.stdin.read() == ''\n"
    with runner(write(tmp_path, test_i=text)) as driver:
        assert driver.run_all()["test_read"]["verdict"] == verdict


def test_workers_share_no_base_directory(tmp_path: Path) -> None:
    """pytest empties `--basetemp` when it is first used: workers removed each other's files."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --basetemp=base\n")
    text = """
import pytest
@pytest.mark.parametrize("n", range(2))
def test_base(n, tmp_path_factory):
    (tmp_path_factory.getbasetemp().parent / f"seen{n}").write_text(tmp_path_factory.getbasetemp().name)
"""
    with runner(write(tmp_path, test_t=text)) as driver:
        driver.collect()
        for n in (0, 1):
            assert driver.run([n], workers=2, place=n).verdicts() == {n: "passed"}
    assert [(tmp_path / "base" / f"seen{n}").read_text() for n in (0, 1)] == ["gw0", "gw1"]


def test_the_collector_sees_what_the_suite_made_when_it_was_loaded(tmp_path: Path) -> None:
    """What the stem keeps out of the collector's way was never freed, and not in `gc.get_objects()`."""
    text = """
import gc, weakref
from gc import collect
class Cycle: pass
cycle, other, kept = Cycle(), Cycle(), Cycle()
cycle.itself, other.itself = cycle, other
kept.items = []
def test_freed_by_name():
    global other
    seen = weakref.ref(other)
    del other
    collect()
    assert seen() is None
def test_freed():
    global cycle
    seen = weakref.ref(cycle)
    del cycle
    gc.collect()
    assert seen() is None
def test_listed(): assert any(found is kept.items for found in gc.get_objects())
def test_count(): assert gc.get_freeze_count() == 0
"""
    with runner(write(tmp_path, test_g=text)) as driver:
        assert {name: outcome["verdict"] for name, outcome in driver.run_all().items()} == {
            "test_freed_by_name": "passed",
            "test_freed": "passed",
            "test_listed": "passed",
            "test_count": "passed",
        }
