"""What a project may configure: `[tool.testd]` in pyproject.toml, or testd.toml.

Imported by the agent and by `testd doctor`; never by the handler or a quick client.

    schema.py    the keys: type, default, what is allowed
    units.py     sizes and durations as people write them
    files.py     which file, and where a key stands in it
    targets.py   which targets a run is for, from tables and from names on the command line
    resolve.py   defaults, then the file, then the environment, then the command line; every value knows its source
"""

from testd_daemon.config.files import ConfigFile, read
from testd_daemon.config.resolve import Explained, Resolved, Target, explain, resolve
from testd_daemon.config.schema import KEYS, Key, Settings

__all__ = ["KEYS", "ConfigFile", "Explained", "Key", "Resolved", "Settings", "Target", "explain", "read", "resolve"]
