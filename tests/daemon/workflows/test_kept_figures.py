"""The figures of past runs in their file."""

from __future__ import annotations

import threading

import msgspec
import pytest

from testd_daemon.workflows.measures import kept as module
from testd_daemon.workflows.measures.figures import FunctionFigures, RunFigures
from testd_daemon.workflows.measures.kept import file_of, keep, kept


def run(name: str, functions: int = 1) -> RunFigures:
    one = FunctionFigures(function="s", status="completed", triggered=0.0, started=0.0, ended=1.5)
    return RunFigures(
        run=name, workflow="flow", at=1.0, makespan=1.5, functions=[one] * functions, critical=[], skew={}
    )


def test_the_newest_come_first_and_are_what_they_were(tmp_path):
    path = file_of(tmp_path, "flow")
    for name in ("a", "b", "c"):
        keep(path, run(name))
    assert kept(path) == [run("c"), run("b"), run("a")]


def test_the_oldest_go(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RUNS_KEPT", 3)
    path = file_of(tmp_path, "flow")
    for number in range(5):
        keep(path, run(str(number)))
    assert [each.run for each in kept(path)] == ["4", "3", "2"]
    monkeypatch.setattr(module, "BYTES_KEPT", len(msgspec.json.encode(run("x"))) * 2 + 5)
    keep(path, run("5"))
    assert [each.run for each in kept(path)] == ["5", "4"]


def test_what_cannot_be_read_is_left_out(tmp_path):
    path = file_of(tmp_path, "flow")
    assert kept(path) == []
    keep(path, run("a"))
    with path.open("ab") as file:
        file.write(b'{"run": \n')
    keep(path, run("b"))
    assert [each.run for each in kept(path)] == ["b", "a"]


def test_runs_that_end_at_once_are_both_kept(tmp_path):
    path = file_of(tmp_path, "flow")
    threads = [threading.Thread(target=keep, args=(path, run(str(number), 50))) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.run for each in kept(path)) == [str(number) for number in range(8)]


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "figures").write_text("no folder")
    with pytest.raises(OSError, match="figures"):
        keep(file_of(tmp_path, "flow"), run("a"))
