"""A runner as a child process of the agent, on any local interpreter.

Imported by the agent. Standard library only, no input or output.
"""

from testd_runners.launcher import CHANNEL, Command, Launcher, LaunchSettings

__all__ = ["SubprocessLauncher"]


class SubprocessLauncher(Launcher):
    """Start `PYTHON BUNDLE --fd N` in the workspace.

    A folder or zip with a `__main__.py` puts itself, and neither the working directory nor anything of the daemon's
    environment, in front of the target's `sys.path`. That is also what makes `import testd` work in user code.
    """

    kind = "subprocess"

    def command(self, settings: LaunchSettings) -> Command:
        """Describe the child process; the protocol runs over an inherited socketpair."""
        argv = (settings.runtime, settings.bundle, "--fd", CHANNEL)
        return Command(argv=argv, env=dict(settings.environment), cwd=settings.root, channel="socketpair")
