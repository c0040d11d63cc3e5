"""Which modules are to be loaded ahead, and which stem has them. Runs in the supervisor; standard library only.

What the project's last collection asked for comes first, what earlier ones did after it. A module that turned out to be
unfit is never tried again in the life of this runner, and with too many of them nothing is: each costs an attempt.
"""

from typing import Any, Dict, List, Optional

from testd.runner.children import StemChild

__all__ = ["Preloading"]

_MOST_UNFIT = 10


class Preloading:
    """The lists, and the stems: at most one that is loading and one that can be used."""

    def __init__(self) -> None:
        """Know of nothing."""
        self.ready: Optional[StemChild] = None
        self.loading: Optional[StemChild] = None
        self._wanted: List[str] = []
        self._unfit: List[str] = []

    def want(self, modules: "List[str]", others: "List[str]") -> None:
        """Take what a collection has asked for, in that order, and for which `others` the circumstances were others."""
        known = {*modules, *others}
        wanted = [*modules, *(name for name in self._wanted if name not in known)]
        self._wanted = [name for name in wanted if name not in self._unfit]

    @property
    def due(self) -> bool:
        """Whether it is worth it to load ahead now."""
        has = self.ready.order["modules"] if self.ready is not None else []
        return self.loading is None and len(self._unfit) <= _MOST_UNFIT and not set(has).issuperset(self._wanted)

    def begin(self, stem: StemChild) -> "Dict[str, Any]":
        """Have a stem load them. Returns the order for it."""
        self.loading = stem
        stem.order = {"type": "Advance", "to": "ahead", "modules": self._wanted, "unfit": self._unfit}
        return stem.order

    def loaded(self) -> None:
        """The one that was loading can be used."""
        self.ready, self.loading = self.loading, None

    def spoiled(self, module: str) -> None:
        """Take that a module must not be loaded ahead."""
        self._unfit = [*self._unfit, module]
        self._wanted = [name for name in self._wanted if name != module]

    def forget(self, stem: "Optional[StemChild]" = None) -> None:
        """Do not count on a stem any more, or on any."""
        if stem in (None, self.ready):
            self.ready = None
        if stem in (None, self.loading):
            self.loading = None
