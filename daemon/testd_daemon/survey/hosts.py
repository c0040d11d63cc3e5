"""The hosts of the user's own ssh configuration, and whether tests could run there. Runs in `testd targets`.

The file is only read for names: what they mean is ssh's to say, and it says it when a connection is asked for.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from testd_daemon import command
from testd_daemon.survey.found import Found
from testd_runners.launcher import LaunchSettings
from testd_runners.ssh import SshLauncher, remote_word

__all__ = ["CHECK_DEADLINE", "check", "configured"]

#: Seconds for a connection and one answer over it.
CHECK_DEADLINE: Final = 15.0
CONNECT_TIMEOUT: Final = 8
#: Files that may include one another, ssh's own limit.
_DEEPEST: Final = 16
#: Also answered by a Python 2, in no more than one line: csh knows no quotes over several.
_PROBE: Final = (
    'import platform, sys; print(platform.python_version() + " " + str(sys.version_info > (3,) '
    'and __import__("importlib.util").util.find_spec("pytest") is not None))'
)


def configured(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the hosts that have a name in ~/.ssh/config or a file that it includes, and where that is written."""
    home = Path(environment.get("HOME") or Path.home())
    found: dict[str, str] = {}
    for host, place in _hosts(home / ".ssh" / "config", home, _DEEPEST):
        found.setdefault(host, place)
    return list(found.items())


async def check(
    host: str, place: str, environment: Mapping[str, str], *, python: str = "python3", config: str = ""
) -> Found:
    """Connect to a host, without asking anything, and say which Python is there and whether it has pytest.

    `config`: a file in place of ssh's own.
    """
    found = Found(kind="host", name=f"ssh:{host}", place=place or host)
    program = shutil.which("ssh", path=environment.get("PATH"))
    if program is None:
        return _not(found, "there is no ssh on PATH", "install the OpenSSH client")
    try:
        done = await command.run(_argv(program, host, python, config), deadline=CHECK_DEADLINE, env=environment)
    except TimeoutError:
        return _not(found, f"no answer for {CHECK_DEADLINE:g} s", f"this must work without a question: ssh {host} true")
    if done.status:
        settings = LaunchSettings(python, "", "/", environment, {"host": host, "config": config})
        why = SshLauncher().explain(settings, done.status, done.error)
        if why is not None:
            return _not(found, why.message, why.hint, done.error)
        problem = f"{python} exited with status {done.status} there"
        return _not(found, problem, f"see: ssh {host} {python} --version", done.error)
    version, _, pytest = done.output.rpartition("\n")[2].partition(" ")  # what a login prints comes before it
    if not re.match(r"3\.(8|9|\d\d)\b", version):
        return _not(
            found, f"{python} there is Python {version}; 3.8 is the oldest that works",
            "install a newer one there, or name another one with python",
        )  # fmt: skip
    return msgspec.structs.replace(found, version=version, facts=["no pytest" if pytest == "False" else "pytest"])


def _argv(program: str, host: str, python: str, config: str) -> list[str]:
    options = (
        "BatchMode=yes", f"ConnectTimeout={CONNECT_TIMEOUT}", "ControlMaster=no", "ClearAllForwardings=yes",
        "RemoteCommand=none",
    )  # fmt: skip
    return [
        program, *(("-F", config) if config else ()), "-T", "-x", *(part for each in options for part in ("-o", each)),
        "--", host, f"exec {remote_word(python)} -c '{_PROBE}'",
    ]  # fmt: skip


def _not(found: Found, problem: str, fix: str, detail: str = "") -> Found:
    return msgspec.structs.replace(found, usable=False, problem=problem, fix=fix, detail=detail)


def _hosts(path: Path, home: Path, deepest: int) -> Iterator[tuple[str, str]]:
    """Yield the names and their places. Patterns are no hosts; what cannot be read has none."""
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return
    for number, line in enumerate(text.splitlines(), 1):
        keyword, _, rest = re.sub(r"^\s*(\w+)(\s*=\s*|\s+)", r"\1 ", line).strip().partition(" ")
        if keyword.lower() == "host":
            for name in re.findall(r'"([^"]*)"|(\S+)', rest.partition(" #")[0]):
                host = name[0] or name[1]
                if not re.search(r"[*?!]", host):
                    yield host, f"{path}:{number}"
        elif keyword.lower() == "include" and deepest:
            for pattern in rest.split():
                whole = str(home / pattern[2:]) if pattern.startswith("~/") else str(home / ".ssh" / pattern)
                for included in sorted(Path("/").glob(whole.lstrip("/"))):
                    yield from _hosts(included, home, deepest - 1)
