"""What a runner is for. Two runs with equal specs may share one. Pure; runs in the agent."""

from __future__ import annotations

import os

import msgspec

from testd_daemon.agent.environment import difference
from testd_protocol.messages import ConfigureRunner, Kind, Mode

__all__ = ["Spec"]


#: Variables are compared by those that matter; the mode says how workers are started, and a runner can do both.
_NOT_COMPARED = ("environment", "significant", "target", "mode", "outside")


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that user code in a runner may depend on, beside the files."""

    target: str
    launcher: str
    runtime: str  # the interpreter, as the target names it
    kind: Kind
    mode: Mode
    root: str
    arguments: tuple[str, ...]
    fork: bool
    memory_limit: int
    output_limit: int
    capture_limit: int
    significant: dict[str, str]
    environment: dict[str, str]
    options: dict[str, str] = {}  # of the launcher: an image, a host
    extend: bool = False  # the environment is added to the target's own
    record: bool = True
    preload: bool = True
    otherwise: Kind | None = None  # the kind where the target has no pytest, which nobody knows yet
    suite_settings: dict[str, str] = {}  # of the kind
    outside: dict[str, str] = {}  # the environment of the command that reaches a target elsewhere

    def matches(self, other: Spec) -> bool:
        """Tell whether a runner for this will do for the other: only volatile variables may differ."""
        return not self.differences(other)

    def differences(self, other: Spec) -> str:
        """Say what differs, as a user is told why a run is cold; empty if nothing does."""
        for name in self.__struct_fields__:
            if name in _NOT_COMPARED:
                continue
            if getattr(self, name) != getattr(other, name):
                if name == "options":
                    return f"{difference(self.options, other.options)[0].partition('_')[0]} changed"  # image_id: image
                return f"{'interpreter' if name == 'runtime' else name.replace('_', ' ')} changed"
        names = difference(self.significant, other.significant)
        if not names:
            return ""
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        return f"environment changed: {shown}"

    def beside_files(self) -> dict[str, str]:
        """Return what tests may depend on beside files, by what a user calls it."""
        variables = sorted(self.significant.items())
        told = {
            "the interpreter": f"{self.runtime} {_moved_at(self.runtime)}",
            "the kind of tests": self.kind,
            "the framework's arguments": "\0".join(self.arguments),
            "the environment's variables": "\0".join(f"{name}={value}" for name, value in variables),
        }
        told |= {f"the suite's setting {name}": value for name, value in self.suite_settings.items()}
        told |= {f"the option {name}": value for name, value in self.options.items()}
        return told

    def message(self) -> ConfigureRunner:
        """Return the message that configures a runner for this."""
        return ConfigureRunner(
            kind=self.kind,
            mode=self.mode,
            root=self.root,
            cwd=self.root,
            environment=self.environment,
            arguments=list(self.arguments),
            memory_limit=self.memory_limit,
            output_limit=self.output_limit,
            capture_limit=self.capture_limit,
            stem=self.fork,
            extend=self.extend,
            record=self.record,
            preload=self.preload,
            otherwise=self.otherwise,
            settings=self.suite_settings,
        )


def _moved_at(program: str) -> int:
    """Return when a program was put in its place; 0 where it is not on this machine."""
    try:
        return os.stat(program).st_mtime_ns
    except OSError:
        return 0
