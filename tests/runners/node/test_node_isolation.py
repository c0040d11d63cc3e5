"""What one run, one worker and one thread know of another: nothing. And what is kept warm all the same."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psutil
import pytest
from javascript import Came, Project, Runner

from house import survivors
from testd_protocol.messages import Dependencies, DropCollection

PATIENCE = 60.0


def pid_of(came: Came) -> int:
    return int(came.output.split()[1])


def leaks_of(came: Came, name: str) -> list[str]:
    detail = came.outcomes[name].detail
    return detail.leaks if detail is not None else []


def settle(runner: Runner) -> None:
    """Wait until what follows a run is done: it is told what the thread that waits for the next one has loaded."""
    runner.launched.until(Dependencies)


@pytest.mark.every_node
def test_modules_are_not_shared_by_the_workers_of_a_process(project: Project) -> None:
    """Does Node.js reuse modules across workers? No: each thread evaluates its own copy, builtins' changes included."""
    project.write(
        counter_mjs="export const counter = { value: 0 };\nglobalThis.evaluated = (globalThis.evaluated ?? 0) + 1;\n",
        a_test_mjs="""
            import fs from 'node:fs';
            import { counter } from './counter.mjs';
            export const first = () => {
              console.log(`pid ${process.pid}`);
              const shared = ++counter.value !== 1 || globalThis.evaluated !== 1 || fs.ours || process.env.OURS;
              if (shared) throw new Error('shared');
              fs.ours = true;
              process.env.OURS = 'set';
            };
        """,
    )
    with project.collected() as runner:
        workers = [runner.order(["first"], stream=True) for _ in range(3)]
        came = runner.came_side_by_side(workers)
        assert [one.verdicts() for one in came] == [{"first": "passed"}] * 3
        assert len({pid_of(one) for one in came}) == 1
        assert runner.run("first").verdicts() == {"first": "passed"}


@pytest.mark.every_node
def test_the_workers_of_a_worker_end_with_it(project: Project, tmp_path: Path) -> None:
    """What becomes of a worker's workers when it is terminated? They are terminated with it."""
    mark = tmp_path / "mark"
    project.write(
        a_test_mjs=f"""
            import {{ Worker }} from 'node:worker_threads';
            const beat = `const fs = require('node:fs'); setInterval(() => fs.appendFileSync({str(mark)!r}, '.'), 1)`;
            export const starts = async () => {{
              const worker = new Worker(beat, {{ eval: true }});
              await new Promise((resolve) => worker.once('online', resolve));
            }};
            export const spins = () => {{ for (;;); }};
            export const looks = () => {{ console.log('pid', process.pid); }};
        """
    )
    with project.collected() as runner:
        exited = runner.interrupted("starts", "spins").exited
        assert (exited.cause, runner.ids[exited.test]) == ("stopped", "a.test.mjs::spins")
        host = psutil.Process(int(runner.run("looks", stream=True).output.split()[1]))
        assert mark.exists()
        with mark.open("a") as file:
            file.truncate(0)
        runner.run("looks")  # time for a beat, if there were any
        assert host.is_running()
        assert mark.stat().st_size == 0


@pytest.mark.every_node
@pytest.mark.parametrize("end", ["spins", "fine", "exits"])
def test_child_processes_outlive_their_thread_in_node_and_are_killed_here(project: Project, end: str) -> None:
    """What becomes of a worker's child processes when it is terminated? Node.js leaves them; the host kills them."""
    project.write(
        a_test_mjs="""
            import { spawn } from 'node:child_process';
            export const starts = async () => {
              const stdio = ['ignore', 'pipe', 'ignore'];
              const child = spawn('sh', ['-c', 'sleep 1000 & echo $! $$; wait'], { stdio });
              const pids = await new Promise((resolve) => child.stdout.once('data', resolve));
              console.log(`pids ${String(pids).trim()}`);
            };
            export const spins = () => { for (;;); };
            export const fine = () => {};
            export const exits = () => process.exit(1);
        """
    )
    with project.collected() as runner:
        came = (runner.interrupted if end == "spins" else runner.run)("starts", end, stream=True)
        pids = [int(pid) for pid in came.output.split()[1:3]]
        # A zombie is as good as gone: of a thread that has ended nobody reaps it before the host's end.
        found = [process for process in psutil.process_iter() if process.pid in pids]
        assert not survivors(found, PATIENCE)


def test_plain_node_leaves_the_child_processes_of_a_terminated_thread(project: Project) -> None:
    """The fact that the case above stands on."""
    script = """
        const { Worker } = require('node:worker_threads');
        const worker = new Worker(`
          const child = require('node:child_process').spawn('sleep', ['1000'], { stdio: 'ignore' });
          require('node:worker_threads').parentPort.postMessage(child.pid);`, { eval: true });
        worker.on('message', async (pid) => {
          await worker.terminate();
          process.kill(pid, 0); // throws where it is gone
          process.kill(pid, 'SIGKILL');
          console.log('alive');
        });
    """
    done = subprocess.run([project.node, "-e", script], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.stdout.strip() == "alive", done.stderr


@pytest.mark.every_node
def test_the_next_run_is_loaded_before_it_is_asked_for(project: Project, tmp_path: Path) -> None:
    log = tmp_path / "loaded"
    note = f"import {{ appendFileSync }} from 'node:fs';\nappendFileSync({str(log)!r}, 'b');\n"
    project.write(
        a_test_mjs=f"""
            import {{ appendFileSync }} from 'node:fs';
            appendFileSync({str(log)!r}, 'a');
            let calls = 0;
            export const once = () => {{
              calls += 1;
              if (calls !== 1) throw new Error('a run met what another one left');
            }};
        """,
        b_test_mjs=f"{note}export const two = () => {{}};\n",
    )
    with project.collected() as runner:
        assert log.read_text() == "ab"
        for loads in ("aba", "abaa", "abaaa"):
            assert runner.run("once").verdicts() == {"once": "passed"}  # in the thread that is there
            settle(runner)
            assert log.read_text() == loads  # only what the run used
        assert runner.run("two").verdicts() == {"two": "passed"}  # loaded when it is needed


@pytest.mark.every_node
def test_changed_code_never_runs_old(project: Project) -> None:
    project.write(
        lib_mjs="export const value = 1;\n",
        a_test_mjs="""
            import { value } from './lib.mjs';
            export const says = () => { console.log(`value ${value}`); };
        """,
    )
    with project.collected() as runner:
        for value in range(1, 4):
            assert runner.run("says", stream=True).output == f"value {value}\n"
            settle(runner)
            project.write(lib_mjs=f"export const value = {value + 1};\n")
            runner.launched.send(DropCollection(collection=runner.collection))
            runner.collect()


@pytest.mark.every_node
def test_a_host_that_holds_too_much_is_replaced_between_runs(project: Project) -> None:
    project.write(
        a_test_mjs="""
            const held = Buffer.alloc(5e6, 1);
            export const says = () => { console.log(`pid ${process.pid}`); held.fill(2); };
        """
    )
    with project.collected(settings={"host_memory": "1"}) as runner:
        pids = []
        for _ in range(3):
            pids.append(pid_of(runner.run("says", stream=True)))
            settle(runner)
        assert len(set(pids)) == 3
    with project.collected() as runner:
        pids = []
        for _ in range(3):
            pids.append(pid_of(runner.run("says", stream=True)))
            settle(runner)
        assert len(set(pids)) == 1


@pytest.mark.every_node
def test_more_workers_than_one_host_has_seats_for(project: Project) -> None:
    project.write(a_test_mjs="export const says = () => { console.log(`pid ${process.pid}`); };\n")
    with project.collected() as runner:
        came = runner.came_side_by_side([runner.order(["says"], stream=True) for _ in range(12)])
        assert [one.verdicts() for one in came] == [{"says": "passed"}] * 12
        assert len({pid_of(one) for one in came}) == 2


def test_without_a_stem_nothing_is_kept(project: Project) -> None:
    project.write(a_test_mjs="export const one = () => {};\n")
    with project.collected(stem=False) as runner:
        assert runner.last is not None
        assert (runner.last.forkable, runner.last.reason) == (False, "no threads are kept: fork = false")
        assert runner.run("one", alone=True).verdicts() == {"one": "passed"}


def test_nodes_own_options_are_given_to_what_runs_user_code(project: Project) -> None:
    project.write(a_test_mjs="export const one = () => { if (!globalThis.gc) throw new Error('no gc'); };\n")
    with project.collected(arguments=["--expose-gc"]) as runner:
        assert runner.run("one").verdicts() == {"one": "passed"}
        assert runner.run("one", alone=True).verdicts() == {"one": "passed"}


@pytest.mark.every_node
def test_what_a_file_left_unhandled_is_told_by_a_thread_that_waited_as_by_any_other(project: Project) -> None:
    project.write(a_test_mjs="Promise.reject(new Error('at the top'));\nexport const passes = () => {};\n")
    with project.collected() as runner:
        for _ in range(2):
            assert leaks_of(runner.run(), "passes") == ["an error that nobody handled: Error: at the top"]
            settle(runner)
