"""Which inner functions are over with the call of the function around them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from testd.runner.closures import Closures
from testd.runner.sources import Sources


def is_confined(folder: Path, source: str, name: str = "inner", outer: str = "outer") -> bool:
    path = folder / "module.py"
    path.write_text(source)
    line = next(n for n, text in enumerate(source.splitlines(), 1) if f"def {name}(" in text)
    return Closures(Sources()).is_confined(str(path), f"{outer}.<locals>.{name}", line)


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


@pytest.mark.parametrize(
    "source",
    [
        HEAD.replace("self, items", "\n    self,\n    items,\n") + "    for item in items: inner(item)",  # a black head
        HEAD + '    """A text\nthat goes back to the margin."""\n    inner()',
        "class Thing:\n" + HEAD.replace("\n", "\n    ") + "    # and\n# at the margin\n        inner()\n\nx = inner",
        "def outer():\n    def outer(): pass\n    inner()\n" + HEAD + "    inner()",
        HEAD + "    inner('\\d \\\\ \\' ')\n",
        HEAD.replace("(self", "[T](self") + "    inner()" if sys.version_info >= (3, 12) else HEAD + "    inner()",
    ],
)
def test_where_a_function_ends(tmp_path, source, recwarn):
    assert is_confined(tmp_path, source)
    assert not recwarn.list


def test_what_is_outside_of_the_function_around_it_is_not_looked_at(tmp_path):
    source = "def other():\n    def inner(): pass\n    return inner\n" + HEAD + "    inner()"
    assert not is_confined(tmp_path, source)  # the first one, which is in another function
    assert is_confined(tmp_path, source.replace("def inner(): pass", "pass"))
    assert not is_confined(tmp_path, HEAD + "    inner()", outer="other")


def test_what_cannot_be_read_has_none(tmp_path):
    assert not Closures(Sources()).is_confined(str(tmp_path / "missing.py"), "outer.<locals>.inner", 1)
    (tmp_path / "broken.py").write_text("def outer(:")
    assert not Closures(Sources()).is_confined(str(tmp_path / "broken.py"), "outer.<locals>.inner", 1)
