"""The agent: one process per workspace, which decides what runs where. It never runs user code.

Its files:

    __main__.py     the process: `python -m testd_daemon.agent --fd N`
    agent.py        the link to the handler: instructions in, reports out
    agent_state.py  its states, as a table
    run.py          one run: settle, choose, warm up, schedule, report
    scheduler.py    who runs what next: events in, actions out, pure
    jobs.py         how a run is cut into jobs, pure
    plan.py         every test of a run has exactly one outcome, pure
    selection.py    which tests the arguments mean, pure
    freshness.py    what has changed since it was loaded
    pool.py         the runners that are kept warm
    runner.py       one runner: its process, its link, its collections
    runner_state.py its states, as a table
    reporter.py     a run's events, in batches, to the handler
    history.py      durations, verdicts and runs of the workspace (SQLite)
    interpreter.py  which Python a target is
    kind.py         which kind of test files a project has
    environment.py  which variables user code gets, and which of them matter
"""
