"""The JUnit report: well-formed, of pytest's xunit2 shape, whole or not there."""

from __future__ import annotations

import stat
import xml.etree.ElementTree as ET

import pytest
from report_events import completed, detail, feed, outcomes, row

from testd_daemon.errors import UsageError
from testd_daemon.reports.junit import JunitReport, names

#: The elements of the xunit2 schema that Jenkins publishes: what each may hold and what it must and may say.
SHAPE = {
    "testsuites": ({"testsuite"}, set(), {"name"}),
    "testsuite": (
        {"testcase"},
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
