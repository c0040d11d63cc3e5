"""The JUnit report: well-formed, of pytest's xunit2 shape, whole or not there."""

from __future__ import annotations

import socket
import stat
import xml.etree.ElementTree as ET

import pytest
from report_events import completed, detail, feed, outcomes, planned, row, target, unavailable

from testd_daemon.errors import UsageError
from testd_daemon.reports import junit_suite
from testd_daemon.reports.junit import JunitReport
from testd_daemon.reports.junit_case import names

#: The elements of the xunit2 schema that Jenkins publishes: what each may hold and what it must and may say.
SHAPE = {
    "testsuites": ({"testsuite"}, set(), {"name", "tests", "failures", "errors", "skipped", "time"}),
    "testsuite": (
        {"properties", "testcase"},
        {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
        {"hostname"},
    ),
    "testcase": (
        {"properties", "skipped", "error", "failure", "system-out", "system-err"},
        {"name", "classname", "time"},
        set(),
    ),
    "properties": ({"property"}, set(), set()),
    "property": (set(), {"name", "value"}, set()),
    "skipped": (set(), {"message"}, {"type"}),
    "failure": (set(), {"message"}, {"type"}),
    "error": (set(), {"message"}, {"type"}),
    "system-out": (set(), set(), set()),
    "system-err": (set(), set(), set()),
}


def check(element):
    children, required, optional = SHAPE[element.tag]
    assert required <= set(element.attrib) <= required | optional, element.tag
    assert {child.tag for child in element} <= children
    for child in element:
        check(child)


def write(path, *bodies):
    feed(JunitReport(str(path), clock=lambda: 0.0), *bodies)
    root = ET.fromstring(path.read_bytes())
    check(root)
    return root.find("testsuite")


def write_several(path, *bodies):
    feed(JunitReport(str(path), clock=lambda: 0.0), *bodies)
    root = ET.fromstring(path.read_bytes())
    check(root)
    return root


def numbers(element, *names):
    return [element.get(name) for name in names]


def test_every_verdict_has_its_element(tmp_path):
    verdicts = ["passed", "failed", "error", "skipped", "xfailed", "xpassed", "crashed", "timed out", "cancelled"]
    rows = [row(f"a/test_b.py::C::test_{n}", verdict, 0.25, detail(message="m")) for n, verdict in enumerate(verdicts)]
    suite = write(tmp_path / "r.xml", outcomes(*rows), completed(1, duration=2.5))
    found = [[child.tag for child in case if child.tag != "properties"] for case in suite]
    assert found == [[], ["failure"], ["error"], ["skipped"], ["skipped"], [], ["error"], ["error"], ["skipped"]]
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped", "time", "timestamp")} == {
        "tests": "9",
        "failures": "1",
        "errors": "3",
        "skipped": "3",
        "time": "2.500",
        "timestamp": "1970-01-01T00:00:00+00:00",
    }
    assert [case.find("skipped").get("type") for case in suite if case.find("skipped") is not None] == [
        "pytest.skip",
        "pytest.xfail",
        "testd.cancelled",
    ]
    assert suite[6].find("error").get("message") == "crashed: m"
    assert suite[0].attrib == {"classname": "a.test_b.C", "name": "test_0", "time": "0.250"}
    assert suite[0].find("properties/property").attrib == {"name": "target", "value": "py3.11"}


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("a/test_b.py::test_c", ("a.test_b", "test_c")),
        ("test_b.py::C::D::test_c[x::y/z]", ("test_b.C.D", "test_c[x::y/z]")),
        ("a/test_b.py", ("", "a/test_b.py")),
    ],
)
def test_names_are_pytests(test, expected):
    assert names(test) == expected


def test_what_was_printed_is_told_apart_by_stream(tmp_path):
    sections = [
        {"name": "Captured stdout call", "text": "out\n"},
        {"name": "Captured stderr call", "text": "err\n"},
        {"name": "Captured log call", "text": "log\n"},
    ]
    suite = write(tmp_path / "r.xml", outcomes(row(verdict="failed", info=detail(message="m", sections=sections))))
    out, err = suite[0].find("system-out").text, suite[0].find("system-err").text
    assert "out\n" in out
    assert "log\n" in out
    assert "err" not in out
    assert "err\n" in err


def test_any_character_survives_or_is_escaped(tmp_path):
    nasty = "<&>\"'\x00\x1b[31m\x85\ufffe\ud800\U0001f600\r\n\ttail]]>"
    info = detail(message=nasty, text=nasty, sections=[{"name": "x", "text": nasty}])
    suite = write(tmp_path / "r.xml", outcomes(row("t.py::test_[\x1b<]", "failed", info=info)))
    expected = "<&>\"'#x00#x1B[31m\x85#xFFFE#xD800\U0001f600\r\n\ttail]]>"
    assert suite[0].get("name") == "test_[#x1B<]"
    assert suite[0].find("failure").get("message") == expected
    assert suite[0].find("failure").text == expected


def test_a_setup_error_leaks_and_stacks_are_told(tmp_path):
    info = detail(phase="setup", message="no db", text="tb", leaks=["thread T"], stacks="Thread 1")
    suite = write(tmp_path / "r.xml", outcomes(row(verdict="error", info=info)))
    error = suite[0].find("error")
    assert error.get("message") == "failed on setup with no db"
    assert error.text == "tb\n\nleft behind:\nthread T\n\nThread 1"


def test_a_run_that_was_cut_off_still_leaves_a_whole_file(tmp_path):
    suite = write(tmp_path / "r.xml", outcomes(row()))  # no RunCompleted
    assert suite.get("tests") == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["r.xml"]


def test_folders_are_made_and_the_mode_is_an_ordinary_files(tmp_path):
    path = tmp_path / "reports" / "deep" / "r.xml"
    write(path, outcomes(row()))
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)


def test_a_place_that_cannot_be_written_is_told_before_the_run(tmp_path):
    (tmp_path / "file").touch()
    for path, said in [(tmp_path, "this is a folder"), (tmp_path / "file" / "r.xml", "cannot write in")]:
        with pytest.raises(UsageError, match=said):
            JunitReport(str(path))


def test_the_old_file_stays_when_the_new_one_fails(tmp_path, monkeypatch):
    path = tmp_path / "r.xml"
    path.write_text("old")
    report = JunitReport(str(path))
    report.event("r1", 1, outcomes(row()))
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(UsageError, match="No space left on device"):
        report.close()
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["r.xml"]


TOTALS = ("tests", "failures", "errors", "skipped", "time")


def test_several_targets_are_a_suite_each(tmp_path):
    root = write_several(
        tmp_path / "r.xml",
        planned(targets={"py3.9": 2, "box": 2}),
        target("box", host="python:3.13"),
        target("py3.9"),
        outcomes(row("t.py::a", target="box", duration=0.5), row("t.py::a", "failed", 0.25, detail(), target="py3.9")),
        outcomes(row("t.py::b[x]", "skipped", 0.0, target="box"), row("t.py::b[x]", "crashed", 1.0, target="py3.9")),
        completed(1, duration=2.5),
    )
    assert numbers(root, "name", *TOTALS) == ["testd run", "4", "1", "1", "1", "2.500"]
    first, second = root
    assert numbers(first, "name", *TOTALS) == ["py3.9", "2", "1", "1", "0", "1.250"]
    assert numbers(second, "name", *TOTALS) == ["box", "2", "0", "0", "1", "0.500"]
    assert second.get("hostname") == "python:3.13"
    assert first.get("hostname") == socket.gethostname()
    said = {each.get("name"): each.get("value") for each in second.find("properties")}
    assert said == {
        "target": "box",
        "python": "3.11.7",
        "framework": "pytest 9.0.1",
        "mode": "worker",
        "kind": "pytest",
    }
    assert [each.tag for each in first] == ["properties", "testcase", "testcase"]


def test_no_two_cases_have_the_same_name(tmp_path):
    """Those who read such files tell cases apart by class and name, and show the last one where they are the same."""
    tests, names_ = ["t.py::a", "t.py::C::a", "t.py::a[1]", "u.py"], ["py3.9", "py3.13", "box"]
    rows = [row(test, target=name) for test in tests for name in names_]
    root = write_several(tmp_path / "r.xml", planned(targets=dict.fromkeys(names_)), outcomes(*rows))
    found = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert len(set(found)) == len(found) == 12
    assert ("t.C", "a [box]") in found
    assert ("", "u.py [py3.13]") in found


def test_a_target_that_is_not_usable_is_a_case(tmp_path):
    root = write_several(
        tmp_path / "r.xml",
        planned(targets={"a": 1, "b": None, "c": None}),
        outcomes(row(target="a")),
        unavailable("b", "no image", "Pull it."),
        unavailable("c", "no route to host", required=True),
    )
    skipped, error = root[1].find("testcase/skipped"), root[2].find("testcase/error")
    assert skipped.attrib == {"type": "testd.unavailable", "message": "target b is not usable: no image"}
    assert skipped.text == "Pull it."
    assert error.get("message") == "target c is not usable: no route to host"
    assert numbers(root, *TOTALS[:4]) == ["3", "0", "1", "1"]


def test_many_cases_are_not_kept_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(junit_suite, "_KEPT", 2000)
    folder, made = tmp_path / "made", JunitReport(str(tmp_path / "made" / "r.xml"), clock=lambda: 0.0)
    made.event("r1", 1, planned(targets={"a": 200, "b": 1}))
    rows = [row(f"t.py::test_\u00fc_{number}\ud800\r", target="a") for number in range(200)]
    made.event("r1", 2, outcomes(*rows, row(target="b")))
    assert sum(map(len, made._suites["a"]._cases)) <= 2000
    assert list(folder.iterdir()) == []  # what is kept there has no name
    made.close()
    root = ET.fromstring((folder / "r.xml").read_bytes())
    assert [case.get("name") for case in root[0].iter("testcase")] == [
        f"test_\u00fc_{number}#xD800\r [a]" for number in range(200)
    ]
    assert made._suites["a"]._file.closed


def test_a_full_disk_in_the_middle_is_told_at_the_end(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(junit_suite, "_KEPT", 0)
    monkeypatch.setattr("tempfile.TemporaryFile", full)
    made = JunitReport(str(tmp_path / "r.xml"))
    made.event("r1", 1, outcomes(row(), row()))
    with pytest.raises(UsageError, match="No space left on device"):
        made.close()
    assert list(tmp_path.iterdir()) == []
