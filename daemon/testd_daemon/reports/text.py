"""The text report: failures as they happen, live lines on a terminal, one line at the end that says it all.

Runs in the client, on the quick path: imports the standard library's cheapest parts; what only failures, `-s` or a
long run need is imported then.
"""

from __future__ import annotations

import time

from testd_daemon.reports import safe, words
from testd_daemon.reports.base import BAD, NOTICE_FROM, Report
from testd_daemon.reports.progress import Progress, bare_reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from testd_daemon.reports.live import LiveLines
    from testd_daemon.reports.output import LiveOutput
    from testd_daemon.reports.place import Place
    from testd_daemon.reports.several import Several
    from testd_daemon.reports.terminal import Terminal

    Body = Mapping[str, Any]

#: A run shorter than this gets no live lines: they would only flicker, and rich would cost more than the run.
LIVE_AFTER = 0.4
#: Live lines are drawn at most this often; without a terminal, a line says how far the run is this often (seconds).
REDRAW_EVERY = 0.1
SAY_EVERY = 20.0
#: So many failed tests are named again at the end.
NAMED_AT_THE_END = 100



class TextSettings:
    """How a text report is written."""

    def __init__(
        self, place: Place, *, verbosity: int = 0, again: Sequence[str] = (), name_target: bool = False
    ) -> None:
        """`verbosity`: -1 quiet, 0, 1, 2. `again`: options that a command to repeat a test needs (`--mode bin`).

        `name_target`: such a command names the target also where it is the only one, because it was asked for.
        """
        self.place = place
        self.verbosity = verbosity
        self.again = tuple(again)
        self.name_target = name_target

    def command(self, test: str, target: str, *, several: bool) -> str:
        """Give the command that runs just this test again, where it failed. `several`: there are other targets."""
        options = [*self.again, *(["--target", target] if several or self.name_target else [])]
        return safe.line(self.place.again(test, options))


class TextReport(Report):
    """A run as text, on a terminal or into a file."""

    def __init__(
        self,
        terminal: Terminal,
        errors: Terminal,
        settings: TextSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Write to `terminal`; why a run could not be done goes to `errors`."""
        self._terminal = terminal
        self._errors = errors
        self._settings = settings
        self._verbosity = settings.verbosity
        self._clock = clock
        self._progress = Progress(clock())
        self._live: LiveLines | None = None
        self._output: LiveOutput | None = None
        self._several: Several | None = None
        self._standing: Body | None = None
        self._streams = False
        self._completed = False
        self._profile: Body | None = None
        self._took: dict[str, float] = {}  # what this client has measured
        self._drawn_at = self._said_at = self._progress.started_at
        self._bad: list[tuple[str, str, str, str]] = []  # verdict, test, message, target

    def accepted(self, run: str) -> None:
        """Name the run where one wants to know."""
        if self._verbosity > 0:
            self._dim(f"run {run}")

    def event(self, run: str, seq: int, body: Body) -> None:
        """Take an event, and keep what shows the time fresh while many come."""
        super().event(run, seq, body)
        self.tick()

    def tick(self) -> None:
        """Draw the live lines, or say how far the run is, when it is time to."""
        now = self._clock()
        if self._completed or self._streams:
            return
        if not self._terminal.live:
            self._say(now)
        elif now - self._drawn_at >= (REDRAW_EVERY if self._live else LIVE_AFTER):
            self._draw(now)

    def message(self, text: str) -> None:
        """Write a line of our own."""
        self._dim(text)

    def fault(self, fault: Body) -> None:
        """Say why there is nothing more to report."""
        self.close()
        self._problem(fault, str(fault["message"]))

    def close(self) -> None:
        """Give the terminal back."""
        if self._output is not None:
            self._output.flush()
        if self._live is not None:
            live, self._live = self._live, None
            live.close()

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def on_target(self, body: Body) -> None:
        """Keep how warm a target is; with `-v`, say why."""
        self._progress.target(body)
        self._widen()
        if self._verbosity > 0:
            reason = bare_reason(body)
            facts = [f"Python {body['python']}"] if body.get("python") else []
            facts += [str(body["framework"])] if body.get("framework") else []
            facts += [f"on {body['host']}"] if body.get("host") else []
            facts += [f"mode {body['mode']}", words.number(int(body["jobs"]), "worker")]
            state = "warm" if body["warm"] else "cold"
            said = f"{body['target']}: {state}{': ' + reason if reason else ''} ({', '.join(facts)})"
            self._dim(safe.line(said))

    def on_plan(self, body: Body) -> None:
        """Keep how much there is to do."""
        self._progress.plan(body, self._clock())
        self._widen()
        if self._several is not None:
            self._write(self._several.planned())

    def on_unavailable(self, body: Body) -> None:
        """Say which target is not usable, and why."""
        from testd_daemon.reports import lines

        self._progress.unavailable(body)
        self._widen()
        self._write(lines.unavailable(self._terminal, body, self._verbosity))

    def on_preparing(self, body: Body) -> None:
        """Keep what a target does before it is ready."""
        self._progress.preparing(body)
        self._widen()

    def on_notice(self, body: Body) -> None:
        """Say what the user should know, from warnings up; the rest with `-v` and `-vv`."""
        self._progress.notice(body)
        if self._verbosity >= NOTICE_FROM.get(str(body["level"]), 1):
            from testd_daemon.reports import lines

            target = str(body.get("target") or "") if self._several is not None else ""
            self._write(lines.notice(self._terminal, body, self._verbosity, target=target))

    def on_started(self, body: Body) -> None:
        """Keep which tests take long."""
        self._progress.started(body, self._clock())

    def on_output(self, body: Body) -> None:
        """Pass on what tests print under `-s`; there are no live lines then."""
        if self._output is None:
            from testd_daemon.reports.output import LiveOutput

            self._streams = True
            self.close()
            self._output = LiveOutput(self._terminal)
        prefixed = sum(int(target["jobs"]) for target in self._progress.targets.values()) > 1
        target = str(body.get("target") or "") if self._several is not None else ""
        source = (target, int(body["worker"]), str(body["stream"]))
        self._output.add(str(body["text"]), source, prefixed=prefixed)

    def on_outcomes(self, body: Body) -> None:
        """Count a batch, and tell each failure (with `-v`, each test)."""
        rows = body["rows"]
        self._progress.know(*{row[1] for row in rows[:: max(1, len(rows) - 1)]})  # the first and the last
        self._widen()
        if self._several is not None:
            self._write(self._several.outcomes(rows))
            return
        outcome, parts = self._progress.outcome, []
        every = self._verbosity > 0
        for row in rows:
            verdict = row[2]
            outcome(row[0], row[1], verdict)
            if verdict in BAD:
                parts.append(self._failure(row))
            elif every or (row[6] and row[6].get("leaks")):
                parts.append(self._line(row))
        if parts:
            self._write("".join(parts))

    def on_standing(self, body: Body) -> None:
        """Keep how all tests of a watch stand, for the last line."""
        self._standing = body

    def on_difference(self, body: Body) -> None:
        """Say what a test came to warm, and what in new processes."""
        from testd_daemon.reports import lines

        self._write(lines.difference(self._terminal, body))

    def took(self, name: str, seconds: float) -> None:
        """Keep it for the profile."""
        self._took[name] = seconds

    def on_profile(self, body: Body) -> None:
        """Keep where the time went: it is written behind the summary."""
        self._profile = body

    def on_completed(self, body: Body) -> None:
        """Say how it ended."""
        self._completed = True
        self.close()
        counts = body.get("counts") or self._progress.counts
        if self._verbosity >= 0:
            self._write(self._list_failures() if self._several is None else self._several.ending())
        exit_code, reason = int(body["exit_code"]), str(body.get("reason") or "")
        if reason and exit_code in (3, 4):
            self._problem(body, reason)
            if not counts:
                return
        elif reason:
            hint = str(body.get("hint") or "")
            self._write(self._terminal.paint(safe.block(reason, colour=False), "yellow") + "\n")
            self._write(safe.block(hint, colour=False) + "\n" if hint else "")
        self._write(self._summary(counts, float(body["duration"]), exit_code))
        if self._profile is not None:
            from testd_daemon.reports import profile

            self._write(profile.table(self._terminal, self._profile, self._took, time.time()))

    # ── several targets ──────────────────────────────────────────────────────────────────────────────────────────────

    def _widen(self) -> None:
        """From the second target on each failure, each result and the end are told in another way."""
        targets = self._progress.several
        if targets is None or self._several is not None:
            return
        from testd_daemon.reports.several import Several

        self._several = Several(self._terminal, self._progress, targets, self._verbosity, self._again)
        self._several.seed(self._bad)

    # ── what is written ──────────────────────────────────────────────────────────────────────────────────────────────

    def _summary(self, counts: Mapping[str, int], duration: float, exit_code: int) -> str:
        paint, several, standing = self._terminal.paint, self._several, self._standing
        warmth = self._progress.warmth() if several is None else several.warmth()
        took = f" in {words.seconds(duration)}" + (f" ({warmth})" if warmth else "")
        main = "green" if exit_code == 0 else "yellow" if exit_code == 5 else "red"
        if standing is None or sum(counts.values()) == standing["tests"]:
            said = self._counted(counts, self._progress.deselected) + paint(took, main)
            said = said if several is None else f"{several.whole()}: {said}"
        else:  # of a watch, in which not all tests ran
            ran = f"{sum(counts.values()):,} ran" if several is None else f"{several.whole()} ran"
            said = self._counted(standing["counts"], 0) + paint(f"; {ran}{took}" if counts else "; none ran", main)
        clause = several.clause() if several is not None else ""
        return said + (f"; {clause}" if clause else "") + "\n"

    def _counted(self, counts: Mapping[str, int], deselected: int) -> str:
        parts = [self._terminal.paint(said, words.style(verdict)) for verdict, said in words.counts(counts)]
        parts = parts or ["no tests ran"]
        return ", ".join([*parts, self._terminal.paint(f"{deselected} deselected", "yellow")] if deselected else parts)

    def _line(self, row: Sequence[Any]) -> str:
        from testd_daemon.reports import lines

        said = lines.outcome(self._terminal, row, "") if self._verbosity > 0 else ""
        return said + lines.leaks(self._terminal, row, "", self._verbosity)

    def _failure(self, row: Sequence[Any]) -> str:
        from testd_daemon.reports import failure

        detail = row[6]
        self._bad.append((row[2], row[0], str(detail.get("message") or "") if detail else "", row[1]))
        return (
            failure.header(self._terminal, row, "")
            + failure.describe(self._terminal, detail, everything=self._verbosity > 0)
            + self._again(row[0], row[1])
        )

    def _again(self, test: str, target: str) -> str:
        """Give the lines that end a failure: the command that runs just this test again, where it failed."""
        command = self._settings.command(test, target, several=self._several is not None)
        return self._terminal.paint("again: ", "dim") + self._terminal.paint(command, "bold") + "\n\n"

    def _list_failures(self) -> str:
        if len(self._bad) < 2:
            return ""
        from testd_daemon.reports import lines

        said = [lines.named(self._terminal, *bad[:3]) for bad in self._bad[:NAMED_AT_THE_END]]
        if len(self._bad) > NAMED_AT_THE_END:
            more = len(self._bad) - NAMED_AT_THE_END
            verb = self._settings.place.verb
            said.append(f"and {more} more; `testd {verb} --last-failed` runs all of them again")
        return "\n".join(said) + "\n"

    def _problem(self, body: Body, message: str) -> None:
        from testd_daemon.reports import lines

        self._errors.write(lines.problem(self._errors, body, message))

    def _dim(self, text: str) -> None:
        self._write(self._terminal.paint(text, "dim") + "\n")

    def _write(self, text: str) -> None:
        if self._output is not None:
            self._output.flush()
        self._terminal.write(text)

    # ── what shows the time ──────────────────────────────────────────────────────────────────────────────────────────

    def _draw(self, now: float) -> None:
        if self._live is None:
            from testd_daemon.reports.live import LiveLines

            self._live = LiveLines(self._terminal, self._progress)
        self._live.draw(now)
        self._drawn_at = now

    def _say(self, now: float) -> None:
        if self._verbosity == 0 and now - self._said_at >= SAY_EVERY:
            self._said_at = now
            self._write(self._progress.sentence(now) + "\n")


__all__ = ["LIVE_AFTER", "SAY_EVERY", "TextReport", "TextSettings"]
