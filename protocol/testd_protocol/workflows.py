"""The document of a workflow, in JSON, as FaaSr defines it. Imported by the daemon only.

Keys at the top that are not known are kept for others to read; below, an unknown key is a mistake. `Testd` is ours:
what only this daemon reads, and others ignore.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

__all__ = [
    "Action",
    "ComputeServer",
    "Conditional",
    "DataStore",
    "Resources",
    "TestdSettings",
    "WorkflowFile",
]

#: Words of our fields that the document's keys do not write like others.
_WORDS = {
    "api": "API", "cpus": "CPUs", "cran": "CRAN", "faas": "FaaS", "faasr": "FaaSr", "github": "GitHub", "id": "ID",
    "pypi": "PyPI", "vm": "VM",
}  # fmt: skip


def _key(name: str) -> str:
    """Return the document's key of a field: `invocation_id_from_date` is InvocationIDFromDate."""
    return "".join(_WORDS.get(word, word.capitalize()) for word in name.split("_"))


Text = Annotated[str, Meta(min_length=1)]
Count = Annotated[int, Meta(ge=1)]
Amount = Annotated[float, Meta(ge=1)]
Packages = dict[Text, str | list[str]]
Name = Annotated[
    str, Meta(pattern="^[a-zA-Z][a-zA-Z0-9-]*$", description="a name of letters, digits and dashes, a letter first")
]
Function = Annotated[str, Meta(pattern="^[a-zA-Z_][a-zA-Z0-9_]*$", description="the name of a function")]
Secret = Annotated[
    str, Meta(pattern="^[A-Z][A-Z_0-9]*$", description="a name of capitals, digits and underscores, a capital first")
]
Next = Annotated[
    str,
    Meta(
        pattern=r"^[a-zA-Z][a-zA-Z0-9-]*(?:\([0-9]+\))?$",
        description="an action, NAME or NAME(RANKS): letters, digits and dashes, a letter first",
    ),
]
DateFormat = Annotated[
    str,
    Meta(
        pattern="^%[YymdHMSjUWaAbBfzZ%-]([%YymdHMSjUWaAbBfzZ%-])*$",
        description="a format of strftime that begins with %, such as %Y%m%d",
    ),
]
Address = Annotated[str, Meta(pattern="^(http.*)?$", description="an address that begins with http")]
Platform = Literal["GitHubActions", "Lambda", "OpenWhisk", "GoogleCloud", "SLURM", "Kubernetes"]
#: true, false, or the same as text.
Flag = bool | str


class Conditional(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=_key):
    """What is invoked if the function returned true, and what if it returned false."""

    true: list[Next] | UnsetType = UNSET  # after true
    false: list[Next] | UnsetType = UNSET  # after false


class Resources(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=_key):
    """What an action asks of a cluster. Only clusters read it."""

    nodes: Count | None = None  # how many
    tasks: Count | None = None  # how many
    cpus_per_task: Count | None = None  # how many
    memory: Count | None = None  # in MB
    time_limit: Count | None = None  # in minutes
    partition: str = ""  # its name
    working_directory: str = ""  # where it runs


class Action(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=_key):
    """A function in its place in the workflow."""

    faas_server: Text  # the compute server it runs on in the cloud
    function_name: Function  # what it calls
    type: Literal["Python", "R", "Julia"] = "Python"  # the function's language
    arguments: dict[str, Any] | None = None  # keyword arguments of the function
    invoke_next: list[Next | Conditional] = []  # what follows: actions, and at most one conditional
    requires_vm: bool = False  # it needs the machine of VMConfig
    max_memory: Amount | None = None  # in MB
    max_runtime: Amount | None = None  # in seconds
    max_storage: Amount | None = None  # in MB
    resources: Resources | None = None  # of a cluster
    secrets: list[Secret] = []  # names of secrets that it may read
    faasr_builtin: bool = field(name="_faasr_builtin", default=False)  # a function of the backend itself


class ComputeServer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=_key):
    """Where actions run in the cloud. What is required depends on FaaSType."""

    faas_type: Platform | None = None  # whose it is
    user_name: Text | None = None  # of the account
    action_repo_name: Text | None = None  # GitHub: the repository of the actions
    branch: str = ""  # GitHub: of that repository
    region: Text | None = None  # of the cloud
    endpoint: Text | None = None  # its address
    scheduler_endpoint: Text | None = None  # its scheduler's address
    namespace: Text | None = None  # of the account
    api_key: Text | None = field(name="API.key", default=None)  # OpenWhisk: a key
    access_key: Text | None = None  # Lambda: a key
    secret_key: Text | None = None  # the key's secret
    client_email: Text | None = None  # Google Cloud: the account
    token_uri: Text | None = None  # Google Cloud: where tokens come from
    token: Text | None = None  # a token
    api_version: str = ""  # SLURM: of its REST interface
    partition: str = ""  # SLURM: its name
    use_secret_store: bool | None = None  # secrets come from the platform's store, not from the document
    secrets_list: dict[str, str] = {}  # secrets by name, where there is no store
    allow_self_signed_certificate: bool = False  # of its address
    nodes: Count | None = None  # SLURM: how many
    tasks: Count | None = None  # SLURM: how many
    cpus_per_task: Count | None = None  # SLURM: how many
    memory: Count | None = None  # SLURM: in MB
    time_limit: Count | None = None  # SLURM: in minutes
    working_directory: str = ""  # SLURM: where actions run
    max_memory: Amount | None = None  # in MB, of actions that say nothing
    max_runtime: Amount | None = None  # in seconds, of actions that say nothing
    max_storage: Amount | None = None  # in MB, of actions that say nothing


class DataStore(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=_key):
    """A bucket of an object store that speaks S3."""

    bucket: Text  # its name
    endpoint: Address = ""  # empty: Amazon's
    region: str = ""  # empty: the client's default
    access_key: Text | None = None  # none: NAME_AccessKey of the environment
    secret_key: Text | None = None  # none: NAME_SecretKey of the environment
    writable: Flag = True  # functions may write into it
    anonymous: Flag = False  # it is read without keys


class TestdSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=_key):
    """What this daemon reads and the cloud does not."""

    __test__ = False  # the name must not make pytest collect it

    target: str = ""  # runs actions that are not in Targets; empty: the default target
    targets: dict[Name, Text] = {}  # action → target that runs it
    timeout: Annotated[float, Meta(ge=0)] | None = None  # seconds of actions that are not in Timeouts; 0: no limit
    timeouts: dict[Name, Annotated[float, Meta(ge=0)]] = {}  # action → seconds it may take; 0: no limit


class WorkflowFile(msgspec.Struct, frozen=True, kw_only=True, rename=_key):
    """A workflow: its actions, what follows what, where they run and where their data is."""

    workflow_name: Name  # names it in logs and keys
    function_invoke: Text  # the action with which it begins
    action_list: Annotated[dict[Name, Action], Meta(min_length=1)]  # by name
    compute_servers: Annotated[dict[Text, ComputeServer], Meta(min_length=1)]  # by name
    data_stores: Annotated[dict[Text, DataStore], Meta(min_length=1)]  # by name
    default_data_store: Text  # where functions put files if they name no store
    logging_data_store: str | None = None  # where logs go; none: DefaultDataStore
    faasr_log: str = "FaaSrLog"  # the folder of logs; empty: FaaSrLog
    invocation_id: str = ""  # empty: one is made
    invocation_id_from_date: DateFormat | None = None  # makes the id of the time
    invocation_timestamp: str = ""  # empty: now
    function_rank: int | None = None  # of an action that runs
    action_containers: dict[Text, Text] = {}  # action → image in the cloud
    function_git_repo: Packages = {}  # function → where its code comes from
    function_local_file: dict[Text, Text] = {}  # function → its file
    pypi_package_downloads: Packages = {}  # function → packages of Python
    function_cran_package: Packages = {}  # function → packages of R
    function_github_package: Packages = {}  # function → packages of R on GitHub
    python_package_github: Packages = {}  # function → packages of Python on GitHub
    python_conda_package: Packages = {}  # function → packages of Conda
    secrets: list[Secret] = []  # names of secrets that actions may read
    vm_config: dict[str, Any] | None = None  # a machine in the cloud
    rerun_on_matched_invocation_id: bool | None = None  # run again what has run under the same id
    testd: TestdSettings = TestdSettings()  # what only this daemon reads
