"""Calls off the loop, with real threads."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
from collections.abc import Hashable, Iterator

import pytest

from nathb.core.errors import BusyError
from nathb.host.background import Background

PATIENCE = 20.0
HANGS = """
import threading
from nathb.host.background import Background
background = Background()
for _ in range(3):
    background.start("hung", threading.Event().wait)
print(background.running())
"""


@pytest.fixture
def background() -> Iterator[Background]:
    made = Background(limit=3)
    yield made
    made.close()


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """An event for calls to hang on; none hangs longer than its test."""
    event = threading.Event()
    yield event
    event.set()


def readable(background: Background, timeout: float) -> bool:
    return bool(select.select([background], [], [], timeout)[0])


def ended(background: Background, count: int) -> list[tuple[Hashable, object]]:
    """Wait for that many results, as a loop would."""
    results: list[tuple[Hashable, object]] = []
    while len(results) < count:
        assert readable(background, PATIENCE)
        results += background.ended()
    return results


def test_a_result_comes_back_with_its_ticket(background: Background) -> None:
    background.start(("view", 1), lambda: 42)
    assert ended(background, 1) == [(("view", 1), 42)]
    assert background.running() == 0


def test_nothing_ended_is_an_empty_list_at_once(background: Background) -> None:
    assert background.ended() == []
    assert not readable(background, 0)


def test_the_descriptor_is_readable_until_results_are_fetched(background: Background) -> None:
    background.start("one", lambda: 1)
    assert readable(background, PATIENCE)
    assert readable(background, 0)
    background.ended()
    assert not readable(background, 0)


def test_calls_run_side_by_side(background: Background) -> None:
    meeting = threading.Barrier(3)
    for ticket in range(3):
        background.start(ticket, lambda: meeting.wait(PATIENCE))
    met = ended(background, 3)
    assert sorted(str(place) for _, place in met) == ["0", "1", "2"]


@pytest.mark.parametrize(
    "error", [ValueError("no"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()]
)
def test_whatever_is_raised_is_a_value(background: Background, error: BaseException) -> None:
    def fail() -> None:
        raise error

    background.start("bad", fail)
    assert ended(background, 1) == [("bad", error)]


def test_one_call_too_many_comes_back_refused(
    background: Background, release: threading.Event
) -> None:
    for ticket in range(3):
        background.start(ticket, release.wait)
    background.start("too many", lambda: 1)
    [(ticket, refusal)] = ended(background, 1)
    assert ticket == "too many"
    assert isinstance(refusal, BusyError)
    assert str(refusal) == "not started: 3 calls have not ended"
    assert background.running() == 3


def test_there_is_room_again_once_a_call_has_ended(
    background: Background, release: threading.Event
) -> None:
    for ticket in range(3):
        background.start(ticket, release.wait)
    release.set()
    ended(background, 3)
    background.start("next", lambda: 1)
    assert ended(background, 1) == [("next", 1)]


def test_a_result_that_comes_after_closing_touches_no_descriptor(release: threading.Event) -> None:
    background = Background()
    others = threading.enumerate()
    background.start("late", release.wait)
    [thread] = [one for one in threading.enumerate() if one not in others]
    number = background.fileno()
    background.close()
    heir = os.eventfd(0, os.EFD_NONBLOCK)
    os.dup2(heir, number)  # the number is somebody else's now
    release.set()
    thread.join(PATIENCE)
    with pytest.raises(BlockingIOError):
        os.eventfd_read(number)
    for each in {heir, number}:
        os.close(each)


def test_closing_twice_is_closing() -> None:
    background = Background()
    background.close()
    background.close()


@pytest.mark.timeout(60)
def test_hung_calls_do_not_keep_a_process_alive() -> None:
    child = subprocess.run(
        [sys.executable, "-c", HANGS],
        stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    assert child.stdout == "3\n"
