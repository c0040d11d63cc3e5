"""Which variables user code gets, and which of them make a runner cold."""

from __future__ import annotations

from testd_daemon.agent.environment import difference, for_user_code, significant


def test_everything_passes_by_default_and_the_configured_beats_it() -> None:
    assert for_user_code({"A": "1", "B": "2"}, ["*"], {"B": "3"}) == {"A": "1", "B": "3"}


def test_only_what_is_named_passes() -> None:
    caller = {"PATH": "/bin", "AWS_KEY": "k", "AWS_REGION": "r", "HOME": "/h"}
    assert for_user_code(caller, ["PATH", "AWS_*"], {}) == {"PATH": "/bin", "AWS_KEY": "k", "AWS_REGION": "r"}


def test_what_differs_by_terminal_is_not_significant() -> None:
    caller = {"PWD": "/x", "SHLVL": "2", "_": "/bin/testd", "TMUX_PANE": "%1", "DEBUG": "1", "LANG": "C", "MINE": "1"}
    assert significant(caller, ["MI*"]) == {"DEBUG": "1", "LANG": "C"}


def test_the_difference_names_added_removed_and_changed() -> None:
    assert difference({"A": "1", "B": "1", "C": "1"}, {"A": "1", "B": "2", "D": "1"}) == ["B", "C", "D"]
