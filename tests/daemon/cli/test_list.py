"""`testd list` from outside, with a real daemon behind it, and where there is none that answers."""

from __future__ import annotations

import json

TESTS = "class TestC:\n    def test_m(self): pass\n\ndef test_z(): pass\n"


def test_ids_on_stdout_the_rest_on_stderr_and_objects_for_programs(cli):
    (cli.project / "test_a.py").write_text(TESTS)
    (cli.project / "sub").mkdir()
    told = cli.run("list")
    assert (told.returncode, told.stdout) == (0, "test_a.py::TestC::test_m\ntest_a.py::test_z\n"), told.stderr
    assert told.stderr == "2 tests\n"
    assert cli.run("list", "../test_a.py:4", "-k", "z", cwd=cli.project / "sub").stdout == "test_a.py::test_z\n"

    for form in (["--json"], ["--format", "json"]):
        lines = [json.loads(line) for line in cli.run("list", *form).stdout.splitlines()]
        assert [line["event"] for line in lines] == ["test", "test", "completed"]
        assert (lines[0]["file"], lines[0]["line"]) == ("test_a.py", 2)

    assert "nothing has run here yet" in cli.run("history").stdout
    assert cli.run("status", "--format", "json").stdout.count('"accepted_at"') == 0, "a list is no run"


def test_several_targets_are_named(cli):
    (cli.project / "test_a.py").write_text(TESTS)
    (cli.project / "testd.toml").write_text("[targets.one]\n[targets.two]\n[targets.bad]\npython = '2.3'\n")
    told = cli.run("list", "--target", "one", "--target", "two", "test_a.py::test_z")
    assert sorted(told.stdout.splitlines()) == ["test_a.py::test_z  [one]", "test_a.py::test_z  [two]"], told.stderr
    told = cli.run("list", "--target", "one", "--target", "bad", "test_a.py::test_z")
    assert told.stdout == "test_a.py::test_z  [one]\n"
    assert told.stderr.startswith("testd: bad: ")
    assert told.returncode == 4


def test_what_cannot_be_listed_is_told(cli):
    (cli.project / "test_a.py").write_text(TESTS)
    for arguments, message in (
        (["nowhere.py"], "testd: file or directory not found: nowhere.py\n"),
        ([""], "testd: an empty path was given\n"),
        (["test_a.py::test_y"], "testd: not found: test_a.py::test_y\ndid you mean test_a.py::test_z or "),
        (["-k", "a ="], "testd: Wrong expression passed to '-k': a ="),
        (["--format", "xml"], "testd: list: --format: 'xml' is not text or json"),
        (["--target", "nonsense"], "testd: --target: unknown target 'nonsense'\n"),
    ):
        told = cli.run("list", *arguments)
        assert (told.returncode, told.stdout) == (4, ""), arguments
        assert told.stderr.startswith(message), told.stderr
    (cli.project / "test_a.py").write_text("")
    assert cli.run("list").returncode == 5


def test_a_node_id_with_control_characters_does_not_reach_the_terminal(cli):
    script = [{"type": "Listed", "id": 1, "text": "a::\x1b[2Jb\n", "stream": "stdout", "done": True, "exit_code": 0}]
    with cli.fake(listed=script):
        assert cli.run("list").stdout == "a::^[[2Jb\n"


def test_a_daemon_that_goes_away_is_told(cli):
    with cli.fake(listed=[]) as handler:
        listing = cli.start("list")
        handler.wait(handler.listing)
    _, errors = listing.communicate()
    assert listing.returncode == 3
    assert errors.startswith("testd: the daemon is gone")
