"""What clients feel when a router dies and when it is back, on real packets."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.pair import DEFAULT, Pair
from tests.lab.plan import PAIR, Plan


def test_a_crash_at_default_timing_silences_clients_for_4_5_s_and_the_return_for_100_ms(
    lab: Lab,
) -> None:
    pair = Pair(lab, **DEFAULT).settle()
    client = lab.clients["app-c"]
    crashed = time.monotonic()
    lab.crash("nat-c")
    client.wait_served(via="nat-a", within=10.0)
    assert client.takeover(since=crashed) <= 4.5
    revived = time.monotonic()
    lab.revive("nat-c")
    up = pair.daemons["nat-a"].wait_line("nat-c is up", within=40.0)
    assert "heartbeat 193.0.14.129 answers" in up
    back_up = time.monotonic()
    client.wait_served(via="nat-c", within=70.0)
    assert time.monotonic() - back_up >= 59.0
    time.sleep(1.0)
    assert client.outage(since=revived) <= 0.1
    assert pair.written() == [("nat-a", "nat-a"), ("nat-a", "nat-c")]


@pytest.mark.clock
def test_with_quick_timers_a_crash_costs_clients_700_ms_at_most(lab: Lab) -> None:
    check = {"interval": "100ms", "fast_interval": "50ms", "timeout": "200ms", "fall": 4}
    Pair(lab, check=check | {"pulse": "500ms"}).settle()
    client = lab.clients["app-c"]
    crashed = time.monotonic()
    lab.crash("nat-c")
    client.wait_served(via="nat-a", within=10.0)
    assert client.takeover(since=crashed) <= 0.7


def test_a_nat_that_is_dead_on_a_living_host_is_taken_from_within_interval_plus_3_5_s(
    lab: Lab,
) -> None:
    pair = Pair(lab, **DEFAULT).settle()
    checked = time.monotonic()
    lab.source_dest_check("nat-c", on=True)
    client = lab.clients["app-c"]
    client.wait_served(via="nat-a", within=45.0)
    assert client.takeover(since=checked) <= 30.0 + 3.5
    assert lab.run("nat-a", ["ping", "-c1", "-W1", "10.0.1.10"]).returncode == 0
    assert pair.written() == [("nat-a", "nat-a")]


def test_from_a_source_without_public_address_a_lost_masquerade_is_noticed_too(lab: Lab) -> None:
    nodes = {
        zone.nat.name: {
            "instance": lab.instances[zone.nat.name].instance,
            "heartbeat": str(zone.heartbeat),
            "source": str(zone.nat.secondary),
            "routes": [lab.tables[f"private-{zone.name}"]],
        }
        for zone in lab.plan.zones
    }
    pair = Pair(lab, nodes=nodes).settle()
    lab.faults.masquerade_off("nat-c")
    lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
    assert pair.written() == [("nat-a", "nat-a")]


def test_with_the_own_gateway_cut_nothing_is_taken_and_the_peer_serves_our_clients(
    lab: Lab,
) -> None:
    pair = Pair(lab, **DEFAULT | {"check": DEFAULT["check"] | {"interval": "5s"}}).settle()
    cut = time.monotonic()
    lab.faults.gateway_cut("nat-a")
    lab.clients["app-a"].wait_served(via="nat-c", within=15.0)
    time.sleep(10.0)
    assert lab.clients["app-a"].via() == "nat-c"
    assert lab.clients["app-c"].outage(since=cut) <= 0.1
    assert {to for _, to in pair.written()} == {"nat-c"}
    lines = pair.daemons["nat-a"].lines()
    assert any("my uplink is down" in line for line in lines)
    assert not any("took" in line for line in lines)


def test_three_routes_of_a_dead_node_move_in_parallel_and_the_default_route_first(
    make_lab: Callable[[Plan], Lab],
) -> None:
    lab = make_lab(PAIR.with_routes(3))
    pair = Pair(lab).settle()
    lab.crash("nat-c")
    wait_until("three writes arrive", lambda: len(lab.writes()) >= 3, 10.0)
    destinations = [one.parameters["DestinationCidrBlock"] for one in lab.writes()]
    assert destinations[0] == "0.0.0.0/0"
    assert sorted(destinations) == ["0.0.0.0/0", "10.8.0.0/16", "10.9.0.0/16"]
    assert len(pair.written()) == 3
