"""Which kind of test files a project has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from testd_daemon.agent.kind import Detector, detect


def project(root: Path, **files: str) -> str:
    for name, text in files.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


@pytest.mark.parametrize(
    ("files", "pytest_there", "kind", "reason"),
    [
        ({"test_a": "import pytest\n"}, True, "pytest", "test_a.py imports pytest"),
        ({"test_a": "from unittest import TestCase\n"}, True, "pytest", "test_a.py imports pytest or unittest"),
        ({"test_a": "class TestX:\n    pass\n"}, True, "pytest", "defines a class"),
        ({"test_a": "from testd import assertions\n"}, True, "exports", "test_a.py imports testd"),
        ({"deep__a_test": "import testd\n"}, True, "exports", "deep/a_test.py imports testd"),
        ({"test_a": "import testd\n", "test_b": "import pytest\n"}, True, "pytest", "test_b.py imports"),
        ({"test_a": "import testd\n", "conftest": ""}, True, "pytest", "conftest.py is pytest's"),
        ({"test_a": "def test(): pass\n"}, False, "exports", "has no pytest"),
        ({"test_a": "def test(): pass\n"}, True, "pytest", "nothing says otherwise"),
        ({"a": "import testd\n"}, True, "pytest", "nothing says otherwise"),
        ({"venv__test_a": "import testd\n", ".hidden__test_b": "import testd\n"}, True, "pytest", "nothing"),
        ({}, False, "pytest", "nothing says otherwise"),
    ],
)
def test_the_rule(tmp_path: Path, files: dict[str, str], pytest_there: bool, kind: str, reason: str) -> None:
    found = detect(project(tmp_path, **files), pytest=pytest_there)
    assert found.kind == kind
    assert reason in found.reason


def test_configured_pytest_wins_without_a_look(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("")
    found = detect(project(tmp_path, test_a="import testd\n"), pytest=True)
    assert (found.kind, found.reason) == ("pytest", "pytest is configured in pytest.ini")


def test_the_answer_is_kept_until_a_file_or_folder_changes(tmp_path: Path) -> None:
    detector = Detector()
    root = project(tmp_path, test_a="import testd\n")
    first = detector.detect(root, pytest=True)
    assert detector.detect(root, pytest=True) is first
    project(tmp_path, test_b="import pytest\n")
    os.utime(root, ns=(1, 1))
    assert detector.detect(root, pytest=True).kind == "pytest"
    (tmp_path / "test_b.py").write_text("import testd\n")
    os.utime(tmp_path / "test_b.py", ns=(1, 1))
    assert detector.detect(root, pytest=True).kind == "exports"
