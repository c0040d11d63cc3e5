"""Which inner functions are over with the call of the function around them."""

from __future__ import annotations

from pathlib import Path

import pytest

from testd.runner.closures import Closures


def is_confined(folder: Path, source: str, name: str = "inner") -> bool:
    path = folder / "module.py"
    path.write_text(source)
    line = next(n for n, text in enumerate(source.splitlines(), 1) if f"def {name}(" in text)
    return Closures().is_confined(str(path), name, line)


HEAD = """
def outer(self, items):
    found = []
    def inner(item=None):
        found.append(item)
"""


@pytest.mark.parametrize(
    "rest",
    [
        "    for item in items: inner(item)\n    return found",
        "    def second(): inner()\n    second()",
        "    return [inner(item) for item in items]",
        "    return inner(inner())",
    ],
)
def test_what_is_only_called_is_confined(tmp_path, rest):
    assert is_confined(tmp_path, HEAD + rest)


@pytest.mark.parametrize(
    "rest",
    [
        "    return inner",
        "    self.hook = inner",
        "    register(inner)",
        "    return lambda: inner()",
        "    return (inner(item) for item in items)",
        "    def second(): inner()\n    return second",
        "    def second():\n        def third(): inner()\n        return third\n    return second()",
        "    class Thing:\n        def method(self): inner()\n    return Thing",
        "    async def second(): inner()\n    return second()",
        "    def second():\n        inner()\n        yield\n    return second()",
        "    @register\n    def second(): inner()",
        "    inner()\n    def inner(): pass",
        "    inner()\n    return locals()",
        "    inner()\n    kept = inner",
    ],
)
def test_what_may_be_called_later_is_not(tmp_path, rest):
    assert not is_confined(tmp_path, HEAD + rest)


@pytest.mark.parametrize(
    "inner",
    ["    @register\n    def inner(): pass", "    def inner(): yield", "    async def inner(): pass"],
)
def test_what_is_not_over_with_its_own_call_is_not(tmp_path, inner):
    assert not is_confined(tmp_path, f"def outer():\n{inner}\n    inner()")


def test_what_cannot_be_read_has_none(tmp_path):
    assert not Closures().is_confined(str(tmp_path / "missing.py"), "inner", 1)
    (tmp_path / "broken.py").write_text("def outer(:")
    assert not Closures().is_confined(str(tmp_path / "broken.py"), "inner", 1)
