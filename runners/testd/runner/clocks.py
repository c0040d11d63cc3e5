"""Who looks at the clock before the first test: what is written down of it then is wrong for a test that runs later.

Runs in a process that prepares a command. Compiled code is searched; nothing is executed or replaced.
"""

import dis
import os
import sys
from types import CodeType, FunctionType
from typing import Any, Iterator, Optional

from testd.runner.imports import code_of

__all__ = ["looks_at_clock", "who_looks_at_clock"]

_CLOCKS = {
    "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time", "now", "utcnow",
    "today", "localtime", "gmtime", "ctime", "strftime",
}  # fmt: skip
#: Hooks that are called after the first test began.
_LATER = (
    "pytest_runtest", "pytest_fixture_", "pytest_sessionfinish", "pytest_terminal_summary", "pytest_unconfigure",
    "pytest_report_teststatus", "pytest_exception", "pytest_assert", "pytest_warning", "pytest_pyfunc",
)  # fmt: skip
_IS_FUNCTION = 1  # CO_OPTIMIZED: not the body of a module or a class
_NAMES = ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_DEREF", "LOAD_FAST")
#: Plugins that look at the clock only where this option or setting of theirs asks for it.
_ON_DEMAND = {"pytest_timeout": "session_timeout"}


def who_looks_at_clock(config: Any) -> str:
    """Return a plugin's function or a module of the project that does, nothing where none does. pytest itself may."""
    for plugin in config.pluginmanager.get_plugins():
        option = _ON_DEMAND.get(getattr(plugin, "__name__", ""))
        if option and not config.getoption(option, None) and not config.getini(option):
            continue
        for function in _early(plugin):
            if looks_at_clock(function.__code__, everywhere=True):
                return f"{function.__module__}.{function.__name__}"
    root = str(config.rootpath) + os.sep
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__dict__", {}).get("__file__")
        if isinstance(file, str) and file.startswith(root) and "site-packages" not in file:
            code = code_of(file)
            if code is not None and looks_at_clock(code, everywhere=False):
                return name
    return ""


def _early(plugin: Any) -> "Iterator[FunctionType]":
    """Yield the hooks of a plugin that are called before the first test, and what makes it."""
    module = plugin.__name__ if hasattr(plugin, "__name__") else type(plugin).__module__
    if module.startswith(("_pytest.", "testd.")):
        return
    for name in dir(plugin):
        if name == "__init__" or (name.startswith("pytest_") and not name.startswith(_LATER)):
            function = getattr(plugin, name, None)
            function = getattr(function, "__func__", function)
            if isinstance(function, FunctionType):
                yield function


def looks_at_clock(code: CodeType, *, everywhere: bool) -> bool:
    """Tell whether code calls a clock; `everywhere`: also in functions that it defines, and not only in classes.

    Counted are `time.time()`, `datetime.now(zone)`, `perf_counter()`; not `time(12, 30)`, which is a time of day.
    """
    clock: Optional[dis.Instruction] = None  # the one that has just been loaded
    for instruction in dis.get_instructions(code):
        if instruction.opname == "PUSH_NULL":
            continue
        if clock is not None and instruction.opname.startswith(("CALL", "PRECALL")) and not instruction.arg:
            return True
        clock = None
        if instruction.argval in _CLOCKS:
            if _is_method(instruction) and instruction.argval != "time":
                return True
            if instruction.opname in (*_NAMES, "LOAD_METHOD", "LOAD_ATTR"):
                clock = instruction
    return any(
        looks_at_clock(constant, everywhere=everywhere)
        for constant in code.co_consts
        if isinstance(constant, CodeType) and (everywhere or not constant.co_flags & _IS_FUNCTION)
    )


def _is_method(instruction: dis.Instruction) -> bool:
    """Tell whether an attribute is loaded in order to be called."""
    if instruction.opname == "LOAD_METHOD":
        return True
    return instruction.opname == "LOAD_ATTR" and sys.version_info >= (3, 12) and bool((instruction.arg or 0) & 1)
