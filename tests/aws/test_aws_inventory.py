"""What is in a VPC around a group, and a first file drafted from it (moto's EC2)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from nathb import config
from nathb.aws.reader import Reader
from nathb.core.errors import FileError, UsageError
from nathb.core.model import Group, Route, RouteMatch
from nathb.provision.draft import HEARTBEATS as PROPOSED
from nathb.provision.draft import draft, find, text
from nathb.provision.inventory import Inventory, survey
from tests.aws.world import ANYWHERE, HEARTBEATS, World, launch, route, table

# --- the inventory --------------------------------------------------------------------------------


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


# --- the draft ------------------------------------------------------------------------------------

WHERE = "eu-west-1 (from --region)"


def drafted(world: World, *called: str) -> Group:
    reader = Reader(world.ec2)
    drafts = draft(reader, find(reader, called or tuple(world.instances.values()), WHERE))
    return config.parse(text(drafts, "ap-northeast-1"), "tokyo.yaml")


def test_a_pair_that_is_set_up_already_is_found_as_it_is(world: World) -> None:
    group = drafted(world)
    assert [(n.name, n.instance, n.heartbeat, n.routes) for n in group.nodes] == [
        (
            name,
            world.instances[name],
            (HEARTBEATS[name],),
            (Route(world.private[name], ANYWHERE),),
        )
        for name in HEARTBEATS
    ]
    assert group.region == "ap-northeast-1"


def test_instances_are_found_by_their_names_too(world: World) -> None:
    names = [f"{name}-{world.vpc}" for name in ("one", "two")]
    for name in names:
        made = launch(world.ec2, name, world.subnets["nat-a"])
        eni = made["NetworkInterfaces"][0]["NetworkInterfaceId"]
        route(world.ec2, table(world.ec2, world.vpc), ANYWHERE, eni)
    assert [node.name for node in drafted(world, *names).nodes] == names


def test_what_has_no_pin_and_no_route_yet_gets_a_proposal_and_a_remark(world: World) -> None:
    new = [launch(world.ec2, "NAT West!", world.subnets["nat-a"]) for _ in range(2)]
    ids = [one["InstanceId"] for one in new]
    reader = Reader(world.ec2)
    page = text(draft(reader, find(reader, ids, WHERE)), "eu-west-1")
    with pytest.raises(FileError, match="nothing to guard"):
        config.parse(page, "west.yaml")
    assert page.count("# No route leads to it yet.") == 2
    assert f"    #   - {world.private['nat-a']}" in page.splitlines()
    chosen = page.replace("routes: []", f"routes: [{world.private['nat-a']}]", 1)
    group = config.parse(chosen, "west.yaml")
    assert [node.name for node in group.nodes] == ["nat-west", ids[1]]
    assert [node.heartbeat for node in group.nodes] == [(one,) for one in PROPOSED[:2]]


@pytest.mark.parametrize("destination", ["10.8.0.0/16", "::/0", "64:ff9b::/96"])
def test_any_destination_that_leads_to_a_node_is_guarded(world: World, destination: str) -> None:
    office = table(world.ec2, world.vpc)
    route(world.ec2, office, destination, world.enis["nat-c"])
    assert Route(office, destination) in drafted(world).node("nat-c").routes


@pytest.fixture
def shared(world: World) -> str:
    """Put both public subnets on the main table, which has a host route to nat-a; return its id."""
    mine = [{"Name": "vpc-id", "Values": [world.vpc]}]
    for one in world.ec2.describe_route_tables(Filters=mine)["RouteTables"]:
        for association in one["Associations"]:
            if association["Main"]:
                main = str(one["RouteTableId"])
            else:
                old = association["RouteTableAssociationId"]
                world.ec2.disassociate_route_table(AssociationId=old)
    for name in HEARTBEATS:
        world.ec2.delete_route_table(RouteTableId=world.public[name])
        world.ec2.delete_route(RouteTableId=world.private[name], DestinationCidrBlock=ANYWHERE)
    route(world.ec2, main, "52.0.0.7/32", world.enis["nat-a"])
    return main


def test_of_a_vpc_whose_nodes_share_a_table_a_match_is_drafted_that_finds_its_host_routes(
    world: World, shared: str
) -> None:
    group = drafted(world)
    first, second = group.nodes
    assert first.found == (RouteMatch((("vpc-id", world.vpc),), "any"),)
    assert (first.routes, second.routes, second.found) == ((), (), ())
    assert [node.heartbeat for node in group.nodes] == [(one,) for one in PROPOSED[:2]]
    seen = survey(Reader(world.ec2), group)
    assert Route(shared, "52.0.0.7/32") in seen.group.node("nat-a").routes


def test_where_the_nodes_share_a_table_what_leads_to_the_others_stays_listed(
    world: World, shared: str
) -> None:
    route(world.ec2, world.private["nat-c"], ANYWHERE, world.enis["nat-c"])
    seen = survey(Reader(world.ec2), drafted(world))
    assert seen.group.home(Route(shared, "52.0.0.7/32")) == "nat-a"
    assert seen.group.home(Route(world.private["nat-c"], ANYWHERE)) == "nat-c"


def test_a_host_route_of_a_private_table_is_a_route_and_no_pin(world: World) -> None:
    partner = Route(world.private["nat-a"], "52.0.0.7/32")
    route(world.ec2, partner.table, partner.destination, world.enis["nat-a"])
    assert partner in drafted(world).node("nat-a").routes


@pytest.mark.parametrize(
    ("called", "words"),
    [("i-0123456789abcdef0", "no instance with this id"), ("nobody", "no instance with this Name")],
)
def test_what_is_not_there_is_named(world: World, called: str, words: str) -> None:
    where = r" in eu-west-1 \(from --region\); correct it, or give its region with --region$"
    with pytest.raises(UsageError, match=f"^{called}: EC2 shows {words}.*{where}"):
        find(Reader(world.ec2), [called], WHERE)


def test_a_name_of_several_instances_is_answered_with_their_ids(world: World) -> None:
    name = f"twins-{world.vpc}"
    ids = [launch(world.ec2, name, world.subnets["nat-a"])["InstanceId"] for _ in range(2)]
    with pytest.raises(UsageError, match=", ".join(sorted(ids))):
        find(Reader(world.ec2), [name], WHERE)
