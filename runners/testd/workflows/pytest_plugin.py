"""pytest's fixtures and marker for workflows: `pytest_plugins = ["testd.workflows.pytest_plugin"]` in a conftest.py.

A front for the plugin itself, as the package is for the rest: it runs in a user's tests, never in a function.
"""

from testd_daemon.workflows.testing.pytest_plugin import *  # noqa: F403, TID251  see above
