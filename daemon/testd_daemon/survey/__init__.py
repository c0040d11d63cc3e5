"""A look at this machine: on what tests could run, and why not. Runs in `testd targets`.

found.py         what it comes to
look.py          everything at once
configured.py    the workspace's targets
interpreters.py  every Python and Node.js
engines.py       container engines
hosts.py         hosts of the ssh configuration
"""

from testd_daemon.survey.configured import Asked, targets
from testd_daemon.survey.found import Found
from testd_daemon.survey.look import DEADLINE, everything

__all__ = ["DEADLINE", "Asked", "Found", "everything", "targets"]
