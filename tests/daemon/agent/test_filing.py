"""What comes of cases and items on its way past a run's reporter: documents are taken out, and kept in order."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from testd_daemon.agent.filing import Filing, Identities, Identity
from testd_daemon.agent.filing.keeper import Filed
from testd_daemon.agent.filing.ledger import Ledger
from testd_daemon.agent.filing.posting import post
from testd_daemon.agent.filing.results import SuiteResults
from testd_daemon.agent.filing.run_files import RunFiles
from testd_daemon.writing import write
from testd_protocol.messages import Detail, Notice, Planned, Row, RunEvent

EXECUTED = {"executed_function": {"name": "f", "output": 1}}


def row(test: str, document: Any = None, target: str = "py3", verdict: Any = "passed", message: str = "") -> Row:
    detail = Detail(document=json.dumps(document) if document is not None else "", message=message, phase="call")
    return Row(test, target, verdict, 0.0, 0, 1, detail if document is not None or message else None)


class Sink:
    """What a run reports to."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.events: list[RunEvent] = []

    def row(self, row: Row) -> None:
        self.rows.append(row)

    def event(self, event: RunEvent) -> None:
        self.events.append(event)


class Keeping:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def plan(self, target: str, ids: Sequence[str]) -> list[str]:
        self.told.append((target, list(ids)))
        return ["planned"]

    def keep(self, outcomes: Sequence[Filed]) -> list[str]:
        self.told += [outcome.document for outcome in outcomes]
        return []

    def tell(self, outcomes: Sequence[Filed]) -> list[str]:
        self.told.append(f"{len(outcomes)} told")
        return []

    def finish(self) -> list[str]:
        self.told.append("end")
        return ["finished"]


def filed(*rows: Row, order: Sequence[str] = ()) -> list[Filed]:
    outcomes = []
    for each in rows:
        document = each.detail.document if each.detail is not None else ""
        outcomes.append(Filed(each, document, order))
    return outcomes


def test_documents_go_no_further_and_all_is_kept_at_the_end() -> None:
    sink, keeper = Sink(), Keeping()

    async def body() -> None:
        async with Filing(sink, keeper) as filing:
            filing.plan("py3", ["a::x"])
            filing.row(row("a::x", EXECUTED))
            filing.event(Planned(tests=3))
            await anyio.lowlevel.checkpoint()
            filing.row(row("a::y", {"error": "no"}, verdict="failed", message="no"))
            filing.row(row("a::z", verdict="crashed", message="signal 9"))

    anyio.run(body)
    kept = [each for each in keeper.told if not str(each).endswith("told")]
    assert kept == [("py3", ["a::x"]), json.dumps(EXECUTED), json.dumps({"error": "no"}), "", "end"]
    assert [each.detail for each in sink.rows] == [
        None, Detail(message="no", phase="call"), Detail(message="signal 9", phase="call"),
    ]  # fmt: skip
    notices = [event.text for event in sink.events if isinstance(event, Notice)]
    assert notices == ["planned", "finished"]


def test_what_must_not_be_lost_is_kept_before_it_is_told() -> None:
    sink = Sink()
    seen: list[int] = []

    class Late(Keeping):
        def keep(self, outcomes: Sequence[Filed]) -> list[str]:
            seen.append(len(sink.rows))
            return super().keep(outcomes)

        def tell(self, outcomes: Sequence[Filed]) -> list[str]:
            seen.append(len(sink.rows))
            return super().tell(outcomes)

    async def body() -> None:
        async with Filing(sink, Late(), before=True) as filing:
            filing.row(row("a::x", EXECUTED))

    anyio.run(body)
    assert seen == [0, 1]
    assert [each.test for each in sink.rows] == ["a::x"]


def run_file(folder: Path, *items: Any, **more: Any) -> Path:
    path = folder / "items.json"
    path.write_text(json.dumps({"functions_to_run": list(items), **more}))
    return path


def items_of(path: Path) -> list[Any]:
    found: list[Any] = json.loads(path.read_text())["functions_to_run"]
    return found


def test_a_run_file_is_written_as_outcomes_come(tmp_path: Path) -> None:
    a, b = ({"execution_id": name, "error": "old", "targets": {}} for name in "ab")
    path = run_file(tmp_path, a, b, 5)
    produced: list[str] = []
    keeper = RunFiles(str(tmp_path), produced.append, Identities())
    assert keeper.plan("py3", ["items.json::a", "items.json::#3"]) == []
    assert produced == [str(path)]
    assert items_of(path) == [{"execution_id": "a"}, b, 5]
    keeper.keep(filed(row("items.json::a", EXECUTED)))
    assert items_of(path)[0] == {"execution_id": "a", **EXECUTED}
    keeper.plan("py3", ["items.json::b"])
    crashed = row("items.json::b", verdict="crashed", message="signal 9")
    keeper.keep(filed(crashed, row("items.json::#3", {"error": "x"})))
    assert items_of(path) == [{"execution_id": "a", **EXECUTED}, {"execution_id": "b", "error": "signal 9"}, 5]
    assert sorted(os.listdir(tmp_path)) == ["items.json"]


def test_an_item_holds_what_the_first_target_gave(tmp_path: Path) -> None:
    path = run_file(tmp_path, {"execution_id": "a"})
    keeper = RunFiles(str(tmp_path), lambda path: None, Identities())
    order = ["one", "two"]
    keeper.plan("two", ["items.json::a"])
    keeper.keep(filed(row("items.json::a", EXECUTED, target="two"), order=order))
    assert items_of(path) == [{"execution_id": "a", **EXECUTED, "targets": {"two": EXECUTED}}]
    keeper.plan("one", ["items.json::a"])  # which is ready later, and takes nothing away
    keeper.keep(filed(row("items.json::a", {"error": "no"}, target="one"), order=order))
    both = {"two": EXECUTED, "one": {"error": "no"}}
    assert items_of(path) == [{"execution_id": "a", "error": "no", "targets": both}]


def test_a_run_file_that_cannot_be_written_is_told_and_no_more(tmp_path: Path) -> None:
    keeper = RunFiles(str(tmp_path), lambda path: None, Identities())
    (told,) = keeper.plan("py3", ["gone.json::a"])
    assert told.startswith("gone.json: what comes of it cannot be written back: ")
    assert keeper.keep(filed(row("gone.json::a", EXECUTED))) == []


@pytest.mark.parametrize("gone", [False, True])
def test_a_run_file_that_is_somebody_elses_by_now_is_left_alone(tmp_path: Path, gone: bool) -> None:
    path = run_file(tmp_path, {"execution_id": "a"}, {"execution_id": "b"})
    keeper = RunFiles(str(tmp_path), lambda path: None, Identities())
    keeper.plan("py3", ["items.json::a", "items.json::b"])
    path.unlink()
    if not gone:
        run_file(tmp_path, {"execution_id": "a", "new": True})
    (told,) = keeper.keep(filed(row("items.json::a", EXECUTED)))
    why = "removed" if gone else "rewritten"
    assert told == f"items.json: what came of it cannot be written back: the file was {why} while it was run"
    assert keeper.keep(filed(row("items.json::b", EXECUTED))) == []
    assert not path.exists() if gone else items_of(path) == [{"execution_id": "a", "new": True}]


def test_one_that_is_rewritten_at_the_moment_of_writing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = run_file(tmp_path, {"execution_id": "a"})
    keeper = RunFiles(str(tmp_path), lambda path: None, Identities())
    keeper.plan("py3", ["items.json::a"])
    looked = Identity.of

    def look_and_be_late(found: os.stat_result) -> Identity:
        monkeypatch.setattr(Identity, "of", looked)
        draft = tmp_path / "draft"
        draft.write_text(json.dumps({"functions_to_run": [{"execution_id": "new"}]}))
        draft.replace(path)
        return looked(found)

    monkeypatch.setattr(Identity, "of", look_and_be_late)
    (told,) = keeper.keep(filed(row("items.json::a", EXECUTED)))
    assert told.endswith("the file was rewritten while it was run")
    assert items_of(path) == [{"execution_id": "new"}]


def test_what_we_write_ourselves_is_not_somebody_elses(tmp_path: Path) -> None:
    path = run_file(tmp_path, {"execution_id": "a"})
    identities, before = Identities(), Identity.of(path.stat())
    identities.expect(str(path), before)
    keeper = RunFiles(str(tmp_path), lambda path: None, identities)
    keeper.plan("py3", ["items.json::a"])
    keeper.keep(filed(row("items.json::a", EXECUTED)))
    keeper.finish()
    now = Identity.of(path.stat())
    assert now != before
    assert not identities.foreign(str(path), now)
    assert identities.foreign(str(path), before)
    assert identities.over(str(path)) == now
    assert not identities.foreign(str(path), before)


CASES = [{"id": number, "name": name, "function_to_execute": {"code": ""}, "input_to_pass": [{}]}
         for number, name in (("1", "x"), ("2", "y"))]  # fmt: skip


def case_result(number: str, successful: bool = True) -> dict[str, Any]:
    return {"id": number, "name": number, "successful": successful, "failure_message": ""}


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    path = tmp_path / "sub" / "a.suite.json"
    path.write_text(json.dumps({"id": "s", "name": "n", "description": "d", "test_cases": CASES}))
    return path


X, Y = "sub/a.suite.json::x", "sub/a.suite.json::y"


def test_a_result_is_written_when_its_last_case_is_through(tmp_path: Path, suite: Path) -> None:
    place = tmp_path / "out.json"
    keeper = SuiteResults(str(tmp_path), str(place), "", lambda path: None, Ledger(""))
    keeper.plan("py3", [X, Y])
    keeper.keep(filed(row(Y, case_result("2"))))
    assert not place.exists()
    keeper.keep(filed(row(X, verdict="timed out", message="took longer than 1 s")))
    (result,) = json.loads(place.read_text())
    assert {key: result[key] for key in ("id", "name", "description", "successful", "file", "target")} == {
        "id": "s", "name": "n", "description": "d", "successful": False, "file": "sub/a.suite.json", "target": "py3",
    }  # fmt: skip
    timed_out, passed = result["test_case_results"]
    assert (timed_out["id"], timed_out["name"], timed_out["error"]) == ("1", "x", "took longer than 1 s")
    assert timed_out["function_to_execute"] == {"code": ""}
    assert passed == case_result("2")
    assert keeper.finish() == []


def test_results_in_a_folder_have_one_for_each_target(tmp_path: Path, suite: Path) -> None:
    keeper = SuiteResults(str(tmp_path), str(tmp_path / "out") + "/", "", lambda path: None, Ledger(""))
    for target in ("one", "two"):  # the second one is ready when the first is through
        keeper.plan(target, [X])
        keeper.keep(filed(row(X, case_result("1"), target=target), order=["one", "two"]))
    found = sorted(path.relative_to(tmp_path).as_posix() for path in (tmp_path / "out").rglob("*.json"))
    assert found == ["out/one/sub/a.result.json", "out/two/sub/a.result.json"]


def test_an_interrupted_suite_is_written_and_not_posted(tmp_path: Path, suite: Path) -> None:
    place = tmp_path / "out.json"
    keeper = SuiteResults(str(tmp_path), str(place), "http://127.0.0.1:1/", lambda path: None, Ledger(""))
    keeper.plan("py3", [X, Y])
    keeper.keep(filed(row(X, case_result("1"))))
    assert keeper.finish() == []
    assert [len(result["test_case_results"]) for result in json.loads(place.read_text())] == [1]


def test_another_agent_finishes_the_results(tmp_path: Path, suite: Path) -> None:
    """What one has kept is in the results of the next; what it has posted is not posted again."""
    ledger, place = tmp_path / "state" / "run.jsonl", tmp_path / "out.json"

    def results() -> SuiteResults:
        return SuiteResults(str(tmp_path), str(place), "", lambda path: None, Ledger(str(ledger)))

    first = results()
    first.plan("py3", [X, Y])
    first.keep(filed(row(X, case_result("1"))))
    with ledger.open("a") as file:
        file.write('\n{"target": "py3", "file": "sub/a.su')  # it was killed here
    second = results()
    second.plan("py3", [Y])
    second.keep(filed(row(Y, case_result("2"))))
    assert second.finish() == []
    (result,) = json.loads(place.read_text())
    assert [case["id"] for case in result["test_case_results"]] == ["1", "2"]
    assert not ledger.exists()


def test_what_was_complete_is_given_out_again(tmp_path: Path, suite: Path) -> None:
    place, ledger = tmp_path / "out.json", Ledger(str(tmp_path / "run.jsonl"))
    first = SuiteResults(str(tmp_path), str(place), "", lambda path: None, ledger)
    first.plan("py3", [X])
    first.keep(filed(row(X, case_result("1"))))
    place.unlink()
    assert SuiteResults(str(tmp_path), str(place), "", lambda path: None, ledger).finish() == []
    assert [each["test_case_results"] for each in json.loads(place.read_text())] == [[case_result("1")]]


def test_nothing_that_ran_is_an_empty_list(tmp_path: Path) -> None:
    place = tmp_path / "out.json"
    SuiteResults(str(tmp_path), str(place), "", lambda path: None, Ledger("")).finish()
    assert json.loads(place.read_text()) == []


def test_results_that_cannot_be_written_are_told(tmp_path: Path, suite: Path) -> None:
    (tmp_path / "file").write_text("")
    keeper = SuiteResults(str(tmp_path), str(tmp_path / "file" / "out.json"), "", lambda path: None, Ledger(""))
    keeper.plan("py3", [X])
    (told,) = keeper.keep(filed(row(X, case_result("1"))))
    assert told.startswith(f"results cannot be written to {tmp_path}/file/out.json: ")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("file:///etc/passwd", "file:///etc/passwd: only http:// and https:// can be posted to"),
        ("http://127.0.0.1:1/x", "http://127.0.0.1:1/x: "),
        ("http://[", "http://[: "),
        ("http://127.0.0.1:x/", "http://127.0.0.1:x/: "),
    ],
)
def test_what_cannot_be_posted_says_why(url: str, said: str) -> None:
    assert post(url, {}).startswith(said)


def test_a_file_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("old")
    path.chmod(0o640)
    write(str(path), "new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)
    write(str(tmp_path / "made" / "new"), "x")
    assert (tmp_path / "made" / "new").read_text() == "x"
