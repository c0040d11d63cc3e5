"""The states of functions."""

from __future__ import annotations

import pytest

from testd_daemon.errors import IllegalTransition
from testd_daemon.workflows import status as statuses
from testd_daemon.workflows.status import FINAL, FunctionEvent, FunctionStatus, InvocationStatus, function_machine

S, E = FunctionStatus, FunctionEvent


def test_the_values_are_lower_case():
    assert [status.value for status in S] == [
        "pending", "invoked", "not_invoked", "running", "completed", "failed", "skipped", "timeout",
    ]  # fmt: skip
    assert [status.value for status in InvocationStatus] == ["pending", "invoked", "not_invoked"]


@pytest.mark.parametrize(
    ("predicate", "holds"),
    [
        ("pending", {S.PENDING}),
        ("invoked", {S.INVOKED}),
        ("not_invoked", {S.NOT_INVOKED}),
        ("running", {S.RUNNING}),
        ("completed", {S.COMPLETED}),
        ("failed", {S.FAILED}),
        ("skipped", {S.SKIPPED}),
        ("timed_out", {S.TIMEOUT}),
        ("has_run", {S.RUNNING, S.COMPLETED, S.FAILED, S.SKIPPED, S.TIMEOUT}),
        ("has_completed", {S.COMPLETED, S.NOT_INVOKED}),
        ("has_final_state", {S.COMPLETED, S.NOT_INVOKED, S.FAILED, S.TIMEOUT, S.SKIPPED}),
    ],
)
def test_each_predicate_holds_for_its_states(predicate, holds):
    """Fact 2."""
    assert {status for status in S if getattr(statuses, predicate)(status)} == holds


def test_whether_a_function_has_invoked_another_one():
    """Fact 10."""
    assert statuses.invocation_status(None, "func2") is InvocationStatus.PENDING
    assert statuses.invocation_status({"func3"}, "func2") is InvocationStatus.NOT_INVOKED
    assert statuses.invocation_status({"func5"}, "func5(2)") is InvocationStatus.INVOKED


def test_the_usual_ways():
    for events, end in (
        ([E.INVOKE, E.START, E.COMPLETE], S.COMPLETED),
        ([E.INVOKE, E.START, E.AGAIN, E.START, E.FAIL], S.FAILED),
        ([E.DROP], S.NOT_INVOKED),
        ([E.START, E.EXPIRE], S.TIMEOUT),
        ([E.INVOKE, E.SKIP], S.SKIPPED),
    ):
        machine = function_machine("f")
        for event in events:
            machine.advance(event)
        assert machine.state is end
        assert machine.final


@pytest.mark.parametrize("status", sorted(FINAL, key=lambda status: status.value))
@pytest.mark.parametrize("event", E)
def test_nothing_leads_out_of_a_final_state(status, event):
    with pytest.raises(IllegalTransition, match="function f is"):
        function_machine("f", status).advance(event)


@pytest.mark.parametrize(("status", "event"), [(S.PENDING, E.COMPLETE), (S.INVOKED, E.COMPLETE), (S.RUNNING, E.INVOKE)])
def test_what_cannot_happen_is_refused(status, event):
    with pytest.raises(IllegalTransition):
        function_machine("f", status).advance(event)
