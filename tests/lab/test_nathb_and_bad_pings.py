"""Pings that are lost one by one, and answers that come late, too often, or from somebody else."""

from __future__ import annotations

import time

import pytest

from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.pair import Pair
from tests.lab.plan import ZONE_A, ZONE_C
from tests.lab.scripts import ping_spoofer

COUNTED = {"interval": "1s", "fast_interval": "1s", "timeout": "900ms", "fall": 3, "pulse": "off"}
"""Each check, repetition included, is over before the next one leaves, and no pulse is missed."""


def test_a_single_lost_ping_is_repeated_in_time_and_counts_as_no_miss(lab: Lab) -> None:
    pair = Pair(lab, check=COUNTED).settle()
    before = _missed(pair)
    lab.faults.lose_next_pings("nat-a", ZONE_C.heartbeat)
    _wait_checks(pair, 15)
    assert _missed(pair) == before
    _all_is_quiet(pair)


def test_a_lost_ping_whose_repetition_is_lost_too_is_a_miss_and_convicts_nobody(lab: Lab) -> None:
    pair = Pair(lab, check=COUNTED).settle()
    before = _missed(pair)
    lab.faults.lose_next_pings("nat-a", ZONE_C.heartbeat, count=2)
    wait_until("nat-a counts a miss", lambda: _missed(pair) > before, 10.0)
    time.sleep(3.0)
    assert _missed(pair) == before + 1
    _all_is_quiet(pair)


def test_every_second_ping_lost_both_ways_counts_as_no_miss(lab: Lab) -> None:
    pair = Pair(lab, check=COUNTED).settle()
    before = _missed(pair)
    lab.faults.lose_every_second_ping("nat-a", ZONE_C.heartbeat)
    lab.faults.lose_every_second_ping("nat-c", ZONE_A.heartbeat)
    _wait_checks(pair, 40)
    assert _missed(pair) == before
    _all_is_quiet(pair)


@pytest.mark.parametrize("manner", ["source", "id", "sequence", "payload"])
def test_a_dead_peer_in_whose_name_another_answers_is_convicted_all_the_same(
    lab: Lab, manner: str
) -> None:
    pair = Pair(lab).settle()
    with ping_spoofer(lab, "nat-a", ZONE_C.heartbeat, manner) as spoofer:
        lab.crash("nat-c")
        lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
        answered = spoofer.said("answered")
        time.sleep(2.0)
        assert spoofer.said("answered") > answered >= 4
        assert pair.verdict("nat-a", "nat-c") == "down"
    assert pair.written() == [("nat-a", "nat-a")]


def test_answers_that_come_after_the_timeout_are_misses(lab: Lab) -> None:
    pair = Pair(lab).settle()
    with ping_spoofer(lab, "nat-a", ZONE_C.heartbeat, "faithful", delay=0.4) as late:
        lab.crash("nat-c")
        lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
        answered = late.said("answered")
        time.sleep(2.0)
        assert late.said("answered") > answered
        assert pair.verdict("nat-a", "nat-c") == "down"
    assert pair.written() == [("nat-a", "nat-a")]


def test_an_answer_that_comes_four_times_counts_once(lab: Lab) -> None:
    pair = Pair(lab).settle()
    with ping_spoofer(lab, "nat-a", ZONE_C.heartbeat, "thrice") as echo:
        wait_until("it has answered 60 times", lambda: echo.said("answered") >= 60, 20.0)
        counted = pair.snapshot("nat-a")["counters"]
        assert counted["heard"] <= counted["checks"]
        _all_is_quiet(pair)
    lab.crash("nat-c")
    lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
    assert pair.written() == [("nat-a", "nat-a")]


def _missed(pair: Pair) -> int:
    return int(pair.snapshot("nat-a")["counters"].get("missed", 0))


def _wait_checks(pair: Pair, count: int) -> None:
    """Wait until nat-a has sent so many more pings, repetitions included."""
    before = pair.snapshot("nat-a")["counters"]["checks"]
    wait_until(
        "they are sent",
        lambda: pair.snapshot("nat-a")["counters"]["checks"] >= before + count,
        30.0,
    )


def _all_is_quiet(pair: Pair) -> None:
    assert pair.written() == []
    assert not any("is down" in line for one in pair.daemons.values() for line in one.lines())
    assert pair.verdict("nat-a", "nat-c") == "up"
