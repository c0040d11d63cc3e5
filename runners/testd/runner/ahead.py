"""Modules loaded ahead of time: those from outside of the project that its last collection has imported. Runs in stems.

A stem at *plugins* is forked, and the fork imports them. Then they are hidden: nothing of them is in `sys.modules` or
an attribute of a package until user code asks for one. The import system then meets our finder (`imports.py`) as for
any module that is not loaded, and gets the one that was loaded, with all that its import had brought, at once.

What is loaded ahead is only what would be the same later. A module is a candidate if, when the project first asked for
it, the circumstances were those of *plugins*; whether its import itself leaves them alone, warns of nothing and starts
no thread is seen when it is loaded ahead. Where they are others when it is asked for again (a conftest file now sets a
variable before it), what is being loaded cannot be right: the stem says so and ends, and all goes its natural way.
"""

import importlib
import os
import sys
import warnings
from importlib.machinery import ModuleSpec
from pkgutil import get_importer
from types import FrameType, ModuleType
from typing import Any, Callable, Dict, FrozenSet, List, Optional, Tuple

__all__ = ["Ahead"]

#: What programs replace to change how others work (gevent, freezegun, fakes for tests): looked at where it is loaded.
_REPLACED = (
    ("builtins", "__import__ print exec"),
    ("datetime", "datetime date"),
    ("os", "fork getenv urandom"),
    ("select", "select"),
    ("socket", "socket create_connection getaddrinfo"),
    ("ssl", "SSLContext SSLSocket"),
    ("subprocess", "Popen run"),
    ("sys", "excepthook displayhook"),
    ("threading", "Thread Lock local"),
    ("time", "time sleep monotonic"),
)


class _Circumstances:
    """What an import may look at, as it is now."""

    def __init__(self) -> None:
        self._environment = dict(_environment())
        self._path = list(sys.path)
        self._finders = list(sys.meta_path)
        self._hooks = list(sys.path_hooks)
        self._folder = _folder()
        self._marks = _marks()
        self._replaced = _replaced({})

    def hold(self, inside: "Callable[[str], bool]", hidden: "Dict[str, int]") -> bool:
        """Tell whether an import from outside would go now as it did then; `hidden` are the names that are to come.

        A project's own folders are no matter on the path, nor is a finder that is asked when all others have failed.
        """
        marks = _marks() - self._marks
        return (
            self._environment == _environment()
            and self._path == [entry for entry in sys.path if entry in self._path or not inside(entry)]
            and self._finders == sys.meta_path[: len(self._finders)]
            and self._hooks == sys.path_hooks
            and self._folder == _folder()
            and all(_replaced(self._replaced)[name] is found for name, found in self._replaced.items())
            and not any(name == mark or name.startswith(mark + ".") for mark in marks for name in hidden)
        )

    def update(self) -> None:
        """Take what can be replaced in modules that have been loaded since."""
        self._replaced = _replaced({})

    def unmoved(self) -> bool:
        """Tell whether nothing at all has changed."""
        now = _Circumstances()
        replaced = all(now._replaced.get(name) is found for name, found in self._replaced.items())
        return replaced and all(
            getattr(self, name) == getattr(now, name)
            for name in ("_environment", "_path", "_finders", "_hooks", "_folder", "_marks")
        )


class _Step:
    """What one import has brought."""

    __slots__ = ("filters", "modules", "parents")

    def __init__(self, modules: "Dict[str, ModuleType]", filters: "List[Any]") -> None:
        self.modules = modules
        self.filters = filters  # of warnings, the newest first
        self.parents: Dict[str, ModuleType] = {}  # whose attribute a module was, by the module's name

    def hide(self) -> None:
        for name, module in self.modules.items():
            parent, _, last = name.rpartition(".")
            above = self.modules.get(parent) or sys.modules.get(parent)
            if isinstance(above, ModuleType) and above.__dict__.get(last) is module:
                self.parents[name] = above
        for name, above in self.parents.items():
            del above.__dict__[name.rpartition(".")[2]]

    def show(self) -> None:
        for name, module in self.modules.items():
            sys.modules.setdefault(name, module)
            if name in self.parents:
                self.parents[name].__dict__.setdefault(name.rpartition(".")[2], module)
        for action, message, category, module_name, line in reversed(self.filters):
            warnings.filterwarnings(
                action,
                message.pattern if message else "",
                category,
                module_name.pattern if module_name else "",
                line,
            )


class Ahead:
    """The candidates of this process, and what was loaded ahead for it."""

    def __init__(self, root: str, spoiled: "Callable[[str], None]") -> None:
        """Have none yet. `spoiled` is told of a module that this process must not have been given."""
        self._root = root.rstrip("/") + "/"
        self._spoiled = spoiled
        environments = {folder.rstrip("/") + "/" for folder in (sys.prefix, sys.base_prefix)}
        self._installed = tuple(folder for folder in environments if folder.startswith(self._root))
        self._circumstances: Optional[_Circumstances] = None
        self._asked: Dict[str, bool] = {}  # by the project, in order; whether the circumstances held
        self._steps: List[_Step] = []
        self._hidden: Dict[str, int] = {}  # name → step
        self._shown = 0  # steps that are not hidden any more
        self.loading = False  # a checkpoint is being reached: what is wrong can still be made anew

    def settle(self) -> None:
        """Take the circumstances as they are now for those that imports must find."""
        self._circumstances = _Circumstances()

    # ── what is worth it ─────────────────────────────────────────────────────────────────────────────────────────────

    def find(self, name: str, asker: FrameType) -> "Optional[ModuleSpec]":
        """Return how to get a module that was loaded ahead, when its import begins."""
        if self._circumstances is None:
            return None
        step = self._hidden.get(name)
        if step is None and (not self.loading or name in self._asked or self._within(asker)):
            return None
        held = self._circumstances.hold(self._inside, self._hidden)
        self._asked.setdefault(name, held)
        if step is None:
            return None
        if self.loading and not (held and not self._shadowed(step)):
            self._spoiled(name)
        return ModuleSpec(name, self)  # type: ignore[arg-type]  # a loader by its methods, the class is but abstract

    def hides(self, name: str) -> bool:
        """Tell whether a module has been loaded ahead, and nobody has asked for it."""
        return name in self._hidden

    def candidates(self) -> "Tuple[List[str], List[str]]":
        """Return the modules from outside that the project asked for, in that order; last those that are no candidates.

        These are the ones for which the circumstances did not hold.
        """
        outside = [
            name
            for name in self._asked
            if isinstance(sys.modules.get(name), ModuleType) and not self._inside(_place(sys.modules[name]))
        ]
        return [name for name in outside if self._asked[name]], [name for name in outside if not self._asked[name]]

    def _shadowed(self, step: int) -> bool:
        """Tell whether the project has a module now whose name is that of one to come."""
        names = {name.partition(".")[0] for found in self._steps[self._shown : step + 1] for name in found.modules}
        finders = [get_importer(entry) for entry in sys.path if self._inside(entry)]
        specs = (finder.find_spec(name) for finder in finders if finder is not None for name in names)
        return any(spec is not None and spec.loader is not None for spec in specs)

    def _within(self, asker: "Optional[FrameType]") -> bool:
        """Tell whether this import is a part of another one of a module from outside."""
        while asker is not None:
            path = asker.f_code.co_filename
            if self._inside(path):
                return False
            if asker.f_code.co_name == "<module>" and not path.startswith("<"):
                return True
            asker = asker.f_back
        return False

    def _inside(self, path: str) -> bool:
        return (path + "/").startswith(self._root) and not path.startswith(self._installed)

    # ── loading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def load(self, names: "List[str]", unfit: "List[str]", unsafe: "Callable[[], str]") -> str:
        """Import these modules. Returns the first that must not be loaded ahead, after which this process is no use.

        `unfit` are those of which that is known; `unsafe` says why the process could not be forked any more.
        """
        for name in names:
            if name not in sys.modules and not (self._load(name, unfit) and not unsafe()):
                return name
        return ""

    def _load(self, name: str, unfit: "List[str]") -> bool:
        before = set(sys.modules)
        circumstances = _Circumstances()
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            filters = list(warnings.filters)
            try:
                importlib.import_module(name)
            except BaseException:  # user code runs here, and what it raises it may not raise later
                return False
            added = warnings.filters[: max(0, len(warnings.filters) - len(filters))]
            if warned or list(warnings.filters) != [*added, *filters]:
                return False
        modules = {found: module for found, module in sys.modules.items() if found not in before}
        self._steps.append(_Step(modules, list(added)))
        return circumstances.unmoved() and all(
            isinstance(module, ModuleType) and found not in unfit and not self._inside(_place(module))
            for found, module in modules.items()
        )

    def hide(self) -> None:
        """Take what was loaded away, until it is asked for."""
        assert self._circumstances is not None
        self._circumstances.update()
        for number, step in enumerate(self._steps):
            step.hide()
            for name in step.modules:
                self._hidden[name] = number
        for name in self._hidden:
            del sys.modules[name]

    # ── the loader ───────────────────────────────────────────────────────────────────────────────────────────────────

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module that was loaded ahead, as the import system's loaders do."""
        module = self._steps[self._hidden[spec.name]].modules[spec.name]
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Bring back all that was loaded until this module was: its own imports, and what they may rely on."""
        spec = module.__spec__
        assert spec is not None
        module.__spec__ = spec.loader_state
        for step in self._steps[self._shown : self._hidden[spec.name] + 1]:
            for name in step.modules:
                del self._hidden[name]
            step.show()
            self._shown += 1


def _environment() -> "Dict[Any, Any]":
    return getattr(os.environ, "_data", None) or dict(os.environ)


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""


def _marks() -> "FrozenSet[str]":
    """Return the modules whose assertions pytest rewrites: its own finder comes first, and finds them."""
    return frozenset(mark for finder in sys.meta_path for mark in getattr(finder, "_must_rewrite", ()))


def _replaced(known: "Dict[Tuple[str, str], Any]") -> "Dict[Tuple[str, str], Any]":
    """Return what programs like to replace, where its module is loaded; what is `known` and is not loaded stays."""
    found = dict(known)
    for name, attributes in _REPLACED:
        module = sys.modules.get(name)
        if module is not None:
            found.update(((name, attribute), module.__dict__.get(attribute)) for attribute in attributes.split())
    return found


def _place(module: Any) -> str:
    """Return a module's file, or a folder of it where it has none; nothing for what is built in."""
    namespace = object.__getattribute__(module, "__dict__")
    for place in (namespace.get("__file__"), *namespace.get("__path__", ())):
        if isinstance(place, str):
            return place
    return ""
