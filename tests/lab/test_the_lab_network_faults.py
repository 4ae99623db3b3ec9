"""Each network fault does what it says, to whom it says, and heals."""

from __future__ import annotations

import time

import pytest

from tests.lab.lab import Lab
from tests.lab.node_requests import call_ec2, can_ping, fetch_imds, icmp_count, pings_answered
from tests.lab.plan import ZONE_A, ZONE_C

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
