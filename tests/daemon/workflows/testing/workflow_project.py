"""A user's repository with functions that do what tests need."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from workflow_files import document

__all__ = ["CODE", "write_project"]

CODE = """
import os, time

from FaaSr_py.client.py_client_stubs import faasr_delete_file, faasr_log, faasr_put_file, faasr_rank


def put(name, text):
    with open(name, "w") as file:
        file.write(text)
    faasr_put_file(local_file=name, remote_file=name, remote_folder="out")


def start():
    put("a.txt", "first")


def change():
    put("a.txt", "second")
    faasr_delete_file("gone.txt", remote_folder="out")


def rank():
    put(f"rank{faasr_rank()['rank']}.txt", str(faasr_rank()))


def fail():
    faasr_log("about to fail")
    raise ValueError("boom")


def decide():
    return True


def wait():
    put("waiting.txt", "")
    while not os.path.exists(os.environ["FLAG"]):
        time.sleep(0.01)
"""


def write_project(
    folder: Path, follows: Mapping[str, list], names: Mapping[str, str] | None = None, **keys: object
) -> Path:
    """Write a workflow and its functions; return the workflow's file. `names`: action → function, if not its own."""
    (folder / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (folder / "functions").mkdir(exist_ok=True)
    (folder / "functions" / "all_of_them.py").write_text(CODE)
    whole = document(dict(follows), **keys)
    for action, name in (names or {}).items():
        whole["ActionList"][action]["FunctionName"] = name
    path = folder / "workflow.json"
    path.write_text(json.dumps(whole))
    return path
