"""The workspace's files on targets that do not share the disk: what is there, what has changed, and how it gets there.

Runs in the agent.

    ignore.py    which files do not travel
    scan.py      what is in the workspace now, by content
    code.py      code from elsewhere that travels with it
    contents.py  the bytes, in pieces
    travel.py    how far they are, for people
    record.py    which checkpoints a change makes stale
    mirror.py    one runner's copy: brought up to date before each run
"""

from testd_daemon.agent.mirror.code import code_path
from testd_daemon.agent.mirror.mirror import Mirror
from testd_daemon.agent.mirror.record import MirroredRecord
from testd_daemon.agent.mirror.scan import Scanner
from testd_daemon.agent.mirror.travel import Tell, tell_nobody

__all__ = ["Mirror", "MirroredRecord", "Scanner", "Tell", "code_path", "tell_nobody"]
