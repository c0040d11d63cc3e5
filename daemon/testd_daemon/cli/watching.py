"""Follow a watch: its events go to a report, keys and signals to whoever they are for.

Runs in the client. One loop waits for the daemon, the keyboard and signals at once: there is no thread, and nothing
happens behind anybody's back. What is shown is decided in `reports/`, what a key means in `reports/dialog.py`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from functools import partial

from testd_daemon.cli.follow import INTERRUPTED, TICK, as_fault
from testd_daemon.cli.interrupts import Leave
from testd_daemon.cli.reporting import settings_for, text_report
from testd_daemon.cli.signals import GO_ON, STOP
from testd_daemon.errors import TestdError
from testd_daemon.reports.base import Report
from testd_daemon.reports.terminal import standard_output
from testd_daemon.reports.watched import Watched

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from testd_daemon.cli.arguments import Options
    from testd_daemon.cli.signals import Signals
    from testd_daemon.client.sync import Client
    from testd_daemon.reports.dialog import Action
    from testd_daemon.reports.front import Front

#: Seconds after which an escape is a key of its own, and not the beginning of another one.
ESCAPE_AFTER = 0.05


class View:
    """What a watch is shown with. `front` is None where there is no terminal."""

    def __init__(self, report: Report, watched: Watched, front: Front | None) -> None:
        """Take the parts: see `make_view`."""
        self.report = report
        self.watched = watched
        self.front = front

    def close(self) -> None:
        """Take away what is kept at the bottom, whatever one of the steps raises; once is enough."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.report.close)
            if self.front is not None:
                stack.callback(self.front.close)


def make_view(options: Options, workspace: str, cwd: str) -> View:
    """Choose how a watch is shown: on a terminal with keys, as plain lines, as JSON."""
    terminal, watched = standard_output(os.environ), Watched()
    if options.format == "json":
        from testd_daemon.cli.reporting import make_report

        options.junitxml = None
        return View(make_report(options, workspace, cwd), watched, None)
    from testd_daemon.reports.watch import WatchReport

    settings = settings_for(options, workspace, cwd)

    errors = terminal if terminal.live else None  # what is kept at the bottom must know of every line

    def report(screen: Screen | None) -> WatchReport:
        make = partial(text_report, terminal, settings, errors)
        return WatchReport(terminal, watched, make, screen=screen, quiet=settings.verbosity < 0)

    if not terminal.live:
        return View(report(None), watched, None)
    from testd_daemon.reports.dialog import Dialog
    from testd_daemon.reports.front import Front
    from testd_daemon.reports.screen import Screen

    screen = Screen(terminal, clear=_clears(options, workspace))
    without = "" if os.isatty(0) else "standard input is no terminal"
    dialog = Dialog(watched, output=bool(getattr(options, "stream", False)), without=without)
    return View(report(screen), watched, Front(terminal, screen, dialog, settings))


class Watcher:
    """One client's view of one watch."""

    def __init__(self, client: Client, view: View, signals: Signals) -> None:
        """Take an open connection and the signals; keys are read from standard input where it is a terminal."""
        self._client = client
        self._view = view
        self._signals = signals
        self._front = view.front
        self._keyboard = None
        if self._front is not None and os.isatty(0):
            from testd_daemon.cli.keyboard import Keyboard

            self._keyboard = Keyboard(0, sys.stdout.fileno())

    def watch(self, run: str, after: int = 0) -> int:
        """Follow the watch, from its newest generation or from behind an event on, until it ends or its user leaves.

        Returns the exit status; the report is closed.
        """
        report = self._view.report
        self._signals.gentle = True
        try:
            report.accepted(run)
            return self._to_the_end(run, after)
        except Leave:
            return INTERRUPTED
        except TestdError as error:
            report.fault(as_fault(error))
            return error.exit_code
        finally:
            self._close()

    def _close(self) -> None:
        """Give the terminal back, whatever one of the steps raises."""
        try:
            self._view.close()
        finally:
            if self._keyboard is not None:
                self._keyboard.close()

    def _to_the_end(self, run: str, after: int) -> int:
        following = self._client.follow(run, after)
        self._update()
        while True:
            event = following.next(self._tick(), self._beside())
            if event is not None:
                self._event(event)
                if following.over:
                    return int(event["body"]["exit_code"])
            self._take_signals()  # before anybody looks at what they ask for: one that comes later wakes the next wait
            if self._signals.asked or not self._typed(run, idle=event is None):
                return self._status()
            self._view.report.tick()
            self._update()

    def _event(self, event: Mapping[str, Any]) -> None:
        body = event["body"]
        self._view.watched.event(body)
        if body["type"] == "GenerationStarted" and self._front is not None:
            self._front.began()
        self._view.report.event(event["run"], event["seq"], body)

    def _typed(self, run: str, *, idle: bool) -> bool:
        """Take keys. Returns whether to go on."""
        if self._keyboard is None or self._front is None:
            return True
        waited = self._keyboard.waits and idle
        keys = self._keyboard.pressed() or (self._keyboard.expire() if waited else [])
        return all(self._do(run, self._front.key(key)) for key in keys) and not self._keyboard.gone

    def _do(self, run: str, action: Action | None) -> bool:
        if action is None:
            return True
        what, more = action
        if what == "quit":
            return False
        self._client.steer(run, what, **more)
        return True

    def _take_signals(self) -> None:
        taken = self._signals.taken()
        if STOP in taken:
            self._suspend()
        elif taken and self._front is not None:
            if GO_ON in taken and self._keyboard is not None:
                self._keyboard.close()  # whoever had the terminal meanwhile may have set it otherwise
            self._front.redraw()

    def _suspend(self) -> None:
        """Stop, as Ctrl-Z asks for, with the terminal as it was; go on when we are told to."""
        if self._front is not None:
            self._front.close()
        if self._keyboard is not None:
            self._keyboard.close()
        self._signals.stop()
        self._signals.taken()
        if self._keyboard is not None:
            self._keyboard.open()
        if self._front is not None:
            self._front.redraw()

    def _update(self) -> None:
        if self._keyboard is not None:
            self._keyboard.open()
        if self._front is not None:
            self._front.update()

    def _tick(self) -> float | None:
        """Say how long to wait at most: while something runs the clock on the screen moves."""
        if self._keyboard is not None and self._keyboard.waits:
            return ESCAPE_AFTER
        return None if self._view.watched.waits else TICK

    def _beside(self) -> tuple[int, ...]:
        keyboard = (self._keyboard.descriptor,) if self._keyboard is not None and self._keyboard.opened else ()
        return (self._signals.descriptor, *keyboard)

    def _status(self) -> int:
        code = self._view.watched.exit_code
        return INTERRUPTED if code is None else code


def _clears(options: Options, workspace: str) -> bool:
    """Whether each generation begins on an empty screen. The configuration is only read where it may say something."""
    said: bool | None = getattr(options, "clear", None)
    if said is not None:
        return said
    if not os.environ.get("TESTD_CLEAR") and not any(_mentions(f"{workspace}/{name}") for name in _FILES):
        return True
    from testd_daemon.config.resolve import resolve

    try:
        return resolve(workspace, os.environ).settings.clear
    except TestdError:
        return True  # the daemon says what is wrong with it


_FILES = ("pyproject.toml", "testd.toml")


def _mentions(path: str) -> bool:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs more than a verb
            return b"clear" in file.read()
    except OSError:
        return False


__all__ = ["View", "Watcher", "make_view"]
