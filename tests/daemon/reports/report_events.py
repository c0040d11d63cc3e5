"""Events as the wire carries them, for the tests of reports: every field, like a real handler's."""

from __future__ import annotations

import io

from testd_daemon.reports.terminal import Terminal


def terminal(*, colour: bool = False, live: bool = False, width: int = 80, stream=None) -> Terminal:
    made = Terminal(stream or io.StringIO(), colour=colour, live=live, width=width)
    made.unicode = True  # an io.StringIO has no encoding to ask
    return made


def text_of(made: Terminal) -> str:
    return made.stream.getvalue()


def target(name="py3.11", *, warm=True, reason="warm: 3 tests kept", jobs=1, host=""):
    return {
        "type": "TargetReady",
        "target": name,
        "warm": warm,
        "reason": reason,
        "mode": "worker",
        "kind": "pytest",
        "jobs": jobs,
        "python": "3.11.7",
        "framework": "pytest 9.0.1",
        "host": host,
    }


def unavailable(target="box", message="docker: no image", hint="", detail="", required=False):
    return {
        "type": "TargetUnavailable",
        "target": target,
        "message": message,
        "hint": hint,
        "detail": detail,
        "required": required,
    }


def planned(tests=3, expected=None, deselected=0, targets=None):
    """Give `Planned`; of several targets, `targets` says what each is to do, and the sum is made of it."""
    tests = sum(count or 0 for count in targets.values()) if targets else tests
    return {
        "type": "Planned",
        "tests": tests,
        "expected": expected,
        "deselected": deselected,
        "targets": targets or {},
    }


def notice(level="warning", text="something", detail="", target=""):
    return {"type": "Notice", "level": level, "text": text, "target": target, "detail": detail}


def preparing(text="connecting to build1", target="build1", done=0, total=0):
    return {"type": "Preparing", "target": target, "text": text, "done": done, "total": total}


def started(test="tests/test_a.py::test_slow", seconds=1.0, worker=0, target="py3.11"):
    return {"type": "Started", "test": test, "worker": worker, "seconds": seconds, "target": target}


def output(text, worker=0, stream="stdout", target="py3.11"):
    return {"type": "Output", "worker": worker, "stream": stream, "text": text, "test": "", "target": target}


def detail(**fields):
    return {
        "phase": "call",
        "kind": "assertion",
        "message": "",
        "text": "",
        "frames": [],
        "sections": [],
        "leaks": [],
        "stacks": "",
        **fields,
    }


def row(
    test="tests/test_a.py::test_x", verdict="passed", duration=0.01, info=None, target="py3.11", memory=0, worker=0
):
    return [test, target, verdict, duration, memory, worker, info]


def outcomes(*rows):
    return {"type": "Outcomes", "rows": list(rows)}


def generation(number=1, cause="start", changed=(), more=0, at=0.0):
    return {
        "type": "GenerationStarted",
        "generation": number,
        "cause": cause,
        "changed": list(changed),
        "more": more,
        "at": at,
    }


def standing(tests=3, counts=None, failing=(), more=0, number=1):
    return {
        "type": "Standing",
        "generation": number,
        "tests": tests,
        "counts": counts or {},
        "failing": [list(row) for row in failing],
        "more": more,
    }


def completed(exit_code=0, counts=None, duration=1.234, reason="", hint="", detail="", generation=0):
    return {
        "type": "RunCompleted",
        "exit_code": exit_code,
        "counts": counts or {},
        "duration": duration,
        "reason": reason,
        "hint": hint,
        "detail": detail,
        "generation": generation,
    }


def feed(report, *bodies, run="r1"):
    report.accepted(run)
    for seq, body in enumerate(bodies, 1):
        report.event(run, seq, body)
    report.close()
    return report
