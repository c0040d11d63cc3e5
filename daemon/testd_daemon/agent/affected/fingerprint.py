"""What of a source file can change by itself, each with a digest of what it means. Pure; runs in the agent.

The body of each function is a part of its own; everything outside of function bodies is the part `<module>`; docstrings
are the part `<doc>`. Digests are taken from the syntax tree without positions, so that comments, blank lines and
formatting do not count. What cannot be parsed is one opaque part.

A test function that nothing else mentions is a part of its own together with its signature and its decorators: to add
one, or to give it other parameters, changes no other test of its file. What these do not have in them is `<frame>`.
"""

from __future__ import annotations

import ast
import gc
import hashlib
import warnings
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

__all__ = ["ALL", "BYTES", "DOC", "FRAME", "MODULE", "Place", "Source", "digest", "read"]

#: Names of the parts that are no function's.
MODULE: Final = "<module>"  # what runs at import
FRAME: Final = "<frame>"  # the same without test functions that nothing else mentions
DOC: Final = "<doc>"  # docstrings
ALL: Final = "<all>"  # all code
BYTES: Final = "<bytes>"  # the content as it is
#: Bytes of a digest: two contents of one part share one by chance once in 2**64.
_SIZE: Final = 8
#: Names by which code gets at docstrings, and by which it imports what no import statement names.
_DOC_READERS: Final = frozenset({"__doc__", "cleandoc", "doctest", "getdoc", "pydoc"})
_IMPORTERS: Final = frozenset({"__import__", "exec_module", "import_module", "load_module", "run_module", "run_path"})
#: The first part of the names of decorators that do nothing but describe the test below them.
_HARMLESS: Final = frozenset({"example", "given", "mark", "mock", "patch", "pytest", "settings", "unittest"})
#: Base classes that have no tests which a class could override.
_PLAIN_BASES: Final = frozenset({"object", "TestCase", "IsolatedAsyncioTestCase"})

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def digest(data: bytes) -> bytes:
    """Return the digest of some content."""
    return hashlib.blake2b(data, digest_size=_SIZE).digest()


class Place(NamedTuple):
    """Where a function is: its part, its qualified name, its first line (of its first decorator) and its last."""

    key: str
    name: str
    first: int
    last: int


class Source:
    """The parts of one content."""

    __slots__ = ("_classes", "_exact", "dynamic", "imports", "parts", "places", "reads_docs")

    def __init__(
        self,
        parts: dict[str, bytes],
        places: Iterable[Place] | None = None,
        classes: frozenset[str] = frozenset(),
        *,
        imports: frozenset[str] = frozenset(),
        reads_docs: bool = False,
        dynamic: bool = False,
    ) -> None:
        """Take what was found. `places`: None where they were not kept. `imports`: all parts of all names imported."""
        self.parts = parts
        self.places = tuple(places) if places is not None else None
        self.imports = imports
        self.reads_docs = reads_docs
        self.dynamic = dynamic  # it imports by names that it computes
        self._classes = classes
        self._exact = {(place.name, place.first): place.key for place in self.places or ()}

    def part_of(self, name: str, line: int) -> str:
        """Return the part that holds the code of this qualified name and first line; `<all>` where that is not known.

        Lambdas, comprehensions and classes belong to the function, or the module, in which they stand.
        """
        if name == MODULE:
            return MODULE
        key = self._exact.get((name, line)) or self._declared_global(name, line)
        if key is not None:
            return key
        around = [
            place
            for place in self.places or ()
            if place.first <= line <= place.last and name.startswith(place.name + ".<locals>.")
        ]
        if around:
            return max(around, key=lambda place: (len(place.name), place.first)).key
        outermost = name.partition(".<locals>.")[0]
        last = outermost.rpartition(".")[2]
        outside = last[:1] == "<" or last == "__annotate__" or name in self._classes
        return MODULE if outside else ALL

    def _declared_global(self, name: str, line: int) -> str | None:
        """Return the part of a function whose name was declared global: its qualified name is only that."""
        last = name.rpartition(".")[2]
        here = [place for place in self.places or () if place.first == line and place.name.rpartition(".")[2] == last]
        return here[0].key if len(here) == 1 else None


def read(data: bytes) -> Source:
    """Return the parts of Python source, or one opaque part of what is none (or of a newer Python than this)."""
    whole = digest(data)
    try:
        return _Reader().source(_parse(data), whole)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Source(dict.fromkeys((BYTES, ALL, MODULE, FRAME, DOC), whole), (), reads_docs=True, dynamic=True)


def _parse(data: bytes) -> ast.Module:
    collecting = gc.isenabled()
    gc.disable()  # a tree is many objects and no garbage: to look for some takes longer than parsing
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(data)
    finally:
        if collecting:
            gc.enable()


class _Test:
    """A test function that may be a part of its own, until something is found to mention it."""

    def __init__(self, name: str, qualified: str, above: tuple[str, ...], key: str) -> None:
        self.name = name
        self.qualified = qualified
        self.above = above  # the classes that it is in
        self.key = key
        self.head: list[str] = []
        self.body: list[str] = []


class _Reader:
    """Takes one tree apart."""

    def __init__(self) -> None:
        self._parts: dict[str, bytes] = {}
        self._places: list[Place] = []
        self._classes: set[str] = set()
        self._seen: Counter[str] = Counter()  # functions by qualified name
        self._mentioned: set[str] = set()
        self._imports: set[str] = set()
        self._docs: list[str] = []
        self._tests: list[_Test] = []
        self._scope = ""  # what precedes the names in it
        self._above: tuple[str, ...] | None = ()  # classes around, while functions here may be parts of their own

    def source(self, tree: ast.Module, whole: bytes) -> Source:
        """Return what is in a tree, whose bytes have the digest `whole`."""
        frame: list[str] = []
        self._block(tree, frame, "")
        heads = list(frame)
        for test in self._tests:
            own = self._seen[test.qualified] == 1 and self._mentioned.isdisjoint((test.name, *test.above))
            self._parts[test.key] = _digest([*test.head, *test.body] if own else test.body)
            heads += test.head
            if not own:
                frame += test.head
        self._parts[FRAME], self._parts[MODULE] = _digest(frame), _digest(heads)
        # `<frame>` and the tests' own parts say no more than `<module>` and these do
        self._parts[ALL] = _digest([f"{key} {part.hex()}" for key, part in sorted(self._parts.items()) if key != FRAME])
        self._parts[DOC] = _digest(self._docs)
        self._parts[BYTES] = whole
        return Source(
            self._parts, self._places, frozenset(self._classes), imports=frozenset(self._imports),
            reads_docs=not _DOC_READERS.isdisjoint(self._mentioned | self._imports),
            dynamic=not _IMPORTERS.isdisjoint(self._mentioned | self._imports),
        )  # fmt: skip

    def _block(self, owner: Any, out: list[str], name: str) -> None:
        """Write the statements of a module, class or function; a docstring is kept apart."""
        body = owner.body
        first = body[0] if body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            self._docs.append(f"{name} {first.value.value!r}")
            body = body[1:]
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                self._write(node, out)
            else:
                above, self._above = self._above, None  # what is defined under a condition stays where it is
                self._write(node, out)
                self._above = above

    def _write(self, node: ast.AST, out: list[str]) -> None:
        """Write a node without its position."""
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self._function(node, out)
            return
        out.append(node.__class__.__name__)
        if isinstance(node, ast.ClassDef):
            self._class(node, out)
            return
        if isinstance(node, ast.Constant):
            self._constant(node.value, out)
            return
        if isinstance(node, ast.Import | ast.ImportFrom):
            self._import(node)
        self._fields(node, node._fields, out)

    def _fields(self, node: ast.AST, names: Iterable[str], out: list[str]) -> None:
        values = node.__dict__
        for name in names:
            value = values.get(name)
            if isinstance(value, list):
                out.append("[")
                for item in value:
                    self._value(item, out)
                out.append("]")
            else:
                self._value(value, out)

    def _value(self, value: Any, out: list[str]) -> None:
        if isinstance(value, ast.AST):
            self._write(value, out)
        elif isinstance(value, str):  # an identifier
            self._mentioned.add(value)
            out.append(value)
        else:
            out.append(repr(value))

    def _constant(self, value: Any, out: list[str]) -> None:
        if isinstance(value, str):
            if value.isidentifier():  # getattr, monkeypatch …
                self._mentioned.add(value)
            out.append(repr(value))
        else:
            out.append(hex(value) if type(value) is int else repr(value))  # no limit to its digits

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        named = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom) and node.module:
            named.append(node.module)
        for name in named:
            self._imports.update(name.split("."))

    def _class(self, node: ast.ClassDef, out: list[str]) -> None:
        out.append(node.name)
        self._fields(node, [name for name in node._fields if name not in ("name", "body")], out)
        scope, above, name = self._scope, self._above, self._scope + node.name
        self._classes.add(name)
        plain = (
            above is not None
            and not node.keywords
            and all(_tail(base) in _PLAIN_BASES for base in node.bases)
            and all(map(_harmless, node.decorator_list))
        )
        self._scope, self._above = name + ".", (*above, node.name) if plain and above is not None else None
        out.append("[")
        self._block(node, out, name)
        out.append("]")
        self._scope, self._above = scope, above

    def _function(self, node: _Function, out: list[str]) -> None:
        scope, above, name = self._scope, self._above, self._scope + node.name
        self._seen[name] += 1
        key = name if self._seen[name] == 1 else f"{name}#{self._seen[name]}"
        first = min([node.lineno, *(found.lineno for found in node.decorator_list)])
        self._places.append(Place(key, name, first, node.end_lineno or node.lineno))
        test = None
        if above is not None and node.name.startswith("test") and all(map(_harmless, node.decorator_list)):
            test = _Test(node.name, name, above, key)
            self._tests.append(test)
        head = test.head if test is not None else out
        head += (node.__class__.__name__, name)
        self._fields(node, [field for field in node._fields if field not in ("name", "body", "type_comment")], head)
        body = test.body if test is not None else []
        self._scope, self._above = name + ".<locals>.", None
        self._block(node, body, name)
        self._scope, self._above = scope, above
        if test is None:
            self._parts[key] = _digest(body)


def _digest(words: Iterable[str]) -> bytes:
    return digest("\0".join(words).encode("utf-8", "surrogatepass"))


def _tail(node: ast.expr) -> str:
    """Return the last part of a dotted name."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _harmless(node: ast.expr) -> bool:
    """Tell whether a decorator does no more than describe a test."""
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Call):
            node = node.func
        elif isinstance(node, ast.Attribute):
            node = node.value
        else:
            return False
    return node.id in _HARMLESS
