"""What tests and programs of users import to run workflows and look at what they do: `WorkflowTester` and the rest.

A front for `testd_daemon.workflows.testing`, and the one place where `testd` leads to the daemon: this runs in a user's
tests, never in a function of a workflow. It needs the extra: `pip install 'testd[testing]'`.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from testd_daemon.workflows.testing import *  # noqa: F403, TID251  see above


def _library() -> "ModuleType":
    try:
        import testd_daemon.workflows.testing as library  # noqa: TID251  see above
    except ModuleNotFoundError as error:
        if error.name != "testd_daemon" and not str(error.name).startswith("testd_daemon."):
            raise
        raise ModuleNotFoundError(
            "testd.workflows needs testd itself in this environment: pip install 'testd[testing]'", name=error.name
        ) from error
    return library


def __getattr__(name: str) -> object:
    if name == "__all__":
        return list(_library().__all__)
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(_library(), name)
    except ModuleNotFoundError as error:
        if error.name in ("boto3", "botocore", "moto", "pytest"):
            raise ModuleNotFoundError(
                f"testd.workflows needs {error.name}: pip install 'testd[testing]'", name=error.name
            ) from error
        raise
    globals()[name] = value
    return value


def __dir__() -> "list[str]":
    return sorted({*globals(), *_library().__all__})
