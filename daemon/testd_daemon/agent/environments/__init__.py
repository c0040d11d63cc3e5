"""Environments that testd makes for targets, from what the project declares.

Run in the agent. Kept below the cache folder, one for each interpreter and content of a declaration.

    request.py            what is wanted
    declaration.py        what is installed, and the name that changes when any of it does
    requirement_files.py  requirements files and what they include
    projects.py           what of a local project decides how it is installed
    builder.py            the commands: uv's, or venv's and pip's
    build.py              carrying them out
    lock.py               one builder at a time
    store.py              what is kept, what failed, what goes
    failing.py            why it could not be made, and whether to try again
    ensure.py             all of it together
    r_packages.py         beside them: packages of R, in one library
"""

from testd_daemon.agent.environments.ensure import ensure, known
from testd_daemon.agent.environments.r_packages import RPackages
from testd_daemon.agent.environments.request import DEADLINE, EnvironmentRequest
from testd_daemon.agent.environments.store import Failure, Made, sweep

__all__ = ["DEADLINE", "EnvironmentRequest", "Failure", "Made", "RPackages", "ensure", "known", "sweep"]
