"""What tests need of Node.js is made once; where it cannot be made, that is said soon and in a line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import nodes

#: Stands in for npm: it notes what is asked of it, answers that there is no registry, or puts a node into place.
NPM = """#!/bin/sh
echo "$*" >> {folder}/calls
if [ ! -e {folder}/registry ]; then
    echo '{{"error": {{"code": "ENOTFOUND", "summary": "request to http://npm.invalid/node failed", "detail": ""}}}}'
    echo 'npm error A complete log of this run can be found in: x' >&2
    exit 1
fi
case "$*" in *install*)
    mkdir -p node_modules/node/bin
    printf '#!/bin/sh\\necho v22.1.0\\n' > node_modules/node/bin/node
    chmod +x node_modules/node/bin/node
esac
"""


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an npm, and nothing else that could be a Node.js."""
    path = tmp_path / "npm"
    path.write_text(NPM.format(folder=tmp_path))
    path.chmod(0o755)
    for name in ("mkdir", "chmod"):
        (tmp_path / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TESTD_TEST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTEST_XDIST_TESTRUNUID", "one")
    return tmp_path


def calls(npm: Path) -> int:
    return len((npm / "calls").read_text().splitlines())


def test_a_registry_that_is_not_there_is_asked_once_a_session(npm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = ("", "npm cannot find it: request to http://npm.invalid/node failed")
    assert nodes._find("22") == said
    assert nodes._find("22") == said
    assert calls(npm) == 1
    monkeypatch.setenv("PYTEST_XDIST_TESTRUNUID", "two")
    (npm / "registry").touch()
    path, problem = nodes._find("22")
    assert (os.access(path, os.X_OK), problem) == (True, "")
    assert nodes._find("22") == (path, "")
    assert calls(npm) == 3


def test_an_npm_that_hangs_is_given_up(npm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (npm / "npm").write_text("#!/bin/sh\nexec /bin/sleep 100\n")
    monkeypatch.setattr(nodes, "ASK_DEADLINE", 0.1)
    assert nodes._find("22") == ("", "npm cannot find it: no answer within 0.1 s to npm view node@22")


def test_what_npm_installed_and_does_not_run_is_said(npm: Path) -> None:
    (npm / "registry").touch()
    path, problem = nodes._find("20")
    assert path == ""
    assert problem.endswith("/cache/node/20/node_modules/node/bin/node does not run")
