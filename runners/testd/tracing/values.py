"""Values as JSON and back: what the rest of testd uses of it. Runs in the user's process."""

from testd.tracing.restoring import Placeholder, RestoreError, restore
from testd.tracing.snapshots import snapshot
from testd.tracing.untyped import untyped

__all__ = ["Placeholder", "RestoreError", "restore", "snapshot", "untyped"]
