"""Cuts that are lopsided, or overlap a peer's death: one gateway at a time, one way at a time."""

from __future__ import annotations

import time

import pytest

from tests.lab.lab import Lab
from tests.lab.pair import Pair

SETTLED = {"settle": "2s", "refresh": "1s"}
"""Quick timers, and a view that soon shows what someone else has done."""

UNHURRIED = {"interval": "5s", "fast_interval": "200ms", "timeout": "500ms", "fall": 3}
"""One detection takes up to 6 s: long enough for a view to show in it what a peer has taken."""


def test_nobody_alive_is_no_move_and_with_the_own_gateway_back_the_dead_peers_routes_are_taken(
    lab: Lab,
) -> None:
    pair = Pair(lab, **SETTLED, check={"fast_interval": "200ms", "timeout": "500ms"}).settle()
    lab.crash("nat-c")  # first, so that it answers nothing from the moment of the cut on
    lab.faults.gateway_cut("nat-a")  # over a second before anybody can draw a conclusion
    for line in ("my uplink is down", "nat-c is down"):
        pair.daemons["nat-a"].wait_line(line)
    time.sleep(3.0)
    assert pair.written() == []
    lab.faults.gateway_cut("nat-a", on=False)
    lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
    lab.clients["app-a"].wait_served(via="nat-a")
    time.sleep(2.0)
    assert pair.written() == [("nat-a", "nat-a")]


def test_what_was_handed_over_to_a_peer_that_then_died_is_taken_once_the_own_gateway_is_back(
    lab: Lab,
) -> None:
    pair = Pair(lab, **SETTLED).settle()
    lab.faults.gateway_cut("nat-a")
    lab.clients["app-a"].wait_served(via="nat-c", within=10.0)
    lab.crash("nat-c")
    pair.daemons["nat-a"].wait_line("nat-c is down")
    died = time.monotonic()
    time.sleep(3.0)
    assert pair.written(since=died) == []
    lab.faults.gateway_cut("nat-a", on=False)
    for zone in ("a", "c"):
        lab.clients[f"app-{zone}"].wait_served(via="nat-a", within=20.0)
    time.sleep(2.0)
    assert pair.written(since=died) == [("nat-a", "nat-a")] * 2


def test_with_the_peer_dead_a_cut_of_the_own_gateway_hands_over_nothing(lab: Lab) -> None:
    pair = Pair(lab, **SETTLED).settle()
    lab.crash("nat-c")
    lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
    lab.faults.gateway_cut("nat-a")
    pair.daemons["nat-a"].wait_line("my uplink is down")
    time.sleep(3.0)
    lab.faults.gateway_cut("nat-a", on=False)
    pair.daemons["nat-a"].wait_line("my uplink is up")
    for zone in ("a", "c"):
        lab.clients[f"app-{zone}"].wait_served(via="nat-a")
    time.sleep(3.0)
    assert pair.written() == [("nat-a", "nat-a")]


@pytest.mark.parametrize(("here", "there"), [("a", "c"), ("c", "a")], ids=["a-c", "c-a"])
def test_a_one_way_cut_between_the_zones_ends_in_quiet_with_both_zones_served(
    lab: Lab, here: str, there: str
) -> None:
    pair = Pair(lab, **SETTLED, check=UNHURRIED).settle()
    cut = time.monotonic()
    lab.faults.partition(here, there, one_way=True)
    for node, peer in (("nat-a", "nat-c"), ("nat-c", "nat-a")):
        # each way, a heartbeat's request or its answer has to cross the cut
        pair.daemons[node].wait_line(f"{peer} is down")
    for zone in ("a", "c"):
        pair.wait_holder(zone, f"nat-{zone}", within=50.0)
    for zone in ("a", "c"):
        lab.clients[f"app-{zone}"].wait_served(via=f"nat-{zone}")
        assert lab.clients[f"app-{zone}"].takeover(since=cut) <= 40.0
    quiet, wrote = time.monotonic(), lab.writes()
    assert len(wrote) <= 4, "taken, and taken back"
    time.sleep(8.0)
    for zone in ("a", "c"):
        assert lab.clients[f"app-{zone}"].outage(since=quiet) <= 0.5
        assert lab.clients[f"app-{zone}"].via() == f"nat-{zone}"
    lab.faults.heal()
    pair.settle()
    time.sleep(3.0)
    assert lab.writes() == wrote
