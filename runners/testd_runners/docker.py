"""A runner in a container, made by docker or podman: the command line is the same.

Imported by the agent. Standard library only, no input or output: what the engine and the image are has been found out
before (`testd_daemon/agent/containers.py`) and comes as options:

    image       the image as the target names it
    image_id    what the name stood for when that was looked up; a container is made of exactly this
    engine      docker or podman
    user        UID or UID:GID that user code runs as; empty: whom the image names
    userns      how the engine maps users, for podman without root: keep-id
    code        a folder on this machine that is mounted as well, and cannot be written to
    memory      bytes; cpus: a number; network: a network of the engine. Empty or 0: no limit, the engine's default
"""

import os
from typing import List, Mapping, Sequence, Tuple

from testd_runners.launcher import Command, Launcher, LaunchSettings

__all__ = ["LAUNCH_LABEL", "NAME_PREFIX", "WORKSPACE_LABEL", "DockerLauncher", "bind", "removals"]

#: What a container's name begins with; the launch's id is the rest.
NAME_PREFIX = "testd-"
#: Every container has these: who started it (the launch's id), and for which workspace.
LAUNCH_LABEL = "testd.launch"
WORKSPACE_LABEL = "testd.workspace"
#: Processes and threads in a container: enough for any suite, and a fork bomb ends there.
_MOST_PROCESSES = "16384"
#: Of /dev/shm. An engine gives 64 MB, with which multiprocessing fails in ways that nobody understands.
_SHARED_MEMORY = "1g"


class DockerLauncher(Launcher):
    """Start `docker run -i … IMAGE PYTHON BUNDLE --stdio`.

    The workspace is mounted at its own path: node ids, tracebacks and dependencies mean the same inside and outside.
    What the container has beside that (/tmp, HOME of a user that the image does not know) is gone with it.
    """

    kind = "docker"

    def command(self, settings: LaunchSettings) -> Command:
        """Describe the engine's client; the container's stdin and stdout are the protocol."""
        options = settings.options
        engine = options.get("engine") or "docker"
        name = NAME_PREFIX + settings.launch_id
        argv = [engine, "run", "--interactive", "--rm", "--init", "--pull", "never", "--name", name]
        argv += ["--label", f"{LAUNCH_LABEL}={settings.launch_id}", "--label", f"{WORKSPACE_LABEL}={settings.root}"]
        argv += ["--log-driver", "none"]  # else the engine writes every frame into a log of its own
        argv += _mounts(settings) + _user(options) + _limits(options)
        argv += ["--workdir", settings.root, "--entrypoint", settings.runtime]
        argv += [options.get("image_id") or options["image"], settings.bundle, "--stdio"]
        return Command(
            argv=tuple(argv),
            env=dict(settings.environment),
            cwd=settings.root,
            channel="stdio",
            cleanup=tuple((engine, *arguments) for arguments in removals(engine, [name])),
        )


def removals(engine: str, names: Sequence[str]) -> Tuple[Tuple[str, ...], ...]:
    """Return the arguments of an engine that remove containers: to be tried until they succeed.

    Docker's `rm --force` kills at once. Podman's asks first, and waits ten seconds where what it asks is a process that
    does not hear; its fourth version can be told not to. It notices by failing that its monitor of a container is gone.
    """
    remove = ("rm", "--force", "--volumes", *names)
    return ((*remove, "--time", "0"), remove) if os.path.basename(engine) == "podman" else (remove,)


def _mounts(settings: LaunchSettings) -> List[str]:
    """The workspace, code that is not in there, the runner's, and a /tmp for everybody that an image may lack."""
    code = settings.options.get("code", "")
    return [
        "--tmpfs", _temporary(settings.options),
        "--mount", bind(settings.root),
        *(("--mount", bind(code, "readonly")) if code else ()),
        "--mount", bind(settings.bundle, "readonly"),
        "--security-opt", "label=disable",  # with SELinux a container could not read the user's files otherwise
    ]  # fmt: skip


def _temporary(options: Mapping[str, str]) -> str:
    """Where an image has no /tmp, docker's ignores the mode, and only its owner can write there."""
    folder = "/tmp:rw,exec,mode=1777"  # noqa: S108  nobody else is in there
    user, _, group = options.get("user", "").partition(":")
    if not user or os.path.basename(options.get("engine", "")) == "podman":
        return folder
    return f"{folder},uid={user}" + (f",gid={group}" if group else "")


def bind(path: str, *more: str) -> str:
    """Return the description of a mount at the same path: one line of CSV, in which a comma wants quotes."""
    return ",".join(_quoted(field) for field in ("type=bind", f"source={path}", f"target={path}", *more))


def _quoted(field: str) -> str:
    return '"' + field.replace('"', '""') + '"' if set(field) & set(',"\n') else field


def _user(options: Mapping[str, str]) -> List[str]:
    user = options.get("user", "")
    argv = ["--userns", options["userns"]] if options.get("userns") else []
    if not user:
        return argv
    argv += ["--user", user]
    if user.partition(":")[0] != "0":  # an image knows no such user, and gives it / for a home
        argv += ["--env", "HOME=/tmp", "--env", "USER=testd"]
    return argv


def _limits(options: Mapping[str, str]) -> List[str]:
    argv = ["--pids-limit", _MOST_PROCESSES, "--shm-size", _SHARED_MEMORY]
    memory = options.get("memory", "")
    if _set(memory):
        argv += ["--memory", memory, "--memory-swap", memory]  # without the second: twice as much, half of it swap
    flags: Tuple[Tuple[str, str], ...] = (("--cpus", "cpus"), ("--network", "network"))
    for flag, name in flags:
        if _set(options.get(name, "")):
            argv += [flag, options[name]]
    return argv


def _set(value: str) -> bool:
    return value not in ("", "0", "0.0")
