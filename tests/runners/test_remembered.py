"""What processes that are forked from one another share."""

from __future__ import annotations

import os
import struct

from testd.runner.remembered import Remembered


def in_child(function) -> None:
    """Call it in a forked process, which leaves nothing else behind."""
    pid = os.fork()
    if not pid:
        try:
            function()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def test_what_a_child_saves_its_parent_and_later_children_find():
    remembered = Remembered()

    def find() -> None:
        remembered.put(1, ("a", ""))
        remembered.put(-(2**60), ())
        remembered.save()
        remembered.put(3, ("is not saved",))

    def add() -> None:
        remembered.load()
        remembered.put(4, remembered.get(1))
        remembered.save()

    in_child(find)
    assert remembered.get(1) is None
    in_child(add)
    remembered.load()
    assert [remembered.get(key) for key in (1, -(2**60), 3, 4)] == [("a", ""), (), None, ("a", "")]
    remembered.load()
    remembered.save()  # nothing new


def test_what_two_have_written_at_the_same_time_is_not_read():
    remembered, pages = Remembered(), []
    remembered.put(1, ("one",))
    remembered.save()
    memory = remembered._memory
    (end,) = struct.unpack_from("<I", memory)
    pages.append(memory[4:end])
    memory[end - 1 : end] = b"?"
    reader = Remembered()
    reader._memory[: len(memory)] = memory[:]
    reader.load()
    assert reader.get(1) is None


def test_what_has_no_room_is_kept_by_its_process_alone():
    remembered = Remembered()
    remembered.put(1, ("x" * 9_000_000,))
    remembered.save()
    remembered.put(2, ("small",))
    remembered.save()
    other = Remembered()
    other._memory[:] = remembered._memory[:]
    other.load()
    assert (other.get(1), other.get(2)) == (None, ("small",))
