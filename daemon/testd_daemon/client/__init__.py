"""What talks to the handler: `sync.py` for the command line, `aio.py` for programs with an event loop.

Nothing is imported here: a quick client pays for what it uses.
"""
