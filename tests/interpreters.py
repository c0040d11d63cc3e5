"""The Python interpreters on this machine, for tests that prove what must run on all of them.

`TESTD_TEST_PYTHONS` (`3.8,3.12`) names those that have to be here: one that is missing fails, nothing is skipped.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

#: The versions that what runs inside a target supports.
SUPPORTED = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")


@functools.cache
def found() -> dict[str, str]:
    """Return version → path of each supported interpreter that answers; the one that runs the tests is among them.

    Raises:
        AssertionError: an interpreter that `TESTD_TEST_PYTHONS` asks for is not here.
    """
    running = "{}.{}".format(*sys.version_info)
    here = {version: path for version in SUPPORTED if (path := _find(version))}
    here[running] = sys.executable
    wanted = [name.strip() for name in os.environ.get("TESTD_TEST_PYTHONS", "").split(",") if name.strip()]
    missing = [version for version in wanted if version not in here]
    assert not missing, (
        f"TESTD_TEST_PYTHONS asks for Python {', '.join(missing)}; found are {', '.join(here)} "
        f"(looked for pythonX.Y on PATH and in {_pyenv()})"
    )
    return {version: here[version] for version in (wanted or here)}


def _pyenv() -> Path:
    return Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"


def _find(version: str) -> str | None:
    """Return an interpreter that says it is this version. A shim on PATH may refuse, so each is asked."""
    candidates = [str(folder / "bin" / "python") for folder in sorted(_pyenv().glob(f"{version}.*"), reverse=True)]
    on_path = shutil.which(f"python{version}")
    return next((path for path in [*candidates, *([on_path] if on_path else [])] if _answers(path, version)), None)


def _answers(path: str, version: str) -> bool:
    ask = [path, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and answer.stdout.strip() == version
