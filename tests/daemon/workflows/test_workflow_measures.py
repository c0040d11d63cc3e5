"""What a run took: from its events, from what a cloud run left in the store, beside earlier runs, as it is shown."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from xml.etree import ElementTree as ET

import msgspec
import pytest

from testd_daemon.workflows import layout
from testd_daemon.workflows.course import Course
from testd_daemon.workflows.drawing.gantt import gantt
from testd_daemon.workflows.measures.cloud import Stored, figures_from
from testd_daemon.workflows.measures.comparison import comparable, compared
from testd_daemon.workflows.measures.figures import Step, figures_of
from testd_daemon.workflows.measures.table import table
from workflow_files import graph

SHAPE = {"s": ["r(3)", "x"], "r": ["j"], "x": ["j"], "j": []}
ZERO = 1_000_000.0


def measured(name, triggered, started, ended, **more):
    return {
        "type": "FunctionMeasured", "function": name, "target": "py", "triggered": ZERO + triggered,
        "started": ZERO + started, "ended": ZERO + ended, "done": ZERO + ended, "queued": started - triggered, **more,
    }  # fmt: skip


def course(scale=1.0, *, complete=True, **more) -> Course:
    """Return a run: s 1 s; r 1, 2 and 4 s beside x; then j."""
    found, names = Course(), graph(SHAPE)
    found.take({
        "type": "WorkflowPlanned", "name": "flow", "functions": list(names.instances), "ranks": names.ranks,
        "graph": {action: list(names.successors(action)) for action in names.actions},
    })  # fmt: skip
    times = {"s": (0, 0, 1), "r(1)": (1, 1, 2), "r(2)": (1, 2, 4), "r(3)": (1, 1, 5), "x": (1, 1, 1.5)}
    times["j"] = (5, 5.5, 6)
    for name, (triggered, started, ended) in times.items():
        found.take({"type": "FunctionChanged", "function": name, "status": "completed", "at": ZERO + ended * scale})
        found.take(measured(name, triggered * scale, started * scale, ended * scale, **more.get(name[0], {})))
    if complete:
        found.take({"type": "RunCompleted", "exit_code": 0, "counts": {}, "duration": 6.0})
    return found


def figures(*arguments, run="abcd", **more):
    found = figures_of(course(*arguments, **more), run)
    assert found is not None
    return found


# ── from events ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_makespan_and_the_path_that_decided_it():
    found = figures()
    assert found.makespan == 6.0
    assert [(step.function, step.seconds) for step in found.critical] == [("s", 1.0), ("r(3)", 4.0), ("j", 1.0)]
    assert sum(step.share for step in found.critical) == pytest.approx(1.0)


def test_how_unequal_ranks_are():
    skew = figures().skew["r"]
    assert (skew.ranks, skew.shortest, skew.median, skew.longest, skew.slowest) == (3, 1.0, 2.0, 4.0, "r(3)")
    assert skew.factor == 2.0


def test_what_was_measured_is_what_is_told():
    more = {"install": 0.5, "start": 0.25, "user": 2.0, "store_seconds": 0.1, "store_calls": 4, "bytes_in": 10,
            "bytes_out": 20, "cpu": 1.5, "memory": 2048}  # fmt: skip
    one = next(each for each in figures(s=more).functions if each.function == "s")
    assert {name: getattr(one, name) for name in more} == more
    assert (one.triggered, one.ended, one.elapsed) == (0.0, 1.0, 1.0)


def test_without_measures_the_changes_tell():
    found = Course()
    found.take({"type": "WorkflowPlanned", "name": "flow", "functions": ["s", "a"], "ranks": {"s": 1, "a": 1},
                "graph": {"s": ["a"], "a": []}})  # fmt: skip
    assert figures_of(found, "abcd") is None
    for status, at in (("invoked", 10.0), ("running", 10.5), ("failed", 12.0)):
        found.take({"type": "FunctionChanged", "function": "s", "status": status, "at": at})
    known = figures_of(found, "abcd")
    assert known is not None
    assert [(each.function, each.status, each.started, each.ended) for each in known.functions] == [
        ("s", "failed", 0.5, 2.0)
    ]
    assert not known.complete


# ── beside earlier runs ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_is_compared_with_the_median_of_earlier_ones():
    now = figures(2.0)
    beside = compared(now, [figures(run="one"), figures(1.5, run="two"), figures(run="three")])
    assert beside is not None
    assert beside.runs == ["one", "two", "three"]
    assert (beside.makespan.now, beside.makespan.before, beside.makespan.change) == (12.0, 6.0, 1.0)
    assert beside.makespan.notable
    assert beside.functions["r(3)"].before == 4.0


def test_a_run_that_failed_or_went_another_way_says_nothing_of_what_one_takes():
    one, open_, short = figures(run="one"), figures(complete=False, run="open"), figures(run="short")
    failed = msgspec.structs.replace(
        figures(run="failed"),
        functions=[msgspec.structs.replace(each, status="failed") for each in figures().functions],
    )
    short = msgspec.structs.replace(short, functions=short.functions[:3])
    now = figures()
    assert [run.run for run in comparable(now, [one, open_, short, failed])] == ["one"]
    assert [run.run for run in comparable(now, [open_, short])] == ["short"]
    assert compared(now, []) is None


def test_what_is_new_and_what_is_gone_is_told():
    short = figures(run="short")
    short = msgspec.structs.replace(short, functions=short.functions[:5])
    beside = compared(figures(), [short])
    assert beside is not None
    assert (beside.new, beside.gone) == (["j"], [])
    beside = compared(short, [figures()])
    assert beside is not None
    assert (beside.new, beside.gone) == ([], ["j"])


def test_a_small_difference_is_noise():
    beside = compared(figures(1.05), [figures(run="one")])
    assert beside is not None
    assert not beside.makespan.notable


# ── from the store ───────────────────────────────────────────────────────────────────────────────────────────────────


def stored(names, failed=()):
    """Return objects and logs as a run in the cloud leaves them; a function's offsets are 1, 3 and 3.5 s."""
    base, objects, logs = datetime(2026, 11, 21, 20, 56, 38, tzinfo=timezone.utc), {}, {}
    for name, (began, invokes) in names.items():
        lines = [layout.line(0.2, "DEBUG", "x.py", "loading"), layout.started_line(1.0, "f", "Python"), "a user's line"]
        if name not in failed:
            lines += [layout.completed_line(3.0, name), *(layout.invoked_line(3.5, action) for action in invokes)]
            objects[layout.done_key("B", name)] = Stored(base + timedelta(seconds=began + 3), 4)
        else:
            lines.append(layout.line(3.0, "ERROR", "executor.py", "boom"))
        logs[name] = "\n".join(lines) + "\n"
        last = 3.0 if name in failed or not invokes else 3.5
        objects[layout.log_key("B", name)] = Stored(base + timedelta(seconds=began + last), len(logs[name]))
    return objects, logs


def test_a_cloud_run_tells_its_figures_by_logs_and_times():
    found = graph({"s": ["a", "b"], "a": ["j"], "b": ["j"], "j": []})
    objects, logs = stored({"s": (0, ["a", "b"]), "a": (10, ["j"]), "b": (20, ["j"]), "j": (30, [])}, failed={"j"})
    told = figures_from(found, "B", objects, logs, "flow")
    assert told is not None
    by_name = {each.function: each for each in told.functions}
    assert [(each.function, each.status, each.started, each.ended) for each in told.functions] == [
        ("s", "completed", 0.0, 3.0), ("a", "completed", 10.0, 13.0), ("b", "completed", 20.0, 23.0),
        ("j", "failed", 30.0, 33.0),
    ]  # fmt: skip
    assert (by_name["a"].triggered, by_name["a"].queued) == (3.5, 6.5)
    assert by_name["j"].triggered == 23.5  # by b, the last that invoked it
    assert (by_name["s"].start, by_name["s"].user) == (1.0, 2.0)
    assert [step.function for step in told.critical] == ["s", "b", "j"]


def test_a_cloud_run_that_left_nothing_has_no_figures():
    assert figures_from(graph({"s": []}), "B", {}, {}, "flow") is None
    assert figures_from(graph({"s": []}), "B", {}, {"s": "no times here\n"}, "flow") is None


# ── shown ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def plain(*arguments, **more):
    return ["".join(text for text, _ in line).rstrip() for line in table(*arguments, **more)]


def test_a_table_has_the_columns_that_say_something():
    more = {"start": 0.05, "user": 1.0, "store_calls": 2, "bytes_out": 3000, "memory": 34 * 1024}
    lines = plain(figures(r=more), compared(figures(r=more), [figures(0.5, run="one")]))
    assert lines[:6] == [
        "flow  run abcd: 6.00 s, the earlier run 3.00 s (+100%)",
        "",
        "function    took   queue     start    user  calls    out  memory  earlier",
        "s         1.00 s                                                    +100%",
        "r (3)     4.00 s          50.00 ms  1.00 s      6  8 KiB  34 MiB    +100%",
        "x         0.50 s                                                    +100%",
    ]
    assert lines[-5:-1] == [
        "critical path, 6.00 s",
        "   17%    1.00 s  s",
        "   67%    4.00 s  r(3)",
        "   17%    1.00 s  j",
    ]
    assert lines[-1] == "ranks of r: 1.00 s to 4.00 s, median 2.00 s; r(3) took 2.0 times the median"


def test_small_steps_of_a_long_path_are_told_together():
    steps = [Step(function=f"c{n}", seconds=1.0, share=0.01) for n in range(30)]
    steps[10] = Step(function="big", seconds=71.0, share=0.71)
    lines = plain(msgspec.structs.replace(figures(), critical=steps), None)
    begin = lines.index("critical path, 6.00 s")
    assert lines[begin + 1 : begin + 4] == [
        "   10%    10.0 s  c0 to c9, 10 functions",
        "   71% 1 min 11 s  big",
        "   19%    19.0 s  c11 to c29, 19 functions",
    ]


def test_with_v_each_rank_has_a_line():
    names = [line.split()[0] for line in plain(figures(), None, every=True)[3:9]]
    assert names == ["s", "r(1)", "r(2)", "r(3)", "x", "j"]


def test_a_picture_has_a_row_for_each_function_and_the_critical_path():
    root = ET.fromstring(gantt(figures(r={"store_seconds": 0.5, "user": 1.0}), graph(SHAPE)))
    svg = "{http://www.w3.org/2000/svg}"
    said = [text.text for text in root.iter(f"{svg}text")]
    assert {"s", "r(1)", "r(2)", "r(3)", "x", "j", "critical path"} <= {*said}
    assert sum(path.get("stroke") == "#dc2626" for path in root.iter(f"{svg}path")) == 2
    assert any(title.text.startswith("r(3): completed, 4.00 s (") for title in root.iter(f"{svg}title"))


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e-3, 1e4])
def test_a_picture_of_any_length_of_time(scale):
    ET.fromstring(gantt(figures(scale), graph(SHAPE)))
