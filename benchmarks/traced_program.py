"""A program that is traced, as an application is: how long does its own work take, whoever listens?

    python benchmarks/traced_program.py          with testd's `runners` folder on PYTHONPATH

Answers requests one after the other, some milliseconds of work and 20 traced calls each, and prints the seconds of all
of them. What is sent is sent meanwhile, or at the end, which does not count: the program has its work done by then.
"""

from __future__ import annotations

from time import perf_counter

from testd import traced

REQUESTS = 200
CALLS = 20
STEPS = 5000


@traced
def price(amount: int, currency: str = "EUR") -> int:
    """Do some work."""
    total = 0
    for step in range(STEPS):
        total += step * amount % 7
    return total + len(currency)


@traced
def request(number: int) -> int:
    """Answer one request."""
    return sum(price(number + call) for call in range(CALLS))


def main() -> None:
    """Answer all of them."""
    request(0)  # what is loaded for the first one
    begun = perf_counter()
    for number in range(REQUESTS):
        request(number)
    print(perf_counter() - begun, flush=True)


if __name__ == "__main__":
    main()
