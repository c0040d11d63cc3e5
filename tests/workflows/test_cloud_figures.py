"""A run's figures from its store alone, as of one in the cloud: what a real run has left is understood."""

from __future__ import annotations

from flows import BUCKET, Flow

from testd_daemon.workflows.graph import Graph
from testd_daemon.workflows.measures.cloud import Stored, figures_from

FUNCTIONS = """
    import pathlib, time

    def start():
        pathlib.Path("a.txt").write_text("x")
        faasr_put_file(local_file="a.txt", remote_file="a.txt")

    def part():
        faasr_log(f"rank {faasr_rank()['rank']}")
        time.sleep(0.2)

    def fails():
        raise ValueError("boom")

    def end(): pass
"""


def test_a_run_is_understood_by_what_it_left_in_the_store(flow: Flow):
    flow.functions(FUNCTIONS)
    flow.workflow({"start": ["part(2)", "fails"], "part": ["end"], "fails": ["end"], "end": []})
    told = flow.run()
    plan = told.plan
    pages = told.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=plan["folder"] + "/")
    objects = {each["Key"]: Stored(each["LastModified"], each["Size"]) for page in pages for each in page["Contents"]}
    logs = {name: told.log(name) for name in ("start", "part(1)", "part(2)", "fails")}
    figures = figures_from(Graph.told(plan["graph"], plan["ranks"]), plan["folder"], objects, logs, plan["name"])
    assert figures is not None
    assert figures.run == plan["invocation"]
    assert {each.function: each.status for each in figures.functions} == {
        "start": "completed", "part(1)": "completed", "part(2)": "completed", "fails": "failed",
    }  # fmt: skip
    assert {"part(1)", "part(2)"} <= {each.function for each in figures.functions if each.user >= 0.2}
    assert all(each.triggered <= each.started <= each.ended for each in figures.functions)
    assert figures.critical[0].function == "start"
    assert figures.skew["part"].ranks == 2
