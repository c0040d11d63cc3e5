"""Compare `testd run` with plain `python -m pytest` on a project: test by test, verdict by verdict.

    python benchmarks/fidelity.py PROJECT [--python ENV/bin/python] [--mode worker] [--mode bin] [PATH …]
    python benchmarks/fidelity.py --suites [NAME …]     the real suites of benchmarks/suites.py

Prints each difference, and exits with 1 on any. `--warm` runs testd twice and compares the second, warm run as well,
but not of a long suite: what is warm, and what may be wrong with that, is the same in a short one;
`--repeat N` runs pytest N times and leaves out (and names) the tests on which it does not agree with itself. Tests
whose ids change from run to run, because the time of day is in them, are recognised by a second run of pytest.
Mode bin gives each file a process of its own: a file that differs there is held against plain pytest on it alone.
Each comparison has a daemon of its own, which is gone afterwards.

The two sides work at the same time, each on another suite: plain pytest has use for one processor only. No project has
both of them in its folder at once. Runs in testd's environment.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic

import anyio

import suites
from house import House, find_testd
from sides import Project, run_pytest, run_testd
from verdicts import Difference, FidelityError, Verdicts, compare, differing, flaky, moving, settle

__all__ = ["Comparison", "alone", "compare_all", "main"]

MODES = ("worker", "bin")
_TITLES = {"worker": ("worker", "worker, warm"), "bin": ("bin", "bin, warm")}


@dataclass(frozen=True)
class Ours:
    """One run of testd."""

    title: str
    mode: str
    verdicts: Verdicts
    seconds: float


@dataclass
class Comparison:
    """One project, and what each side said about it. The folder is for one side at a time."""

    name: str
    project: Project
    options: argparse.Namespace
    modes: Sequence[str] = MODES
    warm: bool = False
    plain: list[Verdicts] = field(default_factory=list)
    ours: list[Ours] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._folder = anyio.Lock()
        self._said = {"pytest": anyio.Event(), "testd": anyio.Event()}

    async def ask_pytest(self) -> None:
        """Run plain pytest as often as asked."""
        async with self._turn("pytest"):
            self.plain = [await run_pytest(self.project) for _ in range(self.options.repeat)]

    async def ask_testd(self) -> None:
        """Run testd in each mode, each with a daemon of its own."""
        async with self._turn("testd"):
            for mode in self.options.mode or self.modes:
                with House(self.project.environment, self.options.testd) as house:
                    ours = replace(self.project, environment=house.environment)
                    for title in _TITLES[mode][: 2 if self.warm and mode == "worker" else 1]:
                        began = monotonic()
                        found = await run_testd(ours, self.options.testd, mode)
                        self.ours.append(Ours(title, mode, found, monotonic() - began))

    @asynccontextmanager
    async def _turn(self, side: str) -> AsyncIterator[None]:
        async with self._folder:
            yield
        self._said[side].set()

    async def judge(self) -> int:
        """Wait for both sides; print what differs and return how many differences there are."""
        for said in self._said.values():
            await said.wait()
        async with self._folder:  # pytest may be asked again
            return sum([await self._judge(ours) for ours in self.ours])

    async def _judge(self, ours: Ours) -> int:
        found, runs = ours.verdicts, self.plain
        if found.keys() != runs[0].keys() and len(runs) == 1:
            runs.append(await run_pytest(self.project))  # does pytest itself have the same ids each time?
        expected = [await alone(self.project, found, runs[0]), *runs[1:]] if ours.mode == "bin" else runs
        return _report(f"{self.name} ({ours.title})", expected, ours, self.options.show)


async def compare_all(comparisons: Sequence[Comparison]) -> int:
    """Let both sides work through the projects, in opposite order; return how many differences there are.

    Give the longest first: testd, which has use for all processors, comes to it when plain pytest is through with it.
    """
    total = 0
    async with anyio.create_task_group() as group:
        group.start_soon(_each, [each.ask_pytest for each in comparisons])
        group.start_soon(_each, [each.ask_testd for each in reversed(comparisons)])
        for each in reversed(comparisons):
            total += await each.judge()
    return total


async def _each(asks: Iterable[Callable[[], Awaitable[None]]]) -> None:
    for ask in asks:
        await ask()


async def alone(project: Project, ours: Verdicts, whole: Verdicts) -> Verdicts:
    """Return what plain pytest says when each file that differs has a process of its own, as in mode bin.

    A file may pass only after another one was imported. Whole runs hide that; plain pytest on that file shows it too.
    The files where it does are named.
    """
    expected = dict(whole)
    for file in sorted({test.partition("::")[0] for test in differing(whole, ours)}):
        if not (project.folder / file).is_file():
            continue
        found = await run_pytest(replace(project, paths=(file,)))
        changed = differing(found, {test: whole[test] for test in found if test in whole})
        expected.update({test: found[test] for test in changed if test in found})
        if changed:
            print(f"  {file}: plain pytest on this file alone differs from its own whole run in {len(changed)} tests")
    return expected


def _report(title: str, runs: Sequence[Verdicts], ours: Ours, show: int) -> int:
    unsteady, shapes = flaky(runs), moving(runs)
    differences = compare(settle(runs[0], shapes), settle(ours.verdicts, shapes), unsteady)
    _print(title, runs[0], differences, ours.seconds, show)
    for test in sorted(unsteady):
        print(f"  left out, pytest does not agree with itself: {test}")
    for test in sorted(shapes):
        print(f"  compared as a group, pytest's ids change from run to run: {test}")
    return len(differences)


def _print(title: str, plain: Verdicts, differences: list[Difference], seconds: float, show: int) -> None:
    counts = Counter(verdict for found in plain.values() for verdict in found)
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()) or "no tests"
    print(f"{title}: {len(differences)} differences; pytest: {said}; testd took {seconds:.1f} s", flush=True)
    for difference in differences[:show]:
        print(f"  {difference}")
    if len(differences) > show:
        print(f"  … and {len(differences) - show} more")


def _comparisons(options: argparse.Namespace) -> Iterable[Comparison]:
    if not options.suites:
        folder = Path(options.names[0]).resolve()
        if not folder.is_dir():
            raise FidelityError(f"{options.names[0]}: no such folder")
        python = options.python or sys.executable
        venv = Path(python).absolute().parent.parent
        environment = suites.environ(venv)
        project = Project(
            folder=folder, python=Path(python).absolute(), environment=environment, paths=options.names[1:]
        )
        yield Comparison(folder.name, project, options, warm=options.warm)
        return
    for suite in sorted(suites.choose(options.names, options.all), key=lambda suite: not suite.long):
        found = suites.prepare(suite, options.root.resolve())
        project = Project(folder=found.project, python=found.python, environment=found.environ(), jobs=suite.jobs)
        short = not suite.long
        yield Comparison(suite.name, project, options, MODES if short else MODES[:1], warm=options.warm and short)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Compare testd's verdicts with pytest's.")
    parser.add_argument("names", nargs="*", metavar="PROJECT [PATH …] | NAME")
    parser.add_argument("--suites", action="store_true", help="the names are suites of benchmarks/suites.py")
    parser.add_argument("--all", action="store_true", help="with --suites: every one, not just the seven")
    parser.add_argument("--root", type=Path, default=suites.default_root(), help="where suites are kept (%(default)s)")
    parser.add_argument("--python", help="the project's interpreter (default: the one that runs this)")
    parser.add_argument("--mode", action="append", choices=MODES, help="may be given twice (both; long suites: worker)")
    parser.add_argument("--warm", action="store_true", help="compare a second, warm run too (long suites: no)")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="run pytest N times to find flaky tests")
    parser.add_argument("--show", type=int, default=30, metavar="N", help="print at most N differences of a run")
    parser.add_argument("--testd", type=Path, help="the testd command (default: beside this Python, then on PATH)")
    return parser


def main() -> int:
    """Compare; exit with 0 where nothing differs, 1 where something does, 2 where a side did not work."""
    parser = _parser()
    options = parser.parse_intermixed_args()  # paths may follow the options
    if not options.suites and not options.names:
        parser.error("name a project folder, or --suites")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # blocks end: nothing is left behind
    try:
        options.testd = find_testd(options.testd)
        total = anyio.run(_run, list(_comparisons(options)))
    except (FidelityError, suites.SuiteError, OSError) as error:
        print(f"fidelity: {error}", file=sys.stderr)
        return 2
    print(f"{total} differences" if total else "no differences")
    return 1 if total else 0


async def _run(comparisons: Sequence[Comparison]) -> int:
    """Compare until all is said. A signal ends it, and what it started, in order. Raises FidelityError, OSError."""
    total, stopped = 0, 0
    try:
        async with anyio.create_task_group() as group:

            async def obey() -> None:
                nonlocal stopped
                with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                    async for number in signals:
                        stopped = number
                        group.cancel_scope.cancel()

            group.start_soon(obey)
            total = await compare_all(comparisons)
            group.cancel_scope.cancel()
    except Exception as error:
        raise _first(error) from None
    if stopped:
        sys.exit(128 + stopped)
    return total


def _first(error: Exception) -> Exception:
    """Return what went wrong first; a task group's error holds those of its tasks."""
    while inner := getattr(error, "exceptions", ()):
        error = inner[0]
    return error


if __name__ == "__main__":
    sys.exit(main())
