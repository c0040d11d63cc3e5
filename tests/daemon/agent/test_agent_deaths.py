"""Whatever dies: each test has exactly one outcome, the others run, nothing outlives its owner."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from agent_driver import PATIENCE

from house import survivors
from testd_protocol.messages import Outcomes, Output, Shutdown

Make = Callable[..., Path]
StartAgent = Callable[..., Any]

#: Runs until it is killed.
FOREVER = "import threading\ndef test_forever():\n    print('running', flush=True)\n    threading.Event().wait()\n"
QUICK = "".join(f"def test_{n}(): pass\n" for n in range(20))


def running(result: Any) -> bool:
    return "running" in result.output


@pytest.mark.parametrize(
    ("body", "verdict", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed", "SIGSEGV"),
        ("os._exit(0)", "crashed", "exited with status 0"),
        ("os._exit(7)", "crashed", "exited with status 7"),
        ("sys.stderr.write('last words'); sys.stderr.flush(); os.abort()", "crashed", "SIGABRT"),
        ("threading.Event().wait()", "timed out", "limit of 2 s"),
        ("x = bytearray(400 * 1024 * 1024); threading.Event().wait()", "crashed", "MiB"),
    ],
    ids=["segfault", "exit 0", "exit 7", "abort", "hang", "memory"],
)
def test_one_test_dies_and_all_others_have_their_verdicts(
    project: Make, agent: StartAgent, body: str, verdict: str, said: str
) -> None:
    root = project(
        test_a_py=f"import os, signal, sys, threading\ndef test_before(): pass\ndef test_dies():\n    {body}\n"
        "def test_after(): pass\n",
        test_b_py=QUICK, testd_toml='memory_limit = "200MiB"\n',
    )  # fmt: skip
    result = agent(root).run(timeout=2.0 if verdict == "timed out" else 30.0)
    assert result.verdicts.pop("test_dies") == verdict
    assert {name: found for name, found in result.verdicts.items() if found != "passed"} == {"test_dies": verdict}
    assert len(result.rows) == 23
    detail = result.row("test_dies").detail
    assert said in detail.message
    assert detail.kind == ("timeout" if verdict == "timed out" else "crash")
    if verdict == "timed out":
        assert "test_dies" in detail.stacks
    assert result.completed.exit_code == 1
    assert result.completed.counts == {"passed": 22, verdict: 1}


def test_many_crashes_cost_only_themselves(project: Make, agent: StartAgent) -> None:
    tests = "import os\n" + "".join(f"def test_{n}():\n    if {n} % 5 == 0: os._exit(3)\n" for n in range(40))
    result = agent(project(test_a_py=tests)).run()
    assert result.completed.counts == {"crashed": 8, "passed": 32}


def test_a_fixture_that_ends_the_process_crashes_each_test_once(project: Make, agent: StartAgent) -> None:
    conftest = "import os, pytest\n@pytest.fixture(autouse=True)\ndef broken(): os._exit(9)\n"
    result = agent(project(conftest_py=conftest, test_a_py="def test_1(): pass\ndef test_2(): pass\n")).run()
    assert result.verdicts == {"test_1": "crashed", "test_2": "crashed"}


def test_a_warm_runner_that_ends_while_it_collects_costs_the_run_nothing(project: Make, agent: StartAgent) -> None:
    """The run ended with "runner ended" and without any outcome, as a watch's generation did after `docker kill`."""
    root = project(test_a_py="def test_1(): pass\n")
    driver = agent(root)
    assert driver.run().verdicts == {"test_1": "passed"}
    os.mkfifo(root / "gate")
    (root / "test_a.py").write_text(
        "import os\nif os.path.exists('gate'):\n    with open('gate', 'w') as gate:\n        gate.write('here')\n"
        "    import threading; threading.Event().wait()\ndef test_2(): pass\n"
    )
    run = driver.submit()
    assert (root / "gate").read_text() == "here"
    (root / "gate").unlink()
    (runner,) = psutil.Process(driver.process.pid).children()
    runner.kill()
    result = driver.follow(run)
    assert result.verdicts == {"test_2": "passed"}, result.completed.reason


def test_cancel_stops_what_runs_and_cancels_the_rest(project: Make, agent: StartAgent) -> None:
    driver = agent(project(test_a_py=FOREVER, test_b_py=QUICK))
    run = driver.submit(stream=True, jobs=1)
    driver.follow(run, until=running)
    driver.cancel(run, "the user pressed Ctrl-C")
    result = driver.follow(run)
    assert (result.completed.exit_code, result.completed.reason) == (2, "the user pressed Ctrl-C")
    assert set(result.verdicts.values()) == {"cancelled"}
    assert len(result.rows) == 21
    assert driver.run("test_b.py").completed.counts == {"passed": 20}


def test_cancel_while_it_collects(project: Make, agent: StartAgent, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    driver = agent(project(test_a_py=f"open({str(fifo)!r}, 'w').close()\nopen({str(fifo)!r}).read()\n"))
    run = driver.submit()
    with fifo.open():
        pass  # the collection has come this far, and will go no further
    driver.cancel(run)
    result = driver.follow(run)
    assert (result.completed.exit_code, result.rows) == (2, [])


def test_a_runner_that_is_killed_is_replaced(project: Make, agent: StartAgent, tmp_path: Path) -> None:
    marker = tmp_path / "killed"
    wait = (
        f"import os, threading\ndef test_waits():\n    if not os.path.exists({str(marker)!r}):\n"
        "        print('running', flush=True)\n        threading.Event().wait()\n"
    )
    driver = agent(project(test_a_py=QUICK + wait, test_b_py=QUICK))
    run = driver.submit(stream=True, jobs=1)
    first = driver.follow(run, until=running)
    marker.touch()
    for process in psutil.Process(driver.process.pid).children():
        process.kill()
    rest = driver.follow(run)
    rows = first.rows + rest.rows
    assert len(rows) == len({row.test for row in rows}) == 41
    assert rest.completed.exit_code == 0
    assert rest.completed.counts == {"passed": 41}
    assert "the runner ended; its tests go on in another one" in rest.notices


def test_a_runner_that_is_killed_between_runs_is_replaced_and_it_is_said(project: Make, agent: StartAgent) -> None:
    driver = agent(project(test_a_py=QUICK))
    driver.run()
    for process in psutil.Process(driver.process.pid).children():
        process.kill()
        assert not survivors([process], PATIENCE)
    second = driver.run()
    assert second.completed.exit_code == 0
    assert set(second.verdicts.values()) == {"passed"}
    if second.ready.warm:  # the run was quicker than the news, and heard of it in the middle
        assert "the runner ended; its tests go on in another one" in second.notices
    else:
        assert "SIGKILL" in second.ready.reason


def test_a_test_that_kills_every_runner_is_found_out(project: Make, agent: StartAgent) -> None:
    body = (
        "import os, signal\ndef test_kills():\n    parent = os.getppid()\n"
        "    for line in open(f'/proc/{parent}/status'):\n"
        "        if line.startswith('PPid:'): stem = int(line.split()[1])\n"
        "    while stem > 1:\n"
        "        name = open(f'/proc/{stem}/cmdline').read()\n"
        "        above = [int(l.split()[1]) for l in open(f'/proc/{stem}/status') if l.startswith('PPid:')][0]\n"
        "        if '--fd' in name and 'agent' not in name: os.kill(stem, signal.SIGKILL)\n"
        "        if 'agent' in name: break\n"
        "        stem = above\n"
        "    import threading; threading.Event().wait()\n"
    )
    result = agent(project(test_a_py=body + QUICK)).run()
    assert result.verdicts.pop("test_kills") == "crashed"
    assert set(result.verdicts.values()) - {"crashed"} == {"passed"}
    assert result.completed.counts == {"crashed": 1, "passed": 20}


@pytest.mark.parametrize("how", ["link", "SIGKILL"])
def test_nothing_outlives_an_agent(project: Make, agent: StartAgent, how: str) -> None:
    """Where the link ends, the driver's own end looks whether all are gone."""
    child = "import subprocess, sys\ndef test_c():\n    subprocess.Popen([sys.executable, '-c', 'input()'])\n"
    driver = agent(project(test_a_py=child + FOREVER))
    driver.follow(driver.submit(stream=True, jobs=1), until=running)
    family = driver.family()
    assert len(family) >= 4
    if how == "SIGKILL":
        os.kill(driver.process.pid, signal.SIGKILL)
        driver.process.wait()
        assert not survivors(family, PATIENCE)


def test_shutdown_ends_runs_in_order(project: Make, agent: StartAgent) -> None:
    driver = agent(project(test_a_py=FOREVER, test_b_py=QUICK))
    run = driver.submit(stream=True, jobs=1)
    driver.follow(run, until=running)
    driver.send(Shutdown(reason="stop"))
    result = driver.follow(run)
    assert (result.completed.exit_code, result.completed.reason) == (2, "the daemon ends")
    assert driver.process.wait(30) == 0


def test_a_flood_of_output_is_bounded_and_harms_nobody(project: Make, agent: StartAgent) -> None:
    flood = "import sys\ndef test_flood():\n    for _ in range(200): sys.stdout.write('x' * 1024 * 1024)\n"
    driver = agent(project(test_a_py=flood, test_b_py=QUICK, testd_toml='output_limit = "64KiB"\n'))
    result = driver.run(stream=True)
    assert result.completed.counts == {"passed": 21}
    assert len("".join(event.text for event in result.of(Output))) < 600 * 1024


def test_a_large_failure_arrives(project: Make, agent: StartAgent) -> None:
    large = "def test_large():\n    assert 0, 'x' * (30 * 1024 * 1024)\n"
    result = agent(project(test_a_py=large, test_b_py=QUICK)).run()
    assert result.completed.counts == {"failed": 1, "passed": 20}
    assert sum(len(event.rows) for event in result.of(Outcomes)) == 21
