"""What makes the lab worth trusting: a ReplaceRoute moves packets, and a ping crosses a NAT."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from tests.lab.lab import Lab
from tests.lab.node_requests import can_ping, replace_route
from tests.lab.plan import EVERYWHERE, PAIR, TRIO, ZONE_A, ZONE_C, ZONE_D, Plan

REPLACE = """
import boto3, sys
ec2 = boto3.client("ec2", "ap-northeast-1")
table, destination, instance = sys.argv[1:]
ec2.replace_route(RouteTableId=table, DestinationCidrBlock=destination, InstanceId=instance)
"""


def test_clients_leave_through_the_nat_of_their_own_zone(lab: Lab) -> None:
    assert {name: client.via() for name, client in lab.clients.items()} == {
        "app-a": "nat-a",
        "app-c": "nat-c",
    }


def test_a_replace_route_by_an_instance_moves_packets_and_counts_as_one_write(lab: Lab) -> None:
    table, start = lab.tables["private-a"], time.monotonic()

    done = lab.run(
        "nat-c",
        [sys.executable, "-c", REPLACE, table, EVERYWHERE, lab.instances["nat-c"].instance],
    )

    assert done.returncode == 0, done.stderr
    client = lab.clients["app-a"]
    (write,) = lab.writes()
    served = client.wait_served(via="nat-c")
    assert lab.pace.elapsed(write.at, served) < 1.0
    assert client.outage(start) < 0.5
    assert lab.routes()[table, EVERYWHERE] == "nat-c"
    assert (write.caller, write.action, write.applied) == ("nat-c", "ReplaceRoute", True)


def test_a_client_of_a_dead_nat_is_silent_until_its_route_moves(lab: Lab) -> None:
    client, start = lab.clients["app-a"], time.monotonic()

    lab.faults.dead("nat-a")
    assert not can_ping(lab, "app-a", "1.1.1.1")
    assert not client.served()
    assert lab.clients["app-c"].served()

    replace_route(lab, "nat-c", "private-a", EVERYWHERE, "nat-c")
    back = client.wait_served(via="nat-c")
    assert client.outage(start) > 0.3
    silence = max(client.silences(start), key=lambda one: one.length)
    assert start <= silence.start < silence.end <= back


def test_a_heartbeat_crosses_the_peers_nat_there_and_back(lab: Lab) -> None:
    before = lab.faults.packets("nat-c")

    assert can_ping(lab, "nat-a", ZONE_C.heartbeat)

    sent, received = (
        now - then for now, then in zip(lab.faults.packets("nat-c"), before, strict=True)
    )
    assert sent >= 2, "the request on to the internet, the answer back to nat-a"
    assert received >= 2


def test_a_heartbeat_is_lost_when_the_peer_cannot_forward(lab: Lab) -> None:
    lab.faults.gateway_cut("nat-c")
    assert not can_ping(lab, "nat-a", ZONE_C.heartbeat)
    assert can_ping(lab, "nat-a", str(lab.plan.instance("nat-c").address)), "its host is well"

    lab.faults.gateway_cut("nat-c", on=False)
    lab.source_dest_check("nat-c", on=True)
    assert not can_ping(lab, "nat-a", ZONE_C.heartbeat)
    assert can_ping(lab, "nat-c", "1.1.1.1"), "its own packets carry its own address"

    lab.heal()
    assert can_ping(lab, "nat-a", ZONE_C.heartbeat)


def test_without_masquerade_clients_are_cut_off_while_a_nats_heartbeat_still_comes_back(
    lab: Lab,
) -> None:
    lab.faults.masquerade_off("nat-c")
    assert not can_ping(lab, "app-c", "1.1.1.1")
    assert not lab.clients["app-c"].served(), "flows that were known already are cut off too"
    # The gateway translates by source address: nat-a's ping leaves by nat-c, returns by itself.
    assert can_ping(lab, "nat-a", ZONE_C.heartbeat)

    lab.heal()
    lab.clients["app-c"].wait_served(via="nat-c")


def test_every_node_of_three_hears_every_other(make_lab: Callable[[Plan], Lab]) -> None:
    lab = make_lab(TRIO)

    assert [client.via() for client in lab.clients.values()] == ["nat-a", "nat-c", "nat-d"]
    for zone in TRIO.zones:
        for peer in TRIO.peers(zone):
            assert can_ping(lab, zone.nat.name, peer.heartbeat), (zone.name, peer.name)
    lab.faults.dead("nat-d")
    assert not can_ping(lab, "nat-a", ZONE_D.heartbeat)
    assert can_ping(lab, "nat-c", ZONE_A.heartbeat)


def test_a_plan_may_have_more_routes_per_node(make_lab: Callable[[Plan], Lab]) -> None:
    lab = make_lab(PAIR.with_routes(3))

    table = lab.tables["private-a"]
    homes = {key[1]: target for key, target in lab.routes().items() if key[0] == table}
    assert homes == {EVERYWHERE: "nat-a", "10.8.0.0/16": "nat-a", "10.9.0.0/16": "nat-a"}


def test_two_labs_live_side_by_side(make_lab: Callable[[Plan], Lab]) -> None:
    one, other = make_lab(PAIR), make_lab(PAIR)

    one.faults.dead("nat-a")

    assert not can_ping(one, "app-a", "1.1.1.1")
    assert can_ping(other, "app-a", "1.1.1.1")
    assert one.instances != other.instances
