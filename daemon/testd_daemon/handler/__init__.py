"""The handler: the long-lived process, one per user. Owns the socket, the journal and one agent per workspace.

It never imports or runs user code, never reads what a run reports, and never blocks.
"""
