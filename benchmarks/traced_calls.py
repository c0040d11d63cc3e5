"""What a traced call costs beside a plain one, and beside a span of OpenTelemetry's SDK: measured in one process.

    python benchmarks/traced_calls.py ROUNDS          with testd's `runners` folder on PYTHONPATH

Prints one JSON object for each round: seconds a call, by contender. The rounds take turns, so that what slows the
machine slows every contender. Runs in an environment of its own that has `opentelemetry-sdk`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from time import perf_counter

from opentelemetry.sdk.trace import TracerProvider  # type: ignore[import-not-found]
from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # type: ignore[import-not-found]
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # type: ignore[import-not-found]

from testd import traced
from testd.tracing import Options, armed, install, record_roots

CALLS = 2000


def price(amount: int, currency: str = "EUR") -> int:
    """Do next to nothing."""
    return amount + len(currency)


plain = price
followed = traced(lambda amount, currency="EUR": amount + len(currency))

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
tracer = provider.get_tracer("benchmark")


def spanned(amount: int, currency: str = "EUR") -> int:
    """Do the same in a span that has input and output, as a traced call has."""
    with tracer.start_as_current_span("price") as span:
        span.set_attribute("input", json.dumps([amount, {"currency": currency}]))
        result = amount + len(currency)
        span.set_attribute("output", json.dumps(result))
    return result


def many(function: Callable[..., int]) -> float:
    """Return the seconds of one call, of many."""
    begun = perf_counter()
    for number in range(CALLS):
        function(number, currency="CHF")
    return (perf_counter() - begun) / CALLS


def recording() -> float:
    """Return the seconds of one call below a root that is recorded."""
    with record_roots(Options(calls=CALLS * 2)) as roots:
        found = traced(lambda: many(followed))()
    assert len(roots[0]["children"]) == CALLS
    return found


def roots() -> float:
    """Return the seconds of one call that is a root, its record made and handed on included."""
    told: list[object] = []
    installed = install(told.append)
    try:
        return many(followed)
    finally:
        installed.close()
        assert len(told) == CALLS


def otel() -> float:
    """Return the seconds of one call in a span."""
    exporter.clear()
    return many(spanned)


def main() -> None:
    """Measure in turns."""
    contenders = {
        "plain": lambda: many(plain),
        "not recording": lambda: many(followed),
        "recording": recording,
        "recording, each a root": roots,
        "OpenTelemetry": otel,
    }
    with armed():
        pass  # what is loaded for the first recording
    for number in range(int(sys.argv[1]) + 1):
        figures = {name: measure() for name, measure in contenders.items()}
        if number:  # the first round warms up
            print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
