"""Configuration: what is written, what counts, where it came from, and how a mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from testd_daemon.config import KEYS, explain, resolve, units
from testd_daemon.errors import ConfigError


def write(folder: Path, text: str, name: str = "pyproject.toml") -> str:
    (folder / name).write_text(text, "utf-8")
    return str(folder)


def problem(folder: Path, text: str, **given: object) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        resolve(write(folder, text), **given)  # type: ignore[arg-type]
    return caught.value


def test_defaults_need_no_file(tmp_path: Path) -> None:
    resolved = resolve(str(tmp_path))
    assert resolved.settings.kind == "auto"
    assert resolved.settings.timeout == 600.0
    assert resolved.settings.passthrough == ("*",)
    assert set(resolved.sources.values()) == {"default"}
    assert set(resolved.sources) == set(KEYS)


def test_each_layer_beats_the_one_below_and_is_named(tmp_path: Path) -> None:
    root = write(tmp_path, '[tool.testd]\njobs = 3\ntimeout = "2 min"\nmode = "bin"\n')
    resolved = resolve(root, {"TESTD_JOBS": "4", "TESTD_TIMEOUT": "5"}, {"jobs": 6, "timeout": None, "mode": None})
    assert (resolved.settings.jobs, resolved.settings.timeout, resolved.settings.mode) == (6, 5.0, "bin")
    assert resolved.sources["jobs"] == "command line --jobs"
    assert resolved.sources["timeout"] == "environment variable TESTD_TIMEOUT"
    assert resolved.sources["mode"] == f"{tmp_path}/pyproject.toml:4"


def test_testd_toml_takes_the_place_of_pyproject_and_says_so(tmp_path: Path) -> None:
    write(tmp_path, "[tool.testd]\njobs = 3\n")
    resolved = resolve(write(tmp_path, "# ours\njobs = 5\n", "testd.toml"))
    assert resolved.settings.jobs == 5
    assert resolved.sources["jobs"] == f"{tmp_path}/testd.toml:2"
    assert resolved.notices == [f"{tmp_path}/pyproject.toml: [tool.testd] is not used, testd.toml takes its place"]


def test_an_unknown_key_is_told_with_line_and_nearest_name(tmp_path: Path) -> None:
    error = problem(tmp_path, '[project]\nname = "x"\n\n[tool.testd]\ntimeuot = 3\n')
    assert error.message == f"{tmp_path}/pyproject.toml:5: unknown key tool.testd.timeuot"
    assert error.hint == "did you mean timeout?"
    assert error.exit_code == 4


def test_an_unknown_key_like_no_other_lists_all(tmp_path: Path) -> None:
    assert "the keys are kind, python" in problem(tmp_path, "[tool.testd]\nzzzz = 3\n").hint


@pytest.mark.parametrize(
    ("line", "wrong", "right"),
    [
        ("jobs = 0", "0 is no number of workers", '"auto"'),
        ("jobs = true", "expected a number or text, got true or false", '"auto"'),
        ('timeout = "soon"', "'soon' is no duration", '"90s"'),
        ("timeout = -1", "-1.0 is no duration", '"90s"'),
        ('mode = "fast"', "'fast' is none of these", '"bin"'),
        ('paths = "tests"', "expected a list, got text", "a list of files"),
        ("paths = [1]", "expected text, got a number", "a list of files"),
        ("environment = {A = 1}", "expected text, got a number", "a table"),
        ('memory_limit = "120%"', "'120%' is no share", '"80%"'),
        ("output_limit = 5", "5 is not between", '"64KiB"'),
        ("idle_runners = 99", "99 is not between 0 and 16", "0 to 16"),
        ('fork = "maybe"', "'maybe' is neither", "true or false"),
    ],
)
def test_a_wrong_value_is_told_with_what_is_allowed(tmp_path: Path, line: str, wrong: str, right: str) -> None:
    error = problem(tmp_path, f"[tool.testd]\n{line}\n")
    assert error.message.startswith(f"{tmp_path}/pyproject.toml:2: tool.testd.{line.split()[0]}: ")
    assert wrong in error.message
    assert right in error.hint


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    error = problem(tmp_path, '[tool.testd]\njob = 1\nmode = "x"\n', environment={"TESTD_JOBS": "many"})
    assert [line.split(":")[0].rsplit("/", 1)[-1] for line in error.message.splitlines()] == [
        "pyproject.toml",
        "pyproject.toml",
        "environment variable TESTD_JOBS",
    ]
    assert "(did you mean jobs?)" in error.message


def test_broken_toml_names_file_and_place(tmp_path: Path) -> None:
    error = problem(tmp_path, "[tool.testd\n")
    assert error.message.startswith(f"{tmp_path}/pyproject.toml: not valid TOML: ")
    assert "line 1" in error.message


def test_a_pyproject_that_is_not_ours_is_not_parsed(tmp_path: Path) -> None:
    """Another tool's broken file must not stop a run that it has nothing to do with."""
    assert resolve(write(tmp_path, "[broken\n")).settings.jobs == 0


def test_a_key_in_a_table_of_its_own_has_its_line(tmp_path: Path) -> None:
    resolved = resolve(write(tmp_path, '[tool.testd]\njobs = 2\n[tool.testd.environment]\nA = "1"\n'))
    assert resolved.settings.environment == {"A": "1"}
    assert resolved.sources["environment"].endswith(":3")


def test_explain_shows_every_key_in_words(tmp_path: Path) -> None:
    shown = {
        row.key: (row.value, row.source) for row in explain(resolve(write(tmp_path, "[tool.testd]\ntimeout = 0\n")))
    }
    assert list(shown) == list(KEYS)
    assert shown["timeout"] == ("no limit", f"{tmp_path}/pyproject.toml:2")
    assert shown["jobs"] == ("auto", "default")
    assert shown["capture_limit"] == ("64 KiB", "default")
    assert shown["passthrough"] == ('["*"]', "default")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("64KiB", 65536),
        ("64 kib", 65536),
        ("1MB", 1_000_000),
        ("2G", 2 * 1024**3),
        ("1.5 KiB", 1536),
        (17, 17),
        ("9b", 9),
    ],
)
def test_sizes(text: str | int, expected: int) -> None:
    assert units.size(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("90s", 90), ("2 min", 120), ("1h", 3600), ("250ms", 0.25), ("3", 3), (0, 0)]
)
def test_durations(text: str | int, expected: float) -> None:
    assert units.duration(text) == expected


@pytest.mark.parametrize("text", ["", "x", "-1s", "1 day", float("nan"), float("inf")])
def test_no_durations(text: str | float) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        units.duration(text)


def test_a_share_of_the_machine() -> None:
    assert units.memory("50%") == units.machine_memory() // 2 // 1024
    assert units.memory("0") == 0


def test_the_documentation_has_every_key() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "configuration.md").read_text("utf-8")
    for key in KEYS.values():
        assert f"| `{key.name}` |" in text, f"docs/configuration.md has no row for {key.name}"
        assert not key.variable or f"`{key.variable}`" in text
        assert key.allowed.replace("|", "\\|") in text, f"docs/configuration.md says something else of {key.name}"
