"""Runs of workflows, in the agent. Imported when the first one is asked for: some of it loads boto3.

task.py      one run, from its instructions to its completion
engine.py    the functions of a run: who runs when, and what becomes of each
function.py  one instance of a function, from its trigger to its completion
place.py     where functions run: a target, a folder of code
attempt.py   one process that calls a function
calls.py     what functions ask for while they run
kept.py      what is kept of a run on this machine, so that it goes on after any process was killed
"""
