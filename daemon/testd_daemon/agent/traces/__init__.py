"""The traces that applications of a workspace have sent: kept, found again, forgotten. Runs in the agent."""

from testd_daemon.agent.traces.service import Traces

__all__ = ["Traces"]
