"""Lists on their way through the handler: a real handler, a fake agent."""

from __future__ import annotations

from pathlib import Path

import pytest
from daemon_house import until

from testd_daemon.errors import FaultError, LinkClosed


def test_pages_come_as_they_are_made_and_others_are_served_meanwhile(daemon):
    daemon.start()
    gate = daemon.gate()
    client = daemon.client()
    pages = client.listing(daemon.request(TESTS=4, GATE=gate.at(2)), "text")
    assert [next(pages)["text"], next(pages)["text"]] == ["0\n", "1\n"]
    assert daemon.client().status()["runs"] == [], "a list is no run"
    gate.open()
    assert [page["text"] for page in pages] == ["2\n", "3\n"]
    again = [page["text"] for page in client.listing(daemon.request(TESTS=1), "json")]
    assert again == ["0\n"]


def test_a_client_that_leaves_ends_the_work(daemon, tmp_path):
    daemon.start()
    gate, note = daemon.gate(), tmp_path / "note"
    client = daemon.client()
    pages = client.listing(daemon.request(TESTS=4, GATE=gate.at(1), NOTE=note), "text")
    next(pages)
    client.close()
    until(note.exists)
    assert [page["text"] for page in daemon.client().listing(daemon.request(TESTS=1), "text")] == ["0\n"]


def test_an_agent_that_dies_is_told(daemon):
    daemon.start()
    pages = daemon.client().listing(daemon.request(TESTS=4, DIE=1), "text")
    assert next(pages)["text"] == "0\n"
    with pytest.raises(FaultError, match="killed by SIGKILL"):
        next(pages)


def test_a_handler_that_dies_is_told(daemon):
    process = daemon.start()
    gate = daemon.gate()
    pages = daemon.client().listing(daemon.request(TESTS=4, GATE=gate.at(1)), "text")
    next(pages)
    process.kill()
    with pytest.raises(LinkClosed):
        next(pages)


def test_a_workspace_must_be_a_whole_path(daemon):
    daemon.start()
    request = {**daemon.request(), "workspace": Path("project").as_posix()}
    with pytest.raises(FaultError, match="must be an absolute path"):
        next(daemon.client().listing(request, "text"))
