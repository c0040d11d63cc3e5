"""Where every function of a run stands, for any thread to read and to wait for. Runs in the user's process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping

from testd_daemon.workflows.status import FunctionStatus, has_final_state
from testd_daemon.workflows.testing.deduction import Deduced
from testd_daemon.workflows.testing.exceptions import UnknownFunction

__all__ = ["Board"]

log = logging.getLogger(__name__)


class Board:
    """The status of each function of a run, and the reason for it. Thread-safe."""

    def __init__(self, names: Iterable[str]) -> None:
        """Take the names of all function instances; each is pending."""
        self._changed = threading.Condition(threading.RLock())
        self._known = dict.fromkeys(names, Deduced(FunctionStatus.PENDING))
        self._reason = ""

    @property
    def over(self) -> bool:
        """Whether nothing changes any more."""
        return bool(self._reason)

    @property
    def reason(self) -> str:
        """Why nothing changes any more; empty while something may."""
        return self._reason

    def __getitem__(self, name: str) -> Deduced:
        """Return a function's status and the reason for it. Raises UnknownFunction."""
        with self._changed:
            if name not in self._known:
                raise UnknownFunction(name, self._known)
            return self._known[name]

    def statuses(self) -> dict[str, FunctionStatus]:
        """Return the status of each function, as of one moment."""
        with self._changed:
            return {name: each.status for name, each in self._known.items()}

    def update(self, found: Mapping[str, Deduced]) -> list[str]:
        """Take what has been found, and wake who waits. Returns the names of those that changed."""
        with self._changed:
            if self.over:
                return []
            changed = [name for name, each in found.items() if self._known[name].status is not each.status]
            self._known.update(found)
            self._changed.notify_all()
        for name in changed:
            log.info("%s: %s%s", name, found[name].status.value, f", {found[name].why}" if found[name].why else "")
        return changed

    def end(self, reason: str, rest: Callable[[str], Deduced] | None = None) -> None:
        """Note that nothing changes any more. `rest`: what becomes of a function that has no final status."""
        with self._changed:
            if self.over:
                return
            open_ends = [name for name, each in self._known.items() if not has_final_state(each.status)]
            if rest is not None:
                self._known |= {name: rest(name) for name in open_ends}
            self._reason = reason
            self._changed.notify_all()
        log.info("%s", reason)

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until something holds, or nothing changes any more. Returns whether it holds then."""
        with self._changed:
            self._changed.wait_for(lambda: predicate() or self.over, timeout)
        return predicate()
