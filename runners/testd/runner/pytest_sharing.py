"""Several workers share a run of pytest: what tells fixtures and plugins so, in the words of pytest-xdist.

Runs in workers. There is no controller: what xdist's has for `pytest_configure` happened in the stem, and its hook
`pytest_configure_node` is called in each worker, on a node that knows its name and no connection.
"""

import os
import sys
from types import SimpleNamespace
from typing import Any

from testd.runner.settings import WorkerSettings

__all__ = ["share"]


def share(config: Any, worker: WorkerSettings) -> None:
    """Say that several workers share this run in the way that fixtures and plugins know from pytest-xdist."""
    name = f"gw{worker.place}"
    run = worker.run or str(os.getppid())
    config.workerinput = {
        "workerid": name,
        "workercount": worker.workers,
        "testrunuid": run,
        "mainargv": list(sys.argv),
    }
    config.workeroutput = {}
    _configure_node(config, name)
    _own_basetemp(config, name)
    os.environ["PYTEST_XDIST_WORKER"] = name
    os.environ["PYTEST_XDIST_WORKER_COUNT"] = str(worker.workers)
    os.environ["PYTEST_XDIST_TESTRUNUID"] = run


def _configure_node(config: Any, name: str) -> None:
    """Let conftest files and plugins add to `workerinput`, by the hook that xdist's controller has for it."""
    hook = getattr(config.hook, "pytest_configure_node", None)  # declared by xdist, where it is installed
    if hook is None or not hook.get_hookimpls():
        return
    gateway = SimpleNamespace(id=name, spec=SimpleNamespace(id=name, popen=True, chdir=None, env={}))
    try:
        hook(node=SimpleNamespace(config=config, gateway=gateway, workerinput=config.workerinput))
    except Exception as error:  # it wants more of a node than there is here; many tests will not need what it gives
        sys.excepthook(type(error), error, error.__traceback__)


def _own_basetemp(config: Any, name: str) -> None:
    """Take a folder inside the one that the options name: pytest empties that one when it is first used."""
    factory: Any = getattr(config, "_tmp_path_factory", None)
    given = getattr(factory, "_given_basetemp", None)
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        factory._given_basetemp = given / name
        config.option.basetemp = str(given / name)
