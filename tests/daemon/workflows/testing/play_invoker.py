"""An invoker that has runs played in the cloud's place."""

from __future__ import annotations

from testd_daemon.workflows.testing import Invoker

__all__ = ["DEADLINE", "INTERVAL", "PlayInvoker"]

#: Seconds between two looks at the store.
INTERVAL = 0.05
#: Seconds for a run to end that takes tenths of one.
DEADLINE = 60.0


class PlayInvoker(Invoker):
    """Starts the player."""

    def __init__(self, player, script=None, *, ended=False):
        self._player = player
        self._script = script
        self._ended = ended  # nothing is watched before it has been played to its end

    def invoke(self, invocation):
        self._player.play(dict(invocation.data), invocation.id, self._script, invocation.timestamp)
        if self._ended:
            self._player.end()
