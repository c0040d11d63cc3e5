"""Identifiers of calls that no other process makes. Runs in the user's process."""

import itertools
import os

__all__ = ["identifiers"]


class _Identifiers:
    """Random bits of this process, and a number: 32 hexadecimal digits, made quickly."""

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._prefix = os.urandom(11).hex()
        self._numbers = itertools.count(1)

    def next(self) -> str:
        """Return one that has not been used."""
        return f"{self._prefix}{next(self._numbers):010x}"


identifiers = _Identifiers()
