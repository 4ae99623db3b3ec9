"""One look at EC2 around a group, in moto's VPC."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from nathb.aws.reader import Reader
from nathb.core.model import Route
from nathb.provision.inventory import Inventory, survey
from tests.aws.world import ANYWHERE, HEARTBEATS, World


@pytest.fixture
def seen(world: World) -> Inventory:
    return survey(Reader(world.ec2), world.group)


def test_a_pair_is_surveyed_in_two_calls(world: World, calls: list[str]) -> None:
    survey(Reader(world.ec2), world.group)
    assert calls == ["DescribeInstances", "DescribeRouteTables"]


def test_every_table_of_the_vpc_is_seen_also_what_the_file_does_not_name(
    world: World, seen: Inventory
) -> None:
    assert {*world.public.values(), *world.private.values()} < seen.tables.keys()


@pytest.mark.parametrize("node", HEARTBEATS)
def test_a_node_is_steered_by_its_subnets_own_table(
    world: World, seen: Inventory, node: str
) -> None:
    table = seen.table_of(node)
    assert table is not None
    assert table.route_table_id == world.public[node]


def test_a_subnet_without_a_table_of_its_own_is_steered_by_the_vpcs_main_one(world: World) -> None:
    listed = world.ec2.describe_route_tables(RouteTableIds=[world.public["nat-a"]])
    association = listed["RouteTables"][0]["Associations"][0]["RouteTableAssociationId"]
    world.ec2.disassociate_route_table(AssociationId=association)
    table = survey(Reader(world.ec2), world.group).table_of("nat-a")
    assert table is not None
    assert any(one.main for one in table.associations)


def test_a_route_names_the_node_that_it_leads_to(world: World, seen: Inventory) -> None:
    entry = seen.entry(world.private["nat-a"], ANYWHERE)
    assert entry is not None
    assert seen.holder_of(entry) == "nat-a"
    assert seen.entry(world.private["nat-a"], "10.9.0.0/16") is None


def test_the_source_dest_check_is_seen(world: World) -> None:
    def checked(node: str) -> Any:
        machine = survey(Reader(world.ec2), world.group).machines[node]
        return [interface.source_dest_check for interface in machine.network_interfaces]

    assert checked("nat-a") == [True]
    world.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=world.enis["nat-a"], SourceDestCheck={"Value": False}
    )
    assert checked("nat-a") == [False]


def test_a_node_and_a_table_that_are_gone_are_simply_not_there(world: World) -> None:
    node = replace(
        world.group.nodes[0],
        instance="i-0123456789abcdef0",
        routes=(Route("rtb-0123456789abcdef0", ANYWHERE),),
    )
    seen = survey(Reader(world.ec2), replace(world.group, nodes=(node, world.group.nodes[1])))
    assert "nat-a" not in seen.machines
    assert seen.table_of("nat-a") is None
    assert seen.entry("rtb-0123456789abcdef0", ANYWHERE) is None
