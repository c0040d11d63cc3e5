"""Tells the record of what tests use which fixtures are shared between them, and who shares them. Runs in workers.

`setup_module`, `setup_class` and the like, and those of unittest, are fixtures to pytest as well.
"""

from typing import Any, Iterator, List

import pytest

from testd.runner.used import Recorder

__all__ = ["SharedFixtures"]


class SharedFixtures:
    """A plugin: hears when fixtures of a wider scope than a test are set up, used, and torn down."""

    def __init__(self, recorder: Recorder) -> None:
        """Tell `recorder`, to which a fixture is the identity of its definition: there is one for the whole session."""
        self._recorder = recorder
        self._kept: List[Any] = []  # definitions, so that an identity stays what it is

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> "Iterator[None]":
        """Count what the setup of a shared fixture uses for the fixture."""
        if fixturedef.scope == "function":
            yield
            return
        self._kept.append(fixturedef)
        self._recorder.enter(id(fixturedef))
        yield
        self._recorder.leave(self._needs(fixturedef, request))

    def _needs(self, fixturedef: Any, request: Any) -> "List[int]":
        """Return those that a fixture uses: any that there are by now if it can ask for them as it runs."""
        there = getattr(request, "_fixture_defs", {})
        asks = "request" in fixturedef.argnames
        return [id(found) for name, found in there.items() if asks or name in fixturedef.argnames]

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_teardown(self, item: Any, nextitem: Any) -> "Iterator[None]":
        """Say which fixtures a test has used. Where some end with it, what that uses counts for all who used them."""
        self._recorder.shares(map(id, _fixtures_of(item)))
        if nextitem is not None and nextitem.parent is item.parent:
            yield
            return
        self._recorder.enter()
        yield
        self._recorder.leave()

    def pytest_fixture_post_finalizer(self, fixturedef: Any) -> None:
        """Hear that a fixture has ended."""
        if fixturedef.scope != "function":
            self._recorder.ended(id(fixturedef))


def _fixtures_of(item: Any) -> "Iterator[Any]":
    """Yield the definitions of the shared fixtures that a test may use, and of those that it asked for as it ran."""
    request = getattr(item, "_request", None)
    asked = getattr(request, "_fixture_defs", None) or {}
    for found in asked.values():
        if found.scope != "function":
            yield found
    named = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", None) or {}
    for definitions in named.values():
        for found in definitions:
            if found.scope != "function":
                yield found
