"""`testd record`, `testd traces` and `testd trace` from outside, with a real daemon."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from applications import Application

import interpreters
from terminal import Terminal


@pytest.fixture
def application(cli):
    return Application(cli)


def record(application, *words, **options):
    """Record a program to its end, without anything in the environment that leads to testd."""
    return subprocess.run(
        application.cli.command("record", *words), cwd=application.cli.project, env=application.cli.environment,
        text=True, encoding="utf-8", capture_output=True, timeout=90, check=False, **options,
    )  # fmt: skip


PLAIN = """
def helper(x): return x + 1
class Cart:
    def total(self): return [helper(n) for n in range(3)]
"""


@pytest.mark.parametrize("version", interpreters.found())
def test_a_program_that_knows_nothing_of_testd_on_every_python(application, version):
    (application.cli.project / "pyproject.toml").write_text('[tool.testd.trace]\nmodules = ["plain"]\n')
    application.write(PLAIN, "plain.py")
    application.write("import plain, sys\nprint(plain.Cart().total(), sys.argv, sys.stdin.read())\nsys.exit(7)")
    done = record(application, interpreters.found()[version], "app.py", "--port", "80", input="hello")
    assert (done.returncode, done.stdout) == (7, "[1, 2, 3] ['app.py', '--port', '80'] hello\n")
    first, line, hint = done.stderr.splitlines()
    assert (first, hint) == ("testd: recorded 1 trace", "testd trace ID shows one of them")
    (entry,) = application.traces()
    assert line.split() [:2] == [entry["trace"][:12], "plain:Cart.total"]
    assert [child["name"] for child in application.executed(entry["trace"])["children"]] == ["helper"] * 3


def test_modules_by_option_child_processes_and_what_the_program_would_have_had(application):
    application.write(PLAIN, "plain.py")
    application.write("raise SystemExit('the other one is not loaded')", "elsewhere.py")
    (application.cli.project / "site").mkdir()
    (application.cli.project / "site" / "sitecustomize.py").write_text("import builtins; builtins.customized = True\n")
    application.write(
        "import subprocess, sys\nassert customized\nassert not any('tracing' in entry for entry in sys.path)\n"
        "import sitecustomize; assert sitecustomize.__file__.endswith('site/sitecustomize.py')\n"
        "subprocess.run([sys.executable, '-c', 'import plain; plain.helper(1)'], check=True)\n"
        "import plain\nplain.helper(2)"
    )
    application.cli.environment["PYTHONPATH"] = str(application.cli.project / "site")
    done = record(application, "--module", "plai?", "--", sys.executable, "app.py")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("testd: recorded 2 traces\n")
    assert len({entry["pid"] for entry in application.traces()}) == 2


def test_only_this_recording_is_told(application):
    application.write("import shop\nfor n in range(12): shop.child(n)")
    record(application, sys.executable, "app.py")
    application.write("import shop\ntry: shop.boom()\nexcept ValueError: pass")
    done = record(application, sys.executable, "app.py")
    assert done.stderr.startswith("testd: recorded 1 trace\n")
    assert "shop:boom" in done.stderr
    assert "ValueError: bad value 42" in done.stderr
    assert len(application.traces()) == 13
    recordings = {entry["recording"] for entry in application.traces()}
    assert sorted(len(application.traces("--recording", each)) for each in recordings) == [1, 12]


def test_many_are_counted_and_ten_are_named(application):
    application.write("import shop\nfor n in range(12): shop.child(n)")
    lines = record(application, sys.executable, "app.py").stderr.splitlines()
    assert lines[0] == "testd: recorded 12 traces"
    assert len(lines) == 13
    assert lines[11].startswith("  … and 2 more: testd traces --recording ")


def test_what_is_configured_wrongly_is_told_at_the_end(application):
    (application.cli.project / "pyproject.toml").write_text('[tool.testd.trace]\nmodules = {shop = ["zzz", "child"]}\n')
    application.write("import shop\nshop.child(1)")
    done = record(application, sys.executable, "app.py")
    assert "testd: Invalid callable (zzz) specified inside module (shop) in config file" in done.stderr
    assert len(application.traces()) == 1


def test_nothing_caught_is_told_with_what_would_be_right(application):
    done = record(application, sys.executable, "-c", "print(1)")
    assert (done.returncode, done.stdout) == (0, "1\n")
    assert done.stderr.startswith("testd: no traced function was called. Decorate some with @traced")


def test_a_program_that_is_not_there(application):
    done = record(application, "no-such-program")
    assert done.returncode == 4
    assert done.stderr.startswith("testd: cannot run no-such-program: No such file or directory\n")


def test_usage(application):
    assert record(application).returncode == 4
    assert "usage: testd record [OPTIONS] PROGRAM ARGUMENT" in record(application, "--help").stdout
    done = record(application, "--modul", "x", "true")
    assert (done.returncode, "--module" in done.stderr) == (4, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_is_the_program_s(application, number):
    application.write(
        "import shop, signal, sys, time\nshop.child(1)\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(5))\nprint('ready', flush=True)\n"
        "while True: time.sleep(0.01)\n"
    )
    recording = application.cli.start("record", sys.executable, "app.py", start_new_session=True)
    assert recording.stdout.readline() == "ready\n"
    recording.send_signal(number)
    _, errors = recording.communicate(timeout=60)
    assert recording.returncode == 5
    assert "recorded 1 trace" in errors


@pytest.mark.parametrize("end", ["sys.exit(9)", "raise"])
def test_an_interrupt_at_a_terminal_is_the_program_s_and_what_it_did_is_kept(application, end):
    """Ctrl-C reaches the program once, and not testd; its end is the program's, with what it did before."""
    application.write(
        "import shop, sys, time\n"
        "try:\n    shop.child(1)\n    print('ready', flush=True)\n    while True: time.sleep(0.01)\n"
        f"except KeyboardInterrupt:\n    shop.parent([7])\n    print('interrupted', flush=True)\n    {end}\n"
    )
    command = application.cli.command("record", sys.executable, "app.py")
    with Terminal(command, application.cli.project, application.cli.environment) as terminal:
        terminal.expect(b"ready")
        terminal.send(b"\x03")
        terminal.expect(b"interrupted")
        terminal.expect(b"testd: recorded ")
        status = os.waitstatus_to_exitcode(terminal.finish())
    assert terminal.output.count(b"interrupted") == 1
    assert b"testd_daemon" not in terminal.output
    assert status == (9 if "exit" in end else -signal.SIGINT)
    newest, *others = application.traces()
    assert (newest["name"], {entry["name"] for entry in others}) == ("parent", {"child"})


def test_a_program_that_a_signal_ends(application):
    done = record(application, sys.executable, "-c", "import os; os.kill(os.getpid(), 15)")
    assert done.returncode == -signal.SIGTERM


def test_a_tree_on_a_page_and_as_spans(application, cli):
    cli.run("traces")
    application.run("import shop\nshop.parent([1, 2])\ntry: shop.boom()\nexcept ValueError: pass")
    boom, parent = application.traces()
    lines = cli.run("trace", parent["trace"]).stdout.splitlines()
    assert lines[1].startswith("shop:parent  ")
    assert [line.split("ms", 1)[1] for line in lines[3:]] == [
        "  parent([1, 2]) → [2, 4]", "    child(1) → 2", "    child(2) → 4"
    ]  # fmt: skip
    assert cli.run("trace", boom["trace"]).stdout.endswith("ms  boom() raised ValueError: bad value 42\n")
    (group,) = json.loads(cli.run("trace", "--otel", parent["trace"]).stdout)["resourceSpans"]
    spans = group["scopeSpans"][0]["spans"]
    assert [span["name"] for span in spans] == ["parent", "child", "child"]
    assert {span["traceId"] for span in spans} == {parent["trace"]}
    assert [span["parentSpanId"] for span in spans] == ["", spans[0]["spanId"], spans[0]["spanId"]]
    (span,) = json.loads(cli.run("trace", "--otel", boom["trace"]).stdout)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert (span["status"], span["events"][0]["name"]) == ({"code": 2, "message": "bad value 42"}, "exception")


def test_filters_deletion_and_ids_that_are_none(application, cli):
    cli.run("traces")
    application.run("import shop\nshop.parent([1])\nshop.child(2)\ntry: shop.boom()\nexcept ValueError: pass")
    assert [entry["name"] for entry in application.traces("--failed")] == ["boom"]
    (parent,) = application.traces("--name", "ent", "--module", "shop", "--file", "shop.py")
    assert parent["name"] == "parent"
    assert "no such traces" in cli.run("traces", "--module", "nope").stdout
    assert "2 more (--limit)" in cli.run("traces", "--limit", "1").stdout
    (child,) = application.traces("--name", "child")
    for bad in ("../../x", "zz", "'; rm -rf ~", "%"):
        refused = cli.run("trace", "--", bad)
        assert (refused.returncode, "is no trace's id" in refused.stderr) == (4, True)
    assert "there is no trace 0000" in cli.run("traces", "--delete", "00000000000000").stderr
    assert cli.run("traces", "--delete", child["trace"][:10]).stdout == "1 trace forgotten\n"
    gone = cli.run("trace", child["trace"])
    assert (gone.returncode, "there is no trace" in gone.stderr) == (4, True)
    assert cli.run("traces", "--clear").stdout == "2 traces forgotten\n"
    assert application.traces() == []


def test_mistakes_in_what_is_asked(cli):
    assert "--delete needs the ids" in cli.run("traces", "--delete").stderr
    assert "takes ids with --delete only" in cli.run("traces", "abc").stderr
    assert "exclude each other" in cli.run("traces", "--delete", "--clear", "a").stderr
    assert "exclude each other" in cli.run("trace", "--json", "--otel", "a").stderr
