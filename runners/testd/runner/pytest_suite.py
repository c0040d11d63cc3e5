"""The suite of kind `pytest`: the target environment's own pytest, driven stage by stage as its command would.

Runs in stems and workers. pytest's own `main` goes from the command line to the exit code in one go; here the same
calls, in the same order, are made at checkpoints: configuration, session start and collection in stems, the test loop,
session finish and unconfigure in each worker. Works with pytest 7 and later.
"""

import contextlib
import os
import sys
from typing import Any, Callable, Dict, Iterator, List, Optional

from testd.context import state
from testd.runner.endings import place_of
from testd.runner.failures import describe
from testd.runner.import_time import ImportTime
from testd.runner.pytest_capture import follow_descriptors, hold_capture, restart_capture, restart_log_file
from testd.runner.pytest_reports import Report, Reports, exit_report
from testd.runner.pytest_sharing import share
from testd.runner.settings import Collection, Settings, SuiteFault, WorkerSettings

__all__ = ["PytestSuite", "sought"]

_OLDEST = (7, 0)
#: From here on pytest tells its version to the programs under test, in the environment.
_TELLS_VERSION = (8, 2)
#: Plugins that write to pytest's cache about "the last run": a worker has seen just a part of one.
_PARTIAL = ("lfplugin", "nfplugin", "stepwiseplugin")
#: Options of a project that would have somebody else run the tests, stop for a debugger, or run nothing at all.
_OURS: Dict[str, Any] = {
    "dist": "no",
    "numprocesses": None,
    "tx": [],
    "xmlpath": None,
    "usepdb": False,
    "trace": False,
    "collectonly": False,
    "setuponly": False,
    "setupplan": False,
}

#: Where pytest looks for its configuration.
_CONFIGURATION = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")


class PytestSuite:
    """One pytest session, from its start to the end of a worker."""

    kind = "pytest"

    def __init__(self, settings: Settings) -> None:
        """Import nothing yet."""
        self._settings = settings
        self._notices: List[str] = []
        self._body: Callable[[], None] = lambda: None
        self._pause: Callable[[], None] = lambda: None
        self._stopping: Callable[[], bool] = lambda: False
        self._reports = Reports(settings)
        self._fixtures: Any = None
        self._config: Any = None
        self._session: Any = None
        self.framework = "pytest"
        self.items: List[Any] = []
        self.errors: List[Any] = []

    # ── stems ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Import pytest and its own plugins, and look like `python -m pytest` to user code."""
        try:
            import pytest
        except ImportError as error:
            raise SuiteFault(
                "environment",
                f"no usable pytest in {sys.executable}: {error}",
                f"install it there ({sys.executable} -m pip install pytest), or choose another interpreter: "
                "set python, for a target in its table, or activate its environment",
            ) from error
        self.framework = f"pytest {pytest.__version__}"
        version = tuple(int(part) for part in pytest.__version__.split(".")[:2] if part.isdigit())
        if version < _OLDEST:
            raise SuiteFault("environment", f"{self.framework} in {sys.executable} is too old", "use pytest 7 or later")
        import importlib

        from _pytest.config import default_plugins

        for name in default_plugins:
            importlib.import_module(f"_pytest.{name}")
        from testd.runner.pytest_fixtures import SharedFixtures

        self._fixtures = SharedFixtures
        _become_main()

    def configure(self, pause: "Callable[[], None]") -> None:
        """Load plugins, configuration files and conftest files, and start the session.

        `pause` is called between the plugins and the first conftest file.
        """
        import pytest
        from _pytest.config import ConftestImportFailure

        if hasattr(pytest, "version_tuple") and pytest.version_tuple[:2] >= _TELLS_VERSION:
            os.environ["PYTEST_VERSION"] = pytest.__version__
        self._pause = pause
        try:
            self._config = self._parse(list(self._settings.arguments))
            self._session = pytest.Session.from_config(self._config)
            self._session.exitstatus = pytest.ExitCode.OK
            self._config._do_configure()
            hold_capture(self._config)
            self._quiet_terminal()
            self._config.hook.pytest_sessionstart(session=self._session)
        except ConftestImportFailure as error:
            raise self._conftest_fault(error) from error
        except pytest.UsageError as error:
            raise SuiteFault("usage", "\n".join(str(part) for part in error.args), "", "") from error
        except pytest.exit.Exception as error:
            raise self._exit_fault(error) from error

    def pause(self, config: Any) -> None:
        """Stay at the checkpoint *plugins*, when pytest is about to look for the first conftest files."""
        self._config = config
        self._pause()

    def sought(self) -> "List[str]":
        """Return the conftest and configuration files that would have been read until now if they were there."""
        return sought(self._config, [])

    def _parse(self, arguments: "List[str]") -> Any:
        from _pytest.config import _prepareconfig

        config = _prepareconfig(arguments, plugins=[_Plugin(self)])
        option = config.option
        if getattr(option, "cov_source", None) and not getattr(option, "no_cov", False):
            self._notices.append("coverage is not measured: the project's options ask for it, run pytest for that")
            controller = getattr(config.pluginmanager.getplugin("_cov"), "cov_controller", None)
            if controller is not None:
                controller.pause()
            config._ensure_unconfigure()
            return self._without_coverage(self._parse([*arguments, "--no-cov"]))
        for name, value in _OURS.items():
            if getattr(option, name, value) != value:
                setattr(option, name, value)
        return config

    def _without_coverage(self, config: Any) -> Any:
        """Let tests that pause coverage (`no_cover`) find something to pause: the plugin forgets that it is off."""
        plugin = config.pluginmanager.getplugin("_cov")
        if plugin is not None and getattr(plugin, "cov_controller", None) is None:
            plugin.cov_controller = _NoCoverage()
        return config

    def _conftest_fault(self, error: Any) -> SuiteFault:
        cause = getattr(error, "cause", None) or error.excinfo[1]
        told = describe(cause, root=self._settings.root, test_file=str(error.path), phase="collect")
        return SuiteFault(
            "conftest",
            f"{error.path} cannot be imported: {told['message']}",
            "repair it; every test below it needs it",
            told["text"],
        )

    def _exit_fault(self, error: Any) -> SuiteFault:
        place = place_of(error, self._settings.root)
        return SuiteFault(
            "exit", f"pytest.exit: {error.msg}" + (f" (at {place})" if place else ""), exit_code=_exit_code(error)
        )

    def _quiet_terminal(self) -> None:
        """Keep the terminal reporter for plugins that ask for it, but let it hear and print nothing."""
        manager = self._config.pluginmanager
        reporter = manager.getplugin("terminalreporter")
        if reporter is not None:
            manager.unregister(reporter)
            manager.register(_Silent(reporter), "terminalreporter")

    def collect(self, paths: "List[str]") -> Collection:
        """Collect `paths`, or what the project's configuration names where there are none."""
        import pytest

        config, session = self._config, self._session
        follow_descriptors(config)
        if paths:
            config.args = list(paths)
            source = getattr(type(config), "ArgsSource", None)
            if source is not None:
                config.args_source = source.ARGS
        try:
            with ImportTime() as importing:
                config.hook.pytest_collection(session=session)
        except pytest.UsageError as error:
            raise SuiteFault("usage", "\n".join(str(part) for part in error.args)) from error
        except pytest.exit.Exception as error:
            raise self._exit_fault(error) from error
        maxfail = int(config.option.maxfail or 0)
        if maxfail:
            config.option.maxfail = 0  # who runs the tests counts; None and 0 stay what they are
        session.testsfailed, session.shouldfail = 0, False
        self.items = _named(session.items)
        self.errors = self._reports.collect_errors
        return Collection(
            items=self.items,
            errors=self.errors,
            deselected=self._reports.deselected,
            notices=self._notices,
            maxfail=maxfail,
            patterns=self._patterns(),
            imported=importing.seconds,
        )

    def _patterns(self) -> "List[str]":
        """Return the names of files in which pytest looks for tests."""
        config = self._config
        patterns = [str(pattern) for pattern in config.getini("python_files")]
        if getattr(config.option, "doctestmodules", False):
            patterns.append("*.py")
        return patterns + [str(pattern) for pattern in getattr(config.option, "doctestglob", None) or ()]

    def prepare(self) -> "Iterator[None]":
        """Look up what every worker would look up again for its tests: pytest keeps it at the item. Step by step."""
        for item in self._session.items:
            with contextlib.suppress(Exception):  # it is raised again when the test runs, and reported there
                item.location  # noqa: B018  (a property that looks it up)
            yield

    def select(self, keyword: str) -> "List[int]":
        """Return the indexes of what pytest's own `-k` selects."""
        import pytest
        from _pytest.mark import deselect_by_keyword

        option = self._config.option
        own, option.keyword = option.keyword, keyword
        deselected = self._reports.deselected
        try:
            kept = list(self._session.items)
            deselect_by_keyword(kept, self._config)
        except pytest.UsageError as error:
            raise SuiteFault("usage", "\n".join(str(part) for part in error.args)) from error
        finally:
            option.keyword = own
            self._reports.deselected = deselected
        chosen = {id(item) for item in kept}
        return [index for index, item in enumerate(self._session.items) if id(item) in chosen]

    # ── workers ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def open(self, worker: WorkerSettings) -> None:
        """Turn the collected session into this worker's own."""
        self._stopping = worker.stopping
        restart_capture(self._config, self._settings.capture_limit, stream=worker.stream)
        restart_log_file(self._config, append=worker.workers > 1)
        manager = self._config.pluginmanager
        for name in _PARTIAL:
            plugin = manager.getplugin(name)
            if plugin is not None:
                manager.unregister(plugin)
        if worker.workers > 1:
            share(self._config, worker)
        if worker.recorder is not None:
            manager.register(self._fixtures(worker.recorder))
        state.update_snapshots = worker.update_snapshots or None
        self._reports.start()

    def within(self, body: "Callable[[], None]") -> None:
        """Run `body` as the session's test loop, inside of what plugins wrap around it."""
        self._body = body
        self._config.hook.pytest_runtestloop(session=self._session)

    def run_loop(self) -> bool:
        """Be the test loop, when pytest's own would start."""
        self._body()
        return True

    def run(self, index: int, following: "Optional[int]", report: Report) -> None:
        """Run one test with its fixtures, and report it once."""
        items = self._session.items
        item = items[index]
        self._reports.begin(item)
        try:
            item.config.hook.pytest_runtest_protocol(
                item=item, nextitem=None if following is None else items[following]
            )
        except BaseException as error:
            self._interrupted(item, None if following is None else items[following], error)
            if isinstance(error, KeyboardInterrupt) and self._stopping():
                raise
        self._reports.finish(report)

    def _interrupted(self, item: Any, following: Any, error: BaseException) -> None:
        """Turn what would end pytest's session (`pytest.exit`, an interrupt) into this test's own error."""
        self._reports.add_error(item, error)
        try:
            self._session._setupstate.teardown_exact(following)
        except BaseException as second:  # fixtures that were interrupted may fail to tear down
            self._reports.add_error(item, second)

    def close(self) -> None:
        """Finish the session and unconfigure, as pytest does at its end."""
        import pytest

        session = self._session
        os.chdir(session.startpath)
        session._setupstate.teardown_exact(None)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED if session.testsfailed else pytest.ExitCode.OK
        self._config.hook.pytest_sessionfinish(session=session, exitstatus=session.exitstatus)
        self._config._ensure_unconfigure()


def sought(config: Any, arguments: "List[str]") -> "List[str]":
    """Return the conftest and configuration files that would have been read so far if they were there.

    `arguments`: paths, or what begins with one, where pytest has begun to look beside its working directory.
    """
    folders = [str(folder) for folder in config.pluginmanager._dirpath2confmods]
    found = [os.path.join(folder, "conftest.py") for folder in folders]
    here, last = str(config.invocation_params.dir), str(config.inipath.parent if config.inipath else "/")
    for argument in ["", *arguments]:
        folder = os.path.normpath(os.path.join(here, argument.partition("::")[0]))
        while True:
            found += [os.path.join(folder, name) for name in _CONFIGURATION]
            above = os.path.dirname(folder)
            if folder in (last, above):
                break
            folder = above
    return found


class _Plugin:
    """Our part in pytest's hooks."""

    def __init__(self, suite: PytestSuite) -> None:
        import pytest

        self._suite = suite
        self.pytest_load_initial_conftests = pytest.hookimpl(hookwrapper=True, tryfirst=True)(_pausing(suite))
        self.pytest_runtestloop = pytest.hookimpl(tryfirst=True)(lambda session: suite.run_loop())
        reports = suite._reports
        self.pytest_runtest_logreport = reports.pytest_runtest_logreport
        self.pytest_exception_interact = reports.pytest_exception_interact
        self.pytest_make_collect_report = pytest.hookimpl(hookwrapper=True, trylast=True)(_around_collect)
        self.pytest_collectreport = reports.pytest_collectreport
        self.pytest_deselected = reports.pytest_deselected


def _pausing(suite: PytestSuite) -> "Callable[[Any], Any]":
    """Pause before capture and all else that is part of this hook, which begins when the pause is over."""

    def pytest_load_initial_conftests(early_config: Any) -> Any:
        suite.pause(early_config)
        yield

    return pytest_load_initial_conftests


def _around_collect(collector: Any) -> Any:
    """Make a file that calls `sys.exit` one that cannot be collected: recent versions of pytest end there."""
    outcome = yield
    error = outcome.excinfo[1] if outcome.excinfo else None
    if isinstance(error, SystemExit):
        outcome.force_result(exit_report(collector, error))


class _NoCoverage:
    """What measures coverage where nothing does: it is nothing, and can be paused."""

    cov = None

    def __bool__(self) -> bool:
        return False

    def pause(self) -> None:
        """Go on not measuring."""

    resume = pause


class _Silent:
    """Stands for the terminal reporter under its name: everything of it can be used, no hook of it is called."""

    def __init__(self, reporter: Any) -> None:
        self.__dict__["_reporter"] = reporter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reporter, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._reporter, name, value)

    def __dir__(self) -> "List[str]":
        return []


def _become_main() -> None:
    """Make `sys.modules["__main__"]` and `sys.argv` those of `python -m pytest`: programs under test look at them."""
    import importlib.util
    import types

    spec = importlib.util.find_spec("pytest.__main__")
    if spec is None or spec.origin is None:
        return
    main = types.ModuleType("__main__")
    main.__dict__.update(
        __file__=spec.origin,
        __spec__=spec,
        __package__="pytest",
        __loader__=spec.loader,
        __cached__=spec.cached,
        __builtins__=__builtins__,
    )
    sys.modules["__main__"] = main
    sys.argv[:] = [spec.origin]


def _named(items: "List[Any]") -> "List[Any]":
    """Return `(id, line)` of each item. Ids are made unique: plugins may collect two items under one node id."""
    seen: Dict[str, int] = {}
    lines: Dict[Any, int] = {}
    named = []
    for item in items:
        name = item.nodeid
        times = seen.get(name, 0) + 1
        seen[name] = times
        if times > 1:
            name = f"{name} ({times})"
        named.append((name, _line(item, lines)))
    return named


def _line(item: Any, known: "Dict[Any, int]") -> int:
    """Return the line of a test's definition, from 1. It is looked up once for all parameters of a function."""
    key = (item.parent, getattr(item, "originalname", None) or item.name)
    line = known.get(key)
    if line is None:
        found = item.location[1]
        line = known[key] = 0 if found is None else found + 1
    return line


def _exit_code(error: Any) -> int:
    code = getattr(error, "returncode", None)
    return 2 if code is None else int(code)
