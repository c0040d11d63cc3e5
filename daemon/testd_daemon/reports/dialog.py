"""What the keys of a watch do, and the line that says which there are.

Runs in the client of a watch; imports our own helpers. Pure: keys and what is known of the watch in; out come what the
daemon is asked for, what is to be seen in place of the run (`view`), and the line at the bottom.
"""

from __future__ import annotations

from testd_daemon.reports import spans, words
from testd_daemon.reports.edit import Edit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from testd_daemon.reports.edit import Key
    from testd_daemon.reports.spans import Line, Span
    from testd_daemon.reports.watched import Watched

    #: What the daemon is asked for: the `what` of a `Steer` and its other fields; or QUIT.
    Action = tuple[str, dict[str, Any]]

QUIT: Action = ("quit", {})

#: What is shown at the bottom is one of: the keys, a line that is being typed, a view with its own keys.
PROMPT, FILES, TESTS, FAILURE, HELP = "prompt", "files", "tests", "failure", "help"

#: The keys of the prompt as help tells them.
KEYS = (
    ("a, enter", "run all tests, of those that the filters leave"),
    ("f", "run what fails"),
    ("r", "run the same as last time"),
    ("p", "choose files, by a part of their path; of several, any will do"),
    ("t", "choose tests, by an expression as -k takes it"),
    ("c", "lift both filters; an empty line lifts its own"),
    ("u", "run what fails, and accept what snapshots show now"),
    ("o", "show what tests print, live, from the next run on; or capture it again"),
    ("d", "the failures in full, one at a time"),
    ("q, Ctrl-C", "quit"),
    ("?", "this"),
)


class Dialog:
    """The keys of one watch."""

    def __init__(self, watched: Watched, *, output: bool = False, without: str = "") -> None:
        """`output`: what tests print is shown. `without`: why there are no keys."""
        self.state = PROMPT
        self.index = 0  # of the failure that is shown
        self.output = output
        self.watched = watched
        self._without = without
        self._edit = Edit()
        self._typed = 0  # the number that is being typed
        self._hint = ""
        self._patterns: list[str] = []
        self._keyword = ""

    @property
    def view(self) -> tuple[str, int] | None:
        """What is to be seen in place of the run: help, or a failure by its index."""
        if self.state == FAILURE:
            failing = len(self.watched.failing)  # a run may go on meanwhile
            return (FAILURE, min(self.index, failing - 1)) if failing else None
        return (HELP, 0) if self.state == HELP else None

    @property
    def typing(self) -> bool:
        """Whether a line is being typed."""
        return self.state in (FILES, TESTS)

    def failures(self) -> list[tuple[str, str]]:
        """List the failing tests with their targets, in the order of their numbers."""
        return list(self.watched.failing)

    def began(self) -> None:
        """Take note of a new generation: what is shown in its place is left."""
        self._hint = ""
        if self.state in (FAILURE, HELP):
            self.state = PROMPT

    def key(self, key: Key) -> Action | None:
        """Take a key; return what it asks for."""
        self._hint = ""
        if self.typing:
            return self._type(key)
        name, text = key
        if self.state == HELP or (self.state == FAILURE and not self.watched.failing):
            self.state = PROMPT
            return None
        if self.state == FAILURE:
            self._choose(name, text)
            return None
        return self._command(text if name == "text" else name)

    # ── the prompt ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _command(self, key: str) -> Action | None:
        commands = {
            "a": self._all, "enter": self._all, "f": self._failed, "r": self._again, "u": self._update,
            "c": self._lift, "o": self._toggle, "q": self._quit,
        }  # fmt: skip
        command = commands.get(key)
        if command is not None:
            return command()
        if key in ("p", "t"):
            self.state = FILES if key == "p" else TESTS
            self._edit = Edit(" ".join(self._patterns) if key == "p" else self._keyword)
        elif key in ("?", "h"):
            self.state = HELP
        elif key == "d":
            self._details()
        elif key in ("burst", "paste"):
            self._hint = "pasted text is no key here; ? shows the keys"
        elif len(key) == 1:
            self._hint = f"{key} is no key here; ? shows them"
        return None

    def _all(self) -> Action | None:
        return ("all", {})

    def _failed(self) -> Action | None:
        return ("failed", {}) if self._fails() else None

    def _update(self) -> Action | None:
        return ("snapshots", {}) if self._fails() else None

    def _again(self) -> Action | None:
        return ("again", {})

    def _quit(self) -> Action | None:
        return QUIT

    def _toggle(self) -> Action | None:
        self.output = not self.output
        self._hint = f"what tests print is {'shown' if self.output else 'not shown'} from the next run on"
        return ("output", {"stream": self.output})

    def _lift(self) -> Action | None:
        if not self._patterns and not self._keyword:
            self._hint = "there is no filter"
            return None
        return self._filter([], "")

    def _details(self) -> None:
        if self._fails():
            self.state, self.index, self._typed = FAILURE, 0, 0

    def _fails(self) -> bool:
        if self.watched.failing or self.watched.standing is None:
            return bool(self.watched.failing)
        self._hint = "no test fails"
        return False

    def _filter(self, patterns: list[str], keyword: str) -> Action:
        self._patterns, self._keyword = patterns, keyword
        return ("filter", {"patterns": patterns, "keyword": keyword})

    # ── a line that is typed ─────────────────────────────────────────────────────────────────────────────────────────

    def _type(self, key: Key) -> Action | None:
        name, text = key
        if name == "burst" and "\n" in text:  # typed while nobody looked, with its end
            self._edit.key(("burst", text.partition("\n")[0]))
            name = "enter"
        if name == "escape":
            self.state = PROMPT
        elif name == "enter":
            return self._typed_line()
        else:
            self._edit.key((name, text))
        return None

    def _typed_line(self) -> Action:
        said = self._edit.text.strip()
        files, self.state = self.state == FILES, PROMPT
        return self._filter(said.split(), self._keyword) if files else self._filter(self._patterns, said)

    def _matching(self) -> str:
        """Say how many of the known tests the typed line matches; of an expression with operators nothing is said."""
        said, tests = self._edit.text.strip(), self.watched.tests
        if not said or not tests:
            return ""
        if self.state == FILES:
            patterns = said.split()
            files = {test.partition("::")[0] for test in tests}
            chosen = {file for file in files if any(pattern in file for pattern in patterns)}
            count = sum(1 for test in tests if test.partition("::")[0] in chosen)
        elif " " in said or "(" in said:
            return ""
        else:
            count = sum(1 for test in tests if said.lower() in test.lower())
        return f"{words.number(count, 'test')} match{'es' if count == 1 else ''}"

    # ── one failure ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _choose(self, name: str, text: str) -> None:
        count = len(self.failures())
        if name == "text" and text.isdecimal() and text.isascii():
            number = self._typed * 10 + int(text)
            self._typed = number if number <= count else int(text)
            self.index = self._typed - 1 if 0 < self._typed <= count else self.index
            return
        self._typed = 0
        if name in ("escape", "enter") or text in ("q", "d"):
            self.state = PROMPT
        elif name in ("right", "down"):
            self.index = min(self.index + 1, count - 1)
        elif name in ("left", "up"):
            self.index = max(self.index - 1, 0)
        elif name in ("home", "end"):
            self.index = 0 if name == "home" else count - 1

    # ── the line at the bottom ───────────────────────────────────────────────────────────────────────────────────────

    def lines(self, columns: int, *, unicode: bool = True) -> tuple[list[Line], int]:
        """Return what is to be shown at the bottom, and in which column of it the cursor stands (-1: nowhere)."""
        if self.typing:
            return self._typing_lines(columns, unicode=unicode)
        if self.state == PROMPT and not self.watched.generation:
            return [[("starting\N{HORIZONTAL ELLIPSIS}" if unicode else "starting...", "dim")]], -1
        if self.state == PROMPT and not self.watched.waits and not self._hint:
            return [], -1
        parts = self._parts(unicode=unicode)
        between = " · " if unicode else " | "
        while len(parts) > 1 and _width(parts, between) > columns:
            parts.remove(min(reversed(parts), key=lambda part: part[1]))
        line: list[Span] = []
        for said, importance in parts:
            line += [(between, "dim")] if line else []
            line.append((said, "bold" if importance > _KEY else "dim"))
        return [line], min(spans.width(line), columns - 1)

    def _parts(self, *, unicode: bool) -> list[tuple[str, int]]:
        """List what could be said, each with its importance: the least important is left out first."""
        if self.state == HELP:
            return [("any key: back", _TITLE)]
        if self.state == FAILURE:
            count, arrows = len(self.failures()), "←/→ others" if unicode else "arrows: others"
            others = [(arrows, _KEY), (f"1-{count} choose", 1)] if count > 1 else []
            return [(f"failure {self.index + 1} of {count}", _TITLE), *others, ("escape back", _KEY)]
        if self._hint:
            return [(self._hint, _TITLE)]
        total = self.watched.total
        parts = [("watching" + (f" {words.number(total, 'test')}" if total else ""), _TITLE)]
        filters = [("files ", " ".join(self._patterns)), ("tests ", self._keyword)]
        parts += [(name + said, _FILTER) for name, said in filters if said]
        if self._without:
            return [*parts, (f"no keys: {self._without}", _KEY), ("Ctrl-C quits", 6)]
        keys = [("a/enter all", 4), ("p files", 1), ("t tests", 1), ("q quit", 6), ("? help", _KEY)]
        if len(parts) > 1:
            keys.insert(3, ("c no filter", 2))
        if self.watched.failing:
            keys[1:1] = [("f failed", 5), ("d details", 3)]
        return [*parts, *keys]

    def _typing_lines(self, columns: int, *, unicode: bool) -> tuple[list[Line], int]:
        head = "files: " if self.state == FILES else "tests: "
        text, at = self._edit.shown(max(1, columns - len(head) - 1))
        room = columns - len(head) - spans.columns(text) - 1
        matching = f"  {said}" if (said := self._matching()) else ""
        tails = (matching + "  enter runs, escape leaves", matching)
        tail = next((tail for tail in tails if len(tail) < room), "")
        return [[(head, "bold"), (text, ""), (tail, "dim")]], len(head) + at


#: How important the most important key is, a filter, and what is no key.
_KEY, _FILTER, _TITLE = 7, 8, 9


def _width(parts: Sequence[tuple[str, int]], between: str) -> int:
    return sum(spans.columns(said) for said, _ in parts) + len(between) * (len(parts) - 1)


__all__ = ["FAILURE", "HELP", "KEYS", "QUIT", "Dialog"]
