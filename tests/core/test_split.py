"""Two nodes that have convicted each other, and one that convicts alone (R7c)."""

from __future__ import annotations

from nathb.core.model import Timers
from nathb.core.split import Act, Split, follow
from tests.core.build import NOW, down, up

TIMERS = Timers()
SILENT = down(silent_since=NOW - 3)


def test_a_peer_that_takes_a_route_in_the_silence_that_convicts_it_is_alive() -> None:
    assert follow(None, SILENT, Act(NOW - 2, NOW), TIMERS) == Split(NOW)


def test_not_when_the_view_before_is_older_than_the_silence_and_so_the_act_may_be() -> None:
    assert follow(None, SILENT, Act(NOW - 4, NOW), TIMERS) is None


def test_not_when_it_heard_this_node_for_longer_than_a_detection_and_only_then_acted() -> None:
    # its forwarding is dead, its daemon is not: what it does is no reason to spare it
    long_silent = down(silent_since=NOW - TIMERS.detection - 1)
    assert follow(None, long_silent, Act(NOW - 2, NOW), TIMERS) is None


def test_a_further_act_is_remembered_by_its_time() -> None:
    first = follow(None, SILENT, Act(NOW - 2, NOW), TIMERS)
    assert follow(first, SILENT, Act(NOW - 2, NOW), TIMERS) == first
    assert follow(first, SILENT, Act(NOW + 600, NOW + 603), TIMERS) == Split(NOW + 603)


def test_it_ends_with_an_answer() -> None:
    split = Split(NOW)
    assert follow(split, up(), Act(NOW - 2, NOW), TIMERS) is None
    assert follow(split, down(silent_since=None), None, TIMERS) is None
