"""Which Node.js, and where they are."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest

from testd_daemon.agent.nodes import ask, everywhere, find, inspect
from testd_daemon.errors import EnvironmentFault, UsageError


def node(path: Path, version: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\necho \'["v{version}", "{path}"]\'\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def caller(tmp_path: Path) -> dict[str, str]:
    node(tmp_path / "bin" / "node", "20.1.0")
    return {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "HOME": str(tmp_path)}


@pytest.mark.parametrize(
    "path",
    [
        ".nvm/versions/node/v22.1.0/bin/node",
        ".local/share/fnm/node-versions/v22.1.0/installation/bin/node",
        ".volta/tools/image/node/22.1.0/bin/node",
        ".nodenv/versions/22.1.0/bin/node",
        ".asdf/installs/nodejs/22.1.0/bin/node",
        ".local/share/mise/installs/node/22.1.0/bin/node",
        "project/node_modules/node/bin/node",
        "project/node_modules/node22/bin/node",
        "project/node_modules/.bin/node",
    ],
)
def test_every_place_is_known(tmp_path: Path, caller: dict[str, str], path: str) -> None:
    there = node(tmp_path / path, "22.1.0")
    assert str(there) in everywhere(caller, str(tmp_path / "project"))
    found = anyio.run(find, "22", "x", str(tmp_path / "project"), caller)
    assert (found.path, found.version) == (str(there), "22.1.0")


def test_of_a_version_the_newest_is_taken_and_of_none_the_nearest(tmp_path: Path, caller: dict[str, str]) -> None:
    for version in ("22.9.0", "22.10.1", "21.0.0"):
        node(tmp_path / ".nvm" / "versions" / "node" / f"v{version}" / "bin" / "node", version)
    assert anyio.run(find, "22", "x", str(tmp_path), caller).version == "22.10.1"
    assert anyio.run(find, "v22.9", "x", str(tmp_path), caller).version == "22.9.0"
    assert anyio.run(find, "node", "x", str(tmp_path), caller).version == "20.1.0"
    own = node(tmp_path / "node_modules" / ".bin" / "node", "18.2.0")
    assert anyio.run(find, "node", "x", str(tmp_path), caller).path == str(own)


def test_a_path_is_relative_to_the_workspace(tmp_path: Path, caller: dict[str, str]) -> None:
    assert anyio.run(find, "bin/node", "x", str(tmp_path), caller).version == "20.1.0"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [("17", "no Node.js 17 in the workspace's node_modules"), ("bin/none", "no such program"), ("newest", "node is")],
)
def test_what_is_not_there_is_told_with_its_place(
    tmp_path: Path, caller: dict[str, str], wanted: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        anyio.run(find, wanted, "testd.toml:3", str(tmp_path), caller)
    assert caught.value.message.startswith("testd.toml:3: ")


def test_one_that_is_broken_does_not_hide_another(tmp_path: Path, caller: dict[str, str]) -> None:
    broken = node(tmp_path / ".nvm" / "versions" / "node" / "v22.1.0" / "bin" / "node", "")
    broken.write_text("#!/bin/sh\necho broken >&2; exit 1\n")
    node(tmp_path / ".volta" / "tools" / "image" / "node" / "22.0.0" / "bin" / "node", "22.0.0")
    assert anyio.run(find, "22", "x", str(tmp_path), caller).version == "22.0.0"
    with pytest.raises(EnvironmentFault, match=r"does not run as Node\.js") as caught:
        anyio.run(inspect, str(broken), dict(os.environ))
    assert caught.value.detail == "broken"


def test_one_that_is_too_old_is_told(tmp_path: Path, caller: dict[str, str]) -> None:
    old = str(node(tmp_path / "old" / "node", "16.20.2"))
    with pytest.raises(EnvironmentFault, match=r"is Node.js 16.20.2; 18 is the oldest that works"):
        anyio.run(inspect, old, caller)
    assert anyio.run(ask, old, caller).too_old


def test_each_is_asked_once_until_it_changes(tmp_path: Path, caller: dict[str, str]) -> None:
    path = tmp_path / "real" / "node"
    path.parent.mkdir()
    path.write_text(f"""#!/bin/sh\necho x >> {tmp_path}/asked; echo '["v22.1.0", "{path}"]'\n""")
    path.chmod(0o755)
    for _ in range(2):
        assert anyio.run(find, "real/node", "x", str(tmp_path), caller).version == "22.1.0"
    assert (tmp_path / "asked").read_text() == "x\n"
    path.write_text(path.read_text().replace("22.1", "22.2"))
    os.utime(path, (1, 1))
    assert anyio.run(find, "real/node", "x", str(tmp_path), caller).version == "22.2.0"


def test_a_shim_is_asked_each_time_and_a_folder_of_another_version_never(
    tmp_path: Path, caller: dict[str, str]
) -> None:
    shim = tmp_path / "bin" / "node"
    shim.write_text(f"""#!/bin/sh\necho x >> {tmp_path}/asked; echo '["v22.1.0", "/elsewhere/node"]'\n""")
    other = tmp_path / ".nvm" / "versions" / "node" / "v20.1.0" / "bin" / "node"
    node(other, "20.1.0").write_text(f"#!/bin/sh\necho other >> {tmp_path}/asked\n")
    for _ in range(2):
        assert anyio.run(find, "22", "x", str(tmp_path), caller).executable == "/elsewhere/node"
    assert (tmp_path / "asked").read_text() == "x\nx\n"
