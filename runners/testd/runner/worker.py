"""A worker: runs the jobs of one run in one process, and ends. Forked from a stem, or a new process in `bin` mode.

A test is run only when the one that follows is known, because the framework decides by it what to tear down; so the
last test of a job waits for the next job or for `FinishWorker`.
"""

import contextlib
import faulthandler
import os
import resource
import signal
import sys
import time
from collections import deque
from typing import Any, Callable, Counter, Deque, Dict, List, Optional, Set, Tuple

from testd.framing import frame
from testd.msgpack import packb
from testd.runner import garbage, processes
from testd.runner.channel import Channel, ChannelClosed
from testd.runner.imports import ImportRecord
from testd.runner.settings import WorkerSettings
from testd.runner.slots import CUT_OFF, SlotWriter
from testd.runner.used import Recorder

__all__ = ["Worker", "finish_process"]

#: Taken before user code can replace them.
_monotonic = time.monotonic
_getrusage = resource.getrusage
_SELF = resource.RUSAGE_SELF
#: ru_maxrss is in KiB, on macOS in bytes.
_KIB = 1024 if sys.platform == "darwin" else 1

#: What answers a question that a worker waits for.
_ANSWER = "ApiAnswered"
#: Tests that have run and wait for an answer of the judge, above which no other one runs.
_UNJUDGED = 64
#: Tests whose use is worth a message while others wait.
_PAGE = 200

_Task = Tuple[int, int, bool]  # job, test, whether it is the job's last


class Worker:
    """Runs tests of a suite one by one, and reports each at once."""

    def __init__(
        self,
        channel: Channel,
        suite: Any,
        settings: WorkerSettings,
        slot: SlotWriter,
        imports: ImportRecord,
        recorder: Recorder,
    ) -> None:
        """Take what the stem prepared. `suite` has been collected."""
        self._channel = channel
        self._suite = suite
        self._settings = settings
        self._slot = slot
        self._imports = imports
        self._recorder = recorder
        self._queue: Deque[_Task] = deque()
        self._finished = False  # FinishWorker was received
        self._questions: Dict[int, Callable[[str], None]] = {}  # that are not answered, and what takes the answer
        self._asked = 0
        self._unjudged: Counter[int] = Counter()  # job → its tests of which the outcome is yet to be told
        self._through: Set[int] = set()  # jobs of which all tests have run
        self._failures = 0
        self._by_id: Optional[Dict[str, int]] = None
        self._alias: Dict[int, int] = {}  # the suite's index → the agent's, where they differ

    def work(self) -> bool:
        """Run everything. Returns whether the worker came to its end in order.

        Raises:
            ChannelClosed: the supervisor is gone.
        """
        processes.offer()
        self._imports.forget()
        self._settings.stopping = lambda: self._slot.stopping
        self._settings.ask = self._ask
        self._settings.exchange, self._settings.tell = self._exchange, self._tell
        self._settings.recorder = self._recorder if self._recorder.on else None
        self._recorder.open()
        self._suite.open(self._settings)
        completed = True
        try:
            self._suite.within(self._run_all)
        except KeyboardInterrupt:
            completed = self._slot.stopping
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one must not break the teardown
        except BaseException:  # out of a test: the slot goes on to name it, so that it is known what ended the worker
            self._close()
            raise
        self._slot.closing(_monotonic())
        garbage.keep_frozen()
        self._close()
        return completed

    def _run_all(self) -> None:
        self._run_jobs()
        self._slot.closing(_monotonic())  # what plugins have wrapped around this comes next

    def _run_jobs(self) -> None:
        while not self._slot.stopping:
            while len(self._queue) < 2 and not self._finished:
                self._slot.idle()
                self._tell_used()
                self._receive()
            while self._questions and (not self._queue or sum(self._unjudged.values()) >= _UNJUDGED):
                self._slot.idle()
                self._receive()
            if not self._queue:
                return
            job, test, last = self._queue.popleft()
            following = self._queue[0][1] if self._queue else None
            if not self._run(job, test, following):
                return
            if last:
                self._through.add(job)
                self._look_after(job)

    def _look_after(self, job: int) -> None:
        """Tell that a job is completed, if all its tests have run and have their outcomes."""
        if job in self._through and not self._unjudged[job]:
            self._through.discard(job)
            del self._unjudged[job]
            self._job_completed(job)

    def _job_completed(self, job: int) -> None:
        self._channel.send({"type": "JobCompleted", "job": job, "worker": self._settings.worker})

    def _ask(self, document: str, answer: "Callable[[str], None]") -> None:
        """Have the agent judge something; `answer` gets what it says while other tests run, or behind them."""
        self._asked += 1
        self._questions[self._asked] = answer
        self._tell({"type": "Judge", "id": self._asked, "worker": 0, "document": document})

    def _exchange(self, question: "Dict[str, Any]") -> "Dict[str, Any]":
        """Ask the agent, and wait for the answer; what else it says meanwhile is taken."""
        self._tell(question)
        while True:
            message = self._receive()
            if message["type"] == _ANSWER and message["id"] == question["id"]:
                return message

    def _tell(self, message: "Dict[str, Any]") -> None:
        self._channel.send(dict(message, worker=self._settings.worker))

    def _receive(self) -> "Dict[str, Any]":
        """Wait for a message, and take what it brings."""
        message, _ = self._channel.receive()
        kind = message["type"]
        if kind == "RunJob":
            tests = self._indexes(message)
            last = len(tests) - 1
            self._queue.extend((message["job"], test, n == last) for n, test in enumerate(tests))
            self._settings.invocation, self._settings.job = message.get("invocation") or {}, message["job"]
            if not tests:
                self._job_completed(message["job"])
        elif kind == "FinishWorker":
            self._finished = True
        elif kind == "Judged":
            self._questions.pop(message["id"])(message["document"])
        return message

    def _indexes(self, message: "Dict[str, Any]") -> "List[int]":
        """Return the suite's own indexes: in a process of its own they are found by the tests' names."""
        tests: List[int] = message["tests"]
        ids: List[str] = message.get("ids") or []
        if not ids:
            return tests
        if self._by_id is None:
            self._by_id = {found[0]: n for n, found in enumerate(self._suite.items)}
        renamed = self._renamed(ids)
        indexes = []
        for test, name in zip(tests, ids):
            index = self._by_id.get(name, renamed.get(name))
            if index is None:
                self._missing(message["job"], test, name)
            else:
                self._alias[index] = test
                indexes.append(index)
        return indexes

    def _renamed(self, ids: "List[str]") -> "Dict[str, int]":
        """Return the items whose ids came out differently this time (the time of day is a parameter), by the old id.

        The parameters of a function keep their order: ids that are gone are paired with the items of the same function
        that nobody asked for, in order. Where their numbers differ, which is which cannot be told.
        """
        known = self._by_id or {}
        gone: Dict[str, List[str]] = {}
        for name in ids:
            if name not in known:
                gone.setdefault(_function_of(name), []).append(name)
        if not gone:
            return {}
        taken = {known[name] for name in ids if name in known}.union(self._alias)
        left: Dict[str, List[int]] = {function: [] for function in gone}
        for index, found in enumerate(self._suite.items):
            function = _function_of(found[0])
            if function in left and index not in taken:
                left[function].append(index)
        pairs: Dict[str, int] = {}
        for function, names in gone.items():
            if len(names) == len(left[function]):
                pairs.update(zip(names, left[function]))
        return pairs

    def _missing(self, job: int, test: int, name: str) -> None:
        text = f"{name} was not found when its file was collected again in a new process"
        for found, _verdict, detail in self._suite.errors:
            if name.startswith(found.split("::")[0]):
                self._channel.send(_outcome(job, test, "error", 0.0, _peak(), detail))
                return
        from testd.runner.failures import detail as make_detail

        detail = make_detail(phase="collect", kind="usage", message=text, text=text)
        self._channel.send(_outcome(job, test, "error", 0.0, _peak(), detail))

    def _run(self, job: int, test: int, following: "Optional[int]") -> bool:
        """Run one test. Returns whether to go on."""
        reported = self._alias.get(test, test)
        self._slot.running(job, reported, _monotonic())

        returned = told = False

        def report(verdict: str, duration: float, detail: "Optional[Dict[str, Any]]") -> None:
            nonlocal told
            told = True
            if verdict in ("failed", "error"):
                self._failures += 1
            if detail is None:
                self._channel.send_frame(_plain_outcome(job, reported, verdict, duration, _peak()))
            else:
                self._channel.send(_outcome(job, reported, verdict, duration, _peak(), detail))
            if returned:
                self._unjudged[job] -= 1
                self._look_after(job)

        if self._recorder.on:
            self._recorder.begin(self._suite.items[test][0].partition("::")[0])
            self._suite.run(test, following, report)
            self._recorder.end(reported)
        else:
            self._suite.run(test, following, report)
        returned = True
        if not told:
            self._unjudged[job] += 1
        return not (self._settings.maxfail and self._failures >= self._settings.maxfail)

    def _tell_used(self, *, last: bool = False) -> None:
        """Send what tests have used: when there are enough of them, and all at the end."""
        while self._recorder.on and (last or self._recorder.waiting >= _PAGE):
            page = self._recorder.page(self._settings.collection, self._settings.worker, last=last)
            if page is None:
                return
            self._channel.send(page)

    def _close(self) -> None:
        """Tear the session down, then send what was imported and used meanwhile."""
        try:
            self._suite.close()
        finally:
            files, imports = self._imports.drain()
            files = {module: file for module, file in files.items() if file not in self._recorder.products}
            if imports or files:
                self._channel.send(
                    {
                        "type": "Modules",
                        "collection": self._settings.collection,
                        "files": files,
                        "imports": imports,
                        "worker": self._settings.worker,
                        "strangers": self._imports.strangers.among(files, of_tests=True),
                    }
                )
            self._tell_used(last=True)


def finish_process(worker: Worker, slot: SlotWriter, stacks: int) -> None:
    """Run a worker to its end and leave the process, as an interpreter would, but without waiting for threads."""
    faulthandler.enable(file=stacks, all_threads=True)
    if hasattr(faulthandler, "register"):
        # What follows the dump is the signal's own action, the end: else a call that it interrupts would go on, and
        # a test that hung in it would pass.
        signal.signal(processes.DUMP_SIGNAL, signal.SIG_DFL)
        faulthandler.register(processes.DUMP_SIGNAL, file=stacks, all_threads=True, chain=True)
        processes.keep_dump_signal()
    status = 70  # EX_SOFTWARE, unless all went well
    try:
        if worker.work():
            slot.done()
            status = 0
        _run_exit_functions()
    except ChannelClosed:
        status = CUT_OFF  # nobody is left to tell, or user code closed what is not its own
    except SystemExit as error:  # from a session hook
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:  # whatever the session's own hooks raised: the supervisor reports it with this text
        import traceback

        try:
            os.write(stacks, traceback.format_exc().encode("utf-8", "replace"))
        except OSError:
            status = CUT_OFF
    finally:
        _flush()
        os._exit(status)


def _function_of(name: str) -> str:
    """Return a test's id without its parameters."""
    file, _, rest = name.partition("::")
    return file + "::" + rest.partition("[")[0]


def _run_exit_functions() -> None:
    import atexit

    atexit._run_exitfuncs()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # user code closed or replaced it
            stream.flush()


def _peak() -> int:
    return _getrusage(_SELF).ru_maxrss // _KIB


def _outcome(
    job: int, test: int, verdict: str, duration: float, memory: int, detail: "Optional[Dict[str, Any]]"
) -> "Dict[str, Any]":
    return {
        "type": "Outcome",
        "job": job,
        "test": test,
        "verdict": verdict,
        "duration": duration,
        "memory": memory,
        "detail": detail,
    }


_KEYS = [packb(key) for key in ("type", "job", "test", "verdict", "duration", "memory", "detail")]
_HEAD = b"\x87" + _KEYS[0] + packb("Outcome") + _KEYS[1]
_VERDICTS = {v: _KEYS[3] + packb(v) + _KEYS[4] for v in ("passed", "skipped", "xfailed", "xpassed", "failed", "error")}
_TAIL = _KEYS[6] + packb(None)


def _plain_outcome(job: int, test: int, verdict: str, duration: float, memory: int) -> bytes:
    """Return the frame of an outcome with nothing to say beyond its verdict: nearly all are."""
    return frame(
        _HEAD
        + packb(job)
        + _KEYS[2]
        + packb(test)
        + _VERDICTS[verdict]
        + packb(duration)
        + _KEYS[5]
        + packb(memory)
        + _TAIL
    )

