"""Stems in a real runner: what a checkpoint depends on, the record of imports, and that nothing outlives its owner."""

import contextlib
import os
import shutil
import signal
from pathlib import Path

import psutil
import pytest

from house import survivors
from runners.driver import PATIENCE, Driver, runner, write


def dependencies(driver: Driver, checkpoint: str) -> "tuple[set[str], dict[str, list[str]]]":
    """Return files, and directories with the names that matter, of a checkpoint; paths below the workspace only."""
    messages = [m for m in driver.seen("Dependencies") if m["checkpoint"] == checkpoint]
    files = {file[0] for message in messages for file in message["files"]}
    directories = {found[0]: found[2] for message in messages for found in message["directories"]}
    return files, directories


def test_each_checkpoint_tells_what_it_loaded(tmp_path: Path) -> None:
    write(
        tmp_path,
        conftest="import helper\n",
        helper="",
        code="VALUE = 1\n",
        test_a="import code_table\ndef test_a(): import late\n",
        code_table="import pathlib\nTABLE = (pathlib.Path(__file__).parent / 'table.txt').read_text()\n",
        late="",
    )
    (tmp_path / "table.txt").write_text("x")
    with runner(tmp_path) as driver:
        driver.collect()
        configured, _ = dependencies(driver, "configured")
        collected, directories = dependencies(driver, "collected")
    here = str(tmp_path)
    assert {f"{here}/conftest.py", f"{here}/helper.py"} <= configured
    assert {f"{here}/test_a.py", f"{here}/code_table.py", f"{here}/table.txt"} <= collected
    assert not {f"{here}/helper.py", f"{here}/late.py"} & collected
    both = {**dependencies(driver, "configured")[1], **directories}
    assert both[here] == ["code.py", "code_table.py", "conftest.py", "helper.py", "late.py", "test_a.py"]


def test_a_folder_that_user_code_lists_counts_with_all_its_names(tmp_path: Path) -> None:
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "one.json").write_text("{}")
    text = """
import os, pytest
@pytest.mark.parametrize("name", sorted(os.listdir("cases")))
def test_case(name): pass
"""
    with runner(write(tmp_path, test_a=text)) as driver:
        assert driver.collect()["ids"] == ["test_a.py::test_case[one.json]"]
        _, directories = dependencies(driver, "collected")
        assert directories[str(tmp_path / "cases")] == ["one.json"]
        (tmp_path / "cases" / "two.json").write_text("{}")
        driver.send("DropCollection", collection=1, configured=False, started=False)
        assert len(driver.collect()["ids"]) == 2


def test_a_dropped_collection_leaves_the_checkpoints_below(tmp_path: Path) -> None:
    write(tmp_path, conftest="import os\nopen('configured', 'a').write('x')\n", test_a="def test_a(): pass\n")
    with runner(tmp_path) as driver:
        driver.collect()
        write(tmp_path, test_b="def test_b(): pass\n")
        driver.send("DropCollection", collection=1, configured=False, started=False)
        assert driver.collect()["ids"] == ["test_a.py::test_a", "test_b.py::test_b"]
        assert (tmp_path / "configured").read_text() == "x"
        driver.send("DropCollection", collection=2, configured=True, started=False)
        driver.collect()
        assert (tmp_path / "configured").read_text() == "xx"


PLUGIN = """
import late, pytest
open("log", "a").write("plugin ")
@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config):
    open("log", "a").write("first ")
"""


def test_a_conftest_that_changed_leaves_the_plugins_loaded(tmp_path: Path) -> None:
    """It loaded all plugins again, which takes a second with some."""
    conftest = "open('log', 'a').write('conftest ')\nimport helper\n"
    write(tmp_path, plugin=PLUGIN, late="", helper="", conftest=conftest, test_a="def test_a(): pass\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    here = str(tmp_path)
    with runner(tmp_path, arguments=["-p", "plugin"]) as driver:
        driver.collect()
        assert (tmp_path / "log").read_text() == "plugin first conftest "
        plugins, configured = dependencies(driver, "plugins")[0], dependencies(driver, "configured")[0]
        assert {f"{here}/{name}" for name in ("plugin.py", "late.py", "pytest.ini", "tox.ini")} <= plugins
        assert {f"{here}/conftest.py", f"{here}/helper.py"} <= configured
        assert not plugins & configured
        driver.send("DropCollection", collection=0, configured=True)
        assert driver.collect()["ids"] == ["test_a.py::test_a"]
        assert (tmp_path / "log").read_text() == "plugin first conftest first conftest "
        driver.send("DropCollection", collection=0, configured=True, plugins=True)
        assert driver.collect()["ids"] == ["test_a.py::test_a"]
        assert (tmp_path / "log").read_text().endswith("conftest plugin first conftest ")
        assert driver.run([0]).verdicts() == {0: "passed"}


def test_plugins_that_start_threads_are_loaded_again(tmp_path: Path) -> None:
    """A process in which threads run is not forked: it becomes the next checkpoint itself."""
    plugin = "import threading\nwait = threading.Event().wait\n"
    plugin += "threading.Thread(target=wait, name='of-plugin', daemon=True).start()\n"
    write(tmp_path, plugin=plugin, conftest="open('log', 'a').write('x')\n", test_a="def test_a(): pass\n")
    with runner(tmp_path, arguments=["-p", "plugin"]) as driver:
        for times in (1, 2):
            found = driver.collect()
            assert not found["forkable"]
            assert "of-plugin" in found["reason"]
            assert (tmp_path / "log").read_text() == "x" * times
            if times == 1:
                assert len(family(driver)) == 3, "the runner, the stem without plugins, and one that is all the others"
            driver.send("DropCollection", collection=0, configured=True)


def test_what_fails_among_the_plugins_is_told_each_time(tmp_path: Path) -> None:
    plugin = """
import pytest
@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config):
    raise pytest.UsageError("not with me")
"""
    write(tmp_path, plugin=plugin, test_a="def test_a(): pass\n")
    with runner(tmp_path, arguments=["-p", "plugin"]) as driver:
        for _ in range(2):
            assert driver.collect()["message"] == "not with me"
    with runner(tmp_path, arguments=["-p", "no_such_plugin"]) as driver:
        for _ in range(2):
            assert "no_such_plugin" in driver.collect()["message"]


def test_who_imported_whom_is_recorded(tmp_path: Path) -> None:
    write(
        tmp_path,
        package____init__="",
        package__base="",
        package__user="from . import base\nfrom package.base import __name__ as n\n",
        test_a="import package.user\ndef test_a():\n    import importlib\n    importlib.import_module('late')\n",
        late="import package.base\n",
    )
    with runner(tmp_path) as driver:
        driver.collect()
        driver.other.append(driver.until("Modules"))  # of the stem, when it has nothing more urgent to do
        driver.run([0])
    imports: dict[str, set[str]] = {}
    files: dict[str, str] = {}
    for message in driver.seen("Modules"):
        files.update(message["files"])
        for importer, imported in message["imports"].items():
            imports.setdefault(importer, set()).update(imported)
    assert {"package", "package.user"} <= imports["test_a"]
    assert "package.base" in imports["package.user"]
    assert "package.base" in imports["late"], "imported while the test ran, of a module that was loaded already"
    assert "late" in imports["test_a"]
    assert files["late"] == str(tmp_path / "late.py")


def family(driver: Driver) -> list[psutil.Process]:
    return [psutil.Process(driver.process.pid), *psutil.Process(driver.process.pid).children(recursive=True)]


LEAVES = """
import os, subprocess, sys, time
def test_leaves():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    open("ready", "w").close()
    while True: pass
"""


@pytest.fixture
def busy(tmp_path: Path) -> Driver:
    """A runner whose worker spins in a test that started two more processes, one in a session of its own."""
    os.mkfifo(tmp_path / "ready")
    driver = Driver(write(tmp_path, test_l=LEAVES))
    driver.collect()
    driver.start_worker([0])
    (tmp_path / "ready").read_bytes()  # returns when the test has opened it
    assert len(family(driver)) >= 7
    return driver


def test_nothing_survives_the_agents_end(busy: Driver) -> None:
    processes = family(busy)
    busy.stop()
    assert survivors(processes, PATIENCE) == []


def test_a_runner_that_is_asked_by_a_signal_to_end_leaves_nothing(busy: Driver) -> None:
    """It died of it, and what a test had started in a session of its own went on."""
    processes = family(busy)
    busy.process.send_signal(signal.SIGTERM)
    assert busy.process.wait(PATIENCE) == 0
    assert survivors(processes, PATIENCE) == []
    busy.stop()


def test_a_killed_runner_takes_its_stems_and_workers_along(busy: Driver) -> None:
    ours = [p for p in family(busy) if p.pid == busy.process.pid or "testd" in " ".join(p.cmdline())]
    left = [p for p in family(busy) if p not in ours]
    busy.process.send_signal(signal.SIGKILL)
    assert busy.stop() == -signal.SIGKILL
    assert survivors(ours, PATIENCE) == []
    for process in left:  # what a test started is the agent's to find: the runner could not
        process.kill()


def test_a_worker_that_ends_takes_its_group_along(tmp_path: Path) -> None:
    text = "import subprocess\ndef test_a(): subprocess.Popen(['sleep', '600'])\n"
    with runner(write(tmp_path, test_a=text)) as driver:
        driver.collect()
        before = set(family(driver))
        leak = driver.run([0]).outcomes[0]["detail"]["leaks"][0]
        pid = next(int(word) for word in leak.split() if word.isdigit())
        with contextlib.suppress(psutil.NoSuchProcess):  # as it should be
            assert survivors([psutil.Process(pid)], PATIENCE) == []
        assert survivors(set(family(driver)) - before, PATIENCE) == []


def test_what_pytest_keeps_for_itself_makes_nothing_stale(tmp_path: Path) -> None:
    """A run of plain pytest in between made the next run cold: its cache had been read at configuration."""
    write(tmp_path, test_a="def test_a(): pass\n")
    cache = tmp_path / ".pytest_cache" / "v" / "cache"
    cache.mkdir(parents=True)
    (cache / "nodeids").write_text('["test_a.py::test_a"]')
    with runner(tmp_path) as driver:
        driver.collect()
        for checkpoint in ("configured", "collected"):
            files, directories = dependencies(driver, checkpoint)
            assert not [path for path in [*files, *directories] if ".pytest_cache" in path]


def test_a_collection_that_is_dropped_before_it_is_forked_ends(tmp_path: Path) -> None:
    write(tmp_path, test_a="def test_a(): pass\n", test_hangs="import threading\nthreading.Event().wait()\n")
    with runner(tmp_path, preload=False) as driver:
        driver.collect("test_a.py")
        before = len(family(driver))
        for number in range(50, 60):  # one after the other without a pause: its process has no number yet
            driver.send("Collect", collection=number, paths=["test_hangs.py"])
            driver.send("DropCollection", collection=number, configured=False, started=False)
        driver.collect("test_a.py")  # forked after all of those
        survivors(family(driver)[before + 1 :], PATIENCE)
        alive = [process for process in family(driver) if process.status() != psutil.STATUS_ZOMBIE]
        assert len(alive) == before + 1


def test_what_failed_to_configure_serves_no_other_collection(tmp_path: Path) -> None:
    write(tmp_path, conftest="import no_such_module\n", test_a="def test_a(): pass\n")
    with runner(tmp_path) as driver:
        assert driver.collect()["code"] == "conftest"
        write(tmp_path, conftest="repaired = True\n")
        assert driver.collect()["ids"] == ["test_a.py::test_a"]


@pytest.mark.parametrize("module", ["pytest", "conftest"])
def test_what_ends_a_stem_before_it_forks_is_told(tmp_path: Path, module: str) -> None:
    """The end of a channel may be heard before that of the process, which says more."""
    text = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with runner(write(tmp_path, test_a="def test_a(): pass", **{module: text})) as driver:
        for _ in range(5):
            assert "killed by SIGKILL" in driver.collect()["message"]


def test_a_collection_whose_process_is_killed_is_told(tmp_path: Path) -> None:
    with runner(write(tmp_path, test_a="def test_a(): pass\n")) as driver:
        driver.collect()
        family(driver)[-1].kill()
        fault = driver.until("Fault")
        assert (fault["code"], fault["id"]) == ("lost", 1)
        assert "killed by SIGKILL" in fault["message"]
        assert driver.run([0]).exited["cause"] == "lost"
        assert driver.collect()["ids"] == ["test_a.py::test_a"]
        assert driver.run([0]).verdicts() == {0: "passed"}


def test_a_worker_that_ends_with_its_stem_is_lost_and_names_its_test(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ready")
    text = "import signal\ndef test_a(): pass\ndef test_b():\n    open('ready', 'w').close()\n    signal.pause()\n"
    with runner(write(tmp_path, test_a=text)) as driver:
        driver.collect()
        driver.start_worker([0, 1])
        (tmp_path / "ready").read_bytes()
        worker = family(driver)[-1]
        worker.parent().kill()  # type: ignore[union-attr]  # its stem is there
        ended = driver.finish()
        assert ended.verdicts() == {0: "passed"}
        assert (ended.exited["cause"], ended.exited["test"]) == ("lost", 1)
        assert survivors([worker], PATIENCE) == []


def test_what_left_the_group_of_a_worker_ends_with_the_last_worker(tmp_path: Path) -> None:
    text = "import subprocess\ndef test_a(): subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
    with runner(write(tmp_path, test_a=text)) as driver:
        driver.collect()
        leak = driver.run([0]).outcomes[0]["detail"]["leaks"][0]
        pid = next(int(word) for word in leak.split() if word.isdigit())
        left = []
        with contextlib.suppress(psutil.NoSuchProcess):  # it may be gone by now
            left.append(psutil.Process(pid))
        assert survivors(left, PATIENCE) == []


def test_a_project_folder_that_was_made_anew(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    write(root, test_a="def test_a(): pass\n")
    with runner(root) as driver:
        driver.collect()
        shutil.rmtree(root)
        root.mkdir()
        write(root, test_b="import os\ndef test_b(): assert os.listdir('.')\n")
        assert driver.collect()["ids"] == ["test_b.py::test_b"]
        assert driver.run([0]).verdicts() == {0: "passed"}
        shutil.rmtree(root)
        assert "is gone" in driver.collect()["message"]
