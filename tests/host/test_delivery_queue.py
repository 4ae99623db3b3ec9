"""Listeners that are slow, hang or fail, and the one who tells them all the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from nathb.core.events import Event, EventKind
from nathb.host.delivery_queue import DeliveryQueue
from tests.sim.recorders import JournalRecorder

PATIENCE = 20.0


class Listener:
    """Notes what it is told, once it is let; fails at what it is told to fail at."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.began = threading.Semaphore(0)
        self.may_go_on = threading.Semaphore(0)

    def carry(self, notice: Mapping[str, str]) -> Iterator[Event]:
        self.began.release()
        assert self.may_go_on.acquire(timeout=PATIENCE)
        self.heard.append(notice["MESSAGE"])
        if notice["MESSAGE"] == "defect":
            raise KeyError("defect")
        if notice["MESSAGE"] == "refused":
            yield Event(kind=EventKind.HOOK_FAILED, message="no")

    def go_on(self, times: int) -> None:
        self.may_go_on.release(times)


Maker = Callable[[int], DeliveryQueue]


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def journal() -> JournalRecorder:
    return JournalRecorder()


@pytest.fixture
def make(listener: Listener, journal: JournalRecorder) -> Iterator[Maker]:
    made: list[DeliveryQueue] = []

    def make(backlog: int) -> DeliveryQueue:
        made.append(DeliveryQueue("hooks", listener.carry, journal, backlog))
        return made[-1]

    yield make
    for outbox in made:
        outbox.close()
        listener.go_on(200)  # more than may wait
        assert outbox.join(PATIENCE)


def tell(outbox: DeliveryQueue, *messages: str) -> None:
    for message in messages:
        outbox.emit({"MESSAGE": message})


def test_notices_are_carried_one_at_a_time_in_their_order(make: Maker, listener: Listener) -> None:
    outbox = make(10)
    tell(outbox, "1", "2", "3")
    listener.go_on(1)
    for _ in range(2):
        assert listener.began.acquire(timeout=PATIENCE)
    assert listener.heard == ["1"]
    listener.go_on(2)
    outbox.close()
    assert outbox.join(PATIENCE)
    assert listener.heard == ["1", "2", "3"]


def test_whoever_tells_never_waits_for_a_listener_that_hangs(make: Maker) -> None:
    outbox = make(100)
    begun = time.monotonic()
    tell(outbox, *map(str, range(10_000)))
    assert time.monotonic() - begun < PATIENCE / 2


def test_when_too_many_wait_the_newest_are_kept_and_the_loss_is_owned_up_to(
    make: Maker, listener: Listener, journal: JournalRecorder
) -> None:
    outbox = make(3)
    tell(outbox, "0")
    assert listener.began.acquire(timeout=PATIENCE)
    tell(outbox, "1", "2", "3", "4", "5")
    listener.go_on(4)
    outbox.close()
    assert outbox.join(PATIENCE)
    assert listener.heard == ["0", "3", "4", "5"]
    assert journal.kinds() == ["untold"]
    assert journal.sentences() == [
        "hooks: 2 events were not delivered: there were more than could be delivered"
    ]


def test_a_failure_is_told_to_the_journal_and_the_next_notice_is_carried(
    make: Maker, listener: Listener, journal: JournalRecorder
) -> None:
    outbox = make(10)
    listener.go_on(3)
    tell(outbox, "refused", "defect", "good")
    outbox.close()
    assert outbox.join(PATIENCE)
    assert listener.heard == ["refused", "defect", "good"]
    assert journal.sentences() == ["no", "hooks: unexpected KeyError: 'defect'"]


def test_what_is_left_at_the_end_is_owned_up_to_with_the_one_under_way(
    make: Maker, listener: Listener, journal: JournalRecorder
) -> None:
    outbox = make(10)
    tell(outbox, "1", "2", "3")
    assert listener.began.acquire(timeout=PATIENCE)
    outbox.close()
    assert not outbox.join(0.01)
    outbox.give_up()
    assert journal.sentences() == [
        "hooks: 3 events were not delivered: nathb stopped before they were"
    ]
    listener.go_on(3)
    assert outbox.join(PATIENCE)
    assert listener.heard == ["1"]


def test_a_queue_that_has_carried_all_has_nothing_to_own_up_to(
    make: Maker, listener: Listener, journal: JournalRecorder
) -> None:
    outbox = make(10)
    listener.go_on(1)
    tell(outbox, "1")
    outbox.close()
    assert outbox.join(PATIENCE)
    outbox.give_up()
    assert journal.events == []
