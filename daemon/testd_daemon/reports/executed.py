"""A trace as documents: an executed function with its children, or OpenTelemetry's spans (OTLP as JSON). Pure.

Both are written piece by piece as the calls come: neither the depth nor the number of them matters.
"""

from __future__ import annotations

from json import dumps

from testd_protocol.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    Call = Mapping[str, Any]

__all__ = ["document", "spans"]

#: What OpenTelemetry calls a span of no kind in particular, and the status of one that failed.
_INTERNAL, _OK, _ERROR = 1, 1, 2


def document(calls: Iterable[Call]) -> Iterator[str]:
    """Give the text of one executed function, its children inside of it."""
    trail: list[str] = []
    first = True
    for call in calls:
        while trail and trail[-1] != call["parent_id"]:
            trail.pop()
            yield "]}"
            first = False
        trail.append(call["id"])
        yield ("" if first else ",") + dumps(call)[:-1] + ', "children": ['
        first = True
    yield "]}" * len(trail) + "\n"


def spans(calls: Iterable[Call], service: str) -> Iterator[str]:
    """Give the text of an OTLP request with a span for each call. `service` is the application's name."""
    resource = dumps({"attributes": [_attribute("service.name", service)]})
    scope = dumps({"name": "testd", "version": __version__})
    yield f'{{"resourceSpans": [{{"resource": {resource}, "scopeSpans": [{{"scope": {scope}, "spans": ['
    trace = ""
    for call in calls:
        yield (", " if trace else "") + dumps(_span(call, trace or call["id"]))
        trace = trace or call["id"]
    yield "]}]}]}\n"


def _span(call: Call, trace: str) -> dict[str, Any]:
    start = call["start_time"]
    end = start if call["end_time"] is None else call["end_time"]
    failed = call["thrown_error"] is not None
    told = {
        "code.function.name": f"{call['module']}.{call['name']}",
        "code.file.path": call["file"],
        "code.line.number": call["line"],
        "testd.input": dumps(call["input"]),
        "testd.output": None if failed else dumps(call["output"]),
        "testd.mocked": call["execution_context"].get("is_mocked"),
        "testd.unfinished": call["execution_context"].get("unfinished"),
    }
    return {
        "traceId": trace,
        "spanId": _span_id(call["id"]),
        "parentSpanId": _span_id(call["parent_id"] or ""),
        "name": call["name"],
        "kind": _INTERNAL,
        "startTimeUnixNano": _nanoseconds(start),
        "endTimeUnixNano": _nanoseconds(end),
        "attributes": [_attribute(key, value) for key, value in told.items() if value is not None],
        "events": [_exception(call, end)] if failed else [],
        "status": {"code": _ERROR, "message": call["thrown_error"]} if failed else {"code": _OK},
    }


def _exception(call: Call, at: float) -> dict[str, Any]:
    told = {
        "exception.type": call["error_type"],
        "exception.message": call["thrown_error"],
        "exception.stacktrace": "\n".join(map(_frame, call["stack"] or ())),
    }
    attributes = [_attribute(key, value) for key, value in told.items()]
    return {"name": "exception", "timeUnixNano": _nanoseconds(at), "attributes": attributes}


def _frame(frame: Call) -> str:
    return f'File "{frame["file"]}", line {frame["line"]}, in {frame["function"]}'


def _span_id(call: str) -> str:
    """Return the id of a span, which has half of the digits: those of the process and of the call's number."""
    return call[:16]


def _nanoseconds(milliseconds: float) -> str:
    return str(round(milliseconds * 1_000_000))


def _attribute(key: str, value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"key": key, "value": {"boolValue": value}}
    if isinstance(value, int):
        return {"key": key, "value": {"intValue": str(value)}}
    return {"key": key, "value": {"stringValue": str(value)}}
