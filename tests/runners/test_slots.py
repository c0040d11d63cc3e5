"""The shared page: what a worker writes is what the supervisor reads, and a half-written slot is seen as such."""

import struct

from testd.runner.slots import DONE, IDLE, RUNNING, STARTING, Slot, Slots


def test_a_slot_tells_what_its_worker_wrote() -> None:
    slots = Slots()
    slots.reset(3)
    assert slots.read(3) == Slot(STARTING, -1, -1, 0.0, 0.0)
    writer = slots.writer(3)
    writer.running(1, 7, 10.0)
    writer.running(1, 8, 11.0)
    assert slots.read(3) == Slot(RUNNING, 1, 8, 11.0, 10.0), "the job started with its first test"
    writer.running(2, 9, 12.0)
    assert slots.read(3).job_started == 12.0
    writer.idle()
    assert slots.read(3).state == IDLE
    writer.done()
    assert slots.read(3).state == DONE
    assert slots.read(2) == Slot(STARTING, 0, 0, 0.0, 0.0), "its neighbour is untouched"


def test_the_page_is_shared_by_its_descriptor() -> None:
    slots = Slots()
    Slots(slots.fd).writer(0).running(1, 2, 3.0)
    assert slots.read(0).test == 2
    slots.stop(0)
    assert Slots(slots.fd).writer(0).stopping
    slots.reset(0)
    assert not Slots(slots.fd).writer(0).stopping


def test_a_slot_that_is_being_written_is_not_whole() -> None:
    """A worker that lost the processor in the middle of a write showed a test that had started at the time 0.0: it was
    killed at once for having run too long."""
    slots = Slots()
    slots.writer(0).running(1, 2, 3.0)
    assert slots.read(0).whole
    slots._page[0:8] = struct.pack("<q", 99)
    assert not slots.read(0).whole
