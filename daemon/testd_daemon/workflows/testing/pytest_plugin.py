"""The pytest plugin for workflows: the fixtures `workflow` and `workflow_tester`, the marker, logs in reports.

Runs in the user's pytest. It is loaded where it is asked for, by a conftest.py with
`pytest_plugins = ["testd.workflows.pytest_plugin"]` or by `-p`, and is no entry point: that would load it into every
pytest of an environment in which testd happens to be.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from testd_daemon.workflows.testing.workflow_tester import WorkflowTester

__all__ = ["pytest_addoption", "pytest_configure", "pytest_runtest_makereport", "workflow", "workflow_tester"]

#: Scope → the node at whose end a run is over.
_SCOPES: Final[dict[str, type[pytest.Item | pytest.Collector]]] = {
    "function": pytest.Item, "class": pytest.Class, "module": pytest.Module, "session": pytest.Session,
}  # fmt: skip
_OPTIONS: Final = (
    "timeout", "check_interval", "stream_logs", "invoker", "invocation_id", "isolation", "join", "store", "input",
    "targets", "s3_client", "bucket_name", "folder", "key_template", "keep_buckets",
)  # fmt: skip
_MARKER: Final = (
    "workflow(file='workflow.json', scope='module', **options): what the fixture `workflow` runs, once for each "
    "function, class, module or session; options are those of WorkflowTester"
)
#: Runs by what they are for, at the node at whose end they are over.
_RUNS: Final = pytest.StashKey[dict[str, "WorkflowTester"]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a project name its workflow."""
    parser.addini("workflow_file", "the workflow that the fixture `workflow` runs", default="workflow.json")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def workflow(request: pytest.FixtureRequest) -> WorkflowTester:
    """Run the workflow of the test's marker, once for its scope, and give what tests it."""
    marker = request.node.get_closest_marker("workflow")
    arguments, options = (marker.args, dict(marker.kwargs)) if marker else ((), {})
    scope = options.pop("scope", "module")
    _check(scope, arguments, options)
    name = arguments[0] if arguments else options.pop("file", request.config.getini("workflow_file"))
    for key in ("file", "input"):
        if isinstance(options.get(key), str):
            options[key] = str(_find(request, options[key]))
    return _run(_owner(request, scope), str(_find(request, str(name))), options)


@pytest.fixture
def workflow_tester(workflow: WorkflowTester) -> WorkflowTester:
    """Give the same as `workflow`."""
    return workflow


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the logs of the functions that a failed test was about."""
    report = yield
    if report.failed:
        for name, text in _logs(item):
            if f"log of {name}:" not in report.longreprtext:
                report.sections.append((f"log of {name}", text))
    return report


def _run(owner: pytest.Item | pytest.Collector, path: str, options: dict[str, Any]) -> WorkflowTester:
    from testd_daemon.workflows.testing.workflow_tester import WorkflowTester

    runs = owner.stash.setdefault(_RUNS, {})
    key = repr((path, sorted(options.items(), key=repr)))
    if key not in runs:
        tester = WorkflowTester(path, **options).__enter__()
        owner.addfinalizer(lambda: runs.pop(key).__exit__(None, None, None))
        runs[key] = tester
    runs[key].latest()
    return runs[key]


def _owner(request: pytest.FixtureRequest, scope: str) -> pytest.Item | pytest.Collector:
    """Return the node of a scope; a test outside of any class has its module for one."""
    node: pytest.Item = request.node
    found = node if scope == "function" else node.getparent(_SCOPES[scope]) or node.getparent(pytest.Module)
    assert found is not None
    return found


def _check(scope: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    if scope not in _SCOPES:
        raise pytest.UsageError(f"marker workflow: scope is {scope!r}; right would be one of {', '.join(_SCOPES)}")
    if len(arguments) > 1:
        raise pytest.UsageError(f"marker workflow: {len(arguments)} files; one of them, and the rest by keyword")
    if unknown := sorted(set(options) - {"file", *_OPTIONS}):
        raise pytest.UsageError(
            f"marker workflow: there is no {unknown[0]}; there are file, scope, {', '.join(_OPTIONS)}"
        )


def _find(request: pytest.FixtureRequest, name: str) -> Path:
    """Return the nearest file of this name: beside the test, or in a folder above it, up to pytest's root."""
    folder = request.path.parent
    root = request.config.rootpath
    for place in (folder, *folder.parents):
        if (place / name).exists():
            return place / name
        if place == root:
            break
    if (found := request.config.invocation_params.dir / name).exists():
        return found
    raise pytest.UsageError(f"marker workflow: there is no {name} beside {request.path}, nor above it up to {root}")


def _logs(item: pytest.Item) -> Iterator[tuple[str, str]]:
    """Yield the logs of functions that failed, and of the one that was waited for."""
    home = sys.modules.get("testd_daemon.workflows.testing.workflow_tester")
    values = getattr(item, "funcargs", {}).values() if home else ()
    testers = {id(value): value for value in values if home and isinstance(value, home.WorkflowTester)}
    for tester in testers.values():
        yield from tester.telling_logs().items()
