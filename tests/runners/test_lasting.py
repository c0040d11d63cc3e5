"""What counts for more than the test in which it is used."""

from __future__ import annotations

import pytest

from testd.runner import lasting as module
from testd.runner.lasting import Lasting
from testd.runner.reachable import Reference

KEEPER = 100


class Box:
    pass


def call(lasting: Lasting, box: Box, code: int) -> None:
    """Let a test run `code` in a call of a function that keeps what it makes in `box`, and end."""
    lasting.follow([code], [(0, KEEPER, True, [Reference(box)], ()), (1, KEEPER, False, (), ())])


def test_what_is_kept_in_an_object_that_outlived_a_test_lasts_without_a_search(monkeypatch: pytest.MonkeyPatch):
    lasting, box = Lasting(), Box()
    call(lasting, box, 1)
    lasting.settle()
    assert lasting.all.codes == {1}
    searched: list[int] = []
    monkeypatch.setattr(module, "reachable", lambda found: searched.append(len(found)) or [False] * len(found))
    call(lasting, box, 2)
    lasting.settle()
    assert lasting.all.codes == {1, 2}
    assert not searched


def test_an_object_that_is_gone_keeps_nothing_though_it_outlived_a_test():
    lasting, box = Lasting(), Box()
    call(lasting, box, 1)
    lasting.settle()
    call(lasting, box, 2)
    del box
    lasting.settle()
    assert lasting.all.codes == {1}


def test_an_object_that_outlived_no_test_is_looked_for_beside_one_that_did(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_threads", lambda: {0: None})  # beside others nothing is looked for
    lasting, box, other = Lasting(), Box(), Box()
    call(lasting, box, 1)
    lasting.settle()
    other.itself = other  # type: ignore[attr-defined]
    call(lasting, box, 2)
    call(lasting, other, 3)
    del other
    lasting.settle()
    assert lasting.all.codes == {1, 2}
