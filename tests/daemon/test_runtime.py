"""Where things are, and what the quick client may import."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest

from testd_daemon import errors, runtime
from testd_daemon.errors import RuntimeFolderError


def test_our_variables_win_then_those_of_xdg():
    found = runtime.folders(
        {
            "TESTD_RUNTIME_DIR": "/r/",
            "TESTD_STATE_DIR": "/s",
            "XDG_STATE_HOME": "/x",
            "XDG_CACHE_HOME": "/c",
            "HOME": "/h",
        }
    )
    assert (found.runtime, found.state, found.cache) == ("/r", "/s", "/c/testd")
    assert (found.socket, found.journal) == ("/r/testd.sock", "/s/journal.sqlite")
    assert runtime.folders({"XDG_RUNTIME_DIR": "/run/user/7", "HOME": "/h"}).runtime == "/run/user/7/testd"


@pytest.mark.skipif(sys.platform == "darwin", reason="the paths of Linux")
def test_the_defaults():
    found = runtime.folders({"HOME": "/h", "XDG_STATE_HOME": "relative"})
    assert found.runtime in (f"/run/user/{os.getuid()}/testd", f"/tmp/testd-{os.getuid()}")
    assert (found.state, found.cache) == ("/h/.local/state/testd", "/h/.cache/testd")


def test_a_relative_folder_is_told():
    with pytest.raises(RuntimeFolderError, match="TESTD_STATE_DIR is 'here', a relative path"):
        runtime.folders({"TESTD_STATE_DIR": "here"})


def test_a_folder_is_made_private_and_a_link_is_refused(tmp_path):
    folder = tmp_path / "a" / "b"
    runtime.make_private(str(folder))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o777)
    runtime.make_private(str(folder))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    link = tmp_path / "link"
    link.symlink_to(folder)
    with pytest.raises(RuntimeFolderError, match="is not a folder"):
        runtime.make_private(str(link))


def test_a_projects_python_settings_do_not_reach_the_daemon():
    root = os.path.dirname(os.path.dirname(runtime.__file__))
    env = {"PATH": "/bin", "PYTHONWARNINGS": "error", "PYTHONPATH": "/project/src"}
    assert runtime.child_environment(env) == {"PATH": "/bin"}
    env["PYTHONPATH"] = f"relative:{root}:/x"
    assert runtime.child_environment(env) == {"PATH": "/bin", "PYTHONPATH": f"{root}:/x"}


def test_the_quick_client_imports_little():
    code = "import sys; before = set(sys.modules); import testd_daemon.client.sync; print(*set(sys.modules) - before)"
    found = subprocess.run([sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
                           capture_output=True, text=True, check=True)  # fmt: skip
    modules = set(found.stdout.split())
    assert "testd_daemon.client.sync" in modules
    dear = {
        "asyncio",
        "anyio",
        "msgspec",
        "typing",
        "subprocess",
        "json",
        "dataclasses",
        "inspect",
        "logging",
    }
    assert not modules & dear


def test_every_error_knows_what_to_exit_with():
    for name in errors.__all__:
        kind = getattr(errors, name)
        if isinstance(kind, type):
            assert issubclass(kind, errors.TestdError)
            assert 3 <= kind.exit_code <= 4
            assert kind.code
    assert str(errors.UsageError("what", hint="how")) == "what\nhow"
    crash = errors.ProcessCrashed("runner py3.11", -11, state="collecting", run="r1", stderr="tail")
    assert str(crash) == "runner py3.11 was killed by SIGSEGV while collecting in run r1"
    assert (crash.code, crash.detail) == ("crash", "tail")
