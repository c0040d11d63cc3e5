"""Assertions in JavaScript: what holds, what does not, and what an assertion cannot do to anybody but itself."""

from __future__ import annotations

import json
import sys

import pytest

from testd.functions.operators import AssertionMistake
from testd_daemon.judge import javascript
from testd_daemon.judge.questions import answer

EXECUTED = {"name": "f", "output": {"total": 4, "ü": "é"}, "input": [1, {}], "children": [{"name": "g"}]}


@pytest.mark.parametrize(
    "source",
    [
        "(call) => call.output.total === 4",
        "call => call.output.total === 4;",
        "function (call) { return call.output['ü'] === 'é' }",
        "function check(call) { if (call.children[0].name !== 'g') throw new Error('no g'); }",
        "const most = 5; (call) => call.output.total < most",
        "// nothing but\n(call) => true // a comment",
        "async (call) => (await call.output).total === 4",
        "(call) => 1n",
    ],
)
def test_a_function_holds_that_returns_true_or_nothing(source):
    assert javascript.holds(source, EXECUTED) == ""


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("(call) => call.output.total === 5", "The assertion's code returned false."),
        ("(call) => null", "The assertion's code returned null."),
        ("(call) => 0", "The assertion's code returned 0."),
        ("(call) => { throw new Error('too much: ' + call.output.total) }", "too much: 4"),
        ("(call) => { throw 'plainly' }", '"plainly"'),
        ("(call) => { throw new Error() }", "The assertion's code threw an error."),
        ("async (call) => { throw new TypeError('later') }", "TypeError: later"),
        ("(call) => call.nothing.here", "TypeError: cannot read property 'here' of undefined"),
        ("(call) => require('fs')", "ReferenceError: require is not defined"),
        ("(call) => console.log(1)", "ReferenceError: console is not defined"),
        ("async (call) => (await import('std')).open('/etc/passwd', 'r')", "ReferenceError"),
    ],
)
def test_why_a_function_does_not_hold(source, said):
    assert javascript.holds(source, EXECUTED).startswith(said)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("5", "code is no function: write (call) =>"),
        ("", "code is no function"),
        ("(call) => {", "code cannot be used: SyntaxError"),
        ("nowhere", "code cannot be used: ReferenceError: nowhere is not defined"),
        ("() => { while (true) {} }", "code ran for more than 1 s"),
        ("() => { try { while (true) {} } catch { return true } }", "code ran for more than 1 s"),
        ("() => new Promise(() => {})", "code returned a promise that nothing settles"),
        ("async () => { for (;;) await 0 }", "code ran for more than 1 s"),
    ],
)
def test_what_cannot_be_carried_out_is_a_mistake(source, said):
    with pytest.raises(AssertionMistake) as mistake:
        javascript.holds(source, EXECUTED)
    assert said in str(mistake.value)


@pytest.mark.parametrize(
    "source",
    [
        "() => { const all = []; for (;;) all.push(new Array(1000).fill(all.length)) }",
        "() => 'x'.repeat(2 ** 29)",
        "() => { const f = () => f(); f() }",
    ],
)
def test_memory_and_stack_have_a_limit(source):
    try:
        told = javascript.holds(source, EXECUTED)
    except AssertionMistake as mistake:
        told = str(mistake)
    assert "memory" in told or "stack" in told


def test_one_assertion_leaves_nothing_for_the_next():
    spoils = "(call) => { globalThis.kept = 1; Array.prototype.map = null; call.output = 5 }"
    looks = "(call) => typeof kept === 'undefined' && [1].map(x => x) && call.output.total === 4"
    assert javascript.holds(spoils, EXECUTED) == ""
    assert javascript.holds(looks, EXECUTED) == ""


def test_questions_are_answered_in_json():
    asked = {"code": "(call) => call.output.total > 4", "executed": EXECUTED}
    assert json.loads(answer(json.dumps(asked))) == {"failure": "The assertion's code returned false."}
    assert "code is no function" in json.loads(answer(json.dumps({**asked, "code": "5"})))["mistake"]


def test_without_the_extra_it_is_said_how_to_have_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "quickjs", None)
    with pytest.raises(AssertionMistake, match=r"needs an engine: install testd\[js\]"):
        javascript.holds("() => true", EXECUTED)
