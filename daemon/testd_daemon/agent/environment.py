"""Which of the caller's variables user code gets, and whose change makes a runner cold. Runs in the agent."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Final

__all__ = ["VOLATILE", "activated", "difference", "for_user_code", "significant"]

#: Differ from terminal to terminal, or from command to command, and do not change what tests do.
VOLATILE: Final = (
    "_", "ALACRITTY_*", "COLORTERM", "DBUS_SESSION_BUS_ADDRESS", "DESKTOP_STARTUP_ID", "DIRENV_*", "GIO_*",
    "GNOME_TERMINAL_*", "GPG_AGENT_INFO", "GPG_TTY", "HISTFILE", "INVOCATION_ID", "ITERM_*", "JOURNAL_STREAM",
    "KITTY_*", "KONSOLE_*", "LC_TERMINAL", "LC_TERMINAL_VERSION", "LISTEN_*", "MANAGERPID", "NOTIFY_SOCKET", "OLDPWD",
    "PS1", "PS2", "PWD", "SECURITYSESSIONID", "SESSION_MANAGER", "SHLVL", "SSH_AGENT_PID", "SSH_AUTH_SOCK",
    "SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY", "STY", "SYSTEMD_EXEC_PID", "TERMINAL_EMULATOR", "TERM_PROGRAM",
    "TERM_PROGRAM_VERSION", "TERM_SESSION_ID", "TMUX", "TMUX_PANE", "VSCODE_*", "VTE_VERSION", "WATCHDOG_*",
    "WEZTERM_*", "WINDOW", "WINDOWID", "XAUTHORITY", "XDG_SEAT", "XDG_SESSION_ID", "XDG_VTNR", "XPC_*", "ZELLIJ*",
)  # fmt: skip


def for_user_code(caller: Mapping[str, str], passthrough: Iterable[str], extra: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of user code: the caller's variables that are let through, then the configured."""
    patterns = tuple(passthrough)
    if "*" in patterns:
        kept = dict(caller)
    else:
        kept = {name: value for name, value in caller.items() if _matches(name, patterns)}
    kept.update(extra)
    return kept


def activated(variables: Mapping[str, str], python: str) -> dict[str, str]:
    """Return the variables as if the environment of this interpreter were active, and none that the caller had."""
    result = dict(variables)
    result.pop("PYTHONHOME", None)
    active = result.pop("VIRTUAL_ENV", "")
    folders = [folder for folder in result.get("PATH", "").split(os.pathsep) if folder]
    if active:
        folders = [folder for folder in folders if folder != os.path.join(active, "bin")]
    programs = os.path.dirname(python)
    prefix = os.path.dirname(programs)
    if os.path.exists(os.path.join(prefix, "pyvenv.cfg")):
        result["VIRTUAL_ENV"] = prefix
    result["PATH"] = os.pathsep.join([programs, *(folder for folder in folders if folder != programs)])
    return result


def significant(environment: Mapping[str, str], volatile: Iterable[str] = ()) -> dict[str, str]:
    """Return the variables whose change makes a runner cold."""
    patterns = (*VOLATILE, *volatile)
    return {name: value for name, value in environment.items() if not _matches(name, patterns)}


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Return the names of variables that differ, sorted."""
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(name == pattern or ("*" in pattern and fnmatchcase(name, pattern)) for pattern in patterns)
