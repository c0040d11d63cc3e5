"""Watch a run by its store alone, as a program of its own: its document comes in, statuses go out, as JSON."""

from __future__ import annotations

import json
import sys

from testd_daemon.workflows.testing import WorkflowRunner


def main() -> None:
    runner = WorkflowRunner(faasr_payload=json.load(sys.stdin), timeout=60, check_interval=0.1)
    runner.start_monitoring()
    runner.wait_for(lambda: runner.monitoring_complete, 100)
    runner.cleanup()
    json.dump({name: status.value for name, status in runner.get_function_statuses().items()}, sys.stdout)


if __name__ == "__main__":
    main()
