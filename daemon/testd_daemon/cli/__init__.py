"""The command line: `testd VERB …`. One verb a file; a call imports the verb that it was given and no other.

Runs in the client. What `testd run` imports on its quick path is the standard library's cheapest parts: no typing, no
dataclasses, no json, no subprocess, no asyncio, no msgspec, no rich.
"""

from testd_daemon.cli.entry import main, script

__all__ = ["main", "script"]
