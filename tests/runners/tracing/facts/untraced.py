"""Functions that nobody traces, for mocks. No facts of its own."""

from zlib import crc32 as by_name

from shop import child

__all__ = ["Bare", "Picky", "Plain", "by_name", "helper", "renamed", "use"]


def helper(x):
    return x


renamed = helper


class Plain:
    def method(self):
        return "real"


class Bare:
    pass


class Picky(Exception):
    def __init__(self, *, code):
        super().__init__(code)


def use():
    return child(1)
