"""Which tests a change affects: what each has used, what that is now, and what follows. Runs in the agent.

fingerprint.py  a source file as parts, each with a digest of what it means
state.py        what is in the workspace now, and since which generation
closure.py      which files a test depends on by imports
book.py         what each test has used, in memory
store.py        the same on disk
since.py        what differs from a git revision
looked.py       which files were collected, and as what
recorder.py     from what a run told to the book
choice.py       from the book and the workspace to the tests that are affected
why.py          what a user is told of one test
telling.py      what a user is told of it
service.py      all of it, for the agent
"""

from testd_daemon.agent.affected.choice import Reason
from testd_daemon.agent.affected.recorder import Facts, Told
from testd_daemon.agent.affected.service import Affected, Selection
from testd_daemon.agent.affected.telling import describe, in_order, summary

__all__ = ["Affected", "Facts", "Reason", "Selection", "Told", "describe", "in_order", "summary"]
