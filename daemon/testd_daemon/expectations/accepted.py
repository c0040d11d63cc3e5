"""A case that expects what a run of it gave. Pure.

What people wrote stays: only `equals` and `raises` are put right, and calls that were not made are expected no more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from testd_daemon.expectations.places import Difference, differing

__all__ = ["Acceptance", "accept", "settle"]

_Map = dict[str, Any]
#: Characters of a value that are shown.
_LONGEST = 200
#: Types that a record names by a word of its own.
_NAMES = {
    **{name: name for name in ("bytes", "bytearray", "complex", "dict", "frozenset", "list", "range", "set", "tuple")},
    "date": "datetime.date", "datetime": "datetime.datetime", "decimal": "Decimal", "float": "float",
    "fraction": "Fraction", "int": "int", "str": "str", "time": "datetime.time", "timedelta": "datetime.timedelta",
    "uuid": "UUID",
}  # fmt: skip


class Acceptance:
    """What became of a case.

    Attributes:
        case: the case as it should be.
        changes: what is expected otherwise now, one line each.
        left: what still does not hold and was not touched, one line each.
    """

    def __init__(self, case: _Map, changes: list[str], left: list[str]) -> None:
        """Keep them."""
        self.case = case
        self.changes = changes
        self.left = left


def accept(case: _Map, result: _Map) -> Acceptance:
    """Return a case that expects what came, by its `TestCaseResult`."""
    if result.get("error") or result.get("executed_function") is None:
        return Acceptance(case, [], [f"it could not be run: {result.get('error') or result.get('failure_message')}"])
    work = _Work(result["executed_function"], None)
    made = work.call(case, result, result["executed_function"], "")
    return Acceptance(made, work.changes, work.left)


def settle(case: _Map, first: _Map, second: _Map) -> Acceptance:
    """Return a case that expects what two runs of it gave, and ignores where these differ.

    What differs from what it expected and is the same in both is accepted, and told.
    """
    for result in first, second:
        if result.get("error") or result.get("executed_function") is None:
            return accept(case, result)
    work = _Work(first["executed_function"], second["executed_function"])
    made = work.call(case, first, first["executed_function"], "", second)
    return Acceptance(made, work.changes, work.left)


class _Work:
    """Goes through a case and what came of it, call by call."""

    def __init__(self, executed: _Map, again: _Map | None) -> None:
        self.changes: list[str] = []
        self.left: list[str] = []
        self._calls = {call["id"]: call for call in _calls(executed)}
        self._again = {call["id"]: call for call in _calls(again)} if again is not None else {}

    def call(self, expected: _Map, result: _Map, executed: _Map, where: str, second: _Map | None = None) -> _Map:
        """Return what should be expected of one call; `second` is what came of it the second time."""
        again = self._executed_again(second)
        assertions: list[_Map] = []
        for number, assertion in enumerate(expected.get("assertions") or ()):
            came = result["assertions"][number]
            assertions += self._assertion(assertion, came, executed, again, where)
        if not where and not executed["executed_successfully"] and not _speaks(assertions):
            self.changes.append(f"{where}it raises {_told(executed)}")
            assertions.append({"operator": "raises", "object": _raised(executed)})
        made = {**expected, "assertions": assertions} if "assertions" in expected or assertions else dict(expected)
        if expected.get("children"):
            made["children"] = list(self._children(expected, result, where, second))
        return made

    def _executed_again(self, second: _Map | None) -> _Map | None:
        if second is None:
            return None
        return second.get("executed_function") or self._again.get(second.get("executed_function_id"))

    def _children(self, expected: _Map, result: _Map, where: str, second: _Map | None) -> Iterator[_Map]:
        for number, child in enumerate(expected["children"]):
            came = result["children"][number]
            again = second["children"][number] if second is not None else None
            name = child["function"].rpartition(":")[2]
            if came["executed_function_id"] is None or (again is not None and again["executed_function_id"] is None):
                self.changes.append(f"{where}{name} is not called")
                continue
            yield self.call(child, came, self._calls[came["executed_function_id"]], f"{where}{name}: ", again)

    def _assertion(
        self, assertion: _Map, came: _Map, executed: _Map, again: _Map | None, where: str
    ) -> Iterator[_Map]:
        operator = assertion.get("operator")
        if operator == "equals":
            yield from self._equals(assertion, executed, again, where, holds=came["successful"])
        elif operator == "raises" and (not came["successful"] or again is not None):
            yield from self._raises(assertion, executed, again, where, holds=came["successful"])
        else:
            if not came["successful"]:
                self.left.append(f"{where}{came['failure_message']}")
            yield assertion

    def _equals(
        self, assertion: _Map, executed: _Map, again: _Map | None, where: str, *, holds: bool
    ) -> Iterator[_Map]:
        target = assertion.get("assertion_target", "output")
        if target != "input" and executed["executed_successfully"] is (target == "error"):
            if target == "error":
                self.changes.append(f"{where}it raises no error")
                yield {"operator": "equals", "object": executed.get("output")}
            return  # what it raises instead is told by whoever called
        received = _received(target, executed)
        volatile = [] if again is None else differing(received, _received(target, again))
        if any(not found.place for found in volatile):
            yield from self._of_type(assertion, volatile[0], f"{where}{target} differs from run to run")
            return
        ignored: list[str] = list(assertion.get("ignore") or ())
        for found in volatile:
            if found.place not in ignored:
                self.changes.append(f"{where}{target} {found.place} differs from run to run: it is ignored")
                ignored.append(found.place)
        made = {**assertion, "ignore": ignored} if ignored else dict(assertion)
        if not holds:
            made["object"] = received
            self.changes += [
                f"{where}{target} {found.place}".rstrip() + f": {_shown(found.one)} → {_shown(found.other)}"
                for found in differing(assertion.get("object"), received)
                if found.place not in ignored
            ]
        yield made

    def _of_type(self, assertion: _Map, found: Difference, what: str) -> Iterator[_Map]:
        """Expect of a value that is another one each time what can be."""
        kinds = sorted({_type(found.one), _type(found.other)})
        if "" in kinds:
            self.changes.append(f"{what}: nothing is expected of it")
            return
        self.changes.append(f"{what}: only its type is expected")
        kept = {name: value for name, value in assertion.items() if name != "ignore"}
        yield {**kept, "operator": "type", "object": kinds[0] if len(kinds) == 1 else kinds}

    def _raises(
        self, assertion: _Map, executed: _Map, again: _Map | None, where: str, *, holds: bool
    ) -> Iterator[_Map]:
        if executed["executed_successfully"]:
            self.changes.append(f"{where}it raises no error")
            yield {"operator": "equals", "object": executed.get("output")}
            return
        raised = _raised(executed)
        if again is not None and not again["executed_successfully"] and _raised(again)["message"] != raised["message"]:
            self.changes.append(f"{where}the error's message differs from run to run: only its type is expected")
            yield {**assertion, "object": {"type": raised["type"]}}
            return
        if not holds:
            self.changes.append(f"{where}it raises {_told(executed)}")
        yield assertion if holds else {**assertion, "object": raised}


def _calls(executed: _Map) -> Iterator[_Map]:
    yield executed
    for call in executed.get("children") or ():
        yield from _calls(call)


def _speaks(assertions: list[_Map]) -> bool:
    """Tell whether assertions say anything of an error."""
    return any(
        found.get("code") is not None or found.get("operator") == "raises" or found.get("assertion_target") == "error"
        for found in assertions
    )


def _raised(executed: _Map) -> _Map:
    return {"type": executed.get("error_type") or "Exception", "message": executed.get("thrown_error") or ""}


def _told(executed: _Map) -> str:
    return f"{executed.get('error_type')}: {executed.get('thrown_error')}"


def _received(target: str, executed: _Map) -> Any:
    return executed.get({"input": "input", "output": "output", "error": "thrown_error"}[target])


def _type(value: Any) -> str:
    """Return the name of a recorded value's type, empty where the record does not tell it."""
    if value is None:
        return "None"
    if isinstance(value, dict) and "$type" in value:
        return str(value.get("class") or _NAMES.get(value["$type"], "")).replace(":", ".")
    return type(value).__name__


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
