"""A project that exists to be edited, and random edits of it, by a seed. Standard library only.

Each edit leaves the project in a state that pytest has an opinion of, and no two states in a row are equal. Among them
are the edits that a selection gets wrong most easily: a value that one test caches for another, a data file, a fixture
of the whole session, a file that goes and comes back under another name, one that cannot be read by Python for a while.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

__all__ = ["Editor"]

_LIBRARY = '''"""Module {n}."""
import functools
{imports}
LIMIT = {limit}


def plain(x):
    """Return something plain."""
    return x + {a}


@functools.lru_cache
def cached(x):
    return helper(x) * 2


def helper(x):
    return x + {b}


class Thing:
    factor = {c}

    def scaled(self, x):
        return x * self.factor + {below}
'''
_TESTS = '''import json
import pathlib

import pytest

from shop import m{n}

HERE = pathlib.Path(__file__).parent


def test_plain():
    assert m{n}.plain(1) == {plain}


def test_cached_first():
    assert m{n}.cached(1) == {cached}


def test_cached_second():
    assert m{n}.cached(1) == {cached}


def test_limit():
    assert m{n}.LIMIT < 100


@pytest.mark.parametrize("x", range({rows}))
def test_scaled(x):
    assert m{n}.Thing().scaled(x) == x * {c} + {below}


def test_data():
    assert json.loads((HERE / "data" / "d{n}.json").read_text())["value"] == {n}


def test_session(base):
    assert base == 40 + 2


def test_lazy():
    from shop import lazy

    assert lazy.answer({n}) == {n} + 1
'''
_CONFTEST = '''import pytest
from shop import settings


@pytest.fixture(scope="session")
def base():
    return settings.base() + {add}
'''


class Editor:
    """Makes the project in a folder, then edits it step by step."""

    def __init__(self, folder: Path, seed: int, modules: int = 6) -> None:
        """Write the project: `modules` modules, each with a file of tests. Equal seeds make equal edits."""
        self.folder = folder
        self._random = random.Random(seed)
        self._modules = modules
        self._library = [{"a": 1, "b": 1, "c": 2, "limit": 10, "below": 0} for _ in range(modules)]
        self._rows = [3] * modules
        self._names = [f"test_m{n}.py" for n in range(modules)]
        self._broken: set[Path] = set()
        self._write_all()

    def edit(self) -> str:
        """Change something; say what."""
        edits: list[Callable[[], str]] = [
            self._number, self._number, self._number, self._back, self._comment, self._data, self._test_rows,
            self._rename, self._add_test, self._break_or_mend, self._conftest, self._settings, self._lazy,
            self._several,
        ]  # fmt: skip
        return self._random.choice(edits)()

    # ── the project ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _write_all(self) -> None:
        for name in "shop", "tests/data":
            (self.folder / name).mkdir(parents=True)
        (self.folder / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = ["."]\n')
        (self.folder / "shop" / "__init__.py").write_text("")
        (self.folder / "shop" / "settings.py").write_text("def base():\n    return 40\n")
        (self.folder / "shop" / "lazy.py").write_text("def answer(x):\n    return x + 1\n")
        (self.folder / "tests" / "conftest.py").write_text(_CONFTEST.format(add=2))
        for n in range(self._modules):
            self._write_library(n)
            self._write_tests(n)
            (self.folder / "tests" / "data" / f"d{n}.json").write_text(f'{{"value": {n}}}')

    def _write_library(self, n: int) -> None:
        imports = f"from shop import m{n - 1}" if n else ""
        below = f"m{n - 1}.plain({self._library[n]['below']})" if n else str(self._library[n]["below"])
        text = _LIBRARY.format(n=n, imports=imports, **{**self._library[n], "below": below})
        self._place(n, "shop").write_text(text)
        self._broken.discard(self._place(n, "shop"))

    def _write_tests(self, n: int) -> None:
        below = 1 if n else 0
        text = _TESTS.format(n=n, plain=2, cached=4, rows=self._rows[n], c=2, below=below)
        self._place(n, "tests").write_text(text)
        self._broken.discard(self._place(n, "tests"))

    def _place(self, n: int, part: str) -> Path:
        return self.folder / part / (f"m{n}.py" if part == "shop" else self._names[n])

    def _any(self) -> int:
        return self._random.randrange(self._modules)

    # ── edits ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _number(self) -> str:
        n, key = self._any(), self._random.choice(["a", "b", "c", "limit", "below"])
        old = self._library[n][key]
        self._library[n][key] = self._random.choice([value for value in (0, 1, 2, 3, 10, 200) if value != old])
        self._write_library(n)
        return f"shop/m{n}.py: {key}"

    def _back(self) -> str:
        n = self._any()
        self._library[n] = {"a": 1, "b": 1, "c": 2, "limit": 10, "below": 0}
        self._write_library(n)
        with self._place(n, "shop").open("a") as file:
            file.write(f"# as it was {self._random.random()}\n")
        return f"shop/m{n}.py: as it was"

    def _comment(self) -> str:
        part, n = self._random.choice(["shop", "tests"]), self._any()
        with self._place(n, part).open("a") as file:
            file.write(f"# {self._random.random()}\n")
        return f"{part}/{self._place(n, part).name}: a comment"

    def _data(self) -> str:
        n = self._any()
        value = self._random.choice([n, n + 1])
        place = self.folder / "tests" / "data" / f"d{n}.json"
        place.write_text(f'{{"value": {value}, "salt": {self._random.random()}}}')
        return f"{place.name}: {value}"

    def _test_rows(self) -> str:
        n = self._any()
        self._rows[n] = self._rows[n] % 5 + 1
        self._write_tests(n)
        return f"{self._names[n]}: {self._rows[n]} rows"

    def _rename(self) -> str:
        n = self._any()
        old = self._place(n, "tests")
        self._names[n] = f"test_m{n}_{self._random.randrange(10**6)}.py"
        old.rename(self._place(n, "tests"))
        if old in self._broken:
            self._broken.add(self._place(n, "tests"))
        return f"{old.name}: now {self._names[n]}"

    def _add_test(self) -> str:
        n = self._any()
        with self._place(n, "tests").open("a") as file:
            number = self._random.randrange(10**6)
            file.write(f"\n\ndef test_added_{number}():\n    assert m{n}.helper(1) == 2\n")
        return f"{self._names[n]}: a test more"

    def _break_or_mend(self) -> str:
        part, n = self._random.choice(["shop", "tests"]), self._any()
        place = self._place(n, part)
        if place in self._broken:
            self._write_library(n) if part == "shop" else self._write_tests(n)
            return f"{place.name}: mended"
        with place.open("a") as file:
            file.write(f"def broken(:  # {self._random.random()}\n")
        self._broken.add(place)
        return f"{place.name}: no Python any more"

    def _conftest(self) -> str:
        add = self._random.choice([2, 2, 3])
        text = _CONFTEST.format(add=add) + f"# {self._random.random()}\n"
        (self.folder / "tests" / "conftest.py").write_text(text)
        return f"conftest.py: {add}"

    def _settings(self) -> str:
        base = self._random.choice([40, 40, 41])
        text = f"def base():\n    return {base}\n# {self._random.random()}\n"
        (self.folder / "shop" / "settings.py").write_text(text)
        return f"settings.py: {base}"

    def _lazy(self) -> str:
        place = self.folder / "shop" / "lazy.py"
        if self._random.random() < 0.3 and place.exists():
            place.unlink()
            return "lazy.py: gone"
        add = self._random.choice([1, 1, 2])
        place.write_text(f"def answer(x):\n    return x + {add}  # {self._random.random()}\n")
        return f"lazy.py: {add}"

    def _several(self) -> str:
        return f"{self._number()}; {self._data()}; {self._comment()}"
