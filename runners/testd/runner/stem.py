"""A stem: a process at a checkpoint of the natural start that waits to be forked.

started (interpreter, framework) → plugins (configuration files, plugins) → configured (conftest files) → collected (the
suite). Each checkpoint is a process of its own, forked from the one before, so that a change costs only what came after
it. In `bin` mode one new process goes all the way and works, without a fork.

*plugins* lies in the middle of the framework's own start: the process serves from there, and only its children return.

The supervisor speaks to a stem over its channel: `Begin` (settings), `Advance` (fork the next checkpoint), `Fork` (a
worker), `Select`, `Amend`. A stem tells `Forked` and `Reaped`, and sends what the agent asked for in its own messages.
"""

import contextlib
import os
import select
import signal
import sys
import threading
from typing import Any, Dict, Iterable, Iterator, List, NoReturn, Optional, Tuple

from testd.runner import amending, findings, forking, garbage, processes, suites
from testd.runner.ahead import Ahead
from testd.runner.callers import Callers, Line
from testd.runner.channel import Channel, ChannelClosed, high
from testd.runner.command import Command, Departure, obstacle, plainly
from testd.runner.dependencies import Dependencies
from testd.runner.imports import ImportRecord
from testd.runner.rehearsal import Rehearsal
from testd.runner.rehearsals import Prepared, Rehearsals, Wish
from testd.runner.settings import Collection, Settings, SuiteFault, WorkerSettings
from testd.runner.slots import Slots
from testd.runner.used import Recorder
from testd.runner.worker import Worker, finish_process

__all__ = ["Stem", "start"]

_IDLE = 0.2  # seconds without anything to do before a collected stem uses its leisure
_BESIDE = 0.5  # the same while workers run


def start(kind: str, descriptors: List[int]) -> Command:
    """Be a new process in a target: `--stem CHANNEL SLOTS`, or `--bin CHANNEL SLOTS STACKS`.

    Returns in a process that was forked for a command, with nothing of a stem around it; does not return otherwise.
    """
    prctl = processes.load_prctl()
    processes.own_group()
    processes.die_with_parent(prctl, os.getppid())
    processes.reset_signals()
    channel = Channel(descriptors[0])
    slots = Slots(high(descriptors[1]))
    try:
        begin, _ = channel.receive()
        stem = Stem(channel, slots, Settings.read(begin), prctl)
        if kind == "--bin":
            stem.work_alone(high(descriptors[2]))
        stem.begin()
        stem.serve()
        raise RuntimeError("a stem that is not to advance came to its end")
    except Departure as departure:
        return departure.command
    except BaseException as error:
        _end(error)


def _end(error: BaseException) -> "NoReturn":
    """End this process for an error, never by way of the interpreter's own end: that waits for threads of user code."""
    status = 70  # EX_SOFTWARE
    try:
        if isinstance(error, ChannelClosed):
            status = 0
        elif isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)  # so that it is told what ended this process
        else:
            import traceback

            traceback.print_exception(type(error), error, error.__traceback__)  # the supervisor tells it
    finally:
        os._exit(status)


class Stem:
    """One checkpoint, and how the next one is made from it."""

    def __init__(self, channel: Channel, slots: Slots, settings: Settings, prctl: Any) -> None:
        """Prepare a process in which no user code has run."""
        self.channel = channel
        self.slots = slots
        self.settings = settings
        self.checkpoint = "started"
        self.collection = 0
        self._prctl = prctl
        self._children: Dict[int, Dict[str, Any]] = {}
        self._callers = Callers()
        self._rehearsals = Rehearsals()
        self._rehearsals.resumed, self._rehearsals.refused = self._resumed, self._stale
        self._ahead = Ahead(settings.root, self._spoil)
        self._imports = ImportRecord(settings.root, self._ahead)
        self._dependencies = Dependencies(settings.root)
        self._recorder = Recorder(settings.root, on=settings.record)
        self._suite: Any = None
        self._selecting = 0
        self._wake = -1
        self._leisure: Iterator[None] = iter(())  # what can wait until there is nothing more urgent, step by step
        self._patience: Optional[float] = None
        self._owing = False  # workers run, and the agent has not heard what they share

    # ── checkpoints ──────────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self) -> None:
        """Reach the checkpoint *started*."""
        self._listen_for_children()
        self._set_path()
        garbage.install()
        self._imports.install()
        self._recorder.start()
        self._dependencies.start()
        with self._telling_faults(0):
            self._suite = suites.choose(self.settings)
            self._suite.start()
            self._dependencies.stop()
            self._tell_dependencies()

    def configure(self, checkpoint: str) -> None:
        """Reach the checkpoint *configured*, from *started* by way of *plugins* where the suite has that."""
        self.checkpoint = checkpoint
        self._dependencies.start()
        with self._telling_faults(0):
            self._find_directory()
            self._suite.configure(self._pause)
            self._pause()  # where nothing on the way was that moment: there was no pytest on this target after all
            self._reached()

    def _pause(self) -> None:
        """Be the checkpoint *plugins*. The process that it is asked to advance in goes on and becomes *configured*."""
        if self.checkpoint != "plugins":
            return
        self._reached()
        if self.settings.preload and self.settings.stem:
            self._imports.come_first()
            self._ahead.settle()
        try:
            self.serve()
        except BaseException as error:  # not through the framework, which would clean up
            _end(error)
        self.checkpoint = "configured"
        self._ahead.loading = True
        self._dependencies.start()
        self._find_directory()

    def _reached(self) -> None:
        self._ahead.loading = False
        self._dependencies.stop()
        self._dependencies.note_sought(self._suite.sought())
        self._tell_dependencies()

    def collect(self, collection: int, paths: List[str]) -> None:
        """Reach the checkpoint *collected*, and tell what was found."""
        self.checkpoint = "collected"
        self.collection = collection
        self._ahead.loading = True
        self._dependencies.start()
        with self._telling_faults(collection):
            self._find_directory()
            found = self._suite.collect(paths)
            self._say_documents()
            self._ahead.loading = False
            self._dependencies.stop()
            self._recorder.settle()
            garbage.freeze()
            self._tell_dependencies()
            self._tell_collection(found)
            self._leisure, self._patience = self._use_leisure(), _IDLE

    def _load_ahead(self, modules: "List[str]", unfit: "List[str]") -> None:
        """Be at *plugins* with modules loaded that the project will ask for."""
        self._dependencies.start()
        spoiled = self._ahead.load(modules, unfit, self._fork_unsafe)
        self._dependencies.stop()
        if spoiled:
            self._spoil(spoiled)
        found = self._found()
        self._ahead.hide()
        garbage.freeze()
        self.channel.send({"type": "Loaded"})
        self._tell_found(*found)

    def _spoil(self, module: str) -> "NoReturn":
        """End this process: a module was loaded ahead that must not be."""
        self.channel.send({"type": "Spoiled", "module": module})
        forking.flush()
        os._exit(0)

    def work_alone(self, stacks: int) -> None:
        """Go all the way in this process and be a worker: mode `bin`. Does not return."""
        self._set_path()
        self._imports.install()
        self._recorder.start()
        message, _ = self.channel.receive()
        settings = WorkerSettings.read(message)
        with self._telling_faults(settings.collection):
            self._suite = suites.choose(self.settings)
            self._suite.start()
            self._suite.configure(self._pause)
            self._suite.collect(settings.paths)
            self._say_documents()
            self._recorder.settle()
        self._imports.strangers.settle()
        slot = self.slots.writer(message["slot"])
        worker = Worker(self.channel, self._suite, settings, slot, self._imports, self._recorder)
        finish_process(worker, slot, stacks)

    def _set_path(self) -> None:
        """Give user code the `sys.path` of `python -m`: the working directory first; the runner's own code last."""
        bundle = os.path.dirname(os.path.dirname(sys.modules["testd"].__file__ or ""))
        rest = [entry for entry in sys.path if entry not in ("", bundle)]
        sys.path[:] = [os.getcwd(), *rest, bundle]
        sys.argv[:] = [sys.argv[0]]

    def _find_directory(self) -> None:
        """Go where the working directory is now, if the one that this process was started in has been removed."""
        try:
            os.getcwd()
        except OSError:
            folder = self.settings.cwd or self.settings.root
            try:
                os.chdir(folder)
            except OSError as error:
                raise SuiteFault("environment", f"the working directory {folder} is gone: {error.strerror}") from error

    # ── serving ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def serve(self) -> None:
        """Carry out what the supervisor asks for until it is gone. There is no deadline: waiting is a stem's work.

        Returns only at *plugins*, in the process that is to become the next checkpoint.
        """
        while True:
            if not self.channel.pending:
                due = self._rehearsals.patience()
                patience = 0 if self._owing else self._patience
                if patience is not None and self._children and not self._owing:
                    patience = max(patience, _BESIDE)
                sources = {**self._callers.sources, **self._rehearsals.sources}
                watched = [self.channel.fileno(), self._wake, *sources]
                ready, _, _ = select.select(watched, [], [], patience if due is None else due)
                if not ready and due is not None:
                    self._prepare_next()
                    continue
                if not ready and self._owing:
                    self._tell_used()
                    continue
                if not ready:
                    done = next(self._leisure, self) is self
                    self._patience = None if done else 0
                    continue
                if self._wake in ready:
                    self._reap()
                for fd in ready:
                    if fd in sources:
                        sources[fd]()
                if self.channel.fileno() not in ready:
                    continue
            message, descriptors = self.channel.receive()
            kind = message["type"]
            if kind == "Advance":
                if self._advance(message, descriptors):
                    return
            elif kind == "Fork":
                self._fork_worker(message, descriptors)
                self._owing = self.settings.record
            elif kind == "Select":
                self._select(message)
            elif kind == "Amend":
                self._amend(message)
            elif kind == "StartCommand":
                self._start_command(message, descriptors)

    def _listen_for_children(self) -> None:
        self._wake, writer = os.pipe()
        self._wake, writer = high(self._wake), high(writer)
        os.set_blocking(self._wake, False)
        os.set_blocking(writer, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        self._wake_writer = writer

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, 4096)
        for pid in [*self._children, *self._callers.pids, *self._rehearsals.pids]:
            try:
                found, status, usage = os.wait4(pid, os.WNOHANG)
            except ChildProcessError:  # user code in this process waited for any child, and got ours
                found, status, usage = pid, 0, None
            line = self._callers.reaped(pid, status, self.channel) if found else None
            if line is not None and os.WIFEXITED(status):
                self._rehearsals.want(line.wish)
            if found and line is None and self._rehearsals.reaped(pid):
                self.channel.send({"type": "CommandEnded", "command": 0, "pid": pid})
            elif found and line is None:
                del self._children[pid]
                memory = usage.ru_maxrss if usage is not None else 0
                self.channel.send({"type": "Reaped", "pid": pid, "status": status, "memory": memory})
        if self.checkpoint == "collected" and self._patience is None and not self._children:
            self._leisure, self._patience = self._offer(), _IDLE

    def _advance(self, message: "Dict[str, Any]", descriptors: "List[int]") -> bool:
        """Fork the next checkpoint; where a fork is not safe, become it. Returns whether to go on from the pause."""
        if self.checkpoint != "started" and self._fork_unsafe():
            self._replace(descriptors, message)
        elif not self._fork(message, descriptors):
            return False
        if message["to"] == "ahead":
            self._load_ahead(message["modules"], message["unfit"])
            return False
        if self.checkpoint == "plugins":
            return True
        if message["to"] == "collected":
            self.collect(message["collection"], message["paths"])
        else:
            self.configure(message["to"])
        return False

    def _replace(self, descriptors: "List[int]", message: "Dict[str, Any]") -> None:
        """Take over the channel that was meant for a child: this process is no longer the checkpoint that it was."""
        self.channel.send({"type": "Became", "id": message["id"], "pid": os.getpid()})
        self._enter(descriptors)

    def _fork_worker(self, message: "Dict[str, Any]", descriptors: "List[int]") -> None:
        stacks = descriptors.pop()
        if not self._fork(message, descriptors, stacks):
            return
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        stacks = high(stacks)
        settings = WorkerSettings.read(message)
        slot = self.slots.writer(message["slot"])
        if settings.record:
            self._recorder.fork()
        else:
            self._recorder.stop()
        worker = Worker(self.channel, self._suite, settings, slot, self._imports, self._recorder)
        finish_process(worker, slot, stacks)

    # ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _start_command(self, message: "Dict[str, Any]", descriptors: "List[int]") -> None:
        """Have a command carried out: by a process that waits for it, or by one that is forked now."""
        reason = self._fork_unsafe() or obstacle(message)
        if reason:
            answer = {"type": "Plain", "argv": plainly(message), "reason": reason}
            self._callers.refuse(Line(descriptors[0], message["command"]), answer, self.channel)
            _close(descriptors[1:])
            return
        wish = self._rehearsals.wish(message, descriptors[1:])
        if wish is None or not self._rehearsals.ask(wish, message, descriptors):
            self._fork_command(message, descriptors, wish)

    def _fork_command(self, message: "Dict[str, Any]", descriptors: "List[int]", wish: "Optional[Wish]") -> None:
        """Fork a command's process, which leaves all of this behind."""
        line, *stdio = descriptors
        pid = self._fork_free()
        if not pid:
            os.close(line)
            raise Departure(Command(dict(message, how=self._rehearsals.how(wish)), stdio))
        self._callers.add(Line(line, message["command"], pid, wish), self.channel)
        _close(stdio)

    def _resumed(self, prepared: Prepared) -> None:
        """A process that waited has taken a command over."""
        assert prepared.asked is not None
        message, (line, *stdio) = prepared.asked
        self._callers.add(Line(line, message["command"], prepared.pid, prepared.wish), self.channel)
        _close(stdio)

    def _stale(self, prepared: Prepared) -> None:
        """A process that waited is no longer what it should be."""
        assert prepared.asked is not None
        self._fork_command(*prepared.asked, prepared.wish)

    def _prepare_next(self) -> None:
        """Fork a process that carries a command out up to its first test, if one is due."""
        prepared = self._rehearsals.due()
        if prepared is None:
            return
        far, channel = prepared.placeholders.far, prepared.far
        pid = self._fork_free(keep=prepared)
        if not pid:
            raise Departure(Rehearsal(prepared.wish.order, far, Channel(channel.detach()), prepared.scout))
        prepared.forked(pid)
        self.channel.send({"type": "CommandForked", "command": 0, "pid": pid})

    def _fork_free(self, keep: "Optional[Prepared]" = None) -> int:
        """Fork a process that has nothing of this one but what it has loaded. Returns as `os.fork` does."""
        parent = os.getpid()
        pid = forking.fork_into_group()
        if pid:
            return pid
        self._be_child(parent)
        if keep is not None:
            keep.placeholders.far = []
        self._callers.leave()
        self._rehearsals.leave()
        self.channel.close()
        self.slots.close()
        self._recorder.stop()
        return 0

    def _be_child(self, parent: int) -> None:
        """Do in a forked process what each needs."""
        processes.own_group()
        processes.die_with_parent(self._prctl, parent)
        getattr(threading.main_thread(), "_set_native_id", int)()  # Python leaves the parent's after a fork
        self._children = {}
        signal.set_wakeup_fd(-1)
        os.close(self._wake)
        os.close(self._wake_writer)

    def _fork(self, message: "Dict[str, Any]", descriptors: "List[int]", extra: int = -1) -> bool:
        """Fork. Returns False in this process, True in the child, which has its own channel and output by then."""
        parent = os.getpid()
        pid = forking.fork_into_group()
        if pid:
            self._children[pid] = message
            _close(fd for fd in [*descriptors, extra] if fd >= 0)
            self.channel.send({"type": "Forked", "id": message["id"], "pid": pid})
            return False
        self._be_child(parent)
        self._callers.leave()
        self._rehearsals.leave()
        self._callers, self._rehearsals = Callers(), Rehearsals()
        self._enter(descriptors)
        if message["type"] == "Advance":
            self._listen_for_children()
        return True

    def _enter(self, descriptors: "List[int]") -> None:
        """Take the channel and the output that the supervisor made for this process."""
        channel, out, err = descriptors
        old, self.channel = self.channel, Channel(channel)
        old.close()
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.close(out)
        os.close(err)

    def _fork_unsafe(self) -> str:
        """Return why this process must not be forked, or nothing."""
        return forking.obstacle() if self.settings.stem else "the configuration says fork = false"

    def _select(self, message: "Dict[str, Any]") -> None:
        self._selecting = message["id"]
        with self._telling_faults(message["id"], exits=False):
            tests = self._suite.select(message["keyword"])
            if message.get("filters"):
                tests = self._suite.filtered(tests, message["filters"])
            self.channel.send({"type": "Selected", "id": message["id"], "tests": tests})

    def _amend(self, message: "Dict[str, Any]") -> None:
        """Take the new text of files in place, if that comes to the same as to load them anew."""
        files: List[Any] = []
        at = 0
        reason = self._fork_unsafe() or ("" if self._suite is not None else "nothing is loaded")
        ran = self._recorder.ran
        if ran is None:
            reason = reason or "it is not known which functions have run"
        else:
            try:
                files, at = self._amend_all(message["paths"], ran)
            except amending.Refused as refused:
                reason = str(refused)
        self.channel.send({"type": "Amended", "id": message["id"], "files": files, "at": at, "reason": reason})

    def _amend_all(self, paths: "List[str]", ran: "Dict[int, Any]") -> "Tuple[List[Any], int]":
        read = self._dependencies.read.intersection(paths)
        if read:
            raise amending.Refused(f"{min(read)}: it was read")
        if self.checkpoint == "collected":
            self._tell_modules()  # by what is written, which is no longer what they were told of then
            self._leisure, self._patience = self._use_leisure(), _IDLE  # what it was at has code of the files
        self._recorder.forget(paths)
        entries, at, pairs = amending.amend(paths, ran)
        self._recorder.amend(pairs)
        return [list(entry) for entry in entries], at

    # ── telling ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _tell_dependencies(self) -> None:
        self._tell_found(*self._found())

    def _found(self) -> "Tuple[List[Any], List[Any]]":
        """Return the files and directories that this checkpoint depends on, beyond those that were told."""
        self._dependencies.note_sought(self._imports.failed())
        files, directories = self._dependencies.drain(last=self.checkpoint == "collected")
        return [list(file) for file in files], [list(found) for found in directories]

    def _tell_found(self, files: "List[Any]", directories: "List[Any]") -> None:
        for message in findings.dependencies(self.checkpoint, self.collection, files, directories):
            self.channel.send(message)

    def _use_leisure(self) -> "Iterator[None]":
        self._tell_modules()
        self._tell_used()
        yield
        yield from self._suite.prepare()
        yield from self._recorder.prepare()
        garbage.freeze()
        yield from self._offer()

    def _offer(self) -> "Iterator[None]":
        """Tell what a later stem could have loaded ahead."""
        modules, others = self._ahead.candidates()
        if modules:
            self.channel.send({"type": "Ahead", "modules": modules, "others": others})
        yield

    def _say_documents(self) -> None:
        """Tell which modules documents of cases name, as their imports."""
        for file, modules in getattr(self._suite, "named", dict)().items():
            self._imports.say(file, f"cases:{file}", modules)

    def _tell_modules(self) -> None:
        files, imports = self._imports.drain()
        self.channel.send(
            {"type": "Modules", "collection": self.collection, "files": files, "imports": imports, "worker": 0}
        )

    def _tell_used(self) -> None:
        """Tell what has run while modules were loaded and tests collected. A second time there is nothing to tell."""
        self._owing = False
        page = self._recorder.page(self.collection, 0, last=True)
        if page is not None:
            self.channel.send(page)

    def _tell_collection(self, found: Collection) -> None:
        strangers = self._imports.outside()
        for message in findings.collected(self.collection, found, self._suite, self._fork_unsafe(), strangers):
            self.channel.send(message)

    @contextlib.contextmanager
    def _telling_faults(self, number: int, *, exits: bool = True) -> "Iterator[None]":
        """Tell a fault to the agent, then end: what is half loaded serves nobody."""
        try:
            yield
        except SuiteFault as fault:
            self.channel.send(findings.fault(number, fault))
        except ChannelClosed:
            raise
        except (SystemExit, KeyboardInterrupt) as error:
            from testd.runner.endings import ending_fault

            self.channel.send(findings.fault(number, ending_fault(error, self.settings.root)))
        except BaseException as error:  # user code runs here: plugins, conftest files, test modules
            import traceback

            text, detail = f"{type(error).__name__}: {error}", traceback.format_exc()
            self.channel.send(findings.fault(number, SuiteFault("internal", text, detail=detail, exit_code=3)))
        else:
            return
        if exits:
            forking.flush()
            os._exit(0)


def _close(descriptors: "Iterable[int]") -> None:
    for fd in descriptors:
        os.close(fd)
