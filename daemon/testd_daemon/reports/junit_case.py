"""One outcome as a JUnit `testcase`: names, result, and what was printed.

Runs in the client, for `--junitxml`; imports the standard library. The XML is written by hand, since an element tree of
60,000 tests would cost more than the run.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Body = Mapping[str, Any]

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_TEXT = str.maketrans(_ESCAPES)
_MARKUP = str.maketrans({**_ESCAPES, '"': "&quot;", "\n": "&#10;", "\t": "&#9;"})
#: What XML 1.0 cannot hold, even escaped.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PHASES = {
    "setup": "failed on setup with ",
    "teardown": "failed on teardown with ",
    "collect": "collection failure: ",
}
#: What needs no escape at all: nearly every name.
_PLAIN = re.compile(r"[\w .,:;/\[\]()=+-]*", re.ASCII)
_SKIPPED = {
    "skipped": "pytest.skip",
    "xfailed": "pytest.xfail",
    "cancelled": "testd.cancelled",
    "unavailable": "testd.unavailable",  # of a target, not of a test
}
#: By verdict, the total of a suite in which a case counts besides `tests`.
_TOTALS = {"passed": "", "xpassed": "", "failed": "failures"} | dict.fromkeys(_SKIPPED, "skipped")


def case(row: Sequence[Any], suffix: str = "") -> str:
    """Give an outcome as an element. `suffix` ends its name, to keep it apart from the same test's on other targets."""
    test, target, verdict, duration, _, _, detail = row[:7]
    classname, name = names(test)
    inside = _result(verdict, detail or {}) + "".join(_printed(detail)) if detail or verdict != "passed" else ""
    return (
        f'<testcase classname="{value(classname)}" name="{value(name + suffix)}" time="{duration:.3f}"><properties>'
        f'<property name="target" value="{value(target)}"/></properties>{inside}</testcase>\n'
    )


def counted_as(verdict: str) -> str:
    """Say in which total of its suite an outcome counts besides `tests`: `failures`, `errors`, `skipped` or none."""
    return _TOTALS.get(verdict, "errors")


def _result(verdict: str, detail: Body) -> str:
    message, text = str(detail.get("message") or ""), str(detail.get("text") or "")
    kind = counted_as(verdict)
    if not kind:
        return ""
    if kind == "skipped":
        return f'<skipped type="{_SKIPPED[verdict]}" message="{value(message or verdict)}">{_body(text)}</skipped>'
    if detail.get("leaks"):
        text += "\n\nleft behind:\n" + "\n".join(map(str, detail["leaks"]))
    if detail.get("stacks"):
        text += f"\n\n{detail['stacks']}"
    if kind == "failures":
        return f'<failure message="{value(message or verdict)}">{_body(text)}</failure>'
    plain = "" if verdict == "error" else f"{verdict}: "
    said = _PHASES.get(str(detail.get("phase") or ""), plain) + message
    return f'<error message="{value(said or verdict)}">{_body(text)}</error>'


def names(test: str) -> tuple[str, str]:
    """Split a node id into `classname` and `name` as pytest does.

    `a/test_b.py::C::test_d[x]` becomes `a.test_b.C` and `test_d[x]`.
    """
    path, bracket, parameters = test.partition("[")
    file, colons, rest = path.partition("::")
    if not colons:
        return "", test  # a file that could not be collected
    *classes, name = rest.split("::")
    return ".".join([file.replace("/", ".").removesuffix(".py"), *classes]), name + bracket + parameters


def _printed(detail: Body | None) -> list[str]:
    """Give what the test printed: pytest's sections, under their headings, apart by stream."""
    streams: dict[str, list[str]] = {"system-out": [], "system-err": []}
    for section in (detail or {}).get("sections") or ():
        element = "system-err" if "stderr" in str(section["name"]) else "system-out"
        streams[element].append(f" {section['name']} ".center(80, "-") + f"\n{section['text']}")
    return [f"<{element}>{_body(chr(10).join(texts))}</{element}>" for element, texts in streams.items() if texts]


def _legal(text: str) -> str:
    return _ILLEGAL.sub(lambda match: f"#x{ord(match[0]):02X}", text)


def value(text: str) -> str:
    """Escape text for an attribute."""
    if _PLAIN.fullmatch(text):
        return text
    return _legal(text).translate(_MARKUP)


def _body(text: str) -> str:
    return _legal(text).translate(_TEXT)


__all__ = ["case", "counted_as", "names", "value"]
