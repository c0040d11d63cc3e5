"""How long the import of test modules takes within a collection by pytest. Runs in stems, while they collect."""

import time
from types import TracebackType
from typing import Any, Callable, Optional, Type

__all__ = ["ImportTime"]


class ImportTime:
    """Measures inside a `with` block; `seconds` is the sum."""

    def __init__(self) -> None:
        """Measure nothing yet."""
        self.seconds = 0.0
        self._holder: Any = None
        self._name = ""
        self._original: Any = None

    def __enter__(self) -> "ImportTime":  # noqa: PYI034  typing has no Self in 3.8
        """Put a clock around what imports a test module: a function from pytest 8 on, a method before."""
        import _pytest.python as python

        self._holder, self._name = python, "importtestmodule"
        if not hasattr(python, self._name):
            self._holder, self._name = python.Module, "_importtestmodule"
        self._original = getattr(self._holder, self._name, None)
        if self._original is not None:
            setattr(self._holder, self._name, self._timed(self._original))
        return self

    def __exit__(
        self, kind: "Optional[Type[BaseException]]", error: "Optional[BaseException]", trace: "Optional[TracebackType]"
    ) -> None:
        """Take the clock away."""
        if self._original is not None:
            setattr(self._holder, self._name, self._original)

    def _timed(self, original: "Callable[..., Any]") -> "Callable[..., Any]":
        def importing(*args: Any, **more: Any) -> Any:
            __tracebackhide__ = True
            began = time.perf_counter()
            try:
                return original(*args, **more)
            finally:
                self.seconds += time.perf_counter() - began

        return importing
