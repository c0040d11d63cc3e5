import msgspec

import testd.framing
import testd.msgpack
from testd_protocol import directions, framing, messages

MESSAGES = [
    "Accepted",
    "AgentReport",
    "Amend",
    "Amended",
    "ApiAnswered",
    "Attach",
    "CallApi",
    "Cancel",
    "Collect",
    "Collected",
    "Command",
    "CommandEnded",
    "CommandSignal",
    "CommandStarted",
    "Configure",
    "ConfigureRunner",
    "Dependencies",
    "Difference",
    "DropCollection",
    "DropTraces",
    "Event",
    "Fault",
    "FilesReceived",
    "FilesSynced",
    "FilesWanted",
    "FinishWorker",
    "FunctionChanged",
    "FunctionEnded",
    "FunctionMeasured",
    "GenerationStarted",
    "Hello",
    "History",
    "HistoryReport",
    "JobCompleted",
    "Judge",
    "Judged",
    "KeepTraces",
    "List",
    "Listed",
    "Modules",
    "Notice",
    "Outcome",
    "Outcomes",
    "Output",
    "Ping",
    "Plain",
    "Planned",
    "Pong",
    "Prepare",
    "Preparing",
    "Probe",
    "Profile",
    "ProcessEnded",
    "ReadTrace",
    "Ready",
    "Report",
    "Run",
    "RunCompleted",
    "RunJob",
    "Select",
    "Selected",
    "Shutdown",
    "Standing",
    "StartCommand",
    "StartWorker",
    "Started",
    "Status",
    "StatusReport",
    "Steer",
    "StopWorker",
    "StoreChanged",
    "Submit",
    "SyncFiles",
    "TargetReady",
    "TargetUnavailable",
    "TraceRead",
    "Traces",
    "TracesKept",
    "TracesReport",
    "Unsupported",
    "Used",
    "Welcome",
    "Why",
    "WhyReport",
    "WorkerExited",
    "WorkflowPlanned",
    "WriteFiles",
]
DOCUMENTS = [
    "AgentStatus",
    "Caller",
    "Cause",
    "Code",
    "CollectError",
    "Content",
    "Detail",
    "Directory",
    "Failing",
    "FailureKind",
    "FileEntry",
    "Frame",
    "HistoryEntry",
    "Invocation",
    "Item",
    "Kind",
    "Mode",
    "Outdated",
    "Row",
    "RunRequest",
    "RunStatus",
    "RunnerStatus",
    "Section",
    "Stat",
    "Stranger",
    "Stream",
    "TraceEntry",
    "TracePage",
    "Use",
    "Verdict",
    "WhyEntry",
]
UNIONS = [
    "AgentInstruction",
    "AgentMessage",
    "ClientMessage",
    "CommandMessage",
    "HandlerMessage",
    "LineMessage",
    "RunEvent",
    "RunnerInstruction",
    "RunnerMessage",
]


def test_the_public_names_of_messages():
    pinned = [*MESSAGES, *DOCUMENTS, *UNIONS, "Message", "PROTOCOL", "__version__"]
    assert sorted(messages.__all__) == sorted(pinned)
    assert all(hasattr(messages, name) for name in pinned)


def test_the_public_names_of_framing_and_codec():
    assert testd.msgpack.__all__ == ["MAX_DEPTH", "PackError", "UnpackError", "packb", "unpackb"]
    assert testd.framing.__all__ == ["HEADER", "MAX_FRAME", "FrameBuffer", "FrameError", "frame"]
    typed = ["ProtocolError", "Unknown", "decode", "decoder", "encode"]
    assert sorted(framing.__all__) == sorted([*testd.framing.__all__, *typed])


def test_every_message_travels_somewhere():
    assert sorted(message.__name__ for message in messages.Message.__subclasses__()) == sorted(MESSAGES)
    assert all(directions.of(message) for message in messages.Message.__subclasses__())
    assert sorted(direction.union for direction in directions.DIRECTIONS) == sorted(UNIONS)


def test_every_link_can_say_that_it_does_not_understand():
    links = [direction for direction in directions.DIRECTIONS if direction.union != "RunEvent"]
    for direction in links:
        assert {messages.Unsupported, messages.Ping, messages.Pong} <= set(directions.members(direction))


def test_every_message_is_frozen_and_tagged_with_its_name():
    for message in messages.Message.__subclasses__():
        config = message.__struct_config__
        assert (config.frozen, config.tag_field, config.tag, config.omit_defaults, config.forbid_unknown_fields) == (
            True, "type", message.__name__, False, False,
        )  # fmt: skip


def test_required_fields_come_first():
    """A new field goes to the end and has a default: then required ones can never follow."""
    documents = [getattr(messages, name) for name in DOCUMENTS if isinstance(getattr(messages, name), type)]
    for struct in [*messages.Message.__subclasses__(), *documents]:
        required = [field.required for field in msgspec.structs.fields(struct)]
        assert required == sorted(required, reverse=True), struct
