"""A workflow goes on whatever is killed: nothing that completed runs again, and what it had put is there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from flows import DEADLINE, Flow

#: Each writes that it ran; `hold` waits for a file, and says that it does.
FUNCTIONS = """
    import os, pathlib, time

    FOLDER = pathlib.Path({folder!r})

    def _mark(name):
        with (FOLDER / "ran").open("a") as file:
            file.write(name + "\\n")

    def start():
        _mark("start")
        with open("x", "w") as file: file.write("content")
        faasr_put_file("x", "x.txt")
        return True

    def hold():
        _mark("hold")
        faasr_log(f"pid {{os.getpid()}}")
        while not (FOLDER / "go").exists():
            time.sleep(0.01)

    def end():
        _mark("end")
        faasr_get_file("y", "x.txt")
        with open("y") as file:
            assert file.read() == "content"
"""


@pytest.fixture
def held(flow: Flow, tmp_path_factory: pytest.TempPathFactory) -> Flow:
    """A workflow that is held in the middle; `marks` is the folder with its marks."""
    flow.marks = tmp_path_factory.mktemp("marks")
    flow.functions(FUNCTIONS.format(folder=str(flow.marks)))
    flow.workflow({"start": [{"True": ["hold"], "False": []}], "hold": ["end"], "end": []})
    return flow


def _pid(line: str) -> int:
    return int(line.split()[1])


def _ran(flow: Flow) -> list[str]:
    return (flow.marks / "ran").read_text().split()


@pytest.mark.parametrize("who", ["agent", "handler"])
def test_the_death_of_the_daemon_costs_what_ran_at_that_moment_and_no_more(held: Flow, who: str) -> None:
    running = held.start()
    running.until(event="output", test="hold")
    os.kill(held.agent() if who == "agent" else held.handler(), signal.SIGKILL)
    running.until(event="output", test="hold")  # it runs again
    (held.marks / "go").touch()
    told = running.end()
    assert told.code == 0, told.failures()
    assert _ran(held) == ["start", "hold", "hold", "end"]
    assert told.verdicts == {"start": "passed", "hold": "passed", "end": "passed"}
    assert told.left() == [
        "end.txt", "function_completions/end.done", "function_completions/hold.done",
        "function_completions/start.done", "hold.txt", "start.txt",
    ]  # fmt: skip
    assert len({event["invocation"] for event in told.of("workflow")}) == 1


def test_the_death_of_a_runner_is_put_down_to_nobody_once(held: Flow) -> None:
    running = held.start()
    running.until(event="output", test="hold")
    os.kill(held.runner(), signal.SIGKILL)
    again = running.until(event="function", function="hold", status="invoked")
    assert "the runner ended" in again["why"]
    running.until(event="output", test="hold")
    (held.marks / "go").touch()
    told = running.end()
    assert told.code == 0, told.failures()
    assert _ran(held) == ["start", "hold", "hold", "end"]
    assert told.history["hold"] == ["invoked", "running", "invoked", "running", "completed"]


def test_a_function_under_which_the_runner_dies_twice_has_crashed(held: Flow) -> None:
    running = held.start()
    for _ in range(2):
        running.until(event="output", test="hold")
        os.kill(held.runner(), signal.SIGKILL)
    told = running.end()
    assert told.code == 1
    assert told.statuses == {"start": "completed", "hold": "failed", "end": "skipped"}
    assert told.verdicts["hold"] == "crashed"


def test_a_function_whose_process_is_killed_has_failed_and_what_follows_is_skipped(held: Flow) -> None:
    running = held.start()
    line = running.until(event="output", test="hold")
    os.kill(_pid(line["text"]), signal.SIGKILL)
    told = running.end()
    assert told.code == 1
    assert told.statuses == {"start": "completed", "hold": "failed", "end": "skipped"}
    assert told.verdicts["hold"] == "crashed"
    assert "killed by SIGKILL" in told.message("hold")
    assert "[ERROR]" in told.log("hold")
    assert _ran(held) == ["start", "hold"]


def test_a_run_that_is_interrupted_says_so_everywhere(held: Flow) -> None:
    running = held.start()
    pid = _pid(running.until(event="output", test="hold")["text"])
    running.interrupt()
    told = running.end()
    assert told.code == 2
    assert told.statuses == {"start": "completed", "hold": "skipped", "end": "skipped"}
    assert told.verdicts == {"start": "passed", "hold": "cancelled", "end": "cancelled"}
    assert "cancelled: interrupted" in told.log("hold")
    assert not Path(f"/proc/{pid}").exists()


def test_a_run_goes_on_without_its_command_and_is_ended_by_its_id(held: Flow) -> None:
    def say(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            held.command(*arguments), cwd=held.root, env=held.environment, capture_output=True, text=True,
            timeout=DEADLINE, check=False,
        )  # fmt: skip

    run = json.loads(say("workflow", "run", "workflow.json", "--detach", "--format", "json").stdout)["run"]
    following = held.attach(run)
    following.until(event="output", test="hold")
    assert say("cancel", run).returncode == 0
    told = following.end()
    assert told.code == 2
    assert told.verdicts == {"start": "passed", "hold": "cancelled", "end": "cancelled"}


def test_a_run_keeps_the_document_that_it_was_accepted_with(held: Flow) -> None:
    running = held.start()
    running.until(event="output", test="hold")
    held.workflow({"start": ["other"], "other": []})
    os.kill(held.agent(), signal.SIGKILL)
    running.until(event="output", test="hold")
    (held.marks / "go").touch()
    told = running.end()
    assert told.code == 0, told.failures()
    assert told.statuses == {"start": "completed", "hold": "completed", "end": "completed"}


def test_the_embedded_store_may_die(held: Flow) -> None:
    running = held.start()
    running.until(event="output", test="hold")
    (store,) = held.processes("testd_daemon.workflows.store.server")
    os.kill(store, signal.SIGKILL)
    (held.marks / "go").touch()
    told = running.end()
    assert told.code == 0, told.failures()
    assert told.text("x.txt") == "content"


def test_a_function_that_hangs_is_killed_when_its_time_is_over(held: Flow) -> None:
    told = held.run("--timeout", "1")
    assert told.code == 1
    assert told.statuses == {"start": "completed", "hold": "timeout", "end": "skipped"}
    assert told.verdicts["hold"] == "timed out"
    assert "limit of 1 s" in told.message("hold")
    assert " in hold (" in told.message("hold")
    assert "[ERROR]" in told.log("hold")


def test_one_action_may_have_a_limit_of_its_own(held: Flow) -> None:
    held.workflow({"start": ["hold"], "hold": ["end"], "end": []}, Testd={"Timeouts": {"hold": 1}})
    told = held.run()
    assert told.statuses == {"start": "completed", "hold": "timeout", "end": "skipped"}


def test_one_action_may_use_less_memory_than_others(flow: Flow) -> None:
    flow.functions("""
        import time
        def start():
            kept = b"x" * 200_000_000
        def large():
            kept = b"x" * 200_000_000
            while True: time.sleep(0.01)
    """)
    flow.workflow({"start": ["large"], "large": {"MaxMemory": 100}})
    told = flow.run()
    assert told.statuses == {"start": "completed", "large": "failed"}
    assert "more than its limit" in told.message("large")


def test_what_a_function_prints_without_end_is_cut(flow: Flow) -> None:
    flow.functions("""
        def floods():
            for _ in range(3000):
                print("x" * 10_000)
    """)
    flow.workflow({"floods": []})
    told = flow.run()
    assert told.code == 0, told.failures()
    assert len(told.printed("floods")) < 10_000_000
    assert "the rest is not shown" in told.printed("floods")
