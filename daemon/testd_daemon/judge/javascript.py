"""Assertions in JavaScript: a function that gets the executed function. Runs in the judge's process.

The engine is QuickJS, an extra. Each assertion has a context of its own, with limits, and nothing in it by which
anything outside of it can be reached: no files, no network, no timers, no modules.
"""

from __future__ import annotations

import importlib
import json
import time
from typing import Any, Final

from testd.functions.operators import AssertionMistake

__all__ = ["MEMORY", "TIME", "holds"]

#: Seconds of processor that one assertion may take, and bytes that it may hold, its executed function included.
TIME: Final = 1.0
MEMORY: Final = 64 * 1024 * 1024
STACK: Final = 512 * 1024

_MISSING: Final = (
    "code in JavaScript needs an engine: install testd[js] where testd itself is installed, or write the assertion in "
    'Python ("language": "python")'
)
_TOO_LONG: Final = f"code ran for more than {TIME:g} s"
#: What runs the function: `[verdict, text]` goes to `said`. A promise is followed to its end.
_CALL: Final = """
(function (check, executed) {
  const text = (value) => { try { return JSON.stringify(value) ?? String(value); } catch { return String(value); } };
  const returned = (value) => {
    globalThis.said = value === undefined || value ? ['holds', ''] : ['returned', text(value)];
  };
  const threw = (error) => {
    const plain = error instanceof Error && ['Error', 'AssertionError'].includes(error.name);
    globalThis.said = ['threw', plain ? error.message : error instanceof Error ? String(error) : text(error)];
  };
  if (typeof check !== 'function') { globalThis.said = ['none', '']; return; }
  try {
    const value = check(executed);
    if (value instanceof Promise) value.then(returned, threw); else returned(value);
  } catch (error) { threw(error); }
})
"""


def holds(source: str, executed: dict[str, Any]) -> str:
    """Return why an assertion does not hold, nothing if it does: it throws nothing, and returns true, or nothing.

    Raises:
        AssertionMistake: there is no engine, the source is no function, or it went beyond a limit.
    """
    try:
        engine = importlib.import_module("quickjs")
    except ImportError:
        raise AssertionMistake(_MISSING) from None
    context = engine.Context()
    context.set_memory_limit(MEMORY)
    context.set_max_stack_size(STACK)
    context.set_time_limit(TIME)
    try:
        check = _function(context, engine.JSException, source)
        context.eval(_CALL)(check, context.parse_json(json.dumps(executed)))
        _settle(context)
        said = context.eval("globalThis.said === undefined ? '' : JSON.stringify(globalThis.said)")
    except engine.JSException as error:
        raise AssertionMistake(_limit(str(error))) from None
    return _verdict(json.loads(said) if said else ["never", ""])


def _settle(context: Any) -> None:
    """Carry out what promises wait for. Each step alone has the engine's limit; all of them together have the same."""
    end = time.process_time() + TIME
    while context.execute_pending_job():
        if time.process_time() > end:
            raise AssertionMistake(_TOO_LONG)


def _function(context: Any, problem: type[Exception], source: str) -> Any:
    """Return what the source is: an expression that is a function, or a script whose last statement is one."""
    try:
        return context.eval(f"(\n{source}\n)")
    except problem as error:
        if not str(error).startswith("SyntaxError"):
            raise
    return context.eval(source)


def _verdict(said: list[str]) -> str:
    verdict, text = said
    if verdict == "none":
        raise AssertionMistake("code is no function: write (call) => …, or function (call) { … }")
    if verdict == "never":
        raise AssertionMistake("code returned a promise that nothing settles: there are no timers and no input")
    if verdict == "threw":
        return text or "The assertion's code threw an error."
    return f"The assertion's code returned {text}." if verdict == "returned" else ""


def _limit(text: str) -> str:
    """Return what is told of an error that no code could catch, or that came of no function."""
    first = text.partition("\n")[0]
    if first == "InternalError: interrupted":
        return _TOO_LONG
    if first == "InternalError: out of memory":
        return f"code took more than {MEMORY // 1024 // 1024} MiB of memory"
    return f"code cannot be used: {first}"
