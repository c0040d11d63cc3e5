"""Identifiers of calls that no other process makes. Runs in the user's process."""

import itertools
import os

__all__ = ["identifiers"]


#: An odd number makes another number of each, and no two alike.
_SPREAD = 0x9E3779B97F
_MOST = 0xFFFFFFFFFF


class _Identifiers:
    """A number and random bits of this process: 32 hexadecimal digits, made quickly.

    Two numbers in a row have nothing in common in their first digits, which is how people name them.
    """

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._rest = os.urandom(11).hex()
        self._numbers = itertools.count(int.from_bytes(os.urandom(5), "big"))

    def next(self) -> str:
        """Return one that has not been used."""
        return f"{next(self._numbers) * _SPREAD & _MOST:010x}{self._rest}"


identifiers = _Identifiers()
