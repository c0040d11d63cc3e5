"""What user code imports from testd: `traced`, `Skip`, `current_test`, and the `assertions` package.

Loaded in the user's processes on every target, so it costs nothing: each name is imported when it is first used.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from testd import assertions
    from testd.context import Context, NoTest, Skip, current_test
    from testd.tracing.decorator import traced

__all__ = ["Context", "NoTest", "Skip", "assertions", "current_test", "traced"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'testd' has no attribute {name!r}; it has {', '.join(__all__)}")
    import importlib

    if name == "assertions":
        return importlib.import_module("testd.assertions")
    home = "testd.tracing.decorator" if name == "traced" else "testd.context"
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> "list[str]":
    return sorted({*globals(), *__all__})
