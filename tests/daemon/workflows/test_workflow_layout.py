"""Keys and lines of a run, as the public system has them."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testd_daemon.errors import UsageError
from testd_daemon.workflows import layout


def test_get_s3_path():
    """Fact 1: keys have forward slashes."""
    assert layout.store_path("a\\b/c") == "a/b/c"


@pytest.mark.parametrize(
    ("name", "log", "done"),
    [
        ("my_func(10)", "F/my_func(10).txt", "F/function_completions/my_func.10.done"),
        ("sync1", "F/sync1.txt", "F/function_completions/sync1.done"),
        ("test-rank(1)", "F/test-rank(1).txt", "F/function_completions/test-rank.1.done"),
    ],
)
def test_keys_of_a_function(name, log, done):
    """Fact 3."""
    assert layout.log_key("F", name) == log
    assert layout.done_key("F", name) == done
    assert layout.candidate_key("F", "sync1") == "F/sync1.candidate"


@pytest.mark.parametrize("root", ["FaaSrLog", "", " "])
def test_folder_of_an_invocation(root):
    """Fact 4; a blank log root is the default one."""
    assert layout.folder(root, "W", "2026-11-21T20-56-38", "id") == "FaaSrLog/W/2026-11-21T20-56-38/id"


def test_timestamp():
    assert layout.timestamp(datetime.fromisoformat("2026-11-21T20:56:38")) == "2026-11-21T20-56-38"


def test_id_from_the_date():
    """Fact 32."""
    assert layout.invocation_from_date("%Y%m%d", "2026-11-21T20-56-38") == "20261121"
    with pytest.raises(UsageError, match="'tomorrow' is not a timestamp\n2026-11-21T20-56-38 would be one"):
        layout.invocation_from_date("%Y", "tomorrow")


@pytest.mark.parametrize(
    ("folder", "name", "key"),
    [
        (".", "root.txt", "root.txt"),
        ("", "root.txt", "root.txt"),
        ("/f//x/", "y.txt", "/f/x/y.txt"),
        ("f", "/absolute.txt", "/absolute.txt"),
        ("f", "a/b.txt", "f/a/b.txt"),
        ("f\\g", "b.txt", "f/g/b.txt"),
    ],
)
def test_keys_of_files(folder, name, key):
    """Fact 25: the slash in front stays."""
    assert layout.object_key(folder, name) == key


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("[10.123] [ERROR] x", True),
        ("[1] [ERROR] [executor.py] x", True),
        ("[0.1] [INFO] [a.py] well\n[0.2] [ERROR] [a.py] ill\n", True),
        ("[ERROR] x", False),
        ("[1.0] ERROR x", False),
        ("[1.0] [WARNING] x", False),
        ("", False),
        ("[1.0] [INFO] [a.py] it printed [1.0] [ERROR] x", False),
    ],
)
def test_what_tells_a_failure(text, failed):
    """Fact 7. What somebody else's line quotes is no failure."""
    assert layout.failed(text) is failed


def test_entries():
    """Fact 8: raw lines belong to the entry before, and those before the first entry are not lost."""
    assert layout.entries("[1.0] a\nmore\n[2.0] b") == ["[1.0] a\nmore", "[2.0] b"]
    grown = layout.entries("[1.0] a\nUSER\n[2.0] b")
    assert "USER" in grown[0]
    assert layout.entries("USER\n[x] line\n[1.0] a\n") == ["USER\n[x] line", "[1.0] a"]
    assert layout.entries("") == []
    assert layout.seconds_of("[1.25] a") == 1.25
    assert layout.seconds_of("USER") is None


@given(st.lists(st.text("ab[]1. \n").filter(lambda text: not text.startswith("\n")), max_size=5))
def test_entries_lose_nothing(texts):
    log = "".join(layout.line(number, "INFO", "a.py", text) + "\n" for number, text in enumerate(texts))
    assert "".join(entry + "\n" for entry in layout.entries(log)) == log


def test_who_was_invoked():
    """Fact 9: the workflow's name in front is no part of an action's name, and each counts once."""
    log = "".join(
        layout.invoked_line(1.145, name) + "\n" for name in ("testworkflow-func1", "testworkflow-func2", "func2")
    )
    assert layout.invocations(log, "testworkflow") == {"func1", "func2"}
    assert layout.invocations(log, "testworkflow", {"testworkflow-func1"}) == {"testworkflow-func1", "func2"}


@pytest.mark.parametrize(
    "message",
    [
        "GitHub Action: Successfully invoked: x",
        "Lambda: Successfully invoked: x",
        "OpenWhisk: Succesfully invoked x",
        "GoogleCloud: Successfully invoked wf-x",
        "SLURM: Successfully submitted job: x (Job ID: 17)",
        "('Kubernetes: Successfully submitted jobs: x (Job ID: 17)', '(Created at: now)')",
    ],
)
def test_who_was_invoked_on_any_platform(message):
    log = layout.line(1.0, "INFO", "scheduler.py", message)
    assert layout.invocations(log, "wf") == {"x"}
    assert layout.invocations(f"[1.0] [INFO] [user.py] {message}", "wf") == set()


def test_lines():
    assert layout.started_line(0.3234, "create_input", "Python") == (
        "[0.323] [INFO] [executor.py] Starting function: create_input (Python)"
    )
    assert layout.completed_line(0.671, "start") == (
        "[0.671] [DEBUG] [executor.py] Put function_completions/start.done file in S3"
    )
    assert layout.returned_line(1.144, "create-input", None) == (
        "[1.144] [DEBUG] [faasr_entry.py] Finished execution of create-input with result None"
    )
    assert layout.invoked_line(1.145, "test-py-api") == (
        "[1.145] [INFO] [scheduler.py] GitHub Action: Successfully invoked: test-py-api"
    )
