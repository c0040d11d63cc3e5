"""The agents of all workspaces: who wants one gets one. Runs in the handler."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import anyio.abc

from testd_daemon.handler import supervision as s
from testd_daemon.handler.agent import Agent, Question, Reply, Work
from testd_daemon.handler.log import Log
from testd_daemon.handler.settings import Settings
from testd_daemon.runtime import RUN_FILES_MARK
from testd_protocol import messages as m

__all__ = ["Agents"]


class Agents:
    """The agents of all workspaces, each in a task of the given group."""

    def __init__(self, settings: Settings, log: Log) -> None:
        """Begin without agents; `work` is set before the first is wanted."""
        self._settings = settings
        self._log = log
        self._agents: dict[str, Agent] = {}
        self.work: Work | None = None
        self.tasks: anyio.abc.TaskGroup | None = None

    def wanted(self, workspace: str) -> None:
        """See to it that the workspace's agent runs and has been told of everything."""
        agent = self._agent(workspace)
        assert self.tasks is not None
        if agent.want():
            self.tasks.start_soon(agent.serve, name=f"agent of {workspace}")
        else:
            self.tasks.start_soon(agent.deliver)

    def tell(self, workspace: str, message: m.Message) -> None:
        """Send a message to the workspace's agent, if there is one that works."""
        agent = self._agents.get(workspace)
        if agent is not None and agent.state is s.AgentState.READY:
            agent.tell(message)

    def command(self, message: m.Command, descriptors: tuple[int, ...]) -> None:
        """Give a command to the workspace's agent, which is started for it if need be."""
        assert self.tasks is not None
        self.wanted(message.workspace)
        self.tasks.start_soon(self._agent(message.workspace).command, message, descriptors)

    async def statuses(self) -> list[m.AgentStatus]:
        """Describe all agents; all are asked at once."""
        found: dict[str, m.AgentStatus] = {}

        async def ask(agent: Agent) -> None:
            found[agent.workspace] = await agent.status()

        async with anyio.create_task_group() as tasks:
            for agent in self._agents.values():
                tasks.start_soon(ask, agent)
        return [found[workspace] for workspace in self._agents]

    async def answer(self, question: Question) -> Reply:
        """Put a question to the workspace's agent, which is started for it if need be."""
        self.wanted(question.workspace)
        return await self._agent(question.workspace).answer(question)

    async def listing(self, question: m.List) -> AsyncGenerator[m.Listed | m.Fault]:
        """Have the workspace's agent list tests; it is started for it if need be."""
        workspace = question.request.workspace
        self.wanted(workspace)
        async with contextlib.aclosing(self._agent(workspace).listing(question)) as pages:
            async for page in pages:
                yield page

    def waiting(self) -> list[str]:
        """List the workspaces whose agents watch for run files; who they are has been left by these agents."""
        found = []
        for mark in Path(self._settings.folders.workspaces).glob(f"*/{RUN_FILES_MARK}"):
            with contextlib.suppress(OSError):
                workspace = os.fsdecode(mark.read_bytes())
                if workspace.startswith("/") and Path(workspace).is_dir():
                    found.append(workspace)
                else:
                    mark.unlink()
        return found

    def pids(self) -> set[int]:
        """List the processes that are ours."""
        return {agent.pid for agent in self._agents.values() if agent.pid}

    def _agent(self, workspace: str) -> Agent:
        if workspace not in self._agents:
            assert self.work is not None
            self._agents[workspace] = Agent(workspace, self._settings, self.work, self._log)
        return self._agents[workspace]
