"""Workflows, warm: one function, the public integration workflow's shape, a chain, a fan-out; and watching one.

What a function takes is from its trigger until its completion is in the store. The floor of a run is the longest path
of its functions, or their work spread over all processors where that is longer, and the time in which completions are
put into the store. What watches a run by its store alone asks it for one listing an interval; the store is asked how
many there were, for the whole run with all of its functions.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from context import Context
from house import House
from measuring import COMMAND_DEADLINE, MeasureError
from suites import PYTEST, Prepared, Suite, environment_only
from table import Row
from testd_daemon.workflows import layout
from testd_daemon.workflows.store.address import EMBEDDED_KEY, Address
from testd_daemon.workflows.store.bucket import client
from testd_daemon.workflows.testing.workflow_runner import WorkflowRunner

__all__ = ["measure"]

SUITE = Suite(name="workflows", version="1", requirements=(PYTEST,))
#: Seconds between two runs, in which the next run's store gets ready, as it does for people.
REST = 3.0
#: Goals: seconds of one function, of the integration workflow's shape; over the floor for many functions.
TRIVIAL, INTEGRATION, OVER_FLOOR = 0.15, 3.0, 1.3
MANY = 100
#: Seconds between two looks of what watches, and the goal: listings an interval.
INTERVAL, LISTINGS = 0.1, 1.0
BUCKET = "bucket"

Figures = list[dict[str, Any]]
#: Seconds of the whole command, and what each function took.
Round = tuple[float, Figures]
#: From what each function took to the names on the longest path.
Longest = Callable[[dict[str, float]], list[str]]
_USING_FILES = """
def use(name):
    faasr_get_file(local_file="x", remote_file="input1.txt", remote_folder="data")
    faasr_get_folder_list(prefix="data")
    faasr_log(name)
    faasr_put_file(local_file="x", remote_file=name, remote_folder="data")

def create_input():
    for number in range(1, 4):
        with open("x", "w") as file:
            file.write("content")
        faasr_put_file(local_file="x", remote_file=f"input{number}.txt", remote_folder="data")

def test_py_api():
    use("output1.txt")

def test_r_api():
    use("output2.txt")

def sync1():
    return True

def test_run_true():
    use("true.txt")

def test_run_false():
    use("false.txt")

def test_rank():
    use(f"rank{faasr_rank()['rank']}.txt")

def sync2():
    pass
"""


def measure(context: Context) -> Iterator[Row]:
    """Yield rows for each shape."""
    one = _rounds(context, {"only": []}, "def only():\n    pass\n")
    whole = statistics.median(seconds for seconds, _ in one)
    taken = [figures[0]["done"] - figures[0]["triggered"] for _, figures in one]
    yield _row("one trivial function", "trigger → .done", taken, TRIVIAL, whole)
    integration = _rounds(context, *_integration())
    whole = statistics.median(seconds for seconds, _ in integration)
    spans = [_makespan(figures) for _, figures in integration]
    yield _row("13 functions, 5 of them ranks", "first trigger → last .done", spans, INTEGRATION, whole)
    yield _watched(context, *_integration())
    names = [f"f{number}" for number in range(MANY)]
    chain: dict[str, Any] = dict(zip(names, [[name] for name in names[1:]] + [[]], strict=True))
    yield _over_floor(f"chain of {MANY}", _rounds(context, chain, _trivial(names)), lambda _: names)
    fan: dict[str, Any] = {"start": names, **{name: ["join"] for name in names}, "join": []}
    found = _rounds(context, fan, _trivial(["start", *names, "join"]))
    yield _over_floor(
        f"fan-out of {MANY} and join", found, lambda work: ["start", max(names, key=work.__getitem__), "join"]
    )


def _rounds(context: Context, actions: Mapping[str, Any], functions: str) -> list[Round]:
    """Run a workflow as often as there are rounds."""
    with tempfile.TemporaryDirectory(prefix="testd-workflows-") as folder:
        project = Path(folder)
        (project / "pyproject.toml").touch()
        (project / "functions.py").write_text(functions)
        (project / "workflow.json").write_text(json.dumps(_document(actions)))
        found = environment_only(SUITE, context.root, project)
        with context.house(found) as house:
            _run(context, house, found)  # the first one starts a daemon, a runner and a store
            rounds = []
            for _ in range(context.rounds):
                time.sleep(REST)
                rounds.append(_run(context, house, found))
            return rounds


def _run(context: Context, house: House, found: Prepared, store: str = "embedded") -> Round:
    """Run the workflow once."""
    command = [str(context.testd), "workflow", "run", "--store", store, "--format", "json", "workflow.json"]
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=found.project, env=house.environment, capture_output=True, text=True, timeout=COMMAND_DEADLINE,
        check=False,
    )  # fmt: skip
    seconds = time.monotonic() - began
    if done.returncode:
        raise MeasureError(f"{command}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return seconds, [event for event in events if event["event"] == "measured"]


def _watched(context: Context, actions: Mapping[str, Any], functions: str) -> Row:
    """Watch runs by their store, and count what that asks of it."""
    rates, spans = [], []
    with tempfile.TemporaryDirectory(prefix="testd-workflows-") as folder, _store(Path(folder)) as address:
        project = Path(folder, "project")
        project.mkdir()
        (project / "pyproject.toml").touch()
        (project / "functions.py").write_text(functions)
        found = environment_only(SUITE, context.root, project)
        with context.house(found) as house:
            house.environment |= {"S3_AccessKey": EMBEDDED_KEY, "S3_SecretKey": EMBEDDED_KEY}
            for number in range(context.rounds):
                document = _document(actions, address.endpoint)
                document |= {"InvocationID": f"run{number}", "InvocationTimestamp": layout.timestamp(datetime.now())}  # noqa: DTZ005
                (project / "workflow.json").write_text(json.dumps(document))
                listings, seconds = _watch(address, document, lambda: _run(context, house, found, "document"))
                rates.append((listings - 1) / (seconds / INTERVAL))
                spans.append(seconds)
    rate = statistics.median(rates)
    return Row(
        scenario="workflows", case="13 functions, watched by their store", what="listings an interval",
        value=f"{rate:.2f}", goal=f"≤ {LISTINGS:g}", met=rate <= LISTINGS,
        note=f"of the whole run, which took {statistics.median(spans):.2f} s; an interval is {INTERVAL:g} s",
    )  # fmt: skip


def _watch(address: Address, document: dict[str, Any], run: Callable[[], Round]) -> tuple[int, float]:
    """Return how many listings the store was asked for while a run was watched, and for how many seconds it was."""
    listings = 0

    def count(**_: Any) -> None:
        nonlocal listings
        listings += 1

    store = client(address)
    store.meta.events.register("before-call.s3.ListObjectsV2", count)
    runner = WorkflowRunner(faasr_payload=document, check_interval=INTERVAL, s3_client=store, bucket_name=BUCKET)
    began = time.monotonic()
    try:
        runner.start_monitoring()
        run()
        if not runner.wait_for(lambda: runner.monitoring_complete, COMMAND_DEADLINE) or runner.failure_detected:
            raise MeasureError(f"a run that was watched has not ended well: {runner.get_function_statuses()}")
        return listings, time.monotonic() - began
    finally:
        runner.cleanup()
        store.close()


@contextmanager
def _store(folder: Path) -> Iterator[Address]:
    """Have an object store for the length of a block, with one bucket."""
    process = subprocess.Popen(
        [sys.executable, "-m", "testd_daemon.workflows.store.server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:  # its standard input is what keeps it
        process.stdin.write(f"0 {folder / 'store'}\n".encode())
        process.stdin.flush()
        endpoint = f"http://127.0.0.1:{int(process.stdout.readline())}"
        address = Address(
            name="S3", bucket=BUCKET, endpoint=endpoint, access_key=EMBEDDED_KEY, secret_key=EMBEDDED_KEY
        )
        asked = client(address)
        asked.create_bucket(Bucket=BUCKET)
        asked.close()
        try:
            yield address
        finally:
            process.stdin.close()


def _row(case: str, what: str, seconds: Sequence[float], goal: float, whole: float) -> Row:
    median = statistics.median(seconds)
    return Row(
        scenario="workflows", case=case, what=what, value=f"{median:.3f} s", p90=max(seconds), goal=f"≤ {goal:g} s",
        met=median <= goal, note=f"whole command, with a store of its own {whole:.2f} s",
    )  # fmt: skip


def _over_floor(case: str, rounds: Sequence[Round], longest: Longest) -> Row:
    spans = [_makespan(figures) for _, figures in rounds]
    floors = [_floor(figures, longest) for _, figures in rounds]
    ratio = statistics.median(span / floor for span, floor in zip(spans, floors, strict=True))
    return Row(
        scenario="workflows", case=case, what="first trigger → last .done", value=f"{statistics.median(spans):.3f} s",
        p90=max(spans), ratio=ratio, against="the floor", goal=f"≤ {OVER_FLOOR:g}", met=ratio <= OVER_FLOOR,
        note=f"{statistics.median(spans) / len(rounds[0][1]) * 1000:.0f} ms a function",
    )  # fmt: skip


def _floor(figures: Figures, longest: Longest) -> float:
    work: dict[str, float] = {each["function"]: each["ended"] - each["started"] for each in figures}
    store: dict[str, float] = {each["function"]: each["done"] - each["ended"] for each in figures}
    path = longest(work)
    spread = sum(work.values()) / (psutil.cpu_count() or 1)
    return max(sum(work[name] for name in path), spread) + sum(store[name] for name in path)


def _makespan(figures: Figures) -> float:
    return float(max(each["done"] for each in figures) - min(each["triggered"] for each in figures))


def _integration() -> tuple[dict[str, Any], str]:
    """Return the shape of the public integration workflow, whose functions use each a few files."""
    branches = {"True": ["test-run-true"], "False": ["test-run-false"]}
    actions = {
        "create-input": ["test-py-api", "test-r-api"],
        "test-py-api": ["sync1"],
        "test-r-api": ["sync1"],
        "sync1": [branches, "test-rank(5)"],
        "test-run-true": ["sync2"],
        "test-run-false": ["sync2"],
        "test-rank": ["sync2"],
        "sync2": [],
    }
    return actions, _USING_FILES


def _trivial(names: Sequence[str]) -> str:
    return "".join(f"def {name}():\n    pass\n" for name in names)


def _document(actions: Mapping[str, Any], endpoint: str = "https://s3.example.org") -> dict[str, Any]:
    return {
        "WorkflowName": "Benchmark",
        "FunctionInvoke": next(iter(actions)),
        "DefaultDataStore": "S3",
        "ActionList": {
            name: {"FaaSServer": "gh", "FunctionName": name.replace("-", "_"), "Type": "Python", "InvokeNext": after}
            for name, after in actions.items()
        },
        "ComputeServers": {"gh": {"FaaSType": "GitHubActions", "UserName": "u", "ActionRepoName": "r"}},
        "DataStores": {"S3": {"Bucket": BUCKET, "Endpoint": endpoint}},
    }
