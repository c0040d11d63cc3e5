"""The project's callbacks for the `action` of an item: called before the item's own function. Runs in the worker.

`[tool.testd] actions = {"test_run" = "tools.hooks:prepare"}` names them. An action that nobody has registered calls
nothing.
"""

from __future__ import annotations

from testd.functions.resolving import CannotRun, function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Mapping

__all__ = ["act"]


def act(item: Dict[str, Any], actions: Mapping[str, str]) -> None:
    """Call what is registered for an item's action with the item, which it may change.

    Raises:
        CannotRun: it is not there, or raised something.
    """
    action = item.get("action") or ""
    place = actions.get(action)
    if place is None:
        return
    module, _, name = place.partition(":")
    callback = function({"module_name": module, "function_name": name})
    try:
        callback(item)
    except Exception as error:
        text = f"The callback {place} of the action {action!r} raised {type(error).__name__}: {error}"
        raise CannotRun(text, error) from None
