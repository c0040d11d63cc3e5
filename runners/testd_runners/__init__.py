"""How runners are started: what a launcher is made of. The kinds are sibling files, `choose.py` chooses one.

Imported by the agent. Standard library only.
"""

from testd_runners.launcher import CHANNEL, Command, Launcher, LaunchSettings, with_channel

__all__ = ["CHANNEL", "Command", "LaunchSettings", "Launcher", "with_channel"]
