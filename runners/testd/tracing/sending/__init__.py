"""To send what an application does to the daemon, root by root. Runs in the user's process.

    the program's threads ── Outbox ──▶ the sender's thread ── Wire ──▶ the daemon
       (never wait)         (bounded)    (pages.py: roots as pages)

Nothing of this is loaded in a process that does not ask for it.
"""

from testd.tracing.sending.connection import Connection, connect, connect_by_environment

__all__ = ["Connection", "connect", "connect_by_environment"]
