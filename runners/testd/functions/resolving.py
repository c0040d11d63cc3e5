"""From a document to what is called and with what. Runs in the worker, and in the stem to import modules ahead.

Whatever cannot be called is told by `CannotRun`: it is the item's or the case's own error, and nobody else's.
"""

from __future__ import annotations

import importlib
import os
import sys
from operator import attrgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

__all__ = ["CannotRun", "arguments", "function", "module", "where"]


class CannotRun(Exception):
    """A function or code cannot be run at all: says why. `cause` is the exception behind it, if there is one."""

    def __init__(self, text: str, cause: Optional[BaseException] = None) -> None:
        """Keep what is told."""
        super().__init__(text)
        self.cause = cause


def where(part: Dict[str, Any]) -> Dict[str, Any]:
    """Return what says what an item or a case is to call: the map with `function_meta` or `code`."""
    found = part.get("function_to_execute", part)
    return found if isinstance(found, dict) else {}


def module(meta: Dict[str, Any]) -> Any:
    """Import the module of a `function_meta`. `__main__` is the module that its file is.

    Raises:
        CannotRun: it cannot be imported.
    """
    name, file = meta["module_name"], meta.get("file_name") or ""
    wanted = name
    if name == "__main__":
        wanted = os.path.splitext(os.path.basename(file.replace("\\", "/")))[0]
        folder = os.path.dirname(os.path.abspath(file))
        if not wanted:
            raise CannotRun("module_name is __main__, and no file_name says which file that is")
        if os.path.isdir(folder) and folder not in sys.path:
            sys.path.append(folder)
    try:
        return importlib.import_module(wanted)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # whatever the module raises is the case's own error
        kind = "" if isinstance(error, ImportError) else f"{type(error).__name__}: "
        text = f"Could not import module {wanted}.\nOriginal Module: {name}\nFile Name: {file}\nError: {kind}{error}"
        raise CannotRun(text, error) from None


def function(meta: Dict[str, Any]) -> Callable[..., Any]:
    """Return the function of a `function_meta`, its module imported; of a method the name is dotted.

    Raises:
        CannotRun: there is no such function, or it cannot be called.
    """
    home, path = module(meta), meta["function_name"]
    try:
        found = attrgetter(path)(home)
    except AttributeError as error:
        raise CannotRun(
            f"Could not get function ({path}) by name: {home.__name__} has no {path}{_near(path, home)}. "
            f"Make sure that it exists in {meta.get('file_name') or getattr(home, '__file__', home.__name__)}.",
            error,
        ) from None
    if not callable(found):
        raise CannotRun(f"{path} in {home.__name__} is no function: it is {type(found).__name__}")
    return found  # type: ignore[no-any-return]  # it is callable


def arguments(given: Any) -> Tuple[List[Any], Dict[str, Any]]:
    """Return the positional and the keyword arguments that `input_to_pass` means.

    A list is `[*positional, {keyword: value}]`; a map is the keywords alone.

    Raises:
        CannotRun: it is neither, or the list does not end with a map.
    """
    if isinstance(given, dict):
        return [], dict(given)
    positional, keywords = (given[:-1], given[-1]) if given else ([], None)
    if not isinstance(keywords, dict):
        raise CannotRun(
            f"input_to_pass: {'missing' if given is None else repr(given)}: it ends with the map of keyword arguments; "
            "write [1, 2, {}] for f(1, 2), [{}] for f(), [1, {\"some\": 2}] for f(1, some=2)"
        )
    return list(positional), dict(keywords)


def _near(name: str, home: Any) -> str:
    import difflib

    close = difflib.get_close_matches(name, dir(home), n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""
