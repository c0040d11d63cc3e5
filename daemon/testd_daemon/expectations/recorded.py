"""From executed functions to a suite of cases that expects of each call what was recorded. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from testd_daemon.errors import UsageError

__all__ = ["key_of", "suite_of"]

_Map = dict[str, Any]


def suite_of(traces: Sequence[_Map], mocked: Sequence[str], name: str) -> _Map:
    """Return the `TestSuite` of recorded calls, a case each.

    A case expects the output of the call, input and output of each call that it made, and of one that failed its error.
    Calls of the functions in `mocked` (`module:function`) are mocked with what was recorded of them.

    Raises:
        UsageError: a call cannot be made again from what was recorded, or nothing called a function of `mocked`.
    """
    met: set[str] = set()
    names: Counter[str] = Counter()
    cases = []
    for trace in traces:
        names[trace["name"]] += 1
        count = names[trace["name"]]
        cases.append(_Recorder(mocked, met).case(trace, trace["name"] + (f" {count}" if count > 1 else "")))
    missed = [function for function in mocked if function not in met]
    if missed:
        called = sorted({key_of(call) for trace in traces for call in _calls(trace)} - {key_of(t) for t in traces})
        raise UsageError(
            f"--mock {missed[0]}: no recorded call of it",
            hint=f"Recorded are calls of {', '.join(called) or 'nothing else'}.",
        )
    return {"id": re.sub(r"[^\w.-]+", "-", name), "name": name, "test_cases": cases}


def key_of(executed: _Map) -> str:
    """Return `module:function` of a recorded call."""
    return f"{executed.get('module') or ''}:{executed['name']}"


class _Recorder:
    """Makes one case. Calls are counted as mocks count them: each function's, from 1, in the order of their begin."""

    def __init__(self, mocked: Sequence[str], met: set[str]) -> None:
        self._mocked = mocked
        self._met = met
        self._counts: Counter[str] = Counter()
        self._mocks: dict[str, dict[str, _Map]] = {}

    def case(self, trace: _Map, name: str) -> _Map:
        """Return the `TestCase` of a root."""
        if not _has(trace, "input"):
            why = (trace.get("execution_context") or {}).get("copy_input_error") or "a limit or a setting left it out"
            raise UsageError(
                f"{key_of(trace)} ({trace['id']}) cannot be called again: its input was not recorded whole: {why}",
                hint="Raise the limits of [tool.testd.trace], or record a call with another input.",
            )
        self._counts[key_of(trace)] += 1
        meta = {"module_name": trace.get("module") or "", "function_name": trace["name"]}
        if meta["module_name"] == "__main__":
            meta["file_name"] = trace.get("file") or ""
        made = {
            "id": trace["id"],
            "name": name,
            "function_to_execute": {"function_meta": meta},
            "input_to_pass": trace["input"],
            "assertions": list(_outcome(trace)),
        }
        children = self._children(trace)
        if children:
            made["children"] = children
        if self._mocks:
            made["mocks"] = self._mocks
        return made

    def _children(self, executed: _Map) -> list[_Map]:
        made: list[_Map] = []
        for call in executed.get("children") or ():
            key = key_of(call)
            self._counts[key] += 1
            if key in self._mocked or (call.get("execution_context") or {}).get("is_mocked"):
                self._met.add(key)
                self._mocks.setdefault(key, {})[str(self._counts[key])] = _mock(call)
                made.append({"function": key})
                continue  # what it called is not called when it is mocked
            expected: _Map = {"function": key, "assertions": [*_given(call), *_outcome(call)]}
            children = self._children(call)
            made.append({**expected, "children": children} if children else expected)
        return made


def _given(call: _Map) -> Iterator[_Map]:
    if _has(call, "input"):
        yield {"name": "Assert Input", "assertion_target": "input", "operator": "equals", "object": call["input"]}


def _outcome(call: _Map) -> Iterator[_Map]:
    if not call["executed_successfully"]:
        raised = {"type": call.get("error_type") or "Exception", "message": call.get("thrown_error") or ""}
        yield {"name": "Assert Error Message", "operator": "raises", "object": raised}
    elif _has(call, "output"):
        yield {"name": "Assert Output", "operator": "equals", "object": call.get("output")}


def _has(call: _Map, side: str) -> bool:
    """Tell whether the input or the output of a call was recorded, and all of it."""
    context = call.get("execution_context") or {}
    lacks = context.get(f"{side}_cut") or context.get(f"copy_{side}_error") or context.get("unfinished")
    return not lacks and bool(context.get(f"copy_{side}", True))


def _mock(call: _Map) -> _Map:
    if not call["executed_successfully"]:
        return {"error_to_throw": call.get("thrown_error") or "", "error_type": call.get("error_type")}
    if not _has(call, "output"):
        raise UsageError(
            f"--mock {key_of(call)}: what a call of it gave was not recorded whole",
            hint="Raise the limits of [tool.testd.trace], or write this mock by hand.",
        )
    return {"output": call.get("output")}


def _calls(executed: _Map) -> Iterator[_Map]:
    yield executed
    for call in executed.get("children") or ():
        yield from _calls(call)
