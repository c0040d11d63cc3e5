"""One full example of every message: each field is set, and differs from its default.

For the vectors, the reference and tests; no process imports it. The texts try what a codec can get wrong: more than
ASCII, every width of an integer, whole floats, NUL bytes, nesting.
"""

from __future__ import annotations

import msgspec

from testd_protocol import messages as m

__all__ = ["EXAMPLES", "minimal"]

_DETAIL = m.Detail(
    phase="call",
    kind="assertion",
    message="assert 'naïve' == 'naive' ✗ 🐍",
    text="def test_it():\n>       assert 'naïve' == 'naive'\nE       AssertionError\n",
    frames=[m.Frame(file="tests/test_it.py", line=300, function="test_it", source="assert f(x) == y")],
    sections=[m.Section(name="Captured stdout call", text="a\x00b\r\n\x1b[31m")],
    leaks=["thread worker-1 (target pump)"],
    stacks="Thread 0x00007f (most recent call first):\n",
    document='{"error":"ü"}',
)
_CALLER = m.Caller(
    cwd="/home/eve/project/tests",
    environment={"PATH": "/usr/bin", "LANG": "C.UTF-8"},
    umask=0o77,
    nice=10,
    limits=[[7, 1024, 4096], [4, 0, -1]],
    processors=[0, 3],
    ignored=[2, 3],
    closed=[1],
)
_DIGEST = "0d3cb8ac5b5f9e0ea9b5aa7e8dd4fd9b"
_REQUEST = m.RunRequest(
    workspace="/home/eve/project",
    cwd="/home/eve/project/tests",
    paths=["test_it.py::test_it[ü-1]", "other_test.py:12"],
    keyword="it and not slow",
    maxfail=1,
    last_failed=True,
    stream=True,
    mode="bin",
    fresh=True,
    jobs=2,
    timeout=2.5,
    detach=True,
    update_snapshots=True,
    targets=["py3.12"],
    environment={"PATH": "/usr/bin", "LANG": "C.UTF-8"},
    python="/usr/bin/python3",
    require=True,
    shuffle=70000,
    isolate="test",
    verify=True,
    profile=True,
    watch=True,
    patterns=["test_it", "unit/"],
    affected=True,
    since="main",
    kind="cases",
    filters={"module": "shop.cart", "id": "c-1"},
    results="/home/eve/project/out/",
    report_url="http://127.0.0.1:8002/results",
    run_file=True,
)
_RUNNER_STATUS = m.RunnerStatus(
    target="py3.12", state="ready", pid=70001, python="3.12.1", tests=62000, memory=48000, age=12.0
)
_TRACE = m.TraceEntry(
    trace="0a" * 16,
    name="Cart.pay",
    module="shop.cart",
    file="/home/eve/project/shop/cart.py",
    line=12,
    at=1763500000.5,
    duration=0.25,
    successful=False,
    error="ValueError: no ü",
    calls=3,
    failures=1,
    cut=2,
    pid=70000,
    recording="5c0f",
    size=300,
)
_AGENT_STATUS = m.AgentStatus(
    workspace="/home/eve/project", state="ready", pid=70000, restarts=1, memory=51200, runners=[_RUNNER_STATUS]
)
_RUN_STATUS = m.RunStatus(
    run="r-1f3a",
    workspace="/home/eve/project",
    state="running",
    accepted_at=1763500000.25,
    counts={"passed": 1203, "failed": 1},
    tests=1204,
    exit_code=1,
    detach=True,
    watch=True,
)
_HISTORY_ENTRY = m.HistoryEntry(
    run="r-1f3a",
    test="tests/test_it.py::test_it",
    target="py3.12",
    verdict="failed",
    at=1763500000.0,
    duration=0.125,
    counts={"failed": 2},
    message="assert 1 == 2",
    runs=70,
    failures=2,
    generation=70000,
    previous=69999,
    changed=["src/ü.py"],
    more=3,
    commit="0d3cb8ac5b5f9e0ea9b5aa7e8dd4fd9b0d3cb8ac",
    flips=4,
)
_OUTCOMES = m.Outcomes(
    rows=[
        m.Row("tests/test_it.py::test_a", "py3.12", "passed", 0.001953125, 34567, 1, None),
        m.Row("tests/test_it.py::test_b", "py3.12", "timed out", 600.0, 70000, 2, _DETAIL),
    ]
)

#: By the message's name, in alphabetical order.
EXAMPLES: dict[str, m.Message] = {
    type(example).__name__: example
    for example in sorted(
        (
            # every link
            m.Ping(id=1),
            m.Pong(id=4294967296, memory=70000),
            m.Shutdown(reason="idle for 3 hours"),
            m.Unsupported(of="Dance"),
            m.Fault(
                code="config",
                message="pyproject.toml: [tool.testd] jbos",
                hint="did you mean jobs?",
                detail="line 12",
                exit_code=4,
                id=7,
            ),
            # client and handler
            m.Hello(pid=65536, protocol=2, version="9.8.7"),
            m.Submit(request=_REQUEST, key="3f9c1a"),
            m.Attach(run="r-1f3a", after=1000),
            m.Cancel(run="r-1f3a", reason="interrupted"),
            m.Command(
                workspace="/home/eve/project",
                arguments=["-q", "tests/test_it.py"],
                caller=_CALLER,
                python="/usr/bin/python3",
                verbose=True,
                descriptors=5,
            ),
            m.Steer(run="r-1f3a", what="filter", patterns=["test_it", "unit/"], keyword="it and not slow", stream=True),
            m.Status(),
            m.History(workspace="/home/eve/project", test="test_it", limit=5, id=3, flaky=True),
            m.Why(workspace="/home/eve/project", test="test_it", target="py3.12", limit=5, id=5),
            m.List(request=_REQUEST, format="json", id=4),
            m.KeepTraces(
                workspace="/home/eve/project",
                pages=[m.TracePage("0a" * 16, 0, b"\x78\x01"), m.TracePage("0a" * 16, 1, b"\x03\x00", _TRACE)],
                recording="5c0f",
                dropped=3,
                id=6,
            ),
            m.Traces(
                workspace="/home/eve/project",
                trace="0a",
                name="pay",
                module="shop",
                file="cart",
                recording="5c0f",
                failed=True,
                limit=5,
                id=7,
            ),
            m.ReadTrace(workspace="/home/eve/project", trace="0a0a", page=1, id=8),
            m.DropTraces(workspace="/home/eve/project", traces=["0a0a"], everything=True, id=9),
            m.Welcome(pid=255, protocol=2, version="9.8.7"),
            m.Accepted(run="r-1f3a"),
            m.Event(run="r-1f3a", seq=2, body=msgspec.Raw(msgspec.msgpack.encode(_OUTCOMES))),
            m.StatusReport(
                pid=256,
                version="9.8.7",
                socket="/run/user/1000/testd/testd.sock",
                journal="/home/eve/.local/state/testd/journal.sqlite",
                log="/home/eve/.local/state/testd/log/handler.log",
                started_at=1763500000.5,
                idle_exit=10800.0,
                memory=30000,
                clients=2,
                agents=[_AGENT_STATUS],
                runs=[_RUN_STATUS],
            ),
            m.HistoryReport(entries=[_HISTORY_ENTRY], id=3),
            m.WhyReport(
                entries=[
                    m.WhyEntry(
                        test="tests/test_it.py::test_it",
                        target="py3.12",
                        affected=True,
                        reasons=["it.py changed: It.ü"],
                        at=1763500000.5,
                        files=300,
                        functions=1,
                        used=["it.py: It.ü"],
                    )
                ],
                id=5,
            ),
            m.Listed(id=4, text="tests/test_it.py::test_a[ü]\n", stream="stderr", done=True, exit_code=1),
            m.TracesKept(refused={"0b" * 16: "too large"}, id=6),
            m.TracesReport(entries=[_TRACE], more=2, dropped=3, id=7),
            m.TraceRead(entry=_TRACE, page=1, pages=2, data=b"\x03\x00", id=8),
            # the events of a run
            m.TargetReady(
                target="py3.12",
                warm=True,
                reason="1203 tests kept since 12:03",
                mode="worker",
                kind="pytest",
                jobs=2,
                python="3.12.1",
                framework="pytest 9.0.1",
                host="build1",
            ),
            m.Planned(tests=62000, expected=7.5, deselected=127, targets={"py3.12": 62000, "build1": None}),
            m.Preparing(target="build1", text="1,200 of 5,000 files", done=1200, total=5000),
            m.Notice(level="warning", text="3 threads: no fork", target="py3.12", detail="ThreadPool-0"),
            m.Started(test="tests/test_it.py::test_slow", worker=2, seconds=5.0, target="py3.12"),
            m.Output(worker=2, stream="stderr", text="…\n", test=128, target="py3.12"),
            _OUTCOMES,
            m.RunCompleted(
                exit_code=1,
                counts={"passed": 1203, "failed": 1},
                duration=1.25,
                reason="stopped after 1 failure",
                hint="testd run --last-failed",
                detail="…",
                generation=7,
            ),
            m.GenerationStarted(
                generation=7, cause="change", changed=["src/it.py", "tests/test_it.py"], more=3, at=1763500000.5
            ),
            m.Standing(
                generation=7,
                tests=1204,
                counts={"passed": 1203, "failed": 1},
                failing=[m.Failing("tests/test_it.py::test_it", "py3.12", "failed", "assert 1 == 2")],
                more=1,
            ),
            m.TargetUnavailable(
                target="build1",
                message="ssh: connect to host build1 port 22: Connection refused",
                hint="Is sshd running there?",
                detail="debug1: Connecting to build1…\n",
                required=True,
            ),
            m.Difference(
                test="tests/test_it.py::test_b",
                target="py3.12",
                warm="passed",
                fresh=None,
                warm_message="…",
                fresh_message="assert 1 == 2",
                flaky=True,
            ),
            m.Profile(
                began=1763500000.25, ended=1763500001.5, targets={"py3.12": {"tests": 1.0, "tests: bodies": 1.75}}
            ),
            # handler and agent
            m.Configure(
                workspace="/home/eve/project",
                state_dir="/home/eve/.local/state/testd/workspaces/project-1a2b",
                cache_dir="/home/eve/.cache/testd",
                ephemeral=True,
            ),
            m.Run(
                run="r-1f3a", request=_REQUEST, finished=["py3.12\x00tests/test_it.py::test_a"], counts={"passed": 1}
            ),
            m.Probe(id=9),
            m.Ready(
                pid=70000,
                protocol=2,
                version="9.8.7",
                python="3.12.1",
                implementation="cpython",
                executable="/usr/bin/python3.12",
                root="/home/eve/.cache/testd/mirrors/project-1a2b3c4d5e6f7a8b/0/project",
                runtime="Node.js 22.1.0",
                processors=8,
                memory=16777216,
            ),
            m.Report(
                run="r-1f3a",
                body=msgspec.Raw(msgspec.msgpack.encode(m.Planned(tests=2))),
                final=True,
                counts={"passed": 2},
                exit_code=1,
                tests=2,
                mark="begin",
            ),
            m.AgentReport(id=9, status=_AGENT_STATUS),
            # agent and runner
            m.ConfigureRunner(
                kind="exports",
                mode="worker",
                root="/home/eve/project",
                cwd="/home/eve/project",
                environment={"PATH": "/usr/bin"},
                arguments=["-p", "no:cacheprovider"],
                memory_limit=2097152,
                output_limit=1048576,
                capture_limit=32767,
                stem=False,
                settings={"snapshots": "__snapshots__"},
                extend=True,
                mirror="project-1a2b3c4d5e6f7a8b",
                silence=20.0,
                record=False,
                preload=False,
                otherwise="exports",
            ),
            m.Collect(collection=1, paths=["tests"]),
            m.Select(id=5, collection=1, keyword="it and not slow", filters={"module": "shop.cart"}),
            m.DropCollection(collection=1, configured=True, started=True, plugins=True),
            m.StartWorker(
                worker=3,
                collection=1,
                stream=True,
                update_snapshots=True,
                timeout=600.0,
                job_timeout=3600.0,
                workers=2,
                paths=["tests/test_it.py"],
                run="r-1f3a",
                maxfail=1,
                place=1,
                documents=True,
            ),
            m.RunJob(job=12, worker=3, tests=[0, 127, 128, 255, 256, 65535, 65536], ids=["tests/test_it.py::test_a"]),
            m.FinishWorker(worker=3),
            m.StopWorker(worker=3, grace=0.5, patient=True),
            m.SyncFiles(
                id=6,
                entries=[
                    m.FileEntry("tests", "folder", 0o755, 0, 0, ""),
                    m.FileEntry("tests/ü.py", "file", 0o644, 1763500000123456789, 3, _DIGEST),
                    m.FileEntry("it.py", "link", 0, 0, 0, "tests/ü.py"),
                ],
                removed=["tests/old.py"],
                whole=True,
                done=True,
            ),
            m.WriteFiles(id=6, contents=[m.Content(_DIGEST, b"\x00\xff", False), m.Content(_DIGEST, b"\n")]),
            m.FilesWanted(id=6, digests=[_DIGEST]),
            m.FilesReceived(id=6, size=65536, files=128),
            m.FilesSynced(
                id=6,
                changed=["tests/ü.py"],
                outdated=[m.Outdated("configured", 0, "/usr/lib/python3/dist-packages/it.py")],
            ),
            m.Collected(
                collection=1,
                items=[m.Item("tests/test_it.py::test_a", 12), m.Item("tests/test_it.py::test_b[ü]", 0)],
                done=True,
                errors=[m.CollectError(id="tests/test_bad.py", detail=_DETAIL, verdict="skipped")],
                deselected=1,
                forkable=False,
                reason="a plugin keeps a thread",
                framework="pytest 9.0.1",
                maxfail=3,
                notices=["unknown mark: slwo"],
                strangers=[m.Stranger("/home/eve/lib", "PYTHONPATH", ["helpers", "tools"])],
                kind="pytest",
                patterns=["test_*.py", "*_test.py"],
                imported=0.75,
            ),
            m.Dependencies(
                checkpoint="configured",
                collection=1,
                files=[
                    m.Stat("/home/eve/project/conftest.py", 1763500000123456789, 4096, 0o644),
                    m.Stat("/home/eve/project/pytest.ini", -1, -1),
                ],
                directories=[m.Directory("/home/eve/project/tests", 1763500000000000000, ["sub", "test_it.py"], True)],
            ),
            m.Modules(
                collection=1,
                files={"it": "/home/eve/project/it.py"},
                imports={"test_it": ["it"]},
                worker=3,
                strangers=[m.Stranger("/home/eve/lib", "", ["late"])],
            ),
            m.Used(
                collection=1,
                worker=3,
                codes=[
                    m.Code(300, "/home/eve/project/it.py", "It.<locals>.ü", 12),
                    m.Code(301, "/home/eve/project/it.py", "<module>", 1),
                ],
                uses=[m.Use(300, [0, 300], ["/home/eve/project/ü.json"], ["/home/eve/project/data"], True)],
                shared=[301],
                written=["/home/eve/project/out.txt"],
                functions=True,
            ),
            m.Selected(id=5, tests=[0, 1, 300]),
            m.Outcome(job=12, test=300, verdict="failed", duration=0.25, memory=70000, detail=_DETAIL),
            m.Judge(id=9, worker=3, document='{"code": "(call) => call.output === \"ü\"", "executed": {}}'),
            m.Judged(id=9, worker=3, document='{"failure": ""}'),
            m.JobCompleted(job=12, worker=3),
            m.WorkerExited(
                worker=3,
                completed=False,
                status=-1,
                signal=11,
                cause="signal",
                test=300,
                seconds=1.5,
                stderr="Fatal Python error: Segmentation fault\n",
                stacks="Current thread 0x00007f (most recent call first):\n",
                memory=70000,
            ),
            m.StartCommand(
                command=4,
                program="/home/eve/project/.venv/bin/pytest",
                arguments=["-q", "tests/test_it.py"],
                caller=_CALLER,
                verbose=True,
                descriptors=5,
            ),
            m.CommandEnded(command=4),
            # on a command's line
            m.CommandSignal(number=2, group=True),
            m.CommandStarted(pid=70002),
            m.Plain(argv=["/usr/bin/python3", "-m", "pytest", "-q"], reason="fork = false"),
            m.ProcessEnded(status=139),
        ),
        key=lambda example: type(example).__name__,
    )
}


def minimal(example: m.Message) -> m.Message:
    """Return the same message with its required fields alone; the others have their defaults.

    A version stays as it is in the example: the vectors must not change with each release.
    """
    required = {field.name for field in msgspec.structs.fields(example) if field.required or field.name == "version"}
    return type(example)(**{name: getattr(example, name) for name in required})
