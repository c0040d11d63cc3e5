"""What a client knows of a watch: its generation, what fails as things stand, and with which details.

Runs in the client; imports our own constants. Events come in as the wire carries them; nothing is written.
"""

from __future__ import annotations

from testd_daemon.reports.base import BAD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Body = Mapping[str, Any]
    #: Test and target.
    Which = tuple[str, str]

#: Of the details of failing tests so many characters are kept, the newest: tracebacks may be long.
KEPT = 32 * 1024 * 1024
#: The verdicts that end a failure. A cancelled test stands as it did.
_GOOD = frozenset({"passed", "skipped", "xfailed", "xpassed"})
#: How the reason of a generation begins that another one took the place of.
_SUPERSEDED = "superseded"


class Watched:
    """The state of a watch."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.generation: Body = {}
        self.running = False
        self.standing: Body | None = None  # of the newest generation that came to its end
        self.exit_code: int | None = None  # what all tests together would exit with; None before that
        self.failing: dict[Which, tuple[str, str]] = {}  # verdict and message
        self.tests: dict[str, None] = {}  # those that had an outcome while we looked, once each
        self.targets: dict[str, None] = {}  # that took part, once each
        self._details: dict[Which, Sequence[Any]] = {}
        self._size = 0  # of the details, in characters
        self._failed: set[Which] = set()  # in this generation
        self._stands: Body | None = None  # the standing of this generation

    @property
    def waits(self) -> bool:
        """Whether nothing runs: it waits for a change."""
        return bool(self.generation) and not self.running

    @property
    def total(self) -> int:
        """How many tests there are; 0 where that is not known yet."""
        return int(self.standing["tests"]) if self.standing else 0

    def event(self, body: Body) -> None:
        """Take an event of the watch."""
        kind = body["type"]
        if kind == "Outcomes":
            self._outcomes(body["rows"])
        elif kind == "TargetReady":
            self.targets[body["target"]] = None
        elif kind == "GenerationStarted":
            self.generation, self.running = body, True
            self._failed, self._stands = set(), None
        elif kind == "Standing":
            self._stands = body
            listed = {(row[0], row[1]): (row[2], row[3]) for row in body["failing"]}
            self.failing = listed if not body["more"] else {**self.failing, **listed}
        elif kind == "RunCompleted":
            self._completed(body)

    def detail(self, which: Which) -> Sequence[Any] | None:
        """Return the newest row of a failing test; None where it failed before we looked, or there was no room."""
        return self._details.get(which)

    def still(self) -> list[tuple[str, str, str, str]]:
        """List what fails and did not run in this generation: test, target, verdict, message."""
        return [(*which, *said) for which, said in self.failing.items() if which not in self._failed]

    def _outcomes(self, rows: Sequence[Sequence[Any]]) -> None:
        tests, failing = self.tests, self.failing
        for row in rows:
            tests[row[0]] = None
            if row[2] in BAD:
                self._fails(row)
            elif failing and row[2] in _GOOD and (which := (row[0], row[1])) in failing:
                del failing[which]
                self._forget(which)

    def _fails(self, row: Sequence[Any]) -> None:
        which, detail = (row[0], row[1]), row[6] or {}
        self._failed.add(which)
        self.failing[which] = (row[2], str(detail.get("message") or ""))
        self._forget(which)
        self._details[which] = row
        self._size += _size(detail)
        while self._size > KEPT:
            self._forget(next(iter(self._details)))

    def _forget(self, which: Which) -> None:
        row = self._details.pop(which, None)
        if row is not None:
            self._size -= _size(row[6] or {})

    def _completed(self, body: Body) -> None:
        self.running = False
        if superseded(body):
            return
        self.standing = self._stands or self.standing
        code = int(body["exit_code"])
        if self._stands is not None and code in (0, 1, 5):
            code = 1 if self.failing else 0 if self._stands["tests"] else code
        self.exit_code = code


def _size(detail: Body) -> int:
    """Say about how many characters a failure's details have."""
    sections = sum(len(section["text"]) for section in detail.get("sections") or ())
    return len(detail.get("text") or "") + len(detail.get("stacks") or "") + sections


def superseded(body: Body) -> bool:
    """Whether a `RunCompleted` is of a generation that another one has taken the place of."""
    return str(body.get("reason") or "").startswith(_SUPERSEDED)


__all__ = ["KEPT", "Watched", "superseded"]
