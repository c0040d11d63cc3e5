"""The folder in which run files are carried out that somebody puts there. Runs in the agent.

`folder.py` says what is in it, `spool.py` has it run: it submits runs as a client does. What came of a file is in the
file itself, so nothing else has to be remembered, whatever is killed.
"""

from testd_daemon.agent.spool.spool import Spool

__all__ = ["Spool"]
