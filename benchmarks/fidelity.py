"""Compare `testd run` with plain `python -m pytest` on a project: test by test, verdict by verdict.

    python benchmarks/fidelity.py PROJECT [--python ENV/bin/python] [--mode worker] [--mode bin] [PATH …]
    python benchmarks/fidelity.py --suites [NAME …]     the real suites of benchmarks/suites.py

Prints each difference, and exits with 1 on any. `--warm` runs testd twice and compares the second, warm run as well;
`--repeat N` runs pytest N times and leaves out (and names) the tests on which it does not agree with itself. Tests
whose ids change from run to run, because the time of day is in them, are recognised by a second run of pytest.
Mode bin gives each file a process of its own: a file that differs there is held against plain pytest on it alone.
Each comparison has a daemon of its own, which is gone afterwards. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import suites
from house import House, find_testd

__all__ = [
    "Difference",
    "FidelityError",
    "Verdicts",
    "alone",
    "compare",
    "differing",
    "flaky",
    "main",
    "moving",
    "outcomes",
    "settle",
    "shape",
]

#: One run of a suite, by either side; the longest (62,000 tests on a slow machine) takes two minutes.
RUN_DEADLINE = 900.0
RECORDER = Path(__file__).with_name("verdict_recorder.py")
MODES = ("worker", "bin")

#: What a run said: the verdicts under each id. More than one where the framework gave two tests the same id.
Verdicts = dict[str, list[str]]


class FidelityError(Exception):
    """A side gave no verdicts at all: which one, how it was called, what it printed."""


@dataclass(frozen=True, order=True)
class Difference:
    """One test on which the two sides differ. An empty side did not have the test."""

    test: str
    pytest: str
    testd: str

    def __str__(self) -> str:
        return f"{self.test}: pytest {self.pytest or 'does not have it'}, testd {self.testd or 'does not have it'}"


@dataclass(frozen=True, kw_only=True)
class Project:
    """What is compared: the folder, its interpreter, the variables, and what both sides are given to run."""

    folder: Path
    python: Path
    environment: Mapping[str, str]
    paths: Sequence[str] = ()


def compare(plain: Verdicts, ours: Verdicts, leave_out: Iterable[str] = ()) -> list[Difference]:
    """Return every difference between two sides, sorted by test."""
    skip = set(leave_out)
    found = []
    for test in sorted((plain.keys() | ours.keys()) - skip):
        left, right = sorted(plain.get(test, [])), sorted(ours.get(test, []))
        if left != right:
            found.append(Difference(test, ", ".join(left), ", ".join(right)))
    return found


def outcomes(lines: Iterable[str]) -> Verdicts:
    """Read the verdicts from what `testd run --format json` printed. Raises FidelityError unless the run completed."""
    found: Verdicts = {}
    completed = False
    for line in lines:
        event = json.loads(line)
        if event["event"] == "outcome":
            found.setdefault(event["test"], []).append(event["verdict"])
        completed = completed or event["event"] == "completed"
    if not completed:
        raise FidelityError("testd's events end without the completion of the run")
    return found


def run_pytest(project: Project) -> Verdicts:
    """Run plain pytest, to the end even where files cannot be collected. Raises FidelityError."""
    with tempfile.TemporaryDirectory(prefix="testd-fidelity-") as folder:
        target = Path(folder) / "verdicts.json"
        options = ["-q", "--continue-on-collection-errors", *project.paths]
        done = _call("pytest", [str(project.python), str(RECORDER), str(target), *options], project)
        try:
            found: Verdicts = json.loads(target.read_text(encoding="utf-8"))["verdicts"]
        except OSError as error:
            raise FidelityError(f"pytest (exit {done.returncode}) left no verdicts:\n{_tail(done)}") from error
        return found


def run_testd(project: Project, testd: Path, mode: str) -> Verdicts:
    """Run testd, in the daemon that the project's environment names. Raises FidelityError."""
    command = [str(testd), "run", "--format", "json", "--mode", mode, *project.paths]
    done = _call("testd", command, project)
    if done.returncode not in {0, 1}:
        raise FidelityError(f"testd: exit {done.returncode}: {shlex.join(command)}\n{_tail(done)}")
    return outcomes(done.stdout.splitlines())


def _call(side: str, command: list[str], project: Project) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            cwd=project.folder,
            env=dict(project.environment),
            check=False,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=RUN_DEADLINE,
        )
    except subprocess.TimeoutExpired as error:
        raise FidelityError(f"{side} did not end within {RUN_DEADLINE:.0f} s: {shlex.join(command)}") from error


def _tail(done: subprocess.CompletedProcess[str]) -> str:
    return "\n".join((done.stdout[-4000:] + done.stderr[-4000:]).splitlines()[-25:])


def flaky(runs: Sequence[Verdicts]) -> set[str]:
    """Return the tests that several runs of the same side all have, with verdicts that do not agree."""
    tests = {test for test in runs[0] if all(test in run for run in runs)}
    return {test for test in tests if any(run[test] != runs[0][test] for run in runs[1:])}


def moving(runs: Sequence[Verdicts]) -> set[str]:
    """Return the shapes of the ids that only some runs of the same side have (the time of day is a parameter)."""
    tests = {test for run in runs for test in run}
    return {shape(test) for test in tests if any(test not in run for run in runs)}


def shape(test: str) -> str:
    """Return an id with each number replaced by a zero."""
    return re.sub(r"\d+", "0", test)


def settle(found: Verdicts, shapes: set[str]) -> Verdicts:
    """Return the verdicts with the ids of these shapes under their shape: they are compared as a group."""
    settled: Verdicts = {}
    for test, verdicts in found.items():
        key = shape(test) if shape(test) in shapes else test
        settled.setdefault(key, []).extend(verdicts)
    return settled


def check(name: str, project: Project, options: argparse.Namespace) -> int:
    """Compare one project in each mode; print what differs and return how many differences there are."""
    runs = [run_pytest(project) for _ in range(options.repeat)]
    total = 0
    for mode in options.mode or MODES:
        with House(project.environment, options.testd) as house:
            ours = replace(project, environment=house.environment)
            for label in ("", ", warm") if options.warm and mode == "worker" else ("",):
                found = run_testd(ours, options.testd, mode)
                if found.keys() != runs[0].keys() and len(runs) == 1:
                    runs.append(run_pytest(project))  # does pytest itself have the same ids each time?
                expected = [alone(project, found, runs[0]), *runs[1:]] if mode == "bin" else runs
                total += _report(f"{name} ({mode}{label})", expected, found, options.show)
    return total


def alone(project: Project, ours: Verdicts, whole: Verdicts) -> Verdicts:
    """Return what plain pytest says when each file that differs has a process of its own, as in mode bin.

    A file may pass only after another one was imported. Whole runs hide that; plain pytest on that file shows it too.
    The files where it does are named.
    """
    expected = dict(whole)
    for file in sorted({test.partition("::")[0] for test in differing(whole, ours)}):
        if not (project.folder / file).is_file():
            continue
        found = run_pytest(replace(project, paths=(file,)))
        changed = differing(found, {test: whole[test] for test in found if test in whole})
        expected.update({test: found[test] for test in changed if test in found})
        if changed:
            print(f"  {file}: plain pytest on this file alone differs from its own whole run in {len(changed)} tests")
    return expected


def differing(left: Verdicts, right: Verdicts) -> set[str]:
    """Return the tests that both sides have, with verdicts that differ."""
    return {test for test in left.keys() & right.keys() if sorted(left[test]) != sorted(right[test])}


def _report(title: str, runs: Sequence[Verdicts], ours: Verdicts, show: int) -> int:
    unsteady, shapes = flaky(runs), moving(runs)
    differences = compare(settle(runs[0], shapes), settle(ours, shapes), unsteady)
    _print(title, runs[0], differences, show)
    for test in sorted(unsteady):
        print(f"  left out, pytest does not agree with itself: {test}")
    for test in sorted(shapes):
        print(f"  compared as a group, pytest's ids change from run to run: {test}")
    return len(differences)


def _print(title: str, plain: Verdicts, differences: list[Difference], show: int) -> None:
    counts = Counter(verdict for found in plain.values() for verdict in found)
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()) or "no tests"
    print(f"{title}: {len(differences)} differences; pytest: {said}", flush=True)
    for difference in differences[:show]:
        print(f"  {difference}")
    if len(differences) > show:
        print(f"  … and {len(differences) - show} more")


def _projects(options: argparse.Namespace) -> Iterable[tuple[str, Project]]:
    if not options.suites:
        folder = Path(options.names[0]).resolve()
        if not folder.is_dir():
            raise FidelityError(f"{options.names[0]}: no such folder")
        python = options.python or sys.executable
        venv = Path(python).absolute().parent.parent
        environment = suites.environ(venv)
        yield (
            folder.name,
            Project(folder=folder, python=Path(python).absolute(), environment=environment, paths=options.names[1:]),
        )
        return
    for suite in suites.choose(options.names, options.all):
        found = suites.prepare(suite, options.root.resolve())
        yield suite.name, Project(folder=found.project, python=found.python, environment=found.environ())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Compare testd's verdicts with pytest's.")
    parser.add_argument("names", nargs="*", metavar="PROJECT [PATH …] | NAME")
    parser.add_argument("--suites", action="store_true", help="the names are suites of benchmarks/suites.py")
    parser.add_argument("--all", action="store_true", help="with --suites: every one, not just the seven")
    parser.add_argument("--root", type=Path, default=suites.default_root(), help="where suites are kept (%(default)s)")
    parser.add_argument("--python", help="the project's interpreter (default: the one that runs this)")
    parser.add_argument("--mode", action="append", choices=MODES, help="may be given twice; default: both")
    parser.add_argument("--warm", action="store_true", help="compare a second, warm run too")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="run pytest N times to find flaky tests")
    parser.add_argument("--show", type=int, default=30, metavar="N", help="print at most N differences of a run")
    parser.add_argument("--testd", type=Path, help="the testd command (default: beside this Python, then on PATH)")
    return parser


def main() -> int:
    """Compare; exit with 0 where nothing differs, 1 where something does, 2 where a side did not work."""
    parser = _parser()
    options = parser.parse_args()
    if not options.suites and not options.names:
        parser.error("name a project folder, or --suites")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # blocks end: no daemon is left behind
    total = 0
    try:
        options.testd = find_testd(options.testd)
        for name, project in _projects(options):
            total += check(name, project, options)
    except (FidelityError, suites.SuiteError, OSError) as error:
        print(f"fidelity: {error}", file=sys.stderr)
        return 2
    print(f"{total} differences" if total else "no differences")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
