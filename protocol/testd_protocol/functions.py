"""The documents of functions, in JSON: run files, suites of cases, and what a run of them wrote.

Imported by the daemon only. What runs on a target checks documents against the schemas that are generated from here
(`python -m testd_protocol.schemas`). A value anywhere in them may carry a type that JSON lacks by a tag
(docs/functions.md). In a document that people write an unknown key is a mistake; a run file and a result may have more.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = [
    "ExecutedFunction",
    "ExecutionContext",
    "ExpectedCall",
    "ExpectedCallResult",
    "FunctionMeta",
    "FunctionToExecute",
    "FunctionToRun",
    "Mock",
    "Mocks",
    "RunContext",
    "RunFile",
    "TargetResult",
    "TestCase",
    "TestCaseAssertion",
    "TestCaseAssertionResult",
    "TestCaseResult",
    "TestSuite",
    "TestSuiteResult",
]

Operator = Literal["equals", "contains", "subset", "matches", "approx", "type", "raises"]
Target = Literal["input", "output", "error"]
Language = Literal["javascript", "python"]


class Mock(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What happens in the place of a call: `error_to_throw` is raised unless it is empty, else `output` comes back."""

    output: Any = None  # what the call gives
    error_to_throw: str | None = None  # the message of an error
    error_type: str | None = None  # its type: `ValueError`, `shop.errors.OutOfStock`; none: Exception


#: `module:function` → number of the call from 1, or `*` for every call → what happens instead.
Mocks = dict[str, dict[str, Mock]]


class FunctionMeta(msgspec.Struct, kw_only=True):
    """Where a function is."""

    module_name: str  # as it is imported; `__main__`: the module that `file_name` is
    function_name: str  # in the module; of a method dotted, `Class.method`
    file_name: str = ""  # the file of the module


class FunctionToExecute(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a case calls: a function, or code that does. If both are there the function counts."""

    function_meta: FunctionMeta | None = None  # the function
    code: str | None = None  # source that calls one
    language: Language | None = None  # of module or code; none: as `module_name` looks, else Python


class ExecutionContext(msgspec.Struct, kw_only=True):
    """How a call was recorded."""

    copy_input: bool  # the input was taken down
    deep_copy_input: bool  # all of it, however deep
    copy_output: bool  # the output was taken down
    deep_copy_output: bool  # all of it, however deep
    copy_input_error: str | None = None  # why the input, or a part of it, could not be
    copy_output_error: str | None = None  # why the output, or a part of it, could not be
    is_mocked: bool = False  # the function did not run: a mock answered
    input_cut: bool = False  # a limit left out a part of the input
    output_cut: bool = False  # a limit left out a part of the output
    children_cut: int = 0  # calls that a limit left out
    unfinished: bool = False  # it had not ended when the record was made


class ExecutedFunction(msgspec.Struct, kw_only=True):
    """A recorded call and the calls that it made."""

    name: str  # of the function; of a method dotted
    id: str  # of the call
    parent_id: str | None = None  # the call that made it; none: a root
    input: Any = None  # `[*positional, {keyword: value}]`
    output: Any = None  # what it gave
    thrown_error: str | None = None  # the message of the error that it raised
    executed_successfully: bool  # it raised none
    children: list[ExecutedFunction] = []  # the recorded calls that it made, in their order
    execution_context: ExecutionContext  # how it was recorded
    error_type: str | None = None  # the type of the error: `ValueError`, `shop.errors:OutOfStock`
    stack: Any = None  # where the error came from
    description: str | None = None  # of the function, where somebody gave it one
    module: str | None = None  # in which the function is
    file: str | None = None  # in which it is, as the target sees it
    line: int | None = None  # where it begins
    start_time: float | None = None  # milliseconds since the epoch
    end_time: float | None = None  # milliseconds since the epoch
    total_time: float | None = None  # milliseconds


class RunContext(msgspec.Struct, kw_only=True):
    """What belongs to an item's action."""

    mocks: Mocks | None = None  # what is mocked while the item runs


class TargetResult(msgspec.Struct, kw_only=True):
    """What came of an item on one of several targets: one of both."""

    executed_function: ExecutedFunction | None = None  # the recorded call
    error: str | None = None  # why there is none


class FunctionToRun(msgspec.Struct, kw_only=True):
    """An item of a run file. Behind `context` stands what a run writes: one of `executed_function` and `error`."""

    execution_id: str  # names the item
    input_to_pass: list[Any] | dict[str, Any] | None = None  # `[*positional, {keyword: value}]`, or keywords alone
    function_meta: FunctionMeta | None = None  # the function
    code: str | None = None  # source that calls one; not used if there is a `function_meta`
    language: Language | None = None  # of module or code; none: as `module_name` looks, else Python
    action: str = ""  # the callback of the project that is called before
    context: RunContext | None = None  # what belongs to the action
    executed_function: ExecutedFunction | None = None  # the recorded call
    executed_functions: list[ExecutedFunction] | None = None  # all of them, where there are several that no other made
    error: str | None = None  # why there is none
    signal_error: str | None = None  # why `signal_endpoint` could not be told
    targets: dict[str, TargetResult] | None = None  # by name, where there were several; the item's own is the first's


class RunFile(msgspec.Struct, kw_only=True):
    """Functions to run, and after the run what came of each."""

    functions_to_run: list[FunctionToRun]  # each is run by itself
    signal_endpoint: str | None = None  # the URL to which is posted that an item is through


class TestCaseAssertion(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What must hold of a call: `operator` with `object`, or `code`."""

    name: str | None = None  # for reports
    assertion_target: Target = "output"  # what it is about: the call's input, its output, or the error's message
    object: Any = None  # what is expected of it
    operator: Operator | None = None  # how they are compared
    code: str | None = None  # source of a function that takes the `ExecutedFunction`
    language: Language = "javascript"  # of the code
    tolerance: float | None = None  # approx: how far a number may be off
    relative_tolerance: float | None = None  # approx: the same as a part of what is expected
    ignore: list[str] = []  # places that are not compared: `user.id`, `items[*].at`, `**.id`


class ExpectedCall(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A call that must have been made."""

    function: str  # `module:function`, or the function's name alone
    assertions: list[TestCaseAssertion] = []  # what must hold of it
    children: list[ExpectedCall] = []  # calls that it must have made, in this order; others may come between
    strict: bool = False  # it made no others


class TestCase(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A call and what must hold of it."""

    id: str  # names the case for programs
    name: str  # names the case for people
    function_to_execute: FunctionToExecute  # what is called
    input_to_pass: list[Any] | dict[str, Any]  # `[*positional, {keyword: value}]`; a map is the keywords alone
    assertions: list[TestCaseAssertion] = []  # what must hold of the call; none: it raises nothing
    children: list[ExpectedCall] = []  # calls that it must have made, in this order; others may come between
    strict: bool = False  # it made no others
    mocks: Mocks | None = None  # what is mocked while it runs
    description: str | None = None  # for people


class TestSuite(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Cases that belong together: what a `*.suite.json` file holds."""

    id: str  # names the suite for programs
    name: str  # names the suite for people
    description: str | None = None  # for people
    test_cases: list[TestCase]  # each is a test
    mocks: Mocks | None = None  # what is mocked in every case, unless the case says something else


class TestCaseAssertionResult(msgspec.Struct, kw_only=True):
    """An assertion and what came of it."""

    name: str | None = None  # as the assertion's
    assertion_target: Target = "output"  # as the assertion's
    object: Any = None  # as the assertion's
    operator: Operator | None = None  # as the assertion's
    code: str | None = None  # as the assertion's
    failure_message: str  # why it does not hold; empty: it does
    successful: bool  # it holds
    received: Any = None  # what was compared with `object`, where that was not the same
    differences: list[str] = []  # each place that differs, with what was expected there and what was there


class ExpectedCallResult(msgspec.Struct, kw_only=True):
    """A call that was expected, and what came of it."""

    function: str  # as the expectation's
    executed_function_id: str | None = None  # which call it was; none: there was none
    is_mocked: bool = False  # a mock answered it
    assertions: list[TestCaseAssertionResult] = []  # what came of each
    children: list[ExpectedCallResult] = []  # the calls that it was expected to make
    failure_reasons: list[str] = []  # why it fails
    successful: bool  # it was made, and all that was expected of it holds


class TestCaseResult(msgspec.Struct, kw_only=True):
    """A case and what came of it."""

    id: str  # as the case's
    name: str  # as the case's
    function_to_execute: FunctionToExecute | None = None  # as the case's
    input_to_pass: Any = None  # as the case's
    executed_function: ExecutedFunction | None = None  # the recorded call; none: it could not be run
    assertions: list[TestCaseAssertionResult] = []  # what came of each
    children: list[ExpectedCallResult] = []  # what came of the calls that were expected
    failure_message: str  # why it did not pass; empty: it did
    successful: bool  # all that was expected holds
    error: str | None = None  # why it could not be run


class TestSuiteResult(msgspec.Struct, kw_only=True):
    """A suite and what came of those of its cases that were to run."""

    id: str  # as the suite's
    name: str  # as the suite's
    description: str | None = None  # as the suite's
    test_case_results: list[TestCaseResult]  # in the order of the suite
    successful: bool  # all of them are
    file: str = ""  # the suite's, relative to the workspace
    target: str = ""  # where it ran
