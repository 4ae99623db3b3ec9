"""Route tables: what is read from them, what reading costs, and the one write."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import msgspec
import pytest

from nathb.aws.ec2 import Cloud, reduce_view, tables_of
from nathb.aws.responses import RouteEntry, Table, Tag
from nathb.core.ec2_state import (
    Holding,
    Instance,
    Intent,
    Pin,
    PinState,
    Roster,
    RouteState,
    View,
)
from nathb.core.errors import CloudError
from nathb.core.model import Cause, Failure, Group, Move, Node, Route, Rule
from tests.aws.scripted import Server, tables
from tests.aws.world import ANYWHERE, HEARTBEATS, World, route, table

# --- entries as EC2 writes them, to holders, pins and intent --------------------------------------

DEFAULT, DEFAULT6, OFFICE = (
    Route("rtb-a", "0.0.0.0/0"),
    Route("rtb-a", "0:0::/0"),
    Route("rtb-c", "10.8.0.0/16"),
)
GROUP = Group(
    name="tokyo",
    nodes=(
        Node("nat-a", ("8.8.8.8",), (DEFAULT, DEFAULT6), instance="i-a"),
        Node("nat-c", ("8.8.4.4", "2001:4860:4860::8844"), (OFFICE,), instance="i-c"),
    ),
    uplink=("1.1.1.1",),
)
ROSTER = Roster(
    at=0.0,
    me="nat-a",
    instances=(
        Instance("nat-a", "i-a", "eni-a", ("eni-a",)),
        Instance("nat-c", "i-c", "eni-c", ("eni-c", "eni-c2")),
    ),
    own_table="rtb-own",
)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def view(*tables: Table) -> View:
    return reduce_view(7.0, GROUP, ROSTER, tables, NOON)


def v4(destination: str, state: str = "active", **rest: str) -> RouteEntry:
    return RouteEntry(destination_cidr_block=destination, state=state, **rest)


def held(*entries: RouteEntry) -> Holding | None:
    return view(Table("rtb-a", entries)).holding(DEFAULT)


def pins(*entries: RouteEntry) -> tuple[Pin, ...]:
    return view(Table("rtb-own", entries)).pins


def pin(*entries: RouteEntry) -> Pin:
    return pins(*entries)[0]


def test_a_view_reads_every_guarded_table_once_and_this_nodes_own():
    assert tables_of(GROUP, ROSTER) == ("rtb-a", "rtb-c", "rtb-own")


def test_a_route_to_a_nodes_interface_is_held_by_that_node():
    entry = v4("0.0.0.0/0", network_interface_id="eni-c", instance_id="i-c")
    assert held(entry) == Holding(DEFAULT, "nat-c", "eni-c", RouteState.ACTIVE)


def test_a_route_that_shows_only_an_instance_is_held_by_its_node():
    assert held(v4("0.0.0.0/0", instance_id="i-c")) == Holding(DEFAULT, "nat-c", "i-c")


def test_a_route_to_any_interface_of_a_node_is_held_by_it():
    assert held(v4("0.0.0.0/0", network_interface_id="eni-c2")) == Holding(
        DEFAULT, "nat-c", "eni-c2"
    )


@pytest.mark.parametrize(
    ("field", "target"),
    [
        ("network_interface_id", "eni-elsewhere"),
        ("instance_id", "i-elsewhere"),
        ("nat_gateway_id", "nat-0123"),
        ("gateway_id", "igw-0123"),
        ("gateway_id", "local"),
        ("transit_gateway_id", "tgw-0123"),
        ("vpc_peering_connection_id", "pcx-0123"),
        ("egress_only_internet_gateway_id", "eigw-0123"),
        ("local_gateway_id", "lgw-0123"),
        ("carrier_gateway_id", "cagw-0123"),
        ("core_network_arn", "arn:aws:networkmanager::1:core-network/core-1"),
    ],
)
def test_any_other_target_is_foreign_and_named(field: str, target: str):
    assert held(v4("0.0.0.0/0", **{field: target})) == Holding(DEFAULT, "", target)


def test_a_kind_of_target_that_we_do_not_know_is_foreign():
    assert held(v4("0.0.0.0/0")) == Holding(DEFAULT, "", "")


def test_a_blackhole_is_told_from_an_active_route():
    entry = v4("0.0.0.0/0", "blackhole", network_interface_id="eni-c")
    assert held(entry) == Holding(DEFAULT, "nat-c", "eni-c", RouteState.BLACKHOLE)


@pytest.mark.parametrize("word", ["active", "filtered", "", "something new"])
def test_no_word_but_blackhole_is_evidence_of_one(word: str):
    holding = held(v4("0.0.0.0/0", word, network_interface_id="eni-c"))
    assert holding is not None
    assert holding.state is RouteState.ACTIVE


@pytest.mark.parametrize("origin", ["EnableVgwRoutePropagation", "Advertisement"])
def test_a_propagated_route_is_foreign_for_it_cannot_be_replaced(origin: str):
    assert held(v4("0.0.0.0/0", origin=origin, network_interface_id="eni-c")) == Holding(
        DEFAULT, "", "eni-c"
    )


def test_a_static_route_counts_before_a_propagated_one_of_the_same_destination():
    propagated = v4("0.0.0.0/0", origin="EnableVgwRoutePropagation", gateway_id="vgw-1")
    static = v4("0.0.0.0/0", origin="CreateRoute", network_interface_id="eni-a")
    assert (
        held(propagated, static) == held(static, propagated) == Holding(DEFAULT, "nat-a", "eni-a")
    )


def test_an_ipv6_route_is_found_however_the_file_spells_it():
    entry = RouteEntry(
        destination_ipv6_cidr_block="::/0", network_interface_id="eni-a", state="active"
    )
    assert view(Table("rtb-a", (entry,))).holding(DEFAULT6) == Holding(DEFAULT6, "nat-a", "eni-a")


def test_a_route_to_a_prefix_list_is_found_by_the_lists_id():
    home = Route("rtb-a", "pl-0a1b2c3d")
    first, *others = GROUP.nodes
    group = msgspec.structs.replace(
        GROUP, nodes=(msgspec.structs.replace(first, routes=(home,)), *others)
    )
    entry = RouteEntry(
        destination_prefix_list_id="pl-0a1b2c3d", network_interface_id="eni-c", state="active"
    )
    other = RouteEntry(destination_prefix_list_id="pl-0a1b2c3e", gateway_id="vpce-1")
    seen = reduce_view(7.0, group, ROSTER, [Table("rtb-a", (other, entry))], NOON)
    assert seen.holding(home) == Holding(home, "nat-c", "eni-c")


def test_a_route_or_table_that_is_not_there_has_no_holding():
    seen = view(Table("rtb-a", (v4("10.8.0.0/16", network_interface_id="eni-c"),)))
    assert seen.holdings == ()


def test_a_view_is_as_old_as_its_request():
    assert view().at == 7.0


def test_a_pin_on_the_interface_that_clients_use_is_good():
    entry = v4("8.8.4.4/32", network_interface_id="eni-c", instance_id="i-c")
    assert pin(entry) == Pin("nat-c", "8.8.4.4", PinState.GOOD, "eni-c", "rtb-own")


def test_a_pin_that_shows_only_the_instance_is_good():
    assert pin(v4("8.8.4.4/32", instance_id="i-c")).state is PinState.GOOD


def test_an_ipv6_heartbeat_is_pinned_by_its_128():
    entry = RouteEntry(
        destination_ipv6_cidr_block="2001:4860:4860:0::8844/128",
        network_interface_id="eni-c",
        state="active",
    )
    assert pins(entry)[1] == Pin("nat-c", "2001:4860:4860::8844", PinState.GOOD, "eni-c", "rtb-own")


def test_a_missing_pin_is_missing_even_where_a_wider_route_covers_it():
    entry = v4("8.8.4.0/24", network_interface_id="eni-c")
    assert pin(entry) == Pin("nat-c", "8.8.4.4", PinState.MISSING, "", "rtb-own")


def test_a_blackhole_on_the_peers_own_interface_is_evidence():
    entry = v4("8.8.4.4/32", "blackhole", network_interface_id="eni-c")
    assert pin(entry).state is PinState.BLACKHOLE


@pytest.mark.parametrize("target", ["eni-a", "eni-c2", "eni-old"])
@pytest.mark.parametrize("state", ["active", "blackhole"])
def test_a_pin_on_any_other_interface_leads_elsewhere_and_says_where(target: str, state: str):
    entry = v4("8.8.4.4/32", state, network_interface_id=target)
    assert pin(entry) == Pin("nat-c", "8.8.4.4", PinState.ELSEWHERE, target, "rtb-own")


def test_a_propagated_route_is_no_pin_of_ours():
    entry = v4("8.8.4.4/32", origin="EnableVgwRoutePropagation", network_interface_id="eni-c")
    assert pin(entry).state is PinState.ELSEWHERE


def test_a_pin_cannot_lead_to_a_peer_that_nobody_has_seen():
    roster = Roster(0.0, "nat-a", (Instance("nat-c", ""),), "rtb-own")
    table = Table("rtb-own", (v4("8.8.4.4/32"),))
    assert reduce_view(0.0, GROUP, roster, [table], NOON).pins[0].state is PinState.ELSEWHERE


def test_only_other_nodes_heartbeats_are_pinned_here():
    assert {one.node for one in pins()} == {"nat-c"}


def intent(**tags: str) -> Intent:
    listed = tuple(Tag(f"nathb:{key}", value) for key, value in tags.items())
    return view(Table("rtb-c", tags=listed)).intent


@pytest.mark.parametrize("value", ["nat-a nat-c", "nat-a,nat-c", " nat-c ,  nat-a nat-z"])
def test_drained_nodes_are_names_between_spaces_or_commas(value: str):
    assert intent(drain=value) == Intent(drained=frozenset({"nat-a", "nat-c"}))


@pytest.mark.parametrize(
    ("value", "asked"),
    [("on", True), ("maintenance till noon", True), ("off", False), (" OFF ", False), ("", False)],
)
def test_pause_and_revert_are_asked_for_by_any_value_but_off(value: str, asked: bool):
    assert intent(pause=value) == Intent(paused=asked)
    assert intent(revert=value) == Intent(revert=asked)


def test_what_one_guarded_table_says_holds_for_the_group():
    seen = view(
        Table("rtb-a", tags=(Tag("nathb:drain", "nat-a"), Tag("nathb:pause", "off"))),
        Table("rtb-c", tags=(Tag("nathb:drain", "nat-c"), Tag("nathb:pause", "on"))),
    )
    assert seen.intent == Intent(drained=frozenset({"nat-a", "nat-c"}), paused=True)


def test_tags_of_a_table_that_is_not_guarded_say_nothing():
    assert view(Table("rtb-own", tags=(Tag("nathb:pause", "on"),))).intent == Intent()


def test_r17_the_digests_of_applied_files_are_read_from_the_guarded_tables() -> None:
    tables = [
        Table("rtb-a", tags=(Tag("nathb:file", "bbbb"),)),
        Table("rtb-c", tags=(Tag("nathb:file", "aaaa"),)),
        Table("rtb-own", tags=(Tag("nathb:file", "cccc"),)),
    ]
    assert view(*tables).digests == ("aaaa", "bbbb")
    assert view(Table("rtb-a")).digests == ()


# --- what a view costs (moto's EC2) ---------------------------------------------------------------


def test_a_view_of_both_nodes_tables_and_this_nodes_own_is_one_call(cloud: Cloud, calls: list[str]):
    roster = cloud.roster("nat-a")
    calls.clear()
    view = cloud.view(roster)
    assert calls == ["DescribeRouteTables"]
    assert [(one.node, one.state) for one in view.holdings] == [
        ("nat-a", RouteState.ACTIVE),
        ("nat-c", RouteState.ACTIVE),
    ]
    assert [(one.node, one.address, one.state) for one in view.pins] == [
        ("nat-c", HEARTBEATS["nat-c"], PinState.GOOD)
    ]


def test_a_view_shows_what_another_hand_changed(world: World, cloud: Cloud):
    roster = cloud.roster("nat-a")
    internet = world.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    world.ec2.attach_internet_gateway(InternetGatewayId=internet, VpcId=world.vpc)
    world.point(world.private["nat-a"], ANYWHERE, GatewayId=internet)
    world.point(world.private["nat-c"], ANYWHERE, InstanceId=world.instances["nat-a"])
    world.ec2.delete_route(
        RouteTableId=world.public["nat-a"], DestinationCidrBlock=f"{HEARTBEATS['nat-c']}/32"
    )
    view = cloud.view(roster)
    assert [(one.node, one.target) for one in view.holdings] == [
        ("", internet),
        ("nat-a", world.instances["nat-a"]),
    ]
    assert view.pins[0].state is PinState.MISSING


def test_intent_is_read_from_tags_in_the_same_call(world: World, cloud: Cloud, calls: list[str]):
    roster = cloud.roster("nat-a")
    world.ec2.create_tags(
        Resources=[world.private["nat-c"]],
        Tags=[{"Key": "nathb:drain", "Value": "nat-c"}, {"Key": "nathb:pause", "Value": "on"}],
    )
    calls.clear()
    intent = cloud.view(roster).intent
    assert (intent.drained, intent.paused) == (frozenset({"nat-c"}), True)
    assert calls == ["DescribeRouteTables"]


def test_ipv6_routes_are_seen(world: World):
    home = Route(world.private["nat-a"], "0::/0")
    route(world.ec2, home.table, "::/0", world.enis["nat-c"])
    first, *others = world.group.nodes
    group = msgspec.structs.replace(
        world.group, nodes=(msgspec.structs.replace(first, routes=(home,)), *others)
    )
    cloud = Cloud(world.ec2, group)
    holding = cloud.view(cloud.roster("nat-a")).holding(home)
    assert holding is not None
    assert holding.node == "nat-c"


def test_a_table_that_is_gone_leaves_the_others_guarded(
    world: World, cloud: Cloud, calls: list[str]
):
    roster = cloud.roster("nat-a")
    world.ec2.delete_route_table(RouteTableId=world.private["nat-c"])
    calls.clear()
    view = cloud.view(roster)
    assert [one.route.table for one in view.holdings] == [world.private["nat-a"]]
    assert calls == ["DescribeRouteTables", "DescribeRouteTables"]


def test_a_view_is_dated_before_its_request(world: World):
    ticks = iter(range(100))
    cloud = Cloud(world.ec2, world.group, lambda: float(next(ticks)))
    roster = cloud.roster("nat-a")
    assert (roster.at, cloud.view(roster).at) == (0.0, 1.0)


def group_of(tables: int) -> Group:
    routes = tuple(Route(f"rtb-{number:04}", ANYWHERE) for number in range(tables))
    nodes = (Node("nat-a", ("8.8.8.8",), routes, instance="i-a"),)
    return Group("many", nodes, ("1.1.1.1",))


def test_a_hundred_tables_are_one_call_and_one_more_is_another(script: Server, scripted_cloud):
    roster = Roster(0.0, "nat-a", ())
    script.will(tables(), tables())
    scripted_cloud(group_of(100)).view(roster)
    assert len(script.asked) == 1
    script.will(tables(), tables())
    scripted_cloud(group_of(101)).view(roster)
    ids = [{v for k, v in one.form.items() if "RouteTableId" in k} for one in script.asked]
    assert [len(some) for some in ids] == [100, 1]


def test_pages_are_followed_to_the_last(script: Server, scripted_cloud):
    def item(table: str) -> str:
        return (
            f"<routeTableId>{table}</routeTableId><routeSet><item><destinationCidrBlock>0.0.0.0/0"
            "</destinationCidrBlock><gatewayId>igw-1</gatewayId></item></routeSet>"
        )

    script.will(tables(item("rtb-0000"), token="more"), tables(item("rtb-0001")))
    view = scripted_cloud(group_of(2)).view(Roster(0.0, "nat-a", ()))
    assert [one.route.table for one in view.holdings] == ["rtb-0000", "rtb-0001"]
    assert [one.form.get("NextToken") for one in script.asked] == [None, "more"]


# --- the one write (moto's EC2) -------------------------------------------------------------------


def to(node: str, of: Route) -> Move:
    return Move(of, "", node, Rule.R3, Cause(node, "down", 0.0), "because")


@pytest.mark.parametrize("destination", [ANYWHERE, "::/0"])
def test_a_move_is_what_the_next_view_shows(world: World, destination: str):
    moved = Route(world.private["nat-c"], destination)
    if destination != ANYWHERE:
        route(world.ec2, moved.table, destination, world.enis["nat-c"])
    first, second = world.group.nodes
    nodes = (first, msgspec.structs.replace(second, routes=(moved,)))
    cloud = Cloud(world.ec2, msgspec.structs.replace(world.group, nodes=nodes))
    roster = cloud.roster("nat-a")
    done = cloud.move(to("nat-a", moved), world.enis["nat-a"], float("inf"))
    assert 0 < done.took < 5
    assert done.request_id
    holding = cloud.view(roster).holding(moved)
    assert holding is not None
    assert (holding.node, holding.target) == ("nat-a", world.enis["nat-a"])


def test_a_route_that_is_not_there_is_missing_and_not_created(world: World, cloud: Cloud):
    nowhere = Route(world.private["nat-a"], "10.99.0.0/16")
    with pytest.raises(CloudError, match="There is no route defined") as caught:
        cloud.move(to("nat-c", nowhere), world.enis["nat-c"], float("inf"))
    assert caught.value.failure is Failure.MISSING


def test_moves_and_a_look_may_run_at_once_from_many_threads(world: World, cloud: Cloud):
    routes = [Route(table(world.ec2, world.vpc), ANYWHERE) for _ in range(12)]
    for one in routes:
        route(world.ec2, one.table, one.destination, world.enis["nat-c"])
    roster = cloud.roster("nat-a")
    with ThreadPoolExecutor(13) as threads:
        looks = [threads.submit(cloud.view, roster) for _ in range(4)]
        moves = [
            threads.submit(cloud.move, to("nat-a", one), world.enis["nat-a"], float("inf"))
            for one in routes
        ]
        assert all(move.result(20).request_id for move in moves)
        assert all(len(look.result(20).holdings) == 2 for look in looks)
    ids = [one.table for one in routes]
    for listed in world.ec2.describe_route_tables(RouteTableIds=ids)["RouteTables"]:
        assert listed["Routes"][-1]["NetworkInterfaceId"] == world.enis["nat-a"]
