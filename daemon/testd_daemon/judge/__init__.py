"""The judge: a process that says whether assertions hold which cannot be judged on a target. Never runs user's Python.

    __main__.py     the process: questions in, answers out
    questions.py    what may be asked, and what is answered
    cases.py        documents for a Node.js, and cases that ran there
    javascript.py   the engine for assertions in JavaScript

It imports neither the agent nor the event loop. What ends it, or takes too long, costs the question that it was asked
(`testd_daemon.agent.judging`).
"""
