"""A peer that is neither well nor gone: it does not forward, loses half, or comes and goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import product

import pytest

from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.network_faults import NetworkFaults
from tests.lab.node_requests import can_ping
from tests.lab.pair import DEFAULT, Pair

TAKES, RETURNS = ("nat-a", "nat-a"), ("nat-a", "nat-c")
"""Who writes, and whom the route is pointed at."""

RESTS_ON = {
    "took": "is down: heartbeat",
    "returned": "is up: heartbeat",
    "released": "my uplink is down",
}
"""Which verdict calls for each kind of move: one route is so moved once for each, and no more."""


@pytest.mark.parametrize(
    "stop_forwarding",
    [NetworkFaults.forwarding_off, NetworkFaults.firewall_shut],
    ids=["ip_forward", "firewall"],
)
def test_a_live_host_that_no_longer_forwards_is_taken_from_within_interval_plus_3_5_s(
    lab: Lab, stop_forwarding: Callable[..., None]
) -> None:
    pair = Pair(lab, check=DEFAULT["check"] | {"interval": "2s"}).settle()
    stopped = time.monotonic()
    stop_forwarding(lab.faults, "nat-c")
    lab.clients["app-c"].wait_served(via="nat-a", within=15.0)
    assert lab.clients["app-c"].takeover(since=stopped) <= 2.0 + 3.5
    assert can_ping(lab, "nat-a", "10.0.1.10"), "its host is well"
    time.sleep(2.0)
    assert pair.written() == [TAKES]
    stop_forwarding(lab.faults, "nat-c", on=False)
    pair.wait_holder("c", "nat-c", within=20.0)
    assert pair.written() == [TAKES, RETURNS]
    assert lab.clients["app-a"].outage(since=stopped) <= 0.5


def test_a_peer_that_loses_half_of_its_packets_costs_no_more_moves_than_verdicts_change(
    lab: Lab,
) -> None:
    hasty = {"fall": 3, "rise": 2, "timeout": "250ms"}  # verdicts change often, and call for moves
    pair = Pair(lab, check=hasty, settle="2s", refresh="1s", preempt_delay="200ms").settle()
    lab.faults.loss("nat-c", 50)
    pair.wait_holder("c", "nat-a", within=20.0)
    time.sleep(20.0)
    lab.faults.loss("nat-c", 0)
    pair.settle(within=40.0)
    time.sleep(8.0)  # the last returns, if any are still due
    wrote, quiet = len(lab.writes()), time.monotonic()
    time.sleep(5.0)
    assert len(lab.writes()) == wrote
    for zone in ("a", "c"):
        assert lab.clients[f"app-{zone}"].outage(since=quiet) <= 0.5
    lines = {node: daemon.lines() for node, daemon in pair.daemons.items()}
    for node, zone in product(pair.nodes, ("a", "c")):
        table = lab.tables[f"private-{zone}"]
        for moved, rests_on in RESTS_ON.items():
            # verdicts that are not told: the first UP, and the same one again after a stall (R14)
            untold = (moved == "returned") + _count(lines[node], "was stalled")
            verdicts = _count(lines[node], rests_on) + untold
            assert _count(lines[node], f" {moved} {table} ") <= verdicts
    # R11: the third take ends all returns, but for those of what nat-c handed over by itself
    table = lab.tables["private-c"]
    released = _count(lines["nat-c"], f" released {table} ")
    assert _count(lines["nat-a"], f" returned {table} ") <= 2 + released


def test_a_peer_that_flaps_every_20_s_is_taken_from_once_and_given_nothing_back(lab: Lab) -> None:
    pair = Pair(lab, **DEFAULT).settle()
    daemon, client, begun = pair.daemons["nat-a"], lab.clients["app-c"], time.monotonic()
    lab.crash("nat-c")
    taken = client.wait_served(via="nat-a", within=10.0)
    assert client.takeover(since=begun) <= 4.5
    for flap in (1, 2):
        _sleep_until(begun + 20.0 * flap - 10.0)
        lab.revive("nat-c")
        wait_until("nat-a sees nat-c up", lambda: pair.verdict("nat-a", "nat-c") == "up", 9.0)
        _sleep_until(begun + 20.0 * flap)
        lab.crash("nat-c")
        wait_until("nat-a sees nat-c down", lambda: pair.verdict("nat-a", "nat-c") == "down", 9.0)
    _sleep_until(begun + 50.0)
    assert client.outage(since=taken) <= 0.5
    assert lab.clients["app-a"].outage(since=begun) <= 0.5
    assert pair.written() == [TAKES]
    assert _count(daemon.lines(), "nat-c is down") == 3


def test_r11_a_peer_that_dies_whenever_it_got_its_route_back_gets_it_back_twice(lab: Lab) -> None:
    pair = Pair(lab).settle()
    daemon, client = pair.daemons["nat-a"], lab.clients["app-c"]
    for _ in range(2):
        lab.crash("nat-c")
        pair.wait_holder("c", "nat-a", within=10.0)
        lab.revive("nat-c")
        pair.wait_holder("c", "nat-c", within=20.0)
    lab.crash("nat-c")
    taken = client.wait_served(via="nat-a", within=10.0)
    lab.revive("nat-c")
    daemon.wait_line("taken too often recently: the return waits", within=20.0)
    for _ in range(2):
        lab.crash("nat-c")
        wait_until("nat-a sees nat-c down", lambda: pair.verdict("nat-a", "nat-c") == "down", 10.0)
        lab.revive("nat-c")
        wait_until("nat-a sees nat-c up", lambda: pair.verdict("nat-a", "nat-c") == "up", 20.0)
    time.sleep(3.0)
    assert pair.written() == [TAKES, RETURNS, TAKES, RETURNS, TAKES]
    assert client.outage(since=taken) <= 0.5


def _count(lines: list[str], text: str) -> int:
    return sum(text in line for line in lines)


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
