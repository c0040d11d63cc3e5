"""The record of modules: which file each came from, and who imported whom. Runs in stems and workers.

Two sources. A finder in front of `sys.meta_path` sees each module's first import, however it is written, and who asked
for it. Imports of what is loaded already never reach a finder, so the compiled code of the project's own modules is
searched for import statements. Nothing is wrapped: `builtins.__import__` in Python would add a frame to every failing
import, and programs look at that traceback.
"""

import contextlib
import marshal
import opcode
import sys
import warnings
from importlib.machinery import ModuleSpec, PathFinder
from types import CodeType, ModuleType
from typing import Any, Dict, Iterable, Iterator, List, Optional, Set, Tuple

from testd.runner.ahead import Ahead
from testd.runner.compiled import caches_of, drop_stale
from testd.runner.strangers import Strangers

__all__ = ["ImportRecord", "code_of", "file_of", "import_statements"]

_IMPORT_NAME = opcode.opmap["IMPORT_NAME"]
_LOAD_CONST = opcode.opmap["LOAD_CONST"]
_LOAD_SMALL_INT = opcode.opmap.get("LOAD_SMALL_INT", -1)  # from Python 3.14
_EXTENDED_ARG = opcode.EXTENDED_ARG
#: Bytes in front of the code in a .pyc file.
_PYC_HEADER = 16
_getframe, _open = sys._getframe, open  # taken before anybody can replace them


class ImportRecord:
    """Who imported whom, from when it was installed."""

    def __init__(self, root: str, ahead: Ahead) -> None:
        """Start with nothing recorded; modules whose file is below `root` are searched for import statements.

        `ahead` is shown every import, and may have loaded the module.
        """
        self._ahead = ahead
        self._root = root.rstrip("/") + "/"
        self._first: Set[Tuple[str, str]] = set()
        self._told: Set[Tuple[str, str]] = set()
        self._told_files: Set[str] = set()
        self._said: List[Tuple[str, str, List[str]]] = []
        self.strangers = Strangers(root)

    def install(self) -> None:
        """Begin to record. Stays for the life of the process and of all that are forked from it."""
        sys.meta_path.insert(0, self)

    def come_first(self) -> None:
        """Be asked before finders that have been put in front since: pytest's own finds what it rewrites."""
        sys.meta_path.remove(self)
        sys.meta_path.insert(0, self)

    def forget(self) -> None:
        """Take all that is loaded now as told: a forked process tells only what it imports itself."""
        self._first = set()
        self._told_files = set(sys.modules)

    def find_spec(self, name: str, path: Any = None, target: Optional[ModuleType] = None) -> Optional[ModuleSpec]:
        """Note who asks for a module that is not loaded yet, and leave it to the other finders.

        What they would find of the project is made sure to be no compiled code of an earlier text.
        Only what was loaded ahead is found here, and only for an import: who looks for a spec gets the real one.
        """
        frame = _getframe(1)
        importing = frame.f_back is not None and frame.f_back.f_code.co_name == "_find_and_load_unlocked"
        while frame.f_back is not None and "importlib" in frame.f_code.co_filename:
            frame = frame.f_back
        self._first.add((frame.f_globals.get("__name__", ""), name))
        drop_stale(name, path, self._root)
        return self._ahead.find(name, frame) if importing else None

    def failed(self) -> "List[str]":
        """Return the files of modules that were asked for and did not load: to repair one of them is a change."""
        found: Dict[str, Any] = {}
        missing = {name for _, name in self._first if name not in sys.modules and not self._ahead.hides(name)}
        for name in sorted(missing):
            parent = name.rpartition(".")[0]
            where = getattr(sys.modules.get(parent), "__path__", None)
            if where is None and parent:
                where = getattr(found.get(parent), "submodule_search_locations", None) or ()
            with contextlib.suppress(Exception):  # whatever finders of the project make of a name
                found[name] = PathFinder.find_spec(name, where)
        return [spec.origin for spec in found.values() if spec is not None and isinstance(spec.origin, str)]

    def outside(self) -> "List[List[Any]]":
        """Return the strangers among all that is loaded now: `[folder, how it got into reach, names]`."""
        self.strangers.settle()
        return self.strangers.among({name: file_of(module) for name, module in list(sys.modules.items())})

    def say(self, file: str, name: str, modules: "Iterable[str]") -> None:
        """Tell of a file that is no module, by a name for it, as if it were one that imports these modules."""
        self._said.append((file, name, sorted(modules)))

    def drain(self) -> "Tuple[Dict[str, str], Dict[str, List[str]]]":
        """Return what is new since the last call: module → file, and importer → what it imported."""
        edges, self._first = self._first, set()
        files: Dict[str, str] = {}
        for module, loaded in list(sys.modules.items()):
            if module not in self._told_files:
                self._told_files.add(module)
                file = file_of(loaded)
                if file:
                    files[module] = file
                    if file.startswith(self._root):
                        edges.update((module, imported) for imported in _imported_by(loaded, file))
        imports: Dict[str, List[str]] = {}
        said, self._said = self._said, []
        for file, name, named in said:
            files[name] = file
            imports[name] = [module for module in named if module in sys.modules]
        for importer, imported in sorted(edges - self._told):
            if imported in sys.modules and importer != imported:
                imports.setdefault(importer, []).append(imported)
        self._told |= edges
        return files, imports


def _imported_by(module: Any, file: str) -> "Iterator[str]":
    """Yield the names of loaded modules that a module's import statements name, at any depth of its code."""
    package = module.__dict__.get("__package__") or ""
    for name, fromlist, level in import_statements(code_of(file)):
        yield from _resolve(package, name, fromlist, level)


def code_of(file: str) -> "Optional[CodeType]":
    """Return a source file's compiled code: from where the interpreter or pytest keeps it, or compiled anew."""
    for path in caches_of(file):
        with contextlib.suppress(OSError, EOFError, ValueError, TypeError), open(path, "rb") as kept:
            code = marshal.loads(kept.read()[_PYC_HEADER:])  # noqa: S302 - the interpreter runs the same bytes
            return code if isinstance(code, CodeType) else None
    with contextlib.suppress(OSError, SyntaxError, ValueError), _open(file, "rb") as source, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whoever loaded it was warned
        return compile(source.read(), file, "exec", dont_inherit=True)
    return None  # changed since it was loaded, or no Python source at all


def import_statements(code: "Optional[CodeType]") -> "Iterator[Tuple[str, Tuple[str, ...], int]]":
    """Yield `(name, names after from, level)` of each import statement in compiled code and all code inside it."""
    if code is None:
        return
    constants = code.co_consts
    loaded: List[Any] = []  # constants in the order of their loading: level and fromlist come right before the import
    extended = 0
    raw = code.co_code
    for offset in range(0, len(raw), 2):
        operation = raw[offset]
        argument = raw[offset + 1] | extended
        extended = argument << 8 if operation == _EXTENDED_ARG else 0
        if operation == _LOAD_CONST:
            loaded.append(constants[argument])
        elif operation == _LOAD_SMALL_INT:
            loaded.append(argument)
        elif operation == _IMPORT_NAME:
            level, fromlist = (loaded[-2], loaded[-1]) if len(loaded) > 1 else (0, None)
            yield (
                code.co_names[argument],
                fromlist if isinstance(fromlist, tuple) else (),
                level if isinstance(level, int) else 0,
            )
    for constant in constants:
        if isinstance(constant, CodeType):
            yield from import_statements(constant)


def _resolve(package: str, name: str, fromlist: "Tuple[str, ...]", level: int) -> "List[str]":
    """Return the names of the loaded modules that one import statement reaches."""
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


def file_of(module: Any) -> str:
    """Return a module's source file, without running a module's own `__getattr__`."""
    try:
        namespace = object.__getattribute__(module, "__dict__")
    except AttributeError:
        return ""
    file = namespace.get("__file__")
    return file if isinstance(file, str) else ""
