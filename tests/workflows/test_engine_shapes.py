"""Workflows of all shapes on a real daemon with the embedded store: what runs, and exactly what is left."""

from __future__ import annotations

import subprocess

import pytest
from flows import DEADLINE, Flow, Told

from testd_daemon.workflows import layout

PLAIN = """
    def start(): pass
    def next(): pass
    def a(): pass
    def b(): pass
    def j(): pass
    def end(): pass
    def r():
        rank = faasr_rank()
        faasr_log(f"{rank['rank']} of {rank['max_rank']}")
    def yes(): return True
    def no(): return False
    def fail(): raise ValueError("boom")
"""


@pytest.fixture
def plain(flow: Flow) -> Flow:
    flow.functions(PLAIN)
    return flow


def _all_right(told: Told) -> None:
    assert told.code == 0, (told.completed, told.errors)
    bad = ("failed", "error", "crashed", "timed out")
    assert [row for row in told.of("outcome") if row["verdict"] in bad] == []


def test_a_chain_leaves_its_logs_and_completions_and_nothing_else(plain: Flow) -> None:
    """Facts 13 and 4."""
    plain.workflow({"start": ["next"], "next": []})
    told = plain.run()
    _all_right(told)
    assert told.left() == ["function_completions/next.done", "function_completions/start.done", "next.txt", "start.txt"]
    assert told.stored() == [f"{told.plan['folder']}/{name}" for name in told.left()]
    assert told.text(f"{told.plan['folder']}/function_completions/start.done") == "True"
    assert told.plan["folder"] == f"FaaSrLog/Flow/{told.plan['timestamp']}/{told.plan['invocation']}"
    assert told.history == {name: ["invoked", "running", "completed"] for name in ("start", "next")}
    assert told.verdicts == {"start": "passed", "next": "passed"}


def test_a_log_has_the_lines_that_monitors_rely_on(plain: Flow) -> None:
    """Section 2.2 of the public system's layout: who was invoked, what was put, in the order of time."""
    plain.workflow({"start": ["a", "r(2)"], "a": [], "r": []})
    told = plain.run()
    _all_right(told)
    lines = told.log("start").splitlines()
    assert [line.partition("] [")[2] for line in lines] == [
        "INFO] [executor.py] Starting function: start (Python)",
        "DEBUG] [executor.py] Put function_completions/start.done file in S3",
        "DEBUG] [faasr_entry.py] Finished execution of start with result None",
        "INFO] [scheduler.py] GitHub Action: Successfully invoked: a",
        "INFO] [scheduler.py] GitHub Action: Successfully invoked: r",
        "INFO] [scheduler.py] GitHub Action: Successfully invoked: r",
    ]
    seconds = [layout.seconds_of(line) for line in lines]
    assert seconds == sorted(seconds)
    assert told.log("r(2)").splitlines()[1] == "2 of 2"
    assert told.printed("r(1)") == "1 of 2\n"


def test_a_join_runs_once_and_has_one_winner(plain: Flow) -> None:
    """Fact 14."""
    plain.workflow({"start": ["a", "b"], "a": ["j"], "b": ["j"], "j": ["end"], "end": []})
    told = plain.run()
    _all_right(told)
    assert told.left() == [
        "a.txt", "b.txt", "end.txt", "function_completions/a.done", "function_completions/b.done",
        "function_completions/end.done", "function_completions/j.done", "function_completions/start.done",
        "j.candidate", "j.txt", "start.txt",
    ]  # fmt: skip
    assert told.text(f"{told.plan['folder']}/j.candidate").count("\n") == 1
    assert told.history["j"] == ["invoked", "running", "completed"]


def test_ranks_run_side_by_side_and_what_follows_waits_for_all(plain: Flow) -> None:
    """Fact 15."""
    plain.workflow({"start": ["r(5)"], "r": ["end"], "end": []})
    told = plain.run()
    _all_right(told)
    logs = [name for name in told.left() if name.startswith("r(")]
    assert logs == [f"r({rank}).txt" for rank in range(1, 6)]
    done = [name for name in told.left() if ".done" in name]
    assert done == [f"function_completions/{name}.done" for name in ("end", *(f"r.{n}" for n in range(1, 6)), "start")]
    assert [told.printed(f"r({rank})") for rank in range(1, 6)] == [f"{rank} of 5\n" for rank in range(1, 6)]
    assert told.history["end"] == ["invoked", "running", "completed"]


def test_a_condition_takes_one_branch_and_plain_siblings_run(plain: Flow) -> None:
    """Facts 16 and 21."""
    plain.workflow({
        "yes": [{"True": ["a"], "False": ["b"]}, "next"], "a": [], "b": ["end"], "end": [], "next": [],
    })  # fmt: skip
    told = plain.run()
    _all_right(told)
    assert told.statuses == {"yes": "completed", "a": "completed", "b": "not_invoked", "end": "not_invoked",
                             "next": "completed"}  # fmt: skip
    assert not [name for name in told.left() if name.startswith(("b", "end", "function_completions/b"))]
    assert told.verdicts["b"] == "skipped"
    assert told.message("b") == "not invoked: yes returned True"


def test_a_join_below_a_condition_runs_as_documented(plain: Flow) -> None:
    """Fact 20: it waits for every predecessor that can still run; statically it never runs, and that is told early."""
    plain.workflow({
        "start": ["yes"], "yes": [{"True": ["a"], "False": ["b"]}], "a": ["j"], "b": ["j"], "j": [],
    })  # fmt: skip
    told = plain.run()
    _all_right(told)
    assert told.statuses["j"] == "completed"
    static = plain.run("--join", "faasr")
    _all_right(static)
    assert static.statuses["j"] == "not_invoked"
    assert not [name for name in static.left() if name.startswith(("j", "function_completions/j"))]
    assert [event for event in static.of("notice") if event["text"].startswith("j: ")]


def test_a_failure_goes_no_further_than_what_depends_on_it(plain: Flow) -> None:
    """Fact 22."""
    plain.functions("def fails():\n    try:\n        1 / 0\n    except ZeroDivisionError as error:\n"
                    "        raise ValueError('boom') from error\n", "functions/failing.py")  # fmt: skip
    plain.workflow({
        "start": ["fails", "a"], "fails": ["b"], "b": ["j"], "j": [], "a": ["end"], "end": [],
    })  # fmt: skip
    told = plain.run()
    assert told.code == 1
    assert told.statuses == {"start": "completed", "fails": "failed", "b": "skipped", "j": "skipped",
                             "a": "completed", "end": "completed"}  # fmt: skip
    assert told.verdicts["fails"] == "failed"
    assert told.why("b") == "fails failed"
    log = told.log("fails")
    assert layout.failed(log)
    assert "ZeroDivisionError" in log
    assert "direct cause" in log
    assert "ValueError: boom" in log
    assert not [name for name in told.left() if name.startswith(("b", "j")) or name.endswith("fails.done")]


@pytest.mark.parametrize(("function", "next_", "said"), [
    ("start", [{"True": ["a"], "False": ["b"]}, "next"],
     "InvokeNext contains conditionals but function did not return a value"),
    ("no", [{"True": ["a"]}, "b", "next"], "InvokeNext has a conditional without False"),
])  # fmt: skip
def test_a_condition_without_a_branch_for_what_came(plain: Flow, function: str, next_: list[object], said: str) -> None:
    """Facts 17 and 19: it has failed, says why, and nothing is triggered."""
    plain.workflow({"first": {"FunctionName": function, "InvokeNext": next_}, "a": [], "b": [], "next": []})
    told = plain.run()
    assert told.code == 1
    assert told.statuses == {"first": "failed", "a": "skipped", "b": "skipped", "next": "skipped"}
    assert said in told.message("first")
    assert said in told.log("first")
    assert told.left() == ["first.txt"]


def test_what_a_function_may_not_do(flow: Flow) -> None:
    """Facts 18, 23, 24 and 27."""
    flow.functions("""
        import os, sys
        def first(): pass
        def text(): return "hello"
        def exits(): sys.exit(3)
        def leaves(): sys.exit(0)
        def gets(): faasr_get_file("x", "nope.txt")
        def puts(): faasr_put_file("nolocal.txt", "x.txt")
        def asks(): faasr_secret("NON_EXISTENT_SECRET")
        def knows():
            with open("s.txt", "w") as file: file.write(faasr_secret("TEST_SECRET"))
            faasr_put_file("s.txt", "root.txt")
        def dies(): os._exit(9)
    """)
    names = ["text", "exits", "leaves", "gets", "puts", "asks", "knows", "dies"]
    flow.workflow({"first": names, **{name: [] for name in names}})
    told = flow.run(TEST_SECRET="s3cret-value")
    assert told.code == 1
    assert told.verdicts == {
        "first": "passed", "text": "failed", "exits": "failed", "leaves": "passed", "gets": "failed", "puts": "failed",
        "asks": "failed", "knows": "passed", "dies": "crashed",
    }  # fmt: skip
    assert "S3 object not found: s3://bucket/nope.txt" in told.log("gets")
    assert "Local file not found: nolocal.txt" in told.log("puts")
    assert "Secret 'NON_EXISTENT_SECRET' not found in environment variables" in told.log("asks")
    assert "status 9" in told.log("dies")
    assert [name for name in told.left() if name.endswith(".done")] == [
        f"function_completions/{name}.done" for name in ("first", "knows", "leaves")
    ]
    assert told.text("root.txt") == "s3cret-value"
    assert "s3cret-value" not in "".join(map(str, told.events))


def test_keys_are_what_functions_name(flow: Flow) -> None:
    """Facts 25 and 26."""
    flow.functions("""
        def keys():
            open("y.txt", "w").close()
            faasr_put_file("y.txt", remote_file="root.txt")
            faasr_put_file("y.txt", remote_folder="/f//x/", remote_file="y.txt")
            faasr_put_file("y.txt", remote_folder="p/q", remote_file="z.txt")
            faasr_delete_file("never-there.txt")
            faasr_log(str(faasr_get_folder_list(prefix="p")))
    """)
    flow.workflow({"keys": []})
    told = flow.run()
    _all_right(told)
    assert [event["key"] for event in told.of("store")] == ["root.txt", "/f/x/y.txt", "p/q/z.txt", "never-there.txt"]
    assert [event["sequence"] for event in told.of("store")] == [1, 2, 3, 4]
    assert told.printed("keys") == "['p/q/z.txt']\n"
    assert "/f/x/y.txt" in told.stored()


def test_the_same_invocation_is_refused_the_second_time(plain: Flow) -> None:
    """Fact 31, and fact 32: an id that is made of the time."""
    when = {"InvocationTimestamp": "2026-11-21T20-56-38", "InvocationIDFromDate": "%Y%m%d"}
    plain.workflow({"start": []}, **when)
    told = plain.run()
    _all_right(told)
    assert told.plan["folder"] == "FaaSrLog/Flow/2026-11-21T20-56-38/20261121"
    store = f"s3://bucket?endpoint={told.plan['store']['endpoint']}"
    again = plain.run("--store", store, S3_AccessKey="testd", S3_SecretKey="testd")
    assert again.code == 4
    assert again.completed["reason"] == "InvocationID already exists: 20261121"
    other = plain.run("--store", store, "--id", "other", S3_AccessKey="testd", S3_SecretKey="testd")
    _all_right(other)


def test_what_each_function_took_is_told(flow: Flow) -> None:
    flow.functions("""
        def works():
            with open("x", "w") as file: file.write("x" * 70_000)
            faasr_put_file("x", "x.txt")
            faasr_get_file("x", "x.txt")
            sum(range(1_000_000))
    """)
    flow.workflow({"works": []})
    told = flow.run()
    _all_right(told)
    (measured,) = told.of("measured")
    assert (measured["bytes_in"], measured["bytes_out"], measured["store_calls"]) == (70_000, 70_000, 2)
    assert 0 < measured["store_seconds"] < measured["user"]
    assert measured["cpu"] > 0
    assert measured["memory"] > 1000
    assert measured["triggered"] <= measured["started"] <= measured["ended"] <= measured["done"]


def test_two_that_come_at_the_same_moment_with_one_id_are_told_apart(flow: Flow) -> None:
    flow.functions("import time\ndef start(): time.sleep(0.1)\n")
    flow.workflow({"start": []}, InvocationTimestamp="2026-11-21T20-56-38", InvocationID="same")
    first = flow.run()
    flow.environment |= {"S3_AccessKey": "testd", "S3_SecretKey": "testd"}
    store = ("--store", f"s3://bucket?endpoint={first.plan['store']['endpoint']}")
    flow.workflow({"start": []}, InvocationTimestamp="2026-11-21T20-56-38", InvocationID="once")
    running = [flow.start(*store) for _ in range(2)]
    told = [each.end() for each in running]
    assert sorted(each.code for each in told) == [0, 4]
    refused = next(each for each in told if each.code)
    assert refused.completed["reason"] == "InvocationID already exists: once"


@pytest.mark.parametrize("given", ["a/b", "a\tb"])
def test_an_id_that_cannot_be_part_of_a_key_is_refused(plain: Flow, given: str) -> None:
    plain.workflow({"start": []})
    told = plain.run("--id", given)
    assert told.code == 4
    assert "InvocationID" in told.completed["reason"]


def test_a_run_without_a_daemon_leaves_nothing_behind(plain: Flow) -> None:
    plain.workflow({"start": []})
    folder = plain.root / "temporary"
    folder.mkdir()
    told = plain.run("--no-daemon", TMPDIR=str(folder))
    _all_right(told)
    assert list(folder.iterdir()) == []


def test_what_a_function_logs_without_end_is_cut(flow: Flow) -> None:
    flow.functions("def start():\n    for _ in range(1000): faasr_log('x' * 20_000)\n")
    flow.workflow({"start": []})
    told = flow.run()
    _all_right(told)
    assert len(told.log("start")) < 9_000_000
    assert "the rest is left out" in told.log("start")
    assert told.log("start").splitlines()[-1].endswith("with result None")


def test_a_large_file_and_threads_that_use_the_api_at_once(flow: Flow) -> None:
    flow.functions("""
        import hashlib, os, threading
        def start():
            with open("large", "wb") as file: file.write(os.urandom(50_000_000))
            with open("large", "rb") as file: digest = hashlib.sha256(file.read()).hexdigest()
            faasr_put_file("large", "large")
            faasr_get_file("back", "large")
            with open("back", "rb") as file: assert hashlib.sha256(file.read()).hexdigest() == digest
        def threads():
            def use(number):
                with open(f"{number}", "w") as file: file.write(str(number))
                faasr_put_file(f"{number}", f"t/{number}")
                faasr_get_file(f"{number}.back", f"t/{number}")
                with open(f"{number}.back") as file: good.append(file.read() == str(number))
            good = []
            started = [threading.Thread(target=use, args=(number,)) for number in range(8)]
            for thread in started: thread.start()
            for thread in started: thread.join()
            assert good == [True] * 8
    """)
    flow.workflow({"start": ["threads"], "threads": []})
    _all_right(flow.run())


def test_the_history_has_the_runs_of_a_workflow(plain: Flow) -> None:
    plain.workflow({"start": ["fail", "a"], "fail": [], "a": []})
    told = plain.run()
    assert told.code == 1
    done = subprocess.run(
        plain.command("history", "fail"), cwd=plain.root, env=plain.environment, capture_output=True, text=True,
        check=False, timeout=DEADLINE,
    )  # fmt: skip
    assert "failed" in done.stdout, done.stderr
    assert "ValueError: boom" in done.stdout


def test_a_document_that_is_wrong_is_told_with_its_places(plain: Flow) -> None:
    """Fact 30, from outside: all at once, and nothing runs."""
    plain.workflow({"start": ["ghost"], "a": []})
    told = plain.run()
    assert told.code == 4
    assert "ghost" in told.completed["detail"]
    assert "Unreachable state found: a" in told.completed["detail"]
    assert told.of("workflow") == []
