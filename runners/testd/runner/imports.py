"""The record of modules: which file each came from, and who imported whom. Runs in stems and workers.

Every import statement goes through `builtins.__import__`, also for modules that are loaded already, so a wrapper there
sees every edge of the graph. The wrapper must not show: `warnings` skips frames of the import machinery when it looks
for the place to blame, and the interpreter removes them from tracebacks; both go by the file name of the code. So the
wrapper is compiled under that name.
"""

import builtins
import importlib
import sys
from typing import Any, Dict, List, Set, Tuple

__all__ = ["ImportRecord"]

_WRAPPERS = """
def wrap_import(original, note):
    def __import__(name, globals=None, locals=None, fromlist=(), level=0):
        __tracebackhide__ = True
        module = original(name, globals, locals, fromlist, level)
        if globals is not None:
            note(globals, name, fromlist, level)
        return module
    return __import__

def wrap_import_module(original, note, frame):
    def import_module(name, package=None):
        __tracebackhide__ = True
        module = original(name, package)
        note(frame(1).f_globals, module.__name__, (), 0)
        return module
    return import_module
"""

Edge = Tuple[str, str, str, Tuple[str, ...], int]


class ImportRecord:
    """Who imported whom, from when it was installed."""

    def __init__(self) -> None:
        """Start with nothing recorded."""
        self._edges: Set[Edge] = set()
        self._told_edges: Set[Tuple[str, str]] = set()
        self._told_files: Set[str] = set()

    def install(self) -> None:
        """Begin to record. Stays for the life of the process and of all that are forked from it."""
        made: Dict[str, Any] = {}
        code = compile(_WRAPPERS, "<frozen importlib._bootstrap>", "exec")
        exec(code, made)  # noqa: S102 - our own text, above
        note = self._note
        builtins.__import__ = made["wrap_import"](builtins.__import__, note)
        importlib.import_module = made["wrap_import_module"](importlib.import_module, note, sys._getframe)

    def _note(self, importer: Dict[str, Any], name: str, fromlist: Any, level: int) -> None:
        try:
            self._edges.add(
                (
                    importer.get("__name__", ""),
                    importer.get("__package__") or "" if level else "",
                    name,
                    tuple(fromlist) if fromlist else (),
                    level,
                )
            )
        except TypeError:  # globals or names of no usual kind: nothing that a module graph could hold
            return

    def drain(self) -> "Tuple[Dict[str, str], Dict[str, List[str]]]":
        """Return what is new since the last call: module → file, and importer → what it imported."""
        edges, self._edges = self._edges, set()
        imports: Dict[str, List[str]] = {}
        for importer, package, name, fromlist, level in edges:
            for imported in _resolve(package, name, fromlist, level):
                edge = (importer, imported)
                if edge not in self._told_edges and importer != imported:
                    self._told_edges.add(edge)
                    imports.setdefault(importer, []).append(imported)
        files: Dict[str, str] = {}
        for module, loaded in list(sys.modules.items()):
            if module not in self._told_files:
                self._told_files.add(module)
                file = _file_of(loaded)
                if file:
                    files[module] = file
        return files, imports


def _resolve(package: str, name: str, fromlist: "Tuple[str, ...]", level: int) -> "List[str]":
    """Return the names of the loaded modules that one import statement reached."""
    if level:
        base = package.rsplit(".", level - 1)[0] if level > 1 else package
        name = base + "." + name if name else base
    reached = [name]
    while "." in name:
        name = name.rpartition(".")[0]
        reached.append(name)
    whole = reached[0]
    reached.extend(whole + "." + part for part in fromlist if isinstance(part, str))
    return [module for module in reached if module in sys.modules]


def _file_of(module: Any) -> str:
    """Return a module's source file, without running a module's own `__getattr__`."""
    try:
        namespace = object.__getattribute__(module, "__dict__")
    except AttributeError:
        return ""
    file = namespace.get("__file__")
    return file if isinstance(file, str) else ""
