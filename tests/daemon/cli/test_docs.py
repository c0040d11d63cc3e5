"""What is documented is what there is."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from testd_daemon.cli.arguments import Parser
from testd_daemon.cli.verbs import VERBS
from testd_daemon.reports import json as json_report

DOCS = Path(__file__).resolve().parents[3] / "docs"


def options_of(verb):
    module = import_module(VERBS[verb][0])
    if getattr(module, "VERBATIM", False):
        return set()
    parser = Parser(verb, VERBS[verb][1], module.OPERANDS)
    module.arguments(parser)
    return set(parser.flags())


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_and_option_is_documented(verb):
    text = (DOCS / "cli.md").read_text("utf-8")
    assert f"\n## testd {verb}\n" in text
    section = text.partition(f"\n## testd {verb}\n")[2].partition("\n## ")[0]
    everywhere = section + text.partition("\n## testd run\n")[2].partition("\n## ")[0]
    said = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", everywhere))
    missing = {option for option in options_of(verb) if option not in said}
    # A long form of a short option, or the reverse, may stand for both.
    assert missing <= {"--follow", "--lines", "--verbose", "--quiet"}


def test_every_event_and_key_is_documented():
    text = (DOCS / "json-events.md").read_text("utf-8")
    for event in (*json_report._NAMES.values(), "accepted", "outcome", "fault"):
        assert f"\n## {event}\n" in text
    for key in (*json_report._ROW, *json_report._DETAIL):
        assert f"`{key}`" in text
    assert f"| `schema` | {json_report.SCHEMA} |" in text


def test_every_field_of_every_event_is_documented():
    messages = import_module("testd_protocol.messages")
    text = (DOCS / "json-events.md").read_text("utf-8")
    for name, event in json_report._NAMES.items():
        section = text.partition(f"\n## {event}\n")[2].partition("\n## ")[0]
        fields = set(getattr(messages, name).__struct_fields__)
        assert {field for field in fields if f"`{field}`" not in section} == set(), event


def test_the_reports_know_every_event_of_a_run():
    from typing import get_args

    from testd_daemon.reports.base import HANDLERS, VERDICTS

    messages = import_module("testd_protocol.messages")
    assert {event.__name__ for event in get_args(messages.RunEvent)} == set(HANDLERS)
    assert set(get_args(messages.Verdict)) == set(VERDICTS)
