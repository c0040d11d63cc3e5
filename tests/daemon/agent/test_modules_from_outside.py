"""A run says once which modules came from outside of project and environment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from testd_daemon.agent.strangers import Strangers
from testd_protocol.messages import Stranger

MISSING = "which is outside the project and its environment: elsewhere it may be missing"


def test_each_folder_is_a_line_and_told_once() -> None:
    strangers, known = Strangers(), set[str]()
    strangers.add([Stranger("/lib", "PYTHONPATH", ["b", "a"]), Stranger("/else", "", ["x"])])
    assert strangers.told(known) == [
        f"x loaded from /else, {MISSING}",
        f"a, b loaded from /lib (PYTHONPATH), {MISSING}",
    ]
    strangers.add([Stranger("/lib", "PYTHONPATH", ["c", "d", "e"])])
    assert strangers.told(known) == []
    assert strangers.told(set())[1].startswith("a, b, c and 2 more loaded from /lib ")


def test_a_run_tells_what_its_suite_loaded_and_then_what_its_tests_did(
    project: Callable[..., Path], agent: Callable[..., Any], tmp_path: Path
) -> None:
    early, late = tmp_path / "first", tmp_path / "second"
    for folder, name in ((early, "early.py"), (late, "late.py")):
        folder.mkdir()
        (folder / name).touch()
    suite = "import early\ndef test_a():\n    import late\ndef test_b():\n    import late\n"
    driver = agent(project(test_a_py=suite, test_b_py=suite))
    for _ in range(2):  # the second one is warm
        result = driver.run(environment={"PYTHONPATH": f"{early}:{late}"})
        assert set(result.verdicts.values()) == {"passed"}, result.rows
        assert sorted(text for text in result.notices if MISSING in text) == [
            f"early loaded from {early} (PYTHONPATH), {MISSING}",
            f"late loaded from {late} (PYTHONPATH), {MISSING}",
        ]
