"""What makes the lab worth trusting: packets go as EC2 says, and each fault does what it says."""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Callable

import pytest

from nathb.net.echo import from_ipv4
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.node_requests import (
    call_ec2,
    can_ping,
    fetch_imds,
    icmp_count,
    pings_answered,
    replace_route,
)
from tests.lab.pair import Pair
from tests.lab.ping_spoofer import forge
from tests.lab.plan import EVERYWHERE, PAIR, TRIO, ZONE_A, ZONE_C, ZONE_D, Plan
from tests.lab.scripts import name_server, ping_spoofer

# --- packets --------------------------------------------------------------------------------------

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


# --- faults ---------------------------------------------------------------------------------------

NAT_C = "10.0.1.10"


def test_a_dead_instance_is_silent_in_every_direction(lab: Lab) -> None:
    lab.faults.dead("nat-c")

    assert not can_ping(lab, "nat-a", NAT_C)
    assert not can_ping(lab, "nat-a", ZONE_C.heartbeat)
    assert not can_ping(lab, "nat-c", "10.0.0.10")
    assert not can_ping(lab, "nat-c", "1.1.1.1")
    assert call_ec2(lab, "nat-c", "DescribeRouteTables", timeout=0.3).status == 0
    assert fetch_imds(lab, "nat-c", "/latest/meta-data/instance-id").status == 0
    assert icmp_count(lab, "nat-c") == 0, "no request ever reached it"

    lab.faults.dead("nat-c", on=False)
    assert can_ping(lab, "nat-a", ZONE_C.heartbeat)


def test_gateways_are_cut_all_at_once_and_nothing_else_is(lab: Lab) -> None:
    lab.faults.gateway_cut("nat-a", "nat-c")

    assert not can_ping(lab, "nat-a", "1.1.1.1")
    assert not can_ping(lab, "nat-c", "1.1.1.1")
    assert can_ping(lab, "nat-a", NAT_C)
    assert call_ec2(lab, "nat-a", "DescribeRouteTables").status == 200

    lab.faults.gateway_cut("nat-a", on=False)
    assert can_ping(lab, "nat-a", "1.1.1.1")
    assert not can_ping(lab, "nat-c", "1.1.1.1")


def test_a_source_dest_check_drops_what_is_not_the_instances_own(lab: Lab) -> None:
    lab.source_dest_check("nat-a", on=True)
    assert not can_ping(lab, "app-a", "1.1.1.1")
    assert can_ping(lab, "nat-a", "1.1.1.1")

    eni = lab.instances["nat-a"].eni
    lab.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=eni, SourceDestCheck={"Value": False}
    )
    assert can_ping(lab, "app-a", "1.1.1.1")


def test_loss_is_roughly_what_was_asked_for(lab: Lab) -> None:
    assert pings_answered(lab, "nat-a", "1.1.1.1", count=50) == 50

    lab.faults.loss("nat-a", 30)
    assert 180 < pings_answered(lab, "nat-a", "1.1.1.1", count=300) < 240, (
        "of 300, 210 are to come back"
    )

    lab.faults.loss("nat-a", 0)
    assert pings_answered(lab, "nat-a", "1.1.1.1", count=50) == 50


def test_the_next_pings_to_an_address_are_lost_and_none_after_them(lab: Lab) -> None:
    lab.faults.lose_next_pings("nat-a", ZONE_C.heartbeat, count=2)
    assert can_ping(lab, "nat-a", "1.1.1.1")
    assert can_ping(lab, "nat-c", ZONE_C.heartbeat)
    assert pings_answered(lab, "nat-a", ZONE_C.heartbeat, count=10) == 8
    assert pings_answered(lab, "nat-a", ZONE_C.heartbeat, count=10) == 10


def test_every_second_ping_to_an_address_is_lost_until_it_is_healed(lab: Lab) -> None:
    lab.faults.lose_every_second_ping("nat-a", ZONE_C.heartbeat)
    assert [can_ping(lab, "nat-a", ZONE_C.heartbeat) for _ in range(6)] == [False, True] * 3
    assert pings_answered(lab, "nat-c", ZONE_A.heartbeat, count=10) == 10
    lab.heal()
    assert pings_answered(lab, "nat-a", ZONE_C.heartbeat, count=10) == 10


def test_a_nat_that_forwards_nothing_still_answers_and_asks_for_itself(lab: Lab) -> None:
    for break_it in (lab.faults.forwarding_off, lab.faults.firewall_shut):
        break_it("nat-c")
        assert not can_ping(lab, "app-c", "1.1.1.1")
        assert not lab.clients["app-c"].served(), "flows that were known already are cut off too"
        assert not can_ping(lab, "nat-a", ZONE_C.heartbeat)
        assert can_ping(lab, "nat-a", NAT_C), "its host is well"
        assert can_ping(lab, "nat-c", "1.1.1.1")
        break_it("nat-c", on=False)
        lab.clients["app-c"].wait_served(via="nat-c")


def test_a_partition_may_be_one_way(lab: Lab) -> None:
    lab.faults.partition("a", "c", one_way=True)
    assert not can_ping(lab, "nat-a", NAT_C)
    assert not can_ping(lab, "nat-c", "10.0.0.10")
    assert icmp_count(lab, "nat-c") == 0, "the request was lost"
    assert icmp_count(lab, "nat-a") == 1, "the request came, and the answer to it was lost"

    assert can_ping(lab, "nat-a", "1.1.1.1")
    assert can_ping(lab, "app-c", "1.1.1.1")
    assert call_ec2(lab, "nat-a", "DescribeRouteTables").status == 200


def test_a_partition_severs_clients_and_nats_of_both_zones(lab: Lab) -> None:
    lab.faults.partition("a", "c")
    assert not can_ping(lab, "app-a", NAT_C)
    assert not can_ping(lab, "app-c", "10.0.10.10")
    assert can_ping(lab, "app-a", "10.0.0.10")

    lab.faults.partition("a", "c", on=False)
    assert can_ping(lab, "app-a", NAT_C)


def test_the_api_and_the_imds_can_be_out_of_reach_for_one_instance(lab: Lab) -> None:
    lab.faults.api_unreachable("nat-a")
    lab.faults.imds_unreachable("nat-c")

    assert call_ec2(lab, "nat-a", "DescribeRouteTables", timeout=0.3).status == 0
    assert call_ec2(lab, "nat-c", "DescribeRouteTables").status == 200
    assert fetch_imds(lab, "nat-a", "/latest/meta-data/instance-id").status == 401
    assert fetch_imds(lab, "nat-c", "/latest/meta-data/instance-id").status == 0


def test_healing_takes_back_every_fault_at_once(lab: Lab) -> None:
    lab.faults.dead("nat-a")
    lab.faults.gateway_cut("nat-c")
    lab.faults.partition("a", "c")
    lab.faults.loss("app-a", 100)
    lab.faults.api_unreachable("nat-c")
    lab.faults.masquerade_off("nat-a", "nat-c")
    lab.faults.forwarding_off("nat-a")
    lab.faults.firewall_shut("nat-c")
    lab.faults.lose_next_pings("nat-a", ZONE_C.heartbeat, count=1000)
    lab.source_dest_check("nat-a", on=True)

    lab.heal()
    healed = time.monotonic()

    lab.clients["app-a"].wait_served(via="nat-a")
    lab.clients["app-c"].wait_served(via="nat-c")
    assert can_ping(lab, "nat-a", ZONE_C.heartbeat)
    assert call_ec2(lab, "nat-c", "DescribeRouteTables").status == 200
    assert lab.clients["app-a"].outage(healed) < 1.0


def test_a_fault_for_an_instance_that_is_not_there_says_who_is(lab: Lab) -> None:
    with pytest.raises(KeyError, match=r"no instance is called 'nat-b'.*nat-a, app-a, nat-c"):
        lab.faults.dead("nat-b")


def test_the_vpc_tracks_no_connections(lab: Lab) -> None:
    count = ["sysctl", "-n", "net.netfilter.nf_conntrack_count"]
    tracked = {
        name: int(lab.network.read(name, *count)) for name in ("vpc", "internet", "nat-a", "app-a")
    }
    assert tracked["nat-a"] > 0
    assert tracked | {"nat-a": 0} == {"vpc": 0, "internet": 0, "nat-a": 0, "app-a": 0}


# --- scripts --------------------------------------------------------------------------------------

PAYLOAD = b"sixteen bytes ..."
LOOK_UP = """
import socket, sys
try:
    print(*sorted({answer[4][0] for answer in socket.getaddrinfo(sys.argv[1], None)}))
except OSError as error:
    print(error.strerror)
"""


def request() -> bytes:
    """An echo request of nat-a, as it comes in on a link."""
    header = struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(PAYLOAD), 7, 0, 64, socket.IPPROTO_ICMP, 0)
    addresses = socket.inet_aton("10.0.0.10") + socket.inet_aton("193.0.14.129")
    return header + addresses + struct.pack("!BBHHH", 8, 0, 0, 0xFFFF, 9) + PAYLOAD


def test_each_forgery_differs_in_the_one_thing_that_it_is_called_by() -> None:
    def fields(manner: str) -> dict[str, object]:
        packet = forge(request(), manner)
        echo = from_ipv4(packet)
        assert echo is not None
        carried = {"id": echo.id, "sequence": echo.sequence, "payload": echo.payload}
        return {"source": socket.inet_ntoa(packet[12:16]), **carried}

    honest = fields("faithful")
    assert honest == {"source": "193.0.14.129", "id": 0xFFFF, "sequence": 9, "payload": PAYLOAD}
    for manner in honest:
        forged = fields(manner)
        assert [name for name in honest if forged[name] != honest[name]] == [manner]


@pytest.mark.parametrize("manner", ["source", "id", "sequence", "payload", "thrice"])
def test_a_forgery_reaches_whom_it_is_meant_for(lab: Lab, manner: str) -> None:
    lab.faults.dead("nat-c")
    with ping_spoofer(lab, "nat-a", ZONE_C.heartbeat, manner):
        before = icmp_count(lab, "nat-a", "InEchoReps")
        can_ping(lab, "nat-a", ZONE_C.heartbeat)
        assert icmp_count(lab, "nat-a", "InEchoReps") - before == (3 if manner == "thrice" else 1)


def test_a_faithful_spoofer_is_taken_for_the_peer_even_by_nathb(lab: Lab) -> None:
    pair = Pair(lab).settle()
    with ping_spoofer(lab, "nat-a", ZONE_C.heartbeat, "faithful") as spoofer:
        lab.crash("nat-c")
        assert can_ping(lab, "nat-a", ZONE_C.heartbeat)
        answered = spoofer.said("answered")
        wait_until("it answers on", lambda: spoofer.said("answered") >= answered + 20, 10.0)
        assert pair.verdict("nat-a", "nat-c") == "up"
    pair.wait_holder("c", "nat-a", within=10.0)


def test_the_name_server_answers_until_it_is_frozen(lab: Lab) -> None:
    def look_up(name: str) -> str:
        return lab.run("nat-a", [sys.executable, "-c", LOOK_UP, name]).stdout.strip()

    with name_server(lab, {"uplink.example": "1.1.1.1"}, "nat-a") as server:
        assert look_up("uplink.example") == "1.1.1.1"
        assert look_up("other.example") == "Name or service not known"
        server.freeze()
        assert look_up("uplink.example") == "Temporary failure in name resolution"
        server.freeze(on=False)
        assert look_up("uplink.example") == "1.1.1.1"
