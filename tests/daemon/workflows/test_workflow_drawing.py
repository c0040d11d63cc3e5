"""The graph of a workflow as people see it: lines, places, pictures."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from testd_daemon.workflows.course import Course
from testd_daemon.workflows.drawing.marks import together
from testd_daemon.workflows.drawing.picture import picture
from testd_daemon.workflows.drawing.placing import GAP, placed
from testd_daemon.workflows.drawing.text import lines
from workflow_files import graph

SHAPE = {
    "create-input": ["test-py-api", "test-r-api"], "test-py-api": ["sync1"], "test-r-api": ["sync1"],
    "sync1": ["test-rank(5)"], "test-rank": ["sync2"],
    "sync2": [{"True": ["test-run-true"], "False": ["test-run-false"]}], "test-run-true": [], "test-run-false": [],
}  # fmt: skip
SVG = "{http://www.w3.org/2000/svg}"


def course(**statuses: str) -> Course:
    """Return the course of a run of SHAPE; names have `_` for `-` and for the brackets of ranks."""
    found = Course()
    found.take({"type": "WorkflowPlanned", "functions": list(graph(SHAPE).instances)})
    for name, status in statuses.items():
        function = next(each for each in found.functions if each.translate(str.maketrans("-(", "__", ")")) == name)
        found.take({"type": "FunctionChanged", "function": function, "status": status, "at": 1.0})
    return found


def plain(*arguments, **more) -> list[str]:
    return ["".join(text for text, _ in line).rstrip() for line in lines(*arguments, **more)]


def test_the_lines_of_a_graph():
    assert plain(graph(SHAPE), unicode=False) == [
        " 1  create-input",
        " 2  test-py-api     < create-input",
        "    test-r-api      < create-input",
        " 3  sync1           < test-py-api and test-r-api",
        " 4  test-rank (5)   < sync1",
        " 5  sync2           < all 5 test-rank",
        " 6  test-run-true   < sync2 if it returned True",
        "    test-run-false  < sync2 if it returned False",
    ]


def test_the_lines_of_a_run():
    run = course(create_input="completed", test_py_api="completed", test_r_api="failed", sync1="skipped",
                 test_rank_1="completed", test_rank_2="running", sync2="timeout",
                 test_run_true="not_invoked")  # fmt: skip
    assert [line[19:36].strip() for line in plain(graph(SHAPE), run)] == [
        "completed", "completed", "failed", "skipped", "running 1/5", "timed out", "not invoked", "pending",
    ]  # fmt: skip


def test_many_that_are_waited_for_are_not_all_named():
    wide = {"s": [f"a{n}" for n in range(9)], **{f"a{n}": ["j"] for n in range(9)}, "j": []}
    assert plain(graph(wide))[-1].endswith("← a0, a1, a2 and 6 more")


def test_several_statuses_are_told_as_one():
    assert together(["completed", "failed", "running"]) == "failed"
    assert together(["completed", "pending"]) == "running"
    assert together(["invoked", "pending"]) == "invoked"
    assert together(["completed", "completed"]) == "completed"
    assert together([]) == ""


def test_a_picture_has_every_action_and_every_edge():
    root = ET.fromstring(picture("flow", graph(SHAPE)))
    said = [text.text for text in root.iter(f"{SVG}text")]
    assert {name for name in said if name and name[0].islower()} == {*SHAPE} - {"test-rank"} | {"test-rank \u00d7 5"}
    assert {"True", "False"} <= {*said}
    lines_ = [path for path in root.iter(f"{SVG}path") if path.get("marker-end")]
    assert len(lines_) == len(graph(SHAPE).edges)
    assert sum(path.get("stroke-dasharray") is not None for path in lines_) == 2


def test_a_picture_of_a_run_says_how_each_stands():
    run = course(create_input="completed", test_rank_3="failed", test_run_true="not_invoked")
    root = ET.fromstring(picture("a <flow>", graph(SHAPE), run))
    titles = {title.text for title in root.iter(f"{SVG}title")}
    assert {"workflow a <flow>", "create-input: completed", "test-rank(3): failed", "sync2: pending"} <= titles


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_two_boxes_touch_and_all_are_inside(data):
    follows: dict[str, list[str]] = {"n0": []}
    for number in range(1, data.draw(st.integers(1, 20))):
        for source in data.draw(st.lists(st.sampled_from(sorted(follows)), min_size=1, max_size=3, unique=True)):
            follows[source].append(f"n{number}")
        follows[f"n{number}"] = []
    found = graph(follows)
    widths = {name: data.draw(st.floats(40, 200)) for name in follows}
    where = placed(found, widths, 40)
    for row in set(found.levels.values()):
        names = sorted((name for name in follows if found.levels[name] == row), key=lambda name: where.boxes[name].x)
        ends = [(where.boxes[name].x - widths[name] / 2, where.boxes[name].x + widths[name] / 2) for name in names]
        assert all(right + GAP - 0.01 <= left for (_, right), (left, _) in pairwise(ends))
        assert ends[0][0] > 0
        assert ends[-1][1] < where.width
        assert all(0 < where.boxes[name].y < where.height for name in names)
    for edge in found.edges:
        assert len(where.ways[edge.source, edge.target]) == found.levels[edge.target] - found.levels[edge.source] - 1
