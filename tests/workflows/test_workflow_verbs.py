"""`testd workflow` from outside: a run as text, and what its other verbs say of runs that are over or go on."""

from __future__ import annotations

import json
import subprocess

import pytest
from flows import DEADLINE, Flow

FUNCTIONS = """
    import pathlib, time

    def start():
        pathlib.Path("a.txt").write_text("some bytes")
        faasr_put_file(local_file="a.txt", remote_file="a.txt")
        faasr_log("put it")

    def part():
        faasr_log(f"rank {faasr_rank()['rank']}")
        if MARK.exists() and faasr_rank()["rank"] == 2:
            raise ValueError("boom")

    def choose():
        print("choosing")
        return True

    def yes(): pass

    def no(): pass

    def wait():
        faasr_log("waiting")
        time.sleep(600)
"""


@pytest.fixture
def said(flow: Flow):
    """Run a verb below `testd workflow`; give what it wrote."""
    mark = flow.root / "fail"
    flow.functions(FUNCTIONS.replace("MARK", f"pathlib.Path({str(mark)!r})"))
    flow.workflow({
        "start": ["part(3)"], "part": ["choose"], "choose": [{"True": ["yes"], "False": ["no"]}], "yes": [], "no": [],
    })  # fmt: skip

    def run(*arguments: str, code: int = 0) -> list[str]:
        done = subprocess.run(
            flow.command("workflow", *arguments), cwd=flow.root, env=flow.environment, capture_output=True, text=True,
            timeout=DEADLINE, check=False,
        )  # fmt: skip
        assert done.returncode == code, (done.stdout, done.stderr)
        told = done.stdout if code in (0, 1) else done.stderr
        return [line.rstrip().replace("│", "|") for line in told.splitlines()]

    return run


def test_a_run_and_what_is_told_of_it_afterwards(flow: Flow, said):
    ran = said("run", "workflow.json")
    assert ran[0].startswith("Flow  7 functions, invocation ")
    told = [line.split("  ")[-1].strip() for line in ran[1:-1] if line.startswith("completed")]
    assert told == ["start", "part (3)", "choose", "yes"]
    (left_out,) = [line for line in ran if line.startswith("not invoked")]
    assert left_out.split()[2:] == ["no", "choose", "returned", "True"]
    assert ran[-1].startswith("6 completed, 1 not invoked in ")

    status = said("status")
    assert [line[14:].split("  ")[0].strip() for line in status[2:7]] == [
        "completed", "completed", "completed", "completed", "not invoked",
    ]  # fmt: skip
    assert status[-1] == "6 completed, 1 not invoked"
    facts = json.loads("".join(said("status", "--format", "json")))
    assert (facts["exit_code"], facts["functions"]["no"]["status"]) == (0, "not_invoked")
    assert facts["functions"]["no"]["why"] == "choose returned True"

    assert sorted(said("logs")) == sorted(["start | put it", *(f"part({n}) | rank {n}" for n in (1, 2, 3)),
                                           "choose | choosing"])  # fmt: skip
    assert said("logs", "choose") == ["choosing"]
    assert sorted(said("logs", facts["run"][:5], "part")) == [f"part({n}) | rank {n}" for n in (1, 2, 3)]
    assert said("logs", facts["run"], "prt", code=4)[1].startswith("Did you mean part?")

    graph = said("graph", "workflow.json", "--run", "newest")
    assert [line for line in graph if "no" in line.split() and "not invoked" in line]
    history = subprocess.run(
        flow.command("history"), cwd=flow.root, env=flow.environment, capture_output=True, text=True, timeout=DEADLINE,
        check=True,
    )  # fmt: skip
    assert facts["run"] in history.stdout
    assert said("cancel") == [f"run {facts['run']} of Flow is over already"]


def test_the_figures_of_a_run_beside_an_earlier_one(flow: Flow, said):
    said("run", "workflow.json")
    first = json.loads("".join(said("metrics", "--format", "json")))
    assert first["compared"] is None
    path = [step["function"] for step in first["critical"]]
    assert (path[0], path[1][:5], path[2:]) == ("start", "part(", ["choose", "yes"])
    assert sum(step["share"] for step in first["critical"]) == pytest.approx(1.0)
    assert first["skew"]["part"]["ranks"] == 3
    start = first["functions"][0]
    assert (start["function"], start["store_calls"], start["bytes_out"]) == ("start", 1, 10)
    assert first["makespan"] > 0

    (flow.root / "fail").touch()
    said("run", "workflow.json", code=1)  # a run that failed is nothing to compare with
    (flow.root / "fail").unlink()
    said("run", "workflow.json")
    again = json.loads("".join(said("metrics", "--format", "json")))
    assert again["compared"]["runs"] == [first["run"]]
    assert again["compared"]["makespan"]["before"] == first["makespan"]
    table = said("metrics", "--compare", first["run"])
    assert table[0].startswith(f"Flow  run {again['run']}: ")
    assert table[2].split()[:2] == ["function", "took"]
    said("metrics", "--format", "svg", "-o", "run.svg")
    assert (flow.root / "run.svg").read_text().startswith("<svg ")


def test_a_failure_names_the_command_that_shows_its_log(flow: Flow, said):
    (flow.root / "fail").touch()
    ran = said("run", "workflow.json", code=1)
    assert any("FAILED part(2)" in line for line in ran)
    assert "ValueError: boom" in ran
    (again,) = [line for line in ran if line.startswith("all of it: ")]
    assert again.endswith(" 'part(2)'")
    run = again.split()[-2]
    assert said("logs", run, "part(2)")[0] == "rank 2"
    assert said("logs", run, "part(2)")[-1] == "ValueError: boom"
    status = said("status", run)
    assert "failed: part(2): ValueError: boom" in status
    again = subprocess.run(
        flow.command("attach", run), cwd=flow.root, env=flow.environment, capture_output=True, text=True,
        timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert again.returncode == 1
    assert again.stdout.splitlines()[-1] == ran[-1]
    assert "FAILED part(2)" in again.stdout


def test_a_run_that_goes_on_is_followed_and_cancelled(flow: Flow, said):
    flow.workflow({"start": ["wait"], "wait": ["yes"], "yes": []})
    running = flow.start()
    running.until(event="output", test="wait")
    assert said("logs", "wait") == ["waiting"]
    assert [line for line in said("status") if "running" in line.split() and "wait" in line]
    assert said("cancel")[0].endswith(" of Flow is being cancelled")
    followed = said("logs", "-f", "start")
    assert followed == ["put it"]
    assert running.end().completed["exit_code"] == 2
    assert json.loads("".join(said("status", "--format", "json")))["functions"]["yes"]["status"] == "skipped"


def test_the_newest_run_is_the_newest_before_it_has_begun(flow: Flow, said):
    """One that was about to begin was passed over, and the run before it cancelled in its place."""
    said("run", "workflow.json")
    flow.workflow({"start": ["wait"], "wait": []}, WorkflowName="Newer")
    run = said("run", "workflow.json", "--detach")[0]
    assert said("cancel") == [f"run {run} of Newer is being cancelled"]
    assert flow.attach(run).end().completed["exit_code"] == 2


def test_without_runs_it_is_said_what_to_do(said):
    assert said("status", code=4) == [
        "testd: there is no run of a workflow here", "`testd workflow run FILE` starts one.",
    ]  # fmt: skip
    assert said("status", "abcdefgh", code=4)[0] == "testd: unknown run: abcdefgh"
