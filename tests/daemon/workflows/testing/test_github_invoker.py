"""Workflows that are started on GitHub Actions: what is sent, and what comes of each answer."""

from __future__ import annotations

import json

import pytest
from github_server import TOKEN, GitHub

from testd_daemon.workflows.testing import GitHubInvoker, InitializationError, InvocationError, WorkflowRunner
from testd_daemon.workflows.testing.invokers.github_api import GitHubApi
from workflow_files import document

SECRETS = {"GH_PAT": TOKEN, "S3_AccessKey": "access", "S3_SecretKey": "secret"}
PLACE = {"GITHUB_REPOSITORY": "me/workflows", "GITHUB_REF_NAME": "main"}
VARIABLES = SECRETS | PLACE


@pytest.fixture
def github():
    with GitHub() as github:
        yield github


@pytest.fixture
def project(tmp_path, github):
    """A repository with a workflow that is pushed and registered; give its file."""
    (tmp_path / ".git").mkdir()
    path = tmp_path / "flows" / "workflow.json"
    path.parent.mkdir()
    path.write_text(json.dumps(pushed()))
    github.files["flows/workflow.json"] = path.read_bytes()
    github.actions.add("Testing-start.yml")
    return path


def pushed(**server):
    servers = {
        "GH": {"FaaSType": "GitHubActions", "UserName": "me", "ActionRepoName": "workflows", "Branch": "main", **server}
    }
    return document({"start": ["end"], "end": None}, ComputeServers=servers)


def invocation(path, github, **environment):
    invoker = GitHubInvoker(environment={**VARIABLES, **environment}, api_url=github.url)
    return invoker, WorkflowRunner(path, invoker=invoker).invocation


def test_the_entry_action_is_dispatched_with_what_is_different(project, github):
    invoker, run = invocation(project, github)
    assert invoker.invoke(run) is None
    assert github.requests == [
        ("GET", "/repos/me/workflows/contents/flows/workflow.json"),
        ("POST", "/repos/me/workflows/actions/workflows/Testing-start.yml/dispatches"),
    ]
    [inputs] = github.inputs
    assert inputs["PAYLOAD_URL"] == "me/workflows/main/flows/workflow.json"
    overwritten = json.loads(inputs["OVERWRITTEN"])
    stores, servers = overwritten.pop("DataStores"), overwritten.pop("ComputeServers")
    assert overwritten == {"FunctionInvoke": "start", "InvocationID": run.id, "InvocationTimestamp": run.timestamp}
    assert (stores["S3"]["AccessKey"], stores["S3"]["SecretKey"], servers["GH"]["Token"]) == ("access", "secret", TOKEN)


def test_secrets_stay_here_where_the_platform_has_a_store_for_them(project, github):
    project.write_text(json.dumps(pushed(UseSecretStore=True)))
    github.files["flows/workflow.json"] = project.read_bytes()
    invoker, run = invocation(project, github)
    invoker.invoke(run)
    assert set(json.loads(github.inputs[0]["OVERWRITTEN"])) == {"FunctionInvoke", "InvocationID", "InvocationTimestamp"}
    assert all(secret not in json.dumps(github.inputs) for secret in SECRETS.values())


@pytest.mark.parametrize("missing", [["GH_PAT"], ["GITHUB_REF_NAME", "S3_SecretKey"]])
def test_fact_6_what_is_missing_is_named(project, github, missing):
    environment = {name: value for name, value in VARIABLES.items() if name not in missing}
    invoker = GitHubInvoker(environment=environment, api_url=github.url)
    text = f"Error initializing WorkflowRunner: Missing required environment variables: {', '.join(missing)}"
    with pytest.raises(InitializationError) as raised:
        WorkflowRunner(project, invoker=invoker)
    assert str(raised.value) == text
    assert github.requests == []


def test_fact_6_a_local_run_needs_no_variable(project, monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert WorkflowRunner(project, invoker="local").get_function_statuses().keys() == {"start", "end"}


def test_another_platform_is_told_as_such(tmp_path):
    path = tmp_path / "workflow.json"
    path.write_text(json.dumps(document({"a": None}, ComputeServers={"GH": {"FaaSType": "Lambda", "Region": "eu"}})))
    with pytest.raises(InitializationError, match=r"GH, which is no compute server of GitHubActions\nGive `invoker=`"):
        WorkflowRunner(path, invoker="github")


def test_what_is_not_pushed_does_not_run(project, github):
    project.write_text(json.dumps(pushed() | {"FaaSrLog": "Elsewhere"}))
    invoker, run = invocation(project, github)
    with pytest.raises(InvocationError, match=r"differs from .* in FaaSrLog: .*\nPush it first"):
        invoker.invoke(run)
    assert github.inputs == []


def forbid(github):
    github.limits = [(403, {})] * 9


def limit(github):
    github.limits = [(403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "99999999999"})] * 9


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda github: github.actions.clear(), r"start Testing-start\.yml of .* at main: .* 404 .*\n.*registered\?"),
        (lambda github: github.files.clear(), r"cannot read flows/workflow\.json .*: GitHub answers 404"),
        (forbid, r"GitHub answers 403 .*\nThe token may not do this"),
        (limit, r"rate limit is used up \(API rate limit exceeded\)\nTry again in \d{5,} seconds"),
        (lambda github: github.limits.append((500, {})), r"GitHub answers 500 .*\nTry again later"),
    ],
    ids=["action", "file", "forbidden", "limit", "error"],
)
def test_what_github_refuses_is_told_with_what_would_be_right(project, github, spoil, text):
    spoil(github)
    invoker, run = invocation(project, github)
    with pytest.raises(InvocationError, match=text) as raised:
        invoker.invoke(run)
    assert TOKEN not in str(raised.value)


def test_a_wrong_token_and_a_wrong_branch(project, github):
    invoker, run = invocation(project, github, GH_PAT="other")
    with pytest.raises(InvocationError, match=r"GitHub answers 401 Bad credentials\nCheck the token"):
        invoker.invoke(run)
    github.files["flows/workflow.json"] = json.dumps(pushed(Branch="old")).encode()
    project.write_bytes(github.files["flows/workflow.json"])
    invoker, run = invocation(project, github)
    with pytest.raises(InvocationError, match=r"GitHub answers 422 No ref found for: old"):
        invoker.invoke(run)


def test_a_limit_that_ends_soon_is_waited_for(github):
    github.files["a.json"] = b"{}"
    github.limits = [(429, {"retry-after": "7"}), (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1030"})]
    pauses = []
    api = GitHubApi(github.url, TOKEN, sleep=pauses.append, clock=lambda: 1000.0)
    assert api.contents("me/workflows", "a.json", "main") == b"{}"
    assert pauses == [7.0, 30.0]


def test_an_address_where_nobody_answers_is_told(project, github):
    invoker = GitHubInvoker(environment=VARIABLES, api_url="http://127.0.0.1:1")
    run = WorkflowRunner(project, invoker=invoker).invocation
    with pytest.raises(InvocationError, match=r"http://127\.0\.0\.1:1 does not answer: .*refused"):
        invoker.invoke(run)
