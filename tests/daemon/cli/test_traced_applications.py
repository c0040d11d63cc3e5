"""Applications that send what they do to the daemon: facts 22 and 25, outside of run files.

Whatever the daemon does meanwhile, the program's output and end are what they would be without it.
"""

from __future__ import annotations

import collections
import json
import os
import signal
import socket
import threading
import time

import pytest
from applications import Application, handler_is_gone

import interpreters
from testd.tracing.sending import wire
from testd_daemon.client.sync import Client
from testd_daemon.handler.settings import Deadlines
from testd_daemon.runtime import folders
from testd_protocol.version import PROTOCOL


@pytest.fixture
def application(cli):
    return Application(cli)


def test_the_protocol_of_an_application_is_the_daemon_s():
    assert wire.PROTOCOL == PROTOCOL


@pytest.mark.parametrize("version", interpreters.found())
def test_a_root_arrives_with_its_children_on_every_python(application, version):
    application.daemon()
    application.run("import shop\nshop.parent([1, 2])", python=interpreters.found()[version])
    (entry,) = application.traces()
    assert (entry["module"], entry["name"], entry["calls"], entry["successful"]) == ("shop", "parent", 3, True)
    executed = application.executed(entry["trace"][:8])
    assert (executed["input"], executed["output"], executed["parent_id"]) == ([[1, 2], {}], [2, 4], None)
    assert [(child["input"], child["parent_id"]) for child in executed["children"]] == [
        ([1, {}], executed["id"]), ([2, {}], executed["id"])
    ]  # fmt: skip


def test_without_being_told_nothing_is_recorded_and_nothing_of_it_is_loaded(application):
    said = application.run(
        "import shop, sys\nshop.parent([1])\n"
        "print([name for name in sys.modules if 'sending' in name], shop.parent.__code__.co_name,"
        " shop.parent.__code__.co_filename.endswith('shop.py'))",
        TESTD_TRACE="",
    )
    assert said == "[] parent True\n"


def test_connect_traces_modules_that_know_nothing_of_it(application):
    application.daemon()
    (application.cli.project / "plain.py").write_text("def add(a, b): return a + b\n")
    application.run(
        "from testd.tracing import connect\nconnection = connect({'modules': ['plain']})\n"
        "assert connect() is connection\nimport plain\nplain.add(1, b=2)\nconnection.close()\nplain.add(3, 4)\n",
        TESTD_TRACE="",
    )
    (entry,) = application.traces()
    assert application.executed(entry["trace"])["input"] == [1, {"b": 2}]


def test_connect_where_the_environment_has_done_so(application):
    application.daemon()
    application.run("from testd.tracing import connect\nconnect().close()\nimport shop\nshop.parent([1])")
    assert application.traces() == []  # it was closed


def test_without_a_daemon_a_program_goes_on_and_ends(application):
    assert application.run("import shop\nprint(shop.parent([1, 2]))") == "[2, 4]\n"


def test_a_program_does_not_wait_for_a_daemon_that_says_nothing(application):
    runtime = application.cli.runtime
    runtime.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(runtime / "testd.sock"))
        silent.listen(1)
        said = application.run("import shop\nfor n in range(3000): shop.child(n)\nprint(shop.child(4))")
    os.unlink(runtime / "testd.sock")
    assert said == "8\n"


def test_a_socket_in_somebody_else_s_folder_is_not_spoken_to(application, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(wire.LostError, match="belongs to somebody else"):
        wire.Wire(str(application.cli.home / "testd.sock"), lambda: True)


def test_a_program_that_ends_at_once_has_sent_what_it_did(application):
    application.daemon()
    application.run("import shop, sys\nfor n in range(500): shop.child(n)\nsys.exit()")
    found = application.traces()
    assert [application.executed(entry["trace"])["input"][0] for entry in found[:3]] == [499, 498, 497]
    assert len(found) == 500


def test_many_threads(application):
    application.daemon()
    application.run(
        "import shop, threading\n"
        "threads = [threading.Thread(target=lambda: [shop.parent([n]) for n in range(50)]) for _ in range(8)]\n"
        "before = threading.active_count()\n"
        "for thread in threads: thread.start()\nfor thread in threads: thread.join()\n"
        "assert threading.active_count() == before\n"
    )
    assert [entry["calls"] for entry in application.traces()] == [2] * 400


@pytest.mark.parametrize("version", interpreters.found())
def test_a_fork_sends_its_own_and_the_parent_its_own(application, version):
    application.daemon()
    application.run(
        "import os, shop\nshop.parent([1])\nchild = os.fork()\nshop.parent([2] if child else [3])\n"
        "if child: assert os.waitpid(child, 0)[1] == 0\n",
        "-Werror", python=interpreters.found()[version],
    )  # fmt: skip
    found = application.traces()
    given = {entry["trace"]: application.executed(entry["trace"])["input"][0] for entry in found}
    assert sorted(given.values()) == [[1], [2], [3]]
    assert len({entry["pid"] for entry in found if given[entry["trace"]] != [3]}) == 1
    assert len({entry["pid"] for entry in found}) == 2


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_multiprocessing_send_what_they_did(application, method):
    application.daemon()
    application.run(
        "import multiprocessing, shop\nif __name__ == '__main__':\n"
        f"    process = multiprocessing.get_context({method!r}).Process(target=shop.parent, args=([1],))\n"
        "    process.start()\n    process.join()\n    assert process.exitcode == 0\n"
    )
    assert [entry["name"] for entry in application.traces()] == ["parent"]


def test_a_program_that_closes_all_descriptors_writes_into_no_file_of_its_own(application):
    application.daemon()
    application.run(
        "import os, shop, time\nshop.child(1)\nimport sys\n"
        "def connected(): return any('socket' in os.readlink(entry.path) for entry in os.scandir('/proc/self/fd')\n"
        "                            if int(entry.name) > 2 and os.path.lexists(entry.path))\n"
        "while not connected(): time.sleep(0.01)\n"
        "os.closerange(3, 100)\nfiles = [open(f'out{n}', 'wb') for n in range(20)]\n"
        "for n in range(50): shop.child(n)\n"
    )
    assert [(application.cli.project / f"out{n}").stat().st_size for n in range(20)] == [0] * 20
    assert len(application.traces()) == 51


def test_a_daemon_that_is_killed_in_the_middle_has_all_of_it_once(application, cli):
    pid = application.daemon()
    program = application.start(
        "import shop, sys\n"
        "for line in sys.stdin:\n"
        "    for n in range(40): shop.child(n)\n"
        "    print('done', flush=True)\n",
        TESTD_TRACE=json.dumps({"wait": 30}),
    )
    program.stdin.write("go\n")
    program.stdin.flush()
    assert program.stdout.readline() == "done\n"
    os.kill(pid, signal.SIGKILL)
    while not handler_is_gone(pid):
        pass
    program.stdin.write("go\n")
    program.stdin.flush()
    assert program.stdout.readline() == "done\n"
    assert cli.run("traces").returncode == 0  # which starts another daemon
    _, errors = program.communicate(timeout=60)
    assert (program.returncode, errors) == (0, "")
    given = collections.Counter(application.executed(entry["trace"])["input"][0] for entry in application.traces())
    assert given == dict.fromkeys(range(40), 2)


def test_what_is_too_much_for_a_slow_daemon_is_dropped_and_counted(application):
    pid = application.daemon()
    os.kill(pid, signal.SIGSTOP)
    program = application.start(
        "import shop, sys\nfor n in range(5000): shop.child(n)\nprint('done', flush=True)\nsys.stdin.read()\n",
        TESTD_TRACE=json.dumps({"wait": 30}),
    )
    assert program.stdout.readline() == "done\n"  # nobody has waited
    os.kill(pid, signal.SIGCONT)
    _, errors = program.communicate(timeout=60)
    assert (program.returncode, errors) == (0, "")
    kept = json.loads(application.cli.run("traces", "--format", "json", "--limit", "1").stdout)
    assert kept["name"] == "child"
    (line,) = application.dropped()
    assert line.startswith("3,000 traces")


def test_the_one_too_many_evicts_the_oldest(application, cli):
    (cli.project / "pyproject.toml").write_text("[tool.testd]\nkeep_traces = 2\n")
    application.daemon()
    application.run("import shop\nfor n in range(3): shop.parent([n])")
    kept = [application.executed(entry["trace"])["input"][0] for entry in application.traces()]
    assert kept == [[2], [1]]


class Heart:
    """Asks the handler for a sign of life, one time after the other, for as long as its block lasts."""

    def __init__(self, cli):
        environment = {name: value for name, value in cli.environment.items() if name.startswith("TESTD_")}
        self._client = Client.connect(start=False, where=folders({**environment, "HOME": str(cli.home)}))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat)
        self.longest, self.beats = 0.0, 0

    def _beat(self):
        while not self._over.wait(0.01):
            asked = time.monotonic()
            assert self._client.ask({"type": "Ping", "id": self.beats}, "Pong")["id"] == self.beats
            self.longest = max(self.longest, time.monotonic() - asked)
            self.beats += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
        self._client.close()


def test_a_trace_of_100_000_calls_is_kept_and_shown_whole(application, cli):
    """The handler answers all the time: none of its answers is so late that a heartbeat would be missed."""
    pid = application.daemon()
    with Heart(cli) as heart:
        _keep_and_show(application, cli)
    assert heart.beats > 10
    assert heart.longest < Deadlines().pong
    status = json.loads(cli.run("status", "--format", "json").stdout)
    assert (status["pid"], [agent["restarts"] for agent in status["agents"]]) == (pid, [0])


def _keep_and_show(application, cli):
    application.run(
        "import shop\nfrom testd import traced\n"
        "@traced\ndef many(n):\n    for i in range(n): shop.child(i)\nmany(99_999)\n",
        TESTD_TRACE=json.dumps({"wait": 60}),
    )
    (entry,) = application.traces()
    assert (entry["calls"], entry["cut"]) == (100_000, 0)
    shown = cli.run("trace", entry["trace"][:12]).stdout.splitlines()
    assert len(shown) == 100_000 + 3
    assert shown[-1].split(maxsplit=2)[2] == "child(99998) → 199996"
    assert "… 99,997 more calls, not shown" in cli.run("trace", "--calls", "2", entry["trace"]).stdout
    executed = application.executed(entry["trace"])
    assert len(executed["children"]) == 99_999


@pytest.mark.parametrize(("value", "said"), [
    ("perhaps", "TESTD_TRACE: Expecting value"),
    ('{"trace": {"modules": 7}}', "tool.testd.trace.modules is a list of names"),
    ('{"nonsense": 1}', "nonsense"),
    ("[]", "is no map"),
])  # fmt: skip
def test_a_variable_that_cannot_be_read_is_told_and_costs_nothing_else(application, value, said):
    program = application.start("import shop\nprint(shop.parent([1]))", TESTD_TRACE=value)
    output, errors = program.communicate(timeout=60)
    assert (program.returncode, output) == (0, "[2]\n")
    assert said in errors
    assert len(errors.splitlines()) == 1
