"""What a wrong command line is answered with: what is wrong and what would be right, status 4, never a traceback."""

from __future__ import annotations

import argparse
import shlex
import subprocess
from importlib import import_module

import pytest
from fake_handler import DEADLINE

from testd_daemon.cli import entry
from testd_daemon.cli.arguments import Operands, Parser, at_least, duration, nearest, one_of
from testd_daemon.cli.parser import FullParser
from testd_daemon.cli.verbs import VERBS
from testd_daemon.errors import Bug, UsageError

#: Verbs whose options are ours: behind `pytest` every word is pytest's own, `--help` included.
OURS = [verb for verb, (module, _) in VERBS.items() if not getattr(import_module(module), "VERBATIM", False)]


def call(capsys, *arguments):
    status = entry.main(list(arguments))
    out, err = capsys.readouterr()
    return status, out, err


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_every_verb(capsys, arguments):
    status, out, err = call(capsys, *arguments)
    assert (status, err) == (0, "")
    assert all(f"\n  {verb} " in out for verb in VERBS)


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_version(capsys, option):
    from testd_protocol.version import __version__

    assert call(capsys, option) == (0, f"testd {__version__}\n", "")


def test_an_unknown_verb_is_told_with_the_nearest(capsys):
    status, out, err = call(capsys, "statsu")
    assert (status, out) == (4, "")
    assert err.startswith("testd: unknown verb: statsu\nDid you mean `testd status`? The verbs are run, watch,")


def test_a_path_instead_of_a_verb_is_understood(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_a.py").touch()
    assert "To run these tests: testd run test_a.py::test_b" in call(capsys, "test_a.py::test_b")[2]


def test_an_option_instead_of_a_verb_is_understood(capsys):
    assert call(capsys, "-x")[2] == "testd: unknown option: -x\nA verb comes first: testd run -x\n"


@pytest.mark.parametrize("verb", OURS)
def test_every_verb_has_help(capsys, verb):
    with pytest.raises(SystemExit) as raised:
        entry.main([verb, "--help"])
    out = capsys.readouterr().out
    assert raised.value.code == 0
    assert out.startswith(f"usage: testd {verb} [OPTIONS]")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--last-faild"], "testd: run: unknown option: --last-faild\nDid you mean --last-failed?"),
        (["run", "--las"], "unknown option: --las"),
        (["run", "-n", "4"], "unknown option: -n\nDid you mean -j?"),
        (["run", "-n4"], "Did you mean -j?"),
        (["run", "--exitfirst"], "Did you mean -x?"),
        (["run", "-m", "slow"], 'pytest_args = ["-m"] under [tool.testd]'),
        (["run", "--tb=short"], 'pytest_args = ["--tb=short"] under [tool.testd]'),
        (["run", "--mode", "wroker"], "--mode: 'wroker' is not worker or bin (did you mean worker?)"),
        (["run", "--shuffle", "abc"], "'abc' is no seed: it is a whole number from 0 on"),
        (["run", "--shuffle=-1"], "'-1' is no seed"),
        (["run", "--isolate", "nothing"], "--isolate: 'nothing' is not test"),
        (["run", "--isolate"], "--isolate: expected one argument"),
        (["run", "--verify", "--fresh"], "--verify compares warm and fresh, and cannot with --fresh"),
        (["run", "--verify", "-u"], "--verify compares warm and fresh, and cannot with --update-snapshots"),
        (["run", "--jobs", "0"], "0 is less than 1"),
        (["run", "-j", "two"], "'two' is not a whole number"),
        (["run", "--timeout", "soon"], "'soon' is not a number of seconds"),
        (["run", "--timeout", "nan"], "nan is not a number of seconds from 0 on"),
        (["run", "--timeout=-1"], "-1 is not a number of seconds from 0 on"),
        (["run", "-k"], "-k: expected one argument"),
        (["run", "--fresh=yes"], "--fresh"),
        (["run", ""], "an empty path"),
        (["run", "--detach", "--no-daemon"], "--detach needs a daemon"),
        (["run", "--detach", "--junitxml", "x"], "--junitxml is written by the command that follows a run"),
        (["run", "--junitxml", "/"], "this is a folder"),
        (["status", "now"], "testd: status: unexpected argument: now\nIt takes options only."),
        (["attach", "a", "b"], "unexpected argument: b"),
        (["history", "--limit", "0"], "0 is less than 1"),
        (["daemon", "--idle-exit", "x"], "'x' is not a number of seconds"),
    ],
)
def test_wrong_arguments(capsys, arguments, said):
    status, out, err = call(capsys, *arguments)
    assert (status, out) == (4, "")
    assert err.startswith("testd: ")
    assert said in err
    assert "Traceback" not in err


def parser(operands=None):
    made = Parser("try", "try something", operands)
    made.add_argument("-x", action="store_true")
    made.add_argument("-k")
    return made


def test_options_and_operands_mix_and_two_dashes_end_options():
    line = ["a", "-x", "b", "-k", "e", "c", "--", "-x", "--", "d"]
    parsed = entry.parse(parser(Operands("PATH", 0, None, "paths")), line)
    assert parsed.operands == ["a", "b", "c", "-x", "--", "d"]
    assert (parsed.x, parsed.k) == (True, "e")


def test_a_right_command_line_needs_no_argparse_and_says_the_same():
    declared = parser(Operands("PATH", 0, None, "paths"))
    declared.add_argument("--jobs", type=at_least(1))
    declared.add_argument("--target", dest="targets", action="append", default=[])
    lines = ["", "a", "-x", "a -x b", "-k e", "a -k e b", "--jobs 2", "--jobs=2", "--jobs 2 --jobs 3", "--target="]
    for line in [*lines, "--target a", "--target a b --target=c", "--target=-a"]:
        quick, full = declared.quickly(line.split()), FullParser(declared).parse(line.split())
        assert vars(quick) == vars(full), line
    doubtful = ["-- a", "-xk", "-", "--nothing", "--help", "-k", "-ke", "-k -x", "-k --x=y", "-x=1"]
    for line in [*doubtful, "--jobs 0", "--jobs=two"]:
        assert declared.quickly(line.split()) is None, line


@pytest.mark.parametrize("verb", OURS)
def test_every_verb_has_the_same_defaults_with_and_without_argparse(verb):
    module = import_module(VERBS[verb][0])
    declared = Parser(verb, VERBS[verb][1], Operands("WORD", 0, None, "words"))
    module.arguments(declared)
    assert vars(declared.quickly(["word"])) == vars(FullParser(declared).parse(["word"]))


def test_a_missing_operand_is_told():
    with pytest.raises(UsageError, match="RUN is missing"):
        entry.parse(parser(Operands("RUN", 1, 1, "a run's id")), [])


@pytest.mark.parametrize(("word", "near"), [("staus", "status"), ("xyz", "")])
def test_nearest(word, near):
    assert nearest(word, VERBS) == near


def test_readers_of_values():
    assert at_least(0)("0") == 0
    assert duration("1.5") == 1.5
    assert one_of("a", "b")("b") == "b"
    with pytest.raises(argparse.ArgumentTypeError):
        duration("inf")


def test_a_bug_of_ours_is_said_in_words(capsys, monkeypatch):
    def break_down(arguments):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(entry, "_dispatch", break_down)
    monkeypatch.delenv("TESTD_DEBUG", raising=False)
    status, _, err = call(capsys, "run")
    assert status == 3
    assert err.startswith("testd: internal error: ZeroDivisionError: division by zero\nSee `testd logs`")
    assert "Traceback" not in err
    monkeypatch.setenv("TESTD_DEBUG", "1")
    assert "Traceback" in call(capsys, "run")[2]


def test_errors_keep_their_status_hint_and_detail(capsys, monkeypatch):
    def raise_it(arguments):
        raise Bug("an \x1b[2Jodd thing", hint="Do this.", detail="one\ntwo")

    monkeypatch.setattr(entry, "_dispatch", raise_it)
    monkeypatch.delenv("TESTD_DEBUG", raising=False)
    status, _, err = call(capsys, "run")
    assert status == 3
    assert err.splitlines()[:4] == ["testd: an ^[[2Jodd thing", "Do this.", "    one", "    two"]


def test_a_file_that_is_in_the_way_is_named(capsys, monkeypatch):
    def raise_it(arguments):
        raise PermissionError(13, "Permission denied", "/some/file")

    monkeypatch.setattr(entry, "_dispatch", raise_it)
    assert call(capsys, "run")[:3:2][1].startswith("testd: /some/file: Permission denied\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams_do_no_harm(cli, closed):
    command = shlex.join(cli.command("status")) + " " + closed
    done = subprocess.run(
        ["sh", "-c", command],
        env=cli.environment,
        cwd=cli.project,
        timeout=DEADLINE,
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_output_that_cannot_be_written_is_told(cli):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            cli.command("status"),
            env=cli.environment,
            cwd=cli.project,
            timeout=DEADLINE,
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (done.returncode, done.stderr) == (3, "testd: the output cannot be written: No space left on device\n")
