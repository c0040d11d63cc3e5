import sys

import pytest

import interpreters


@pytest.fixture(autouse=True)
def _fresh():
    interpreters.found.cache_clear()
    yield
    interpreters.found.cache_clear()


def test_the_running_interpreter_is_always_found(monkeypatch):
    monkeypatch.delenv("TESTD_TEST_PYTHONS", raising=False)
    assert interpreters.found()["{}.{}".format(*sys.version_info)] == sys.executable


def test_one_that_is_asked_for_and_missing_fails(monkeypatch):
    monkeypatch.setenv("TESTD_TEST_PYTHONS", "{}.{}, 3.99".format(*sys.version_info))
    with pytest.raises(AssertionError, match=r"asks for Python 3\.99; found are"):
        interpreters.found()


def test_only_those_that_are_asked_for(monkeypatch):
    running = "{}.{}".format(*sys.version_info)
    monkeypatch.setenv("TESTD_TEST_PYTHONS", running)
    assert interpreters.found() == {running: sys.executable}


def test_a_shim_that_cannot_run_does_not_count(monkeypatch, tmp_path):
    shim = tmp_path / "python3.9"
    shim.write_text("#!/bin/sh\necho 'python3.9: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert interpreters._find("3.9") is None
