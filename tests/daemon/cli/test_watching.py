"""The loop of a watch in its client, at moments that a process is met in only by chance."""

import os
import select
import signal

from testd_daemon.cli.signals import Signals
from testd_daemon.cli.watching import View, Watcher
from testd_daemon.reports.base import Report
from testd_daemon.reports.watched import Watched

DEADLINE = 10


class Meanwhile(Signals):
    """Signals of which one comes at the last moment at which it is still taken together with those before it."""

    def taken(self):
        if not self.asked:
            os.kill(os.getpid(), signal.SIGINT)
        return super().taken()


class Silent:
    """A daemon that has nothing more to tell."""

    over = False

    def follow(self, run, after):
        return self

    def next(self, tick, beside):
        assert select.select(beside, (), (), DEADLINE)[0], "it waits, and nobody wakes it"


def test_an_interrupt_that_comes_while_an_earlier_signal_is_taken_is_not_lost():
    watched = Watched()
    watched.exit_code = 1
    with Meanwhile() as signals:
        os.write(signals._written, bytes([signal.SIGWINCH]))
        assert Watcher(Silent(), View(Report(), watched, None), signals).watch("run") == 1
