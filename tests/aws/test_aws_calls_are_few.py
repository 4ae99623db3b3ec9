"""What a view costs, and that it shows the tables as they are (moto's EC2)."""

from __future__ import annotations

import msgspec

from nathb.aws.ec2 import Cloud
from nathb.core.ec2_state import PinState, Roster, RouteState
from nathb.core.model import Group, Node, Route
from tests.aws.scripted import Server, tables
from tests.aws.world import ANYWHERE, HEARTBEATS, World, route


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
