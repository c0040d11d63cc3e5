"""What tests of environments are made of: small wheels, projects, an installer that does as it is told."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

from testd_daemon.agent.environments import EnvironmentRequest

#: An installer in place of uv: it notes each call, makes real environments, and hangs or fails where a file says so.
_INSTALLER = """#!/bin/sh
echo "$1" >> {folder}/calls
if [ "$1" = venv ]; then exec {python} -m venv --without-pip "$5"; fi
if [ -e {folder}/hang ]; then echo $$ > {folder}/pid.new; mv {folder}/pid.new {folder}/pid; exec sleep 1000; fi
if [ -e {folder}/fail ]; then cat {folder}/fail; exit 7; fi
"""


def wheel(folder: Path, name: str, version: str = "1.0", *, requires: str = "") -> Path:
    """Write a wheel that holds one module, as small as a wheel can be."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + (f"Requires-Dist: {requires}\n" if requires else ""),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in files) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)
    return path


class Installer:
    """An installer that stands where uv is looked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        program = folder / "uv"
        program.write_text(_INSTALLER.format(folder=folder, python=sys.executable))
        program.chmod(0o755)

    def hang(self) -> None:
        """Let the next installation hang."""
        (self.folder / "hang").touch()

    def fail(self, text: str) -> None:
        """Let the next installations print this and fail."""
        (self.folder / "fail").write_text(text)

    def behave(self) -> None:
        """Let the next installations succeed."""
        for name in ("hang", "fail"):
            (self.folder / name).unlink(missing_ok=True)

    @property
    def calls(self) -> list[str]:
        """What was called: `venv`, `pip`."""
        path = self.folder / "calls"
        return path.read_text().split() if path.exists() else []

    @property
    def pid(self) -> int:
        """The process that hangs, 0 before it does."""
        path = self.folder / "pid"
        return int(path.read_text()) if path.exists() else 0

    @property
    def environment(self) -> dict[str, str]:
        """The variables of somebody who has it on PATH."""
        return {"PATH": f"{self.folder}:/usr/bin:/bin", "HOME": str(self.folder)}


def request(root: Path, **fields: object) -> EnvironmentRequest:
    """Return a request for the interpreter that runs the tests."""
    workspace = root / "workspace"
    workspace.mkdir(exist_ok=True)
    given: dict[str, object] = {
        "target": "py", "python": sys.executable, "version": "{}.{}.{}".format(*sys.version_info),
        "workspace": str(workspace), "cache": str(root / "cache"), "environment": dict(os.environ),
        "source": "pyproject.toml:4", **fields,
    }  # fmt: skip
    return EnvironmentRequest(**given)  # type: ignore[arg-type]


def running(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"
