"""How much of a call is recorded: limits, what is kept secret, how often. Runs in the user's process."""

from typing import NamedTuple, Optional

__all__ = ["REDACTED", "Options"]

#: Names of keys, attributes and parameters whose values are not recorded, wherever in the name it stands.
REDACTED = r"passw(or)?d|passphrase|secret|token|authorization|api_?key|private_?key|credential|cookie"


class Options(NamedTuple):
    """What bounds a recording. What was cut says so in the record."""

    depth: int = 12  #: containers and objects inside of each other in one value
    length: int = 1000  #: members of one container
    text: int = 10_000  #: characters of one text, bytes of one byte string
    size: int = 100_000  #: members and characters of one value, all told
    redact: Optional[str] = REDACTED  #: a regular expression, searched in names without regard to case; None: nothing
    sample: float = 1.0  #: the share of roots that are recorded, for an application that sends what it does
    calls: int = 100_000  #: calls of one root
    call_depth: int = 100  #: calls inside of each other that are recorded; deeper ones are only counted
    items: int = 1000  #: items of one generator that are recorded, and that `execute` takes from one

    @property
    def roomy(self) -> bool:
        """Whether a few short values are within the limits in any case."""
        return self.size >= 10_000 and self.text >= 256 and self.length >= 100
