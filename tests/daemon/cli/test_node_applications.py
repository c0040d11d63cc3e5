"""Programs on Node.js that are recorded, on every Node.js found, with a real daemon: what it has of them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest
from applications import Application

import nodes

RECORD = Path(__file__).resolve().parents[3] / "runners" / "node" / "record.js"
SHOP = """
    import { traced } from 'testd';
    import { priceOf } from './plain.js';

    export const child = traced(function child(x) { return 2 * x; });
    export const parent = traced(async function parent(xs) {
      await null;
      return xs.map((x) => child(x));
    });
    export const boom = traced(function boom() { throw new RangeError('bad value 42'); });
    export { priceOf };
"""
#: The same for a Node.js that has no hooks for modules, and for who runs it without testd.
GIVEN = SHOP.replace(
    "import { traced } from 'testd';", "const traced = globalThis[Symbol.for('testd.traced')] ?? ((body) => body);"
)
ALL = """
    import { boom, parent, priceOf } from './shop.mjs';
    console.log(await parent([1, 2]), priceOf({ price: 3, password: 'x' }));
    try { boom(); } catch (error) { console.log(error.message); }
"""


class Node(Application):
    """Programs for one Node.js."""

    def __init__(self, cli, node):
        super().__init__(cli)
        self.node = node
        (cli.project / "pyproject.toml").write_text('[tool.testd.trace]\nmodules = ["./plain.js"]\n')
        self.write(SHOP, "shop.mjs")
        self.write("exports.priceOf = (item) => item.price;", "plain.js")

    def record(self, code, *options):
        """Record a program to its end, without anything in the environment that leads to testd."""
        self.write(code, "app.mjs")
        return subprocess.run(
            self.cli.command("record", *options, self.node, "app.mjs", "--port", "80"), cwd=self.cli.project,
            env=self.cli.environment, text=True, capture_output=True, timeout=90, check=False,
        )  # fmt: skip

    def alone(self, code, **more):
        """Run a program to its end as somebody does who has set `TESTD_TRACE`, and expect it to end well."""
        self.write(code, "app.mjs")
        environment = {**self.environment(), "NODE_OPTIONS": f'--require "{RECORD}"', **more}
        done = subprocess.run(
            [self.node, "app.mjs"], cwd=self.cli.project, env=environment, text=True, capture_output=True, timeout=60,
            check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout


@pytest.fixture(params=nodes.found())
def application(request, cli):
    return Node(cli, nodes.found()[request.param])


def test_a_program_is_recorded_and_stays_what_it_is(application):
    """Facts 22, 24 and 25 on Node.js: by the package, and by configuration."""
    done = application.record(ALL + "console.log(process.argv.slice(2)); process.exitCode = 7;")
    assert (done.returncode, done.stdout) == (7, "[ 2, 4 ] 3\nbad value 42\n[ '--port', '80' ]\n")
    assert done.stderr.startswith("testd: recorded 3 traces\n")
    boom, price, parent = application.traces()
    assert (boom["error"], boom["successful"], boom["module"]) == ("RangeError: bad value 42", False, "shop.mjs")
    assert (parent["calls"], parent["failures"]) == (3, 0)
    assert len({each["trace"][:8] for each in (boom, price, parent)}) == 3
    executed = application.executed(parent["trace"])
    assert (executed["output"], executed["thrown_error"]) == ([2, 4], None)
    assert [(call["name"], call["input"], call["parent_id"]) for call in executed["children"]] == [
        ("child", [1, {}], parent["trace"]), ("child", [2, {}], parent["trace"])
    ]  # fmt: skip
    assert application.executed(price["trace"])["input"] == [{"price": 3, "password": {"$type": "redacted"}}, {}]


@pytest.mark.parametrize("end", ["process.exit(9);", "throw new Error('the end');"])
def test_a_program_that_ends_at_once_has_sent_what_it_did(application, end):
    done = application.record(ALL + end)
    assert done.returncode == (9 if "exit" in end else 1)
    assert "testd: recorded 3 traces\n" in done.stderr


def test_a_program_without_testd_or_a_daemon_is_what_it_was(application):
    application.write(GIVEN, "shop.mjs")
    application.write(ALL, "app.mjs")
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TESTD_")}
    command = [application.node, "app.mjs"]
    alone = subprocess.run(command, cwd=application.cli.project, env=plain, capture_output=True, text=True, check=True)
    assert (alone.stdout, alone.stderr) == ("[ 2, 4 ] 3\nbad value 42\n", "")
    assert application.alone(ALL) == alone.stdout
    assert application.alone(ALL, TESTD_TRACE="0") == alone.stdout
    assert application.traces() == []


def test_a_program_does_not_wait_for_a_daemon_that_says_nothing(application):
    application.cli.runtime.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(application.cli.runtime / "testd.sock"))
        silent.listen()
        assert application.alone(ALL, TESTD_TRACE=json.dumps({"wait": 0.5})).startswith("[ 2, 4 ]")
    (application.cli.runtime / "testd.sock").unlink()


def test_an_application_that_is_told_by_its_environment(application):
    application.daemon()
    application.alone(ALL)
    assert len(application.traces()) == 2  # what is configured is for testd record, or for who says so
    application.alone(ALL, TESTD_TRACE=json.dumps({"trace": {"modules": ["plain.js"], "sample": 0.5}}))
    assert [entry["name"] for entry in application.traces()[:-2]] == ["priceOf"]


def test_what_is_too_much_is_dropped_and_counted(application):
    application.daemon()
    application.alone("import { child } from './shop.mjs'; for (let n = 0; n < 3000; n++) child(n);",
                      TESTD_TRACE=json.dumps({"wait": 60}))  # fmt: skip
    assert len(application.traces()) == 1000  # as many as are kept
    (line,) = application.dropped()
    assert line.startswith("1,000 traces did not get here")


def test_a_large_trace_is_kept_and_shown_whole(application):
    application.daemon()
    application.alone(
        "import { child } from './shop.mjs'; import { traced } from 'testd';\n"
        "traced(function many(n) { for (let i = 0; i < n; i++) child(i); })(19999);",
        TESTD_TRACE=json.dumps({"wait": 60}),
    )
    (entry,) = application.traces()
    assert (entry["calls"], entry["cut"]) == (20_000, 0)
    assert len(application.executed(entry["trace"])["children"]) == 19_999


def test_a_variable_that_cannot_be_read_is_told(application):
    application.write("console.log('it runs')", "app.mjs")
    environment = {**application.environment(TESTD_TRACE="[]"), "NODE_OPTIONS": f'--require "{RECORD}"'}
    done = subprocess.run(
        [application.node, "app.mjs"], cwd=application.cli.project, env=environment, text=True, capture_output=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "it runs\n")
    assert done.stderr == "testd: TESTD_TRACE: [] is no map; nothing is traced. Right is 1, or what testd record sets\n"
