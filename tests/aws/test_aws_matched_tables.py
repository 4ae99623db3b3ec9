"""Routes that are found, not listed: what is read, what it costs, who else goes by it (moto)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from nathb.aws.ec2 import Cloud, reduce_view
from nathb.aws.instances import Found, describe
from nathb.aws.matched_tables import find_routes
from nathb.aws.reader import Reader
from nathb.aws.responses import EC2Instance, RouteEntry, State, Table
from nathb.aws.tag_writer import TagWriter
from nathb.core.ec2_state import Holding, Instance, Intent
from nathb.core.errors import CloudError
from nathb.core.found_routes import with_found
from nathb.core.model import Group, Node, Route, RouteMatch
from nathb.provision.audit import inspect_routes
from nathb.provision.inventory import survey
from nathb.provision.steps import plan
from tests.aws.scripted import tables, text_reply
from tests.aws.test_aws_tags import NOON
from tests.aws.world import ANYWHERE, World, launch, route, table

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tests.aws.scripted import Server

TAG = "tag:nathb"


def with_matches(group: Group, **found: tuple[RouteMatch, ...]) -> Group:
    """The same nodes, whose routes are found by these matches (`nat_a=…`) and not listed."""
    nodes = tuple(
        replace(node, routes=(), found=found.get(node.name.replace("-", "_"), ()))
        for node in group.nodes
    )
    return replace(group, nodes=nodes)


@pytest.fixture
def tagged(world: World) -> Group:
    """A file by tags, one for each node's private table."""
    for name, a_table in world.private.items():
        tag(world, a_table, name)
    matches = {name: (RouteMatch(((TAG, name),), ANYWHERE),) for name in world.private}
    return with_matches(world.group, nat_a=matches["nat-a"], nat_c=matches["nat-c"])


def tag(world: World, a_table: str, value: str) -> None:
    world.ec2.create_tags(Resources=[a_table], Tags=[{"Key": "nathb", "Value": value}])


def whole_vpc(world: World, *excluded: str) -> Group:
    return with_matches(world.group, nat_a=(RouteMatch((("vpc-id", world.vpc),), "any", excluded),))


def found(group: Group) -> dict[str, tuple[Route, ...]]:
    return {node.name: node.routes for node in group.nodes}


def holders(holdings: tuple[Holding, ...]) -> dict[str, str]:
    return {seen.route.table: seen.node for seen in holdings}


def test_by_tag_a_view_is_two_calls_and_shows_what_listed_routes_would(
    world: World, tagged: Group, calls: list[str]
) -> None:
    roster = Cloud(world.ec2, world.group).roster("nat-a")
    listed = Cloud(world.ec2, world.group).view(roster)
    calls.clear()
    resolved = Cloud(world.ec2, tagged).resolved(roster)
    assert calls == ["DescribeRouteTables"] * 2
    assert resolved.group == world.group
    assert set(resolved.view.holdings) == set(listed.holdings)
    assert resolved.view.pins == listed.pins


def test_by_vpc_a_view_is_one_call_and_finds_every_static_route_at_a_node_but_the_pins(
    world: World, calls: list[str]
) -> None:
    gateway = world.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    world.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=world.vpc)
    stranger = launch(world.ec2, "stranger", world.subnets["nat-a"])["NetworkInterfaces"][0]
    theirs, office, left_out = (table(world.ec2, world.vpc) for _ in range(3))
    world.ec2.create_route(
        RouteTableId=world.public["nat-a"], DestinationCidrBlock=ANYWHERE, GatewayId=gateway
    )
    route(world.ec2, theirs, ANYWHERE, stranger["NetworkInterfaceId"])
    route(world.ec2, office, "10.8.0.0/16", world.enis["nat-c"])
    route(world.ec2, office, "10.9.0.0/16", world.enis["nat-c"])
    route(world.ec2, left_out, ANYWHERE, world.enis["nat-c"])
    cloud = Cloud(world.ec2, whole_vpc(world, "10.9.0.0/16", left_out))
    roster = cloud.roster("nat-a")
    calls.clear()
    resolved = cloud.resolved(roster)
    assert calls == ["DescribeRouteTables"]
    wanted = {Route(one, ANYWHERE) for one in world.private.values()}
    wanted.add(Route(office, "10.8.0.0/16"))
    assert set(found(resolved.group)["nat-a"]) == wanted
    assert found(resolved.group)["nat-c"] == ()
    assert holders(resolved.view.holdings) == {
        world.private["nat-a"]: "nat-a",
        world.private["nat-c"]: "nat-c",
        office: "nat-c",
    }


def test_a_table_that_comes_is_found_by_the_next_view_and_one_without_its_tag_no_more(
    world: World, tagged: Group
) -> None:
    cloud = Cloud(world.ec2, tagged)
    roster = cloud.roster("nat-a")
    added = table(world.ec2, world.vpc)
    route(world.ec2, added, ANYWHERE, world.enis["nat-c"])
    tag(world, added, "nat-a")
    before = cloud.resolved(roster)
    assert Route(added, ANYWHERE) in found(before.group)["nat-a"]
    world.ec2.delete_tags(Resources=[added], Tags=[{"Key": "nathb"}])
    after = cloud.resolved(roster, before.claims)
    assert found(after.group) == found(world.group)


def test_a_route_that_was_found_is_still_found_when_ec2_has_forgotten_its_interface(
    world: World,
) -> None:
    cloud = Cloud(world.ec2, whole_vpc(world))
    roster = cloud.roster("nat-a")
    before = cloud.resolved(roster)
    forgotten = replace(
        roster,
        instances=tuple(
            replace(one, instance="i-0", eni="", enis=()) if one.node == "nat-c" else one
            for one in roster.instances
        ),
    )
    kept = cloud.resolved(forgotten, before.claims)
    assert kept.group == before.group
    lost = Route(world.private["nat-c"], ANYWHERE)
    assert kept.view.holding(lost) is not None
    assert lost not in cloud.resolved(forgotten).claims


def test_a_read_that_fails_in_part_shows_no_table_to_be_gone(
    script: Server, scripted_cloud: Callable[[Group], Cloud], world: World, tagged: Group
) -> None:
    script.will(tables("rtb-1", token="more"), *[text_reply(500, "no")] * 4)
    roster = Cloud(world.ec2, tagged).roster("nat-a")
    with pytest.raises(CloudError):
        scripted_cloud(tagged).resolved(roster)


def test_a_table_of_another_daemon_of_this_machine_is_left_out_and_named(
    world: World, tagged: Group
) -> None:
    theirs, asked = world.private["nat-c"], []

    def claim(tables: Collection[str]) -> dict[str, str]:
        asked.append(set(tables))
        return {theirs: "the daemon of group paris"}

    cloud = Cloud(world.ec2, tagged, claim=claim)
    resolved = cloud.resolved(cloud.roster("nat-a"))
    assert asked == [set(world.private.values())]
    assert resolved.refused == {Route(theirs, ANYWHERE): "the daemon of group paris"}
    assert found(resolved.group)["nat-c"] == ()
    assert [one.route.table for one in resolved.view.holdings] == [world.private["nat-a"]]


def test_what_operators_ask_is_written_on_the_tables_that_are_found_and_read_from_them(
    world: World, tagged: Group
) -> None:
    writer = TagWriter(world.ec2, tagged, lambda: NOON)
    assert writer.group == world.group
    writer.drain({"nat-c"})
    assert writer.requests() == Intent(drained=frozenset({"nat-c"}))
    listed = TagWriter(world.ec2, world.group, lambda: NOON)
    assert listed.requests() == writer.requests()
    assert [one.node for one in writer.view().holdings] == ["nat-a", "nat-c"]
    writer.drain(())
    assert listed.requests() == Intent()


def test_a_request_is_written_and_ended_also_where_what_was_found_is_forgotten(
    world: World,
) -> None:
    lost = Route(world.private["nat-c"], ANYWHERE)
    other = launch(world.ec2, "nat-c", world.subnets["nat-c"])["InstanceId"]
    first, second = whole_vpc(world).nodes
    file = replace(whole_vpc(world), nodes=(first, replace(second, instance=other)))

    def tagged_with(key: str) -> set[str]:
        listed = world.ec2.describe_tags(Filters=[{"Name": "key", "Values": [key]}])["Tags"]
        return {one["ResourceId"] for one in listed}

    TagWriter(world.ec2, file).pause(None)
    assert tagged_with("nathb:pause") == {world.private["nat-a"]}
    remembered = TagWriter(world.ec2, file, before=[lost])
    assert lost in remembered.group.routes()
    remembered.pause(None)
    assert tagged_with("nathb:pause") == set(world.private.values())
    assert remembered.view().holding(lost) is not None

    noted = [{"Key": "nathb:file", "Value": "digest"}]
    world.ec2.create_tags(Resources=list(world.private.values()), Tags=noted)
    theirs = [{"Key": "nathb:file", "Value": "theirs"}, {"Key": "nathb:pause", "Value": "on"}]
    world.ec2.create_tags(Resources=[world.public["nat-a"]], Tags=theirs)
    TagWriter(world.ec2, file).resume()
    assert tagged_with("nathb:pause") == {world.public["nat-a"]}


def test_a_drain_of_a_file_whose_matches_find_nothing_says_so(world: World) -> None:
    nothing = with_matches(world.group, nat_a=(RouteMatch(((TAG, "nobody"),), ANYWHERE),))
    with pytest.raises(CloudError, match="none of those that its matches would find"):
        TagWriter(world.ec2, nothing).drain({"nat-a"})


def test_plan_and_check_go_by_what_is_found(world: World, tagged: Group) -> None:
    wanted = plan(survey(Reader(world.ec2), world.group), "digest")
    seen = survey(Reader(world.ec2), tagged)
    assert plan(seen, "digest") == wanted
    assert seen.group == world.group


def test_a_table_that_is_added_after_apply_leaves_nothing_to_plan(
    world: World, tagged: Group
) -> None:
    noted = [{"Key": "nathb:file", "Value": "digest"}]
    world.ec2.create_tags(Resources=list(world.private.values()), Tags=noted)
    before = plan(survey(Reader(world.ec2), tagged), "digest").steps
    added = table(world.ec2, world.vpc)
    tag(world, added, "nat-a")
    route(world.ec2, added, ANYWHERE, world.enis["nat-a"])
    assert plan(survey(Reader(world.ec2), tagged), "digest").steps == before
    other = plan(survey(Reader(world.ec2), tagged), "other").steps
    assert added in {one.resource for one in other}


def texts(seen: Any) -> list[str]:
    return [str(one) for one in inspect_routes(seen, plan(seen, ""), NOON)]


def test_check_warns_of_a_match_that_finds_nothing_and_of_a_route_that_two_nodes_claim(
    world: World, tagged: Group
) -> None:
    first, second = tagged.nodes
    both = replace(tagged, nodes=(first, replace(second, found=whole_vpc(world).nodes[0].found)))
    claimed = f"{world.private['nat-a']} {ANYWHERE}: is found by the matches of nat-a, its home"
    assert any(claimed in one for one in texts(survey(Reader(world.ec2), both)))
    nothing = RouteMatch(((TAG, "nobody"),), ANYWHERE)
    none = replace(tagged, nodes=(first, replace(second, found=(nothing,))))
    shown = texts(survey(Reader(world.ec2), none))
    assert any("nat-c: its matches find no route that points at a node" in one for one in shown)


def test_check_warns_of_a_table_with_the_tag_whose_route_is_not_guarded(
    world: World, tagged: Group
) -> None:
    stranger = launch(world.ec2, "stranger", world.subnets["nat-a"])["NetworkInterfaces"][0]
    eni = stranger["NetworkInterfaceId"]
    theirs, empty = table(world.ec2, world.vpc), table(world.ec2, world.vpc)
    route(world.ec2, theirs, ANYWHERE, eni)
    for one in (theirs, empty):
        tag(world, one, "nat-c")
    shown = texts(survey(Reader(world.ec2), tagged))
    not_found = "so the match of nat-c does not find it: it is not guarded"
    assert any(f"{theirs} {ANYWHERE}: points at {eni}, {not_found}" in one for one in shown)
    assert any(f"{empty} {ANYWHERE}: is missing, {not_found}" in one for one in shown)


def test_a_view_of_ten_thousand_found_routes_takes_two_seconds_of_cpu_time_at_most(
    world: World,
) -> None:
    entries = tuple(
        RouteEntry(destination_cidr_block=f"10.{one}.0.0/16", instance_id=world.instances["nat-a"])
        for one in range(50)
    )
    tables = [Table(f"rtb-{number}", entries, vpc_id=world.vpc) for number in range(200)]
    file = whole_vpc(world)
    roster = Cloud(world.ec2, file).roster("nat-a")
    began = time.process_time()
    claims = find_routes(file, tables, roster.instances)
    view = reduce_view(0.0, with_found(file, claims), roster, tables, NOON)
    assert len(view.holdings) == 10_000
    assert time.process_time() - began < 2.0, "0.4 s on a quiet machine; it was 5.5 s once"


# --- what a table shows, without a VPC around it --------------------------------------------------

VPC = "vpc-1"
EVERYTHING = Group(
    name="tokyo",
    nodes=(
        Node("nat-a", ("8.8.8.8",), found=(RouteMatch((("vpc-id", VPC),), "any"),)),
        Node("nat-c", ("8.8.4.4",), instance="i-c", eni="eni-c"),
    ),
    uplink=("1.1.1.1",),
)


def found_among(*entries: RouteEntry, of: Instance) -> set[str]:
    shown = [Table("rtb-1", entries, vpc_id=VPC), Table("rtb-2", entries, vpc_id="vpc-2")]
    return {route.destination for route in find_routes(EVERYTHING, shown, [of])}


def test_propagated_routes_are_never_found_and_others_of_each_family_are() -> None:
    nat = {"network_interface_id": "eni-c", "state": "active"}
    entries = (
        RouteEntry(destination_cidr_block="10.1.0.0/16", origin="CreateRoute", **nat),
        RouteEntry(destination_cidr_block="10.2.0.0/16", origin="EnableVgwRoutePropagation", **nat),
        RouteEntry(destination_cidr_block="10.3.0.0/16", origin="Advertisement", **nat),
        RouteEntry(destination_ipv6_cidr_block="0::/0", **nat),
        RouteEntry(destination_prefix_list_id="pl-1", **nat),
        RouteEntry(destination_cidr_block="10.0.0.0/16", gateway_id="local", state="active"),
    )
    nat_c = Instance("nat-c", "i-c", "eni-c", ("eni-c",))
    assert found_among(*entries, of=nat_c) == {"10.1.0.0/16", "::/0", "pl-1"}


def test_after_a_restart_the_blackhole_of_a_terminated_node_is_known_by_the_files_eni() -> None:
    blackhole = RouteEntry(
        destination_cidr_block=ANYWHERE, network_interface_id="eni-c", state="blackhole"
    )
    terminated = EC2Instance("i-c", State("terminated"))  # EC2 shows no interface of it any more
    for machine in (terminated, None):
        named = describe(EVERYTHING.node("nat-c"), Found(machine))
        assert found_among(blackhole, of=named) == {ANYWHERE}
        unnamed = describe(replace(EVERYTHING.node("nat-c"), eni=""), Found(machine))
        assert found_among(blackhole, of=unnamed) == set()
