"""Which commands make an environment, and what steers them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from testd_daemon.agent.environments import builder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which uv is, and nothing of this machine's own settings."""
    monkeypatch.setattr(builder, "_MACHINE_SETTINGS", ())
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere" / "python"))
    uv = tmp_path / ".local" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    uv.write_text("#!/bin/sh\n")
    uv.chmod(0o755)
    return tmp_path


def caller(home: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(home), "PATH": "/none", **more}


def test_uv_is_found_on_path_then_beside_testd_then_at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert builder.choose(caller(home)).uv == f"{home}/.local/bin/uv"
    for place in ("beside", "first"):
        (home / place).mkdir()
        os.link(home / ".local" / "bin" / "uv", home / place / "uv")
    monkeypatch.setattr(sys, "executable", f"{home}/beside/python")
    assert builder.choose(caller(home)).uv == f"{home}/beside/uv"
    assert builder.choose(caller(home, PATH=f"{home}/first")).uv == f"{home}/first/uv"


def test_without_it_there_are_venv_and_pip(home: Path) -> None:
    (home / ".local" / "bin" / "uv").unlink()
    found = builder.choose(caller(home))
    assert (found.uv, found.name) == ("", "venv and pip")


def test_the_commands_of_uv(home: Path) -> None:
    made = builder.Builder("/bin/uv", {}).steps("/b/python", "/e", ("-e", ".", "six"), "-e . six", has_pip=False)
    assert [(step.does, step.argv) for step in made] == [
        ("making an environment with uv", ("/bin/uv", "venv", "--python", "/b/python", "--allow-existing", "/e")),
        ("installing -e . six", ("/bin/uv", "pip", "install", "--python", "/e/bin/python", "-e", ".", "six")),
    ]


def test_what_would_lead_it_astray_is_left_out_and_the_rest_is_kept(home: Path) -> None:
    astray = {
        "PYTHONPATH": "src", "PYTHONHOME": "/x", "VIRTUAL_ENV": "/v", "PIP_TARGET": "/t", "PIP_USER": "1",
        "UV_SYSTEM_PYTHON": "1", "UV_PYTHON": "3.8", "UV_PROJECT_ENVIRONMENT": "/e", "PIP_REQUIRE_VIRTUALENV": "1",
    }  # fmt: skip
    kept = {"https_proxy": "http://proxy", "PIP_NO_INDEX": "1", "UV_OFFLINE": "1", "CC": "clang"}
    found = builder.choose(caller(home, **astray, **kept)).environment
    assert not set(astray) & set(found)
    assert kept.items() <= found.items()
    (home / ".local" / "bin" / "uv").unlink()
    found = builder.choose(caller(home, **astray)).environment
    assert (found["PIP_USER"], found["PIP_REQUIRE_VIRTUALENV"]) == ("0", "0")


def test_an_index_that_pip_is_told_of_is_uvs_too(home: Path) -> None:
    config = home / ".config" / "pip" / "pip.conf"
    config.parent.mkdir(parents=True)
    config.write_text(
        "[global]\nindex-url = https://a/simple\nextra-index-url =\n    https://b/simple\n    https://c/simple\n"
        "[install]\nfind-links = /wheels\n"
    )
    found = builder.choose(caller(home)).environment
    assert found["UV_INDEX_URL"] == "https://a/simple"
    assert found["UV_EXTRA_INDEX_URL"] == "https://b/simple https://c/simple"
    assert found["UV_FIND_LINKS"] == "/wheels"
    assert found["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    # a variable beats the file, as with pip
    assert builder.choose(caller(home, PIP_INDEX_URL="https://d")).environment["UV_INDEX_URL"] == "https://d"
    # a uv that has settings of its own keeps to them
    found = builder.choose(caller(home, UV_DEFAULT_INDEX="https://e")).environment
    assert "UV_INDEX_URL" not in found
    assert "UV_EXTRA_INDEX_URL" not in found


def test_pips_file_may_be_another_one_or_none(home: Path) -> None:
    (home / "own.conf").write_text("[global]\nindex-url = https://own\n")
    (home / ".pip").mkdir()
    (home / ".pip" / "pip.conf").write_text("[global]\nindex-url = https://user\n")
    found = builder.choose(caller(home, PIP_CONFIG_FILE=str(home / "own.conf"))).environment
    assert found["UV_INDEX_URL"] == "https://own"
    assert "UV_INDEX_URL" not in builder.choose(caller(home, PIP_CONFIG_FILE=os.devnull)).environment


@pytest.mark.parametrize("text", ["no section\n", "[global]\na = 1\na = 2\n", "[global]\nindex-url = %(x)s\n", "\xff"])
def test_a_file_that_is_broken_is_pips_to_complain_of(home: Path, text: str) -> None:
    (home / ".pip").mkdir()
    (home / ".pip" / "pip.conf").write_text(text, "latin-1")
    assert builder.choose(caller(home)).uv


def test_without_settings_nothing_is_said_to_uv(home: Path) -> None:
    found = builder.choose(caller(home)).environment
    assert [name for name in found if name.startswith("UV_")] == ["UV_PYTHON_DOWNLOADS", "UV_NO_PROGRESS"]
