"""A run of a workflow as text: each function as it ends, failures with the end of their log, one line at the end.

On a terminal live lines show what runs. An action with ranks is one line, written when the last of them is through.
Runs in the client; imports our own helpers.
"""

from __future__ import annotations

import time

from testd_daemon.reports import lines, safe, words
from testd_daemon.reports.base import BAD, Report
from testd_daemon.workflows.course import Course, Function
from testd_daemon.workflows.drawing.marks import STYLES, said, together

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from testd_daemon.reports.output import LiveOutput
    from testd_daemon.reports.terminal import Terminal
    from testd_daemon.reports.workflow_live import WorkflowLines

    Body = Mapping[str, Any]

__all__ = ["WorkflowReport"]

#: Live lines are drawn this often (seconds).
REDRAW_EVERY = 0.1
#: Lines of a log that a failure ends with.
_TAIL = 20
#: The statuses in the order in which the last line tells them.
_ENDS = ("failed", "timeout", "completed", "skipped", "not_invoked", "running", "invoked", "pending")


class WorkflowReport(Report):
    """One run of a workflow, on a terminal or into a file."""

    def __init__(
        self,
        terminal: Terminal,
        errors: Terminal,
        *,
        verbosity: int = 0,
        follow: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Write to `terminal`; why a run could not be done goes to `errors`.

        `verbosity`: -1 failures and one line, 0, 1 each function by itself. `follow`: what functions log, live.
        """
        self._terminal = terminal
        self._errors = errors
        self._verbosity = verbosity
        self._follow = follow
        self._clock = clock
        self._course = Course()
        self._began = self._drawn_at = clock()
        self._run = ""
        self._headed = False
        self._preparing = ""
        self._live: WorkflowLines | None = None
        self._output: LiveOutput | None = None
        self._told: set[str] = set()  # actions whose end was told
        self._held: dict[str, str] = {}  # action → the line about it, which comes behind those of what led to it

    def accepted(self, run: str) -> None:
        """Keep the run's id, for what is said at the end."""
        self._run = run
        if self._verbosity > 0:
            self._dim(f"run {run}")

    def event(self, run: str, seq: int, body: Body) -> None:
        """Take an event, and keep what shows the time fresh."""
        self._run = self._run or run
        function = self._course.take(body)
        if body["type"] == "WorkflowPlanned":
            self._head(body)
        elif body["type"] == "FunctionChanged" and function is not None:
            self._changed(function)
        super().event(run, seq, body)
        self.tick()

    def tick(self) -> None:
        """Draw the live lines when it is time to."""
        now = self._clock()
        if self._terminal.live and not self._course.completed and now - self._drawn_at >= REDRAW_EVERY:
            self._draw(now)

    def message(self, text: str) -> None:
        """Write a line of our own."""
        self._dim(text)

    def fault(self, fault: Body) -> None:
        """Say why there is nothing more to report."""
        self.close()
        self._errors.write(lines.problem(self._errors, fault, str(fault["message"])))

    def close(self) -> None:
        """Give the terminal back."""
        if self._output is not None:
            self._output.flush()
        if self._live is not None:
            live, self._live = self._live, None
            live.close()

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def on_unavailable(self, body: Body) -> None:
        """Say which target is not usable, and why."""
        self._write(lines.unavailable(self._terminal, body, self._verbosity))

    def on_preparing(self, body: Body) -> None:
        """Keep what a target does before it is ready."""
        self._preparing = safe.line(f"{body['target']}: {body['text']}")

    def on_target(self, body: Body) -> None:
        """Forget what a target did before it was ready."""
        self._preparing = ""

    def on_notice(self, body: Body) -> None:
        """Say what the user should know, from warnings up; the rest with `-v` and `-vv`."""
        if body.get("target") and body["level"] == "info":  # what it does until it is ready
            self.on_preparing(body)
        text = lines.notice(self._terminal, body, self._verbosity, target=str(body.get("target") or ""))
        if text:
            self._write(text)

    def on_output(self, body: Body) -> None:
        """Pass on what functions log and print, with `--follow`."""
        if not self._follow:
            return
        if self._output is None:
            from testd_daemon.reports.output import LiveOutput

            self._output = LiveOutput(self._terminal, whose="name")
        name = str(body.get("test") or "")
        self._output.add(str(body["text"]), (safe.line(name), int(body["worker"]), str(body["stream"])), prefixed=True)

    def on_outcomes(self, body: Body) -> None:
        """Tell each failure."""
        for row in body["rows"]:
            if row[2] in BAD:
                self._write(self._failure(row))

    def on_completed(self, body: Body) -> None:
        """Say how it ended."""
        self.close()
        self._write("".join(self._held.values()))
        exit_code, reason = int(body["exit_code"]), str(body.get("reason") or "")
        if reason and exit_code in (3, 4):
            self._errors.write(lines.problem(self._errors, body, reason))
        elif reason:
            self._write(self._terminal.paint(safe.block(reason, colour=False), "yellow") + "\n")
        if self._course.functions:
            self._write(self._summary(body, exit_code))
            self._write(self._left())

    # ── what is written ──────────────────────────────────────────────────────────────────────────────────────────────

    def _head(self, body: Body) -> None:
        if self._verbosity < 0 or self._headed:
            return
        self._headed = True
        name = self._terminal.paint(safe.line(str(body["name"])), "bold")
        self._write(f"{name}  {words.number(len(body['functions']), 'function')}, invocation {body['invocation']}\n")

    def _changed(self, function: Function) -> None:
        """Tell what is through: with `-v` each function, else each action once all of its ranks are."""
        if self._verbosity < 0:
            return
        action = function.name.partition("(")[0]
        if self._verbosity > 0:
            if function.final or function.status == "running":
                self._write(self._line([function], function.name))
            return
        together_ = [each for each in self._course.functions.values() if each.name.partition("(")[0] == action]
        if action not in self._told and action not in self._held and all(each.final for each in together_):
            name = f"{action} ({len(together_)})" if len(together_) > 1 else action
            self._held[action] = self._line(together_, name)
            self._release()

    def _release(self) -> None:
        """Write the lines of actions of which all that invoke them are told."""
        graph: Mapping[str, Sequence[str]] = self._course.planned.get("graph", {})
        waiting = {target for source, targets in graph.items() if source not in self._told for target in targets}
        ready = [action for action in self._held if action not in waiting]
        for action in ready:
            self._told.add(action)
            self._write(self._held.pop(action))
        if ready and self._held:
            self._release()

    def _line(self, functions: Sequence[Function], name: str) -> str:
        """Say in one line how one function, or the ranks of one action, ended."""
        statuses = [function.status for function in functions]
        status = together(statuses)
        count = statuses.count(status)
        word = f"{said(status)} {count}/{len(statuses)}" if count < len(statuses) else said(status)
        began = [function.began for function in functions if function.began]
        took = max(function.ended for function in functions) - min(began) if began else 0.0
        time_ = words.seconds(max(0.0, took)) if began and functions[0].final else ""
        left_out = [function for function in functions if function.status in ("skipped", "not_invoked")]
        whys = sorted({function.why for function in left_out if function.why})
        why = self._terminal.paint(f"  {safe.line(whys[0])}", "dim") if whys else ""
        return f"{self._terminal.paint(f'{word:<12}', STYLES.get(status, ''))} {time_:>8}  {safe.line(name)}{why}\n"

    def _failure(self, row: Sequence[Any]) -> str:
        """Tell a failure: what there is to say of it, the end of the log, and where the rest is."""
        from testd_daemon.reports import failure

        function = self._course.functions.get(row[0]) or Function(row[0])
        detail = row[6] or {"message": function.why}
        if function.log:  # what was captured is in it
            detail = {**detail, "sections": ()}
        text = failure.header(self._terminal, row, "")
        text += failure.describe(self._terminal, detail, everything=self._verbosity > 0)
        log = function.log.rstrip("\n")
        if log and not self._follow:
            kept = log.split("\n")[-_TAIL:]
            dash = "──" if self._terminal.unicode else "--"
            text += self._terminal.paint(f"{dash} end of its log {dash}", "dim") + "\n"
            text += safe.block("\n".join(kept), colour=self._terminal.colour) + "\n"
        where = self._terminal.paint(f"testd workflow logs {self._run} '{row[0]}'", "bold")
        return text + self._terminal.paint("all of it: ", "dim") + where + "\n\n"

    def _summary(self, body: Body, exit_code: int) -> str:
        counts = self._course.counts()
        parts = [
            self._terminal.paint(f"{counts[status]} {said(status)}", STYLES.get(status, ""))
            for status in _ENDS
            if status in counts
        ]
        main = "green" if exit_code == 0 else "red"
        took = self._terminal.paint(f" in {words.seconds(float(body['duration']))}", main)
        return f"{', '.join(parts)}{took}\n"

    def _left(self) -> str:
        """Say which buckets stay, and how they go."""
        buckets = [safe.line(str(each["bucket"])) for each in self._course.planned.get("own") or ()]
        if not buckets:
            return ""
        text = self._terminal.paint(f"its files stay in {', '.join(buckets)}; to remove them: ", "dim")
        return text + self._terminal.paint(f"testd workflow clean {self._run}", "bold") + "\n"

    def _dim(self, text: str) -> None:
        self._write(self._terminal.paint(text, "dim") + "\n")

    def _write(self, text: str) -> None:
        if self._output is not None:
            self._output.flush()
        self._terminal.write(text)

    def _draw(self, now: float) -> None:
        if self._live is None:
            from testd_daemon.reports.workflow_live import WorkflowLines

            self._live = WorkflowLines(self._terminal, self._course, self._began)
        self._live.draw(now, self._preparing)
        self._drawn_at = now
