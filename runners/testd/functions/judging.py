"""A case's assertions over the recorded calls, and what came of each. Runs in the worker; pure but for code of users.

A recorded call is the document `ExecutedFunction`. Expected children are met in their order; others may come between.
"""

from __future__ import annotations

from testd.functions import coded, operators, places, shapes
from testd.functions.operators import AssertionMistake
from testd.tracing.values import untyped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence

    Map = Dict[str, Any]

__all__ = ["Judge", "mistakes"]

NOT_CALLED = "This function was not called and was expected to be called."
NO_ERROR = "Function was expected to throw an error."
THREW = "Function threw an error."
_DIFFERS = {
    "input": "Input does not match the expectation.",
    "output": "Output does not match the expectation.",
    "error": "Error message does not match.",
}


def mistakes(case: Map, path: str = "") -> Iterator[str]:
    """Yield what is wrong with the assertions of a case that is right by its schema, one line a mistake."""
    prefix = f"{path}." if path else ""
    for index, assertion in enumerate(case.get("assertions", ())):
        wrong = _mistake(assertion)
        if wrong:
            yield f"{prefix}assertions[{index}]: {wrong}"
    for index, child in enumerate(case.get("children", ())):
        yield from mistakes(child, f"{prefix}children[{index}]")


def _mistake(assertion: Map) -> str:
    try:
        _check(assertion)
    except (AssertionMistake, places.PlaceError) as error:
        return str(error)
    return ""


def _check(assertion: Map) -> None:
    """Check an assertion as far as that is possible before it is judged. Raises AssertionMistake and PlaceError."""
    for place in assertion.get("ignore", ()):
        places.parse(place)
    if assertion.get("code") is not None:
        if assertion.get("language") == "python":
            coded.compiled(assertion["code"])
    elif assertion.get("operator") is None:
        raise AssertionMistake("neither operator nor code: one of them is needed")
    elif "object" not in assertion:
        raise AssertionMistake(f"object: missing: what {assertion['operator']} compares with")


class Judge:
    """Judges one execution of a case."""

    def __init__(self, raised: Sequence[str] = (), javascript: Optional[Callable[[str, Map], str]] = None) -> None:
        """Take the names of the types of what the root raised: its own, and those that it is derived from.

        `javascript` tells why code in JavaScript does not hold of an executed function (`coded.asking`).
        """
        self._raised = raised
        self._javascript = javascript or coded.Asked(answerable=False)

    def root(self, case: Map, executed: Map) -> Map:
        """Return what came of a case: `assertions`, `children` and `failure_reasons`.

        Raises:
            AssertionMistake: an assertion cannot be carried out.
        """
        made = self._call(case, executed)
        speaks = any(
            found.get("code") is not None or found.get("operator") == "raises" or _target(found) != "input"
            for found in case.get("assertions", ())
        )
        if not executed["executed_successfully"] and not speaks:
            made["failure_reasons"].insert(0, THREW)
        return made

    def _call(self, expected: Map, executed: Map) -> Map:
        assertions = [self._assertion(found, executed) for found in expected.get("assertions", ())]
        children, reasons = self._children(expected, executed.get("children") or [])
        failed = [found["failure_message"] for found in assertions if not found["successful"]]
        return {"assertions": assertions, "children": children, "failure_reasons": [*failed, *reasons]}

    # ── children ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _children(self, expected: Map, called: List[Map]) -> tuple[List[Map], List[str]]:
        """Return what came of the expected calls, and why the call that was to make them fails."""
        results, reasons, at = [], [], 0
        for child in expected.get("children", ()):
            found = next((n for n in range(at, len(called)) if _is_call_of(child["function"], called[n])), None)
            if found is None:
                results.append(_not_called(child, called[at] if at < len(called) else None))
            else:
                made = self._call(child, called[found])
                context = called[found].get("execution_context") or {}
                results.append(_result(child["function"], called[found]["id"], context.get("is_mocked", False), made))
                at = found + 1
            if not results[-1]["successful"]:
                reasons.append(f"Child function {_name(child['function'])}.")
        if expected.get("strict") and len(called) != len(results):
            names = ", ".join(str(call["name"]) for call in called) or "none"
            reasons.append(f"{len(results)} calls were expected and no others; there were {len(called)}: {names}.")
        return results, reasons

    # ── assertions ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _assertion(self, assertion: Map, executed: Map) -> Map:
        made = {key: assertion[key] for key in ("name", "operator", "code") if assertion.get(key) is not None}
        made.update(assertion_target=_target(assertion), object=assertion.get("object"))
        lines: List[str] = []
        if "code" in made:
            message = self._coded(assertion, executed)
        elif assertion["operator"] == "raises":
            message = self._raises(assertion["object"], executed)
        else:
            message, lines = self._compared(assertion, executed)
        made.update(failure_message=message, successful=not message)
        if message and "code" not in made:
            made["received"] = _received(_target(assertion), executed)
        if lines:
            made["differences"] = lines
        return made

    def _coded(self, assertion: Map, executed: Map) -> str:
        """Return why the function that an assertion's code is does not hold."""
        if assertion.get("language") == "python":
            return coded.holds(coded.compiled(assertion["code"]), executed)
        return self._javascript(assertion["code"], executed)

    def _compared(self, assertion: Map, executed: Map) -> tuple[str, List[str]]:
        """Return why a comparison does not hold, and the places that differ."""
        target, operator = _target(assertion), assertion["operator"]
        if target == "error" and executed["executed_successfully"]:
            return NO_ERROR, []
        if target == "output" and not executed["executed_successfully"]:
            return THREW, []
        received = _received(target, executed)
        if operator == "equals" and repr(assertion["object"]) == repr(received):
            return "", []  # nearly always: written down they are the same, types included
        ignored = [places.parse(place) for place in assertion.get("ignore", ())]
        expected = places.without(_shape(assertion["object"]), ignored)
        actual = places.without(_comparable(assertion, received), ignored)
        lines = operators.OPERATORS[operator](assertion, expected, actual)
        if not lines:
            return "", []
        if target == "error" and operator == "contains":
            return f'Error message does not contain "{expected}"', []
        return _DIFFERS[target], [_renamed(line, target) for line in lines]

    def _raises(self, wanted: Any, executed: Map) -> str:
        """Return why a call did not raise what it should."""
        if executed["executed_successfully"]:
            return NO_ERROR
        if isinstance(wanted, str):
            wanted = {"type": wanted}
        if not isinstance(wanted, dict) or not wanted or not set(wanted) <= {"type", "message", "contains", "matches"}:
            raise AssertionMistake(
                'raises takes the name of a type, or a map of "type", "message", "contains" and "matches"'
            )
        names = [executed.get("error_type") or "", *(self._raised if executed.get("parent_id") is None else ())]
        if "type" in wanted and not any(operators.named([wanted["type"]], name) for name in names):
            return f"Error is of type {names[0]}, expected {wanted['type']}: {executed.get('thrown_error')}"
        message = executed.get("thrown_error") or ""
        if "message" in wanted and message != wanted["message"]:
            return f"{_DIFFERS['error']} Expected {wanted['message']!r}, is {message!r}"
        if "contains" in wanted and wanted["contains"] not in message:
            return f'Error message does not contain "{wanted["contains"]}"'
        if "matches" in wanted and operators.OPERATORS["matches"]({}, wanted["matches"], message):
            return f"{_DIFFERS['error']} {wanted['matches']!r} is not found in {message!r}"
        return ""


def _target(assertion: Map) -> str:
    return "error" if assertion.get("operator") == "raises" else assertion.get("assertion_target", "output")


def _received(target: str, executed: Map) -> Any:
    return executed.get({"input": "input", "output": "output", "error": "thrown_error"}[target])


def _shape(document: Any) -> Any:
    try:
        return shapes.shape(document)
    except ValueError as error:
        raise AssertionMistake(f"object: {error}") from None


def _comparable(assertion: Map, received: Any) -> Any:
    """Return what came as what it is compared as: without types if it is looked for in parts, and they say no type."""
    value = shapes.shape(received)
    loose = assertion["operator"] in ("contains", "subset", "matches") and not shapes.tagged(assertion["object"])
    return untyped(received) if loose and not isinstance(value, (set, frozenset)) else value


def _renamed(line: str, target: str) -> str:
    """Say what a place is in: of an error it is the message."""
    return {"error": "message"}.get(target, target) + line[len("value") :] if line.startswith("value") else line


def _name(function: str) -> str:
    return function.rpartition(":")[2]


def _is_call_of(function: str, executed: Map) -> bool:
    module, _, name = function.rpartition(":")
    return executed["name"] == name and (not module or executed.get("module") == module)


def _not_called(child: Map, instead: Optional[Map]) -> Map:
    """Return the result of a call that was not made, and so of all that it was expected to make."""
    children = [_not_called(inner, None) for inner in child.get("children", ())]
    reasons = [NOT_CALLED] + ([f"In its place {instead['name']} was called."] if instead is not None else [])
    return _result(child["function"], None, False, {"assertions": [], "children": children, "failure_reasons": reasons})


def _result(function: str, call: Optional[str], mocked: bool, made: Map) -> Map:
    return {
        "function": function, "executed_function_id": call, "is_mocked": mocked, **made,
        "successful": not made["failure_reasons"],
    }  # fmt: skip
