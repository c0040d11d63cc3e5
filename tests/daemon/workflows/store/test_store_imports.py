"""boto3 takes 0.3 s to load and moto 0.5 s: nobody loads them who does not use a store."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("boto3", "botocore", "moto", "flask")


@pytest.mark.parametrize(
    "module",
    [
        "testd_daemon.agent.__main__",
        "testd_daemon.agent.workflow.task",
        "testd_daemon.handler.__main__",
        "testd_daemon.cli.workflow_run",
        "testd_daemon.workflows.store.client",
        "testd_daemon.workflows.store.embedded",
        "testd.workflows",
    ],
)
def test_importing_it_loads_nothing_heavy(module):
    source = f"import {module}, sys; print(*sorted(set(sys.modules) & set({HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
