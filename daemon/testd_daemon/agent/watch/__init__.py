"""Watch mode: a run that goes on, one generation after another. Runs in the agent.

inotify.py   the kernel says in which folders something happened (Linux)
watcher.py   what has changed since the last look, by content; where the kernel does not help, it looks every second
standing.py  how all tests stand, also those that an edit did not touch
part.py      the events of one generation, on their way to the handler
watch.py     what runs when, and what supersedes what
"""

from testd_daemon.agent.watch.watch import WatchTask

__all__ = ["WatchTask"]
