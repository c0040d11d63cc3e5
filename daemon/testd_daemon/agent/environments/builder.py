"""The commands that make an environment: uv's where it is found, venv's and pip's otherwise. Pure, but for looking
where uv is and how pip is configured. Runs in the agent.
"""

from __future__ import annotations

import configparser
import os
import shutil
import sys
from collections.abc import Mapping
from typing import Final

import msgspec

__all__ = ["Builder", "Step", "choose", "python_of"]

#: What would lead an installation astray: another interpreter, another folder, another environment.
_LEFT_OUT: Final = (
    "PIP_DRY_RUN", "PIP_PREFIX", "PIP_PYTHON", "PIP_REPORT", "PIP_ROOT", "PIP_TARGET", "PIP_USER", "UV_DRY_RUN",
    "PIP_REQUIRE_VIRTUALENV", "UV_PREFIX", "UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_TARGET",
    "VIRTUAL_ENV", "CONDA_PREFIX",
)  # fmt: skip
#: pip's settings that uv knows under another name and does not read: an index of one's own is meant for both.
_FOR_UV: Final = {
    "index-url": "UV_INDEX_URL", "extra-index-url": "UV_EXTRA_INDEX_URL", "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE", "trusted-host": "UV_INSECURE_HOST",
}  # fmt: skip
#: pip's files for everybody on this machine.
_MACHINE_SETTINGS: Final = ("/etc/xdg/pip/pip.conf", "/etc/pip.conf")
#: Where a uv that has an index of its own says so.
_UV_INDEX: Final = (
    "UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX",
    "UV_CONFIG_FILE",
)  # fmt: skip


class Step(msgspec.Struct, frozen=True):
    """One command, and what it does, as people are told."""

    does: str
    argv: tuple[str, ...]


class Builder(msgspec.Struct, frozen=True):
    """How environments are made here: `uv` is its path, or empty."""

    uv: str
    environment: dict[str, str]

    @property
    def name(self) -> str:
        """What it is called."""
        return "uv" if self.uv else "venv and pip"

    def steps(self, base: str, folder: str, arguments: tuple[str, ...], shown: str, *, has_pip: bool) -> list[Step]:
        """Return what makes an environment in `folder` for the interpreter `base`.

        `has_pip`: the interpreter's own pip can install into another environment (from pip 22.3), so that none has to
        be put there first, which takes seconds.
        """
        python = python_of(folder)
        if self.uv:
            make: tuple[str, ...] = (self.uv, "venv", "--python", base, "--allow-existing", folder)
            install: tuple[str, ...] = (self.uv, "pip", "install", "--python", python)
        elif has_pip:
            make = (base, "-m", "venv", "--without-pip", folder)
            install = (base, "-m", "pip", "--python", python, "install")
        else:
            make = (base, "-m", "venv", folder)
            install = (python, "-m", "pip", "install")
        steps = [Step(f"making an environment with {self.name}", make)]
        if arguments:
            steps.append(Step(f"installing {shown}", (*install, *arguments)))
        return steps


def python_of(folder: str) -> str:
    """Return the interpreter of an environment."""
    return os.path.join(folder, "bin", "python")


def choose(caller: Mapping[str, str]) -> Builder:
    """Return how environments are made for somebody with these variables."""
    uv = _find_uv(caller)
    variables = {name: value for name, value in caller.items() if name not in _LEFT_OUT}
    for name in [name for name in variables if name.startswith("PYTHON")]:
        del variables[name]  # a project's PYTHONPATH or PYTHONHOME is not for the installer
    if uv:
        variables |= _index_for_uv(caller) | {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "NO_COLOR": "1"}
    else:
        variables |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_USER": "0", "NO_COLOR": "1",
                      "PIP_PROGRESS_BAR": "off", "PIP_REQUIRE_VIRTUALENV": "0"}  # fmt: skip
    return Builder(uv, variables)


def _find_uv(caller: Mapping[str, str]) -> str:
    """Return uv from the caller's PATH, from beside testd, or from where its installer puts it."""
    home = caller.get("HOME", "")
    beside = os.path.dirname(sys.executable)
    usual = [os.path.join(home, name, "bin") for name in (".local", ".cargo") if home]
    places = [caller.get("PATH", ""), beside, *usual]
    return shutil.which("uv", path=os.pathsep.join(filter(None, places))) or ""


def _index_for_uv(caller: Mapping[str, str]) -> dict[str, str]:
    """Return pip's index in uv's words, unless uv has been told of one itself."""
    if any(caller.get(name) for name in _UV_INDEX):
        return {}
    found = {_FOR_UV[key]: value for key, value in _pip_settings(caller).items() if key in _FOR_UV and value}
    found = {name: value for name, value in found.items() if not caller.get(name)}
    if "UV_EXTRA_INDEX_URL" in found:
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # what pip does: all indexes count alike
    return found


def _pip_settings(caller: Mapping[str, str]) -> dict[str, str]:
    """Return pip's settings, in pip's order: the machine's file, the user's, PIP_CONFIG_FILE, then the variables."""
    home = caller.get("HOME") or os.path.expanduser("~")
    config = caller.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    paths = [*_MACHINE_SETTINGS, f"{home}/.pip/pip.conf", f"{config}/pip/pip.conf"]
    own = caller.get("PIP_CONFIG_FILE", "")
    parser = configparser.RawConfigParser()
    try:
        parser.read([own] if own == os.devnull else [*paths, own], encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return {}  # pip will say what is wrong with it
    found: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            found |= {key: " ".join(value.split()) for key, value in parser.items(section)}
    for key in _FOR_UV:
        found[key] = caller.get(f"PIP_{key.upper().replace('-', '_')}", found.get(key, ""))
    return found
