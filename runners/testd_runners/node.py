"""A runner on Node.js: its own supervisor, in JavaScript, as a child process of the agent.

Imported by the agent. Standard library only, no input or output.
"""

from typing import Optional

from testd_runners.launcher import CHANNEL, Command, Explanation, Launcher, LaunchSettings

__all__ = ["NodeLauncher"]

#: The oldest Node.js that the runner works on.
_OLDEST = 18
#: What an older one, or something else of that name, says of the runner's code.
_NO_NODE = ("SyntaxError", "Cannot find module 'node:", "bad option", "No such built-in module")


class NodeLauncher(Launcher):
    """Start `NODE BUNDLE/node/main.js --fd N` in the workspace."""

    kind = "node"

    def command(self, settings: LaunchSettings) -> Command:
        """Describe the child process; the protocol runs over an inherited socketpair.

        The options that the environment gives to Node.js are for the processes that run user code.
        """
        argv = (settings.runtime, f"{settings.bundle}/node/main.js", "--fd", CHANNEL)
        env = {name: value for name, value in settings.environment.items() if name != "NODE_OPTIONS"}
        return Command(argv=argv, env=env, cwd=settings.root, channel="socketpair")

    def explain(self, settings: LaunchSettings, status: Optional[int], stderr: str) -> Optional[Explanation]:
        """Say why it ended at once: it is too old, or no Node.js."""
        if "testd runs tests on Node.js" in stderr:
            return Explanation(stderr.strip(), f"name a Node.js {_OLDEST} or later")
        if any(sign in stderr for sign in _NO_NODE):
            return Explanation(f"{settings.runtime} is no Node.js {_OLDEST} or later", "name another one")
        return None
