"""What a runner says of its memory: only the place where it runs can tell."""

from __future__ import annotations

import os
from pathlib import Path

from driver import runner as driven

from testd.runner import memory

LARGE = 64 * 1024


def test_a_pong_has_what_the_runner_and_all_that_it_started_hold(tmp_path: Path) -> None:
    (tmp_path / "large_test.py").write_text(f"kept = b'x' * {LARGE * 1024}\ndef passes():\n    pass\n")
    with driven(tmp_path, kind="exports") as runner:
        runner.send("Ping", id=1)
        before = runner.until("Pong")
        assert before["id"] == 1
        assert before["memory"] > 1024
        runner.collect()
        runner.send("Ping", id=2)
        assert runner.until("Pong")["memory"] > before["memory"] + LARGE
        assert runner.ready["memory"] == memory.installed()


def test_a_process_that_is_gone_holds_nothing() -> None:
    assert memory.held(2**22 + 1) == 0
    assert 1024 < memory.held(os.getpid()) < memory.installed()
