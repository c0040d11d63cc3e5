"""Which files have to be looked into for tests, after some were collected."""

from __future__ import annotations

from testd_daemon.agent.affected.looked import Looked
from testd_daemon.agent.affected.recorder import Moment
from testd_daemon.agent.affected.state import View
from testd_daemon.agent.collection import Collection
from testd_protocol.messages import Collected, CollectError, Detail, FileEntry, Item

BEGAN = 1_700_000_000_000_000_000
OLD = BEGAN - 10**9
RECORDED = frozenset({"t/test_a.py::test"})


def file(path: str, mtime: int = OLD, size: int = 5) -> FileEntry:
    return FileEntry(path, "file", 0o644, mtime, size, str(mtime))


def entries(*files: FileEntry) -> dict[str, FileEntry]:
    return {entry.path: entry for entry in files}


def moment(there: dict[str, FileEntry], *later: str) -> Moment:
    return Moment(View("/nowhere", {}), 1, {f"/nowhere/{path}" for path in later}, there)


def collected(*paths: str, patterns: tuple[str, ...] = ("test_*.py", "checks/*.py"), broken: str = "") -> Collection:
    found = Collection(1, [f"/nowhere/{path}" for path in paths], "/nowhere")
    found.began_ns = BEGAN
    errors = [CollectError(id=broken, detail=Detail())] if broken else []
    found.add(
        Collected(collection=1, items=[Item("t/test_a.py::test", 1)], done=True, errors=errors, patterns=[*patterns])
    )
    return found


def test_what_was_collected_as_it_is_need_not_be_looked_into() -> None:
    looked = Looked()
    there = entries(file("t/test_a.py"), file("t/test_b.py"), file("t/helper.py"), file("checks/one.py"))
    assert looked.unseen(there) is None, "before anything was collected everything is to be looked into"
    looked.learn(collected(), moment(there), RECORDED)
    assert looked.unseen(there) == []
    there["t/test_b.py"] = file("t/test_b.py", size=6)
    there["t/test_c.py"] = file("t/test_c.py")
    there["t/helper.py"] = file("t/helper.py", size=6)
    there["t/deep/checks/two.py"] = file("t/deep/checks/two.py")
    assert looked.unseen(there) == ["t/test_b.py", "t/test_c.py", "t/deep/checks/two.py"]
    looked.learn(collected("t/test_b.py"), moment(there), RECORDED)
    assert looked.unseen(there) == ["t/test_c.py", "t/deep/checks/two.py"]
    del there["t/test_c.py"], there["t/deep/checks/two.py"]
    assert looked.unseen(there) == []


def test_what_changed_while_it_was_collected_or_could_not_be_is_not_seen() -> None:
    looked = Looked()
    there = entries(file("t/test_a.py"), file("t/test_b.py", mtime=BEGAN), file("t/test_bad.py"))
    there["t/test_moved.py"] = file("t/test_moved.py")
    looked.learn(collected(broken="t/test_bad.py"), moment(there, "t/test_moved.py"), RECORDED)
    assert looked.unseen(there) == ["t/test_b.py", "t/test_bad.py", "t/test_moved.py"]


def test_other_patterns_make_what_was_seen_worthless() -> None:
    looked = Looked()
    there = entries(file("t/test_a.py"), file("t/check_a.py"))
    looked.learn(collected(), moment(there), RECORDED)
    looked.learn(collected("t/check_a.py", patterns=("*.py",)), moment(there), RECORDED)
    assert looked.unseen(there) == ["t/test_a.py"]


def test_tests_from_who_knows_where_are_never_seen() -> None:
    looked = Looked()
    there = entries(file("t/test_a.py"))
    looked.learn(collected(patterns=()), moment(there), RECORDED)
    assert looked.unseen(there) is None


def test_a_file_with_a_test_that_did_not_run_is_to_be_looked_into_again() -> None:
    """A run that was superseded left tests without a record; the next one lost them: it did not collect their files."""
    looked = Looked()
    there = entries(file("t/test_a.py"), file("t/test_b.py"))
    looked.learn(collected(), moment(there), frozenset())
    assert looked.unseen(there) == ["t/test_a.py"]
    looked.learn(collected(), moment(there), RECORDED)
    assert looked.unseen(there) == []
