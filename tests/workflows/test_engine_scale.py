"""Large workflows: hundreds of functions, ranks of fifty, and more that wait than may run."""

from __future__ import annotations

from flows import Flow


def test_two_hundred_functions_and_ranks_of_fifty(flow: Flow) -> None:
    flow.functions("""
        def start(): pass
        def r():
            if faasr_rank()["rank"] == 50:
                faasr_log("the last")
        def each(): pass
        def end(): pass
    """)
    fan = [f"f{number}" for number in range(148)]
    actions = {
        "start": ["r(50)"], "r": ["sync"], "sync": {"FunctionName": "each", "InvokeNext": fan},
        **{name: {"FunctionName": "each", "InvokeNext": ["end"]} for name in fan}, "end": [],
    }  # fmt: skip
    flow.workflow(actions)
    told = flow.run()
    assert told.code == 0, told.failures()
    assert len(told.statuses) == 201
    assert set(told.statuses.values()) == {"completed"}
    assert len(told.verdicts) == 201
    assert told.printed("r(50)") == "the last\n"
    assert sum(name.endswith(".done") for name in told.left()) == 201
    assert told.history["end"] == ["invoked", "running", "completed"]
    ended = [event["function"] for event in told.of("function") if event["status"] == "completed"]
    assert ended.index("sync") > max(ended.index(f"r({rank})") for rank in range(1, 51))
    assert ended[-1] == "end"
