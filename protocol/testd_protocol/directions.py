"""Who sends what to whom: the closed unions by name. For the vectors, the reference and tests alone."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from testd_protocol import messages

__all__ = ["DIRECTIONS", "Direction", "members", "of"]


class Direction(msgspec.Struct, frozen=True, kw_only=True):
    """One direction of one link."""

    union: str  # its name in `messages`
    route: str  # sender → receiver
    about: str


DIRECTIONS = (
    Direction(union="ClientMessage", route="client → handler", about="On the Unix socket. The client speaks first."),
    Direction(union="HandlerMessage", route="handler → client", about="Answers, and the events of what was asked for."),
    Direction(union="AgentInstruction", route="handler → agent", about="On a socketpair that the agent inherits."),
    Direction(union="AgentMessage", route="agent → handler", about="Answers, and the events of every run."),
    Direction(union="CommandMessage", route="client → command", about="On the command's line, a socketpair."),
    Direction(union="LineMessage", route="command → client", about="From the agent, or from the stem of the process."),
    Direction(union="RunEvent", route="agent → clients", about="The `body` of `Report` and of `Event`."),
    Direction(union="RunnerInstruction", route="agent → runner", about="On a socketpair or the runner's stdio."),
    Direction(union="RunnerMessage", route="runner → agent", about="From the runner itself and from its workers."),
)


def members(direction: Direction) -> tuple[type[messages.Message], ...]:
    """Return the messages of a direction, in the order of its union."""
    union: Any = getattr(messages, direction.union)
    return get_args(union)


def of(message: type[messages.Message]) -> tuple[str, ...]:
    """Return the routes that a message travels."""
    return tuple(direction.route for direction in DIRECTIONS if message in members(direction))
