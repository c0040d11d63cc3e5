"""The example's own tests, unchanged, against a run in the cloud: GitHub's interface and a store, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from github_server import TOKEN, GitHub

EXAMPLE = Path(__file__).resolve().parents[4] / "examples" / "workflow"
DEADLINE = 100.0
#: In the cloud nobody keeps what a function deletes: the player goes on once the first test has seen what there is.
CONFTEST = """
import os, pathlib

def pytest_runtest_logreport(report):
    if report.when == "call" and "test_initialize" in report.nodeid:
        pathlib.Path(os.environ["FLAG"]).touch()
"""


def test_the_example_passes_in_the_cloud(tmp_path, player, store, address):
    flag = tmp_path / "flag"
    script = {
        "initialize": {"puts": {"shop/orders.csv": "apple,3,0.5\n"}, "says": ["3 orders written"]},
        "process": {
            "awaits": str(flag),
            "puts": {"shop/totals.csv": "apple,2.00\nbread,2.25\n"},
            "deletes": ["shop/orders.csv"],
        },
        "validate": {"value": True, "says": ["4.25 of at most 100.00"]},
        "publish": {"puts": {"shop/message.txt": "published"}},
    }
    project = tmp_path / "orders"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    (project / "conftest.py").write_text(CONFTEST)
    (project / ".git").mkdir()
    document = json.loads((project / "workflow.json").read_text())
    document["DataStores"]["S3"] |= {"Bucket": address.bucket, "Endpoint": address.endpoint}
    (project / "workflow.json").write_text(json.dumps(document))
    with GitHub("your-account/your-repository") as github:
        github.files["workflow.json"] = (project / "workflow.json").read_bytes()
        github.actions.add("orders-initialize.yml")

        def run(inputs):
            overwritten = json.loads(inputs["OVERWRITTEN"])
            assert overwritten["FunctionInvoke"] == "initialize"
            player.play(document, overwritten["InvocationID"], script, overwritten["InvocationTimestamp"])

        github.dispatched = run
        environment = {
            **os.environ, "TESTD_WORKFLOW_INVOKER": "github", "GITHUB_API_URL": github.url, "GH_PAT": TOKEN,
            "GITHUB_REPOSITORY": github.repository, "GITHUB_REF_NAME": "main", "FLAG": str(flag),
            "S3_AccessKey": address.access_key, "S3_SecretKey": address.secret_key,
        }  # fmt: skip
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        done = subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, timeout=DEADLINE, check=False
        )
        flag.touch()
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout
    assert len(github.inputs) == 1
