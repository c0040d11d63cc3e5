"""What came of a case or an item: the document of its result, and what a person is told. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List

    from testd.functions.running import Ran

    Map = Dict[str, Any]

__all__ = ["case_result", "item_result", "report", "summary"]

#: Lines of one assertion's differences that are shown; the result has all of them.
_MOST_LINES = 40


def case_result(case: Map, ran: Ran, judged: Map) -> Map:
    """Return the `TestCaseResult` of a case; `judged` is what came of its assertions."""
    kept = {key: case.get(key) for key in ("id", "name", "function_to_execute", "input_to_pass")}
    reasons = [ran.error] if ran.error else judged["failure_reasons"]
    result = {
        **kept,
        "executed_function": ran.executed,
        "assertions": judged["assertions"],
        "children": judged["children"],
        "failure_message": " ".join(reasons),
        "successful": not reasons,
    }
    return {**result, "error": ran.error} if ran.error else result


def item_result(ran: Ran) -> Map:
    """Return what a run writes into an item: one of `executed_function` and `error`."""
    several = {"executed_functions": ran.roots} if len(ran.roots) > 1 or (ran.error and ran.roots) else {}
    if isinstance(ran.exception, SystemExit) and not ran.error:
        return {"error": f"The function ended the process: exit status {ran.exception.code}"}
    return {"error": ran.error, **several} if ran.error else {"executed_function": ran.executed, **several}


def summary(judged: Map) -> str:
    """Return in one line why a case fails: the first reason, and the first place that differs."""
    first = next((found for found in _assertions(judged) if not found["successful"]), None)
    if first is None:
        return next(_reasons(judged))
    lines = [" ".join(line.split()) for line in first.get("differences", ())][:3]
    place = "".join(lines[:1])
    if len(lines) == 3 and lines[1].startswith("expected: "):
        place += f" expected {lines[1].partition(' ')[2]}, actual {lines[2].partition(' ')[2]}"
    return f"{first['failure_message']} {place}".strip()


def report(judged: Map) -> str:
    """Return what a person is told of a case that fails: each failed assertion, with the places that differ."""
    return "\n".join([summary(judged), *_told(judged, "  ")])


def _told(judged: Map, indent: str) -> List[str]:
    lines = []
    said = set()
    for found in judged["assertions"]:
        if not found["successful"]:
            said.add(found["failure_message"])
            lines.append(f"{indent}{_title(found)}: {found['failure_message']}")
            differences = found.get("differences", [])
            lines += [f"{indent}  {line}" for line in differences[:_MOST_LINES]]
    for child in judged["children"]:
        if not child["successful"]:
            lines += [f"{indent}call of {child['function']}", *_told(child, indent + "  ")]
    others = [reason for reason in judged["failure_reasons"] if reason not in said and not _of_child(reason)]
    return lines + [f"{indent}{reason}" for reason in others]


def _title(assertion: Map) -> str:
    """Return what an assertion is called: its name, and what it does."""
    does = "code" if assertion.get("code") else f"{assertion['assertion_target']} {assertion['operator']}"
    return f"{assertion['name']} ({does})" if assertion.get("name") else does


def _reasons(judged: Map) -> Iterator[str]:
    """Yield why a call fails; where that is a call that it should have made, why that one fails."""
    yield from (reason for reason in judged["failure_reasons"] if not _of_child(reason))
    for child in judged["children"]:
        yield from (f"{child['function']}: {reason}" for reason in _reasons(child))


def _of_child(reason: str) -> bool:
    return reason.startswith("Child function ")


def _assertions(judged: Map) -> List[Map]:
    return [*judged["assertions"], *(found for child in judged["children"] for found in _assertions(child))]
