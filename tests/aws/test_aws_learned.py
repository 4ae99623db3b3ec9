"""Learned routes in EC2 (moto's): what the tables show of them, and the writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ec2.models import ec2_backends
from msgspec import Struct

from nathb.aws.ec2 import Cloud
from nathb.aws.learned_routes import LearnedRoutes
from nathb.core.ec2_state import Roster
from nathb.core.errors import CloudError
from nathb.core.learned import Act, Change, ShownEntry
from nathb.core.model import Failure, Learn
from tests.aws.conftest import Time
from tests.aws.scripted import Server, answer
from tests.aws.world import World, route, table
from tests.gateway_routes import list_attachments

if TYPE_CHECKING:
    from tests.aws.scripted import Reply

X, Y = "10.8.0.0/16", "2001:db8:7::/48"
LATER = 2000.0


class Gateway(Struct, frozen=True):
    """A transit gateway with a table, and two attachments of VPCs."""

    table: str
    attachment: str
    other: str


@pytest.fixture
def gateway(world: World) -> Gateway:
    ec2 = world.ec2
    made = ec2.create_transit_gateway()["TransitGateway"]["TransitGatewayId"]
    tables = ec2.create_transit_gateway_route_table(TransitGatewayId=made)
    elsewhere = ec2.create_vpc(CidrBlock="10.64.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=elsewhere, CidrBlock="10.64.0.0/24")["Subnet"]["SubnetId"]

    def attach(vpc: str, subnet: str) -> str:
        answer = ec2.create_transit_gateway_vpc_attachment(
            TransitGatewayId=made, VpcId=vpc, SubnetIds=[subnet]
        )
        return str(answer["TransitGatewayVpcAttachment"]["TransitGatewayAttachmentId"])

    return Gateway(
        tables["TransitGatewayRouteTable"]["TransitGatewayRouteTableId"],
        attach(world.vpc, world.subnets["nat-a"]),
        attach(elsewhere, subnet),
    )


@pytest.fixture
def learned(world: World, gateway: Gateway, time: Time) -> LearnedRoutes:
    learn = Learn(
        into=(world.private["nat-a"], gateway.table),
        allow=("10.8.0.0/13", "2001:db8::/32"),
        file="/run/prefixes",
        attachment=gateway.attachment,
    )
    return LearnedRoutes(world.ec2, learn, time.clock, sleep=time.sleep)


def settle() -> None:
    list_attachments(ec2_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"])


def gateway_routes(ec2: Any, gateway: Gateway) -> set[str]:
    found = ec2.search_transit_gateway_routes(
        TransitGatewayRouteTableId=gateway.table, Filters=[{"Name": "type", "Values": ["static"]}]
    )
    return {one["DestinationCidrBlock"] for one in found["Routes"]}


def test_a_prefix_is_created_at_this_node_and_at_the_attachment_and_is_then_ours(
    world: World, gateway: Gateway, cloud: Cloud, learned: LearnedRoutes
) -> None:
    roster, private = cloud.roster("nat-a"), world.private["nat-a"]
    for where in (private, gateway.table):
        for prefix in (X, Y):
            assert learned.write(Change(where, prefix, Act.CREATE), roster, LATER).request_id
    settle()
    shown = learned.shown(roster, {private, gateway.table})
    assert shown.at == 1000.0
    assert {
        ShownEntry(where, prefix, ours=True)
        for where in (private, gateway.table)
        for prefix in (X, Y)
    } <= set(shown.entries)
    route_to = {
        one.get("DestinationCidrBlock"): one.get("NetworkInterfaceId")
        for one in world.ec2.describe_route_tables(RouteTableIds=[private])["RouteTables"][0][
            "Routes"
        ]
    }
    assert route_to[X] == world.enis["nat-a"]
    for where in (private, gateway.table):
        for prefix in (X, Y):
            learned.write(Change(where, prefix, Act.WITHDRAW), roster, LATER)
    left = learned.shown(roster, {private, gateway.table})
    assert {one.destination for one in left.entries}.isdisjoint({X, Y})


def test_what_leads_elsewhere_is_shown_as_not_ours_and_is_not_deleted(
    world: World, gateway: Gateway, cloud: Cloud, learned: LearnedRoutes
) -> None:
    ec2, private = world.ec2, world.private["nat-a"]
    internet = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=internet, VpcId=world.vpc)
    ec2.create_route(RouteTableId=private, DestinationCidrBlock=X, GatewayId=internet)
    ec2.create_transit_gateway_route(
        TransitGatewayRouteTableId=gateway.table,
        DestinationCidrBlock=X,
        TransitGatewayAttachmentId=gateway.other,
    )
    settle()
    roster = cloud.roster("nat-a")
    for where in (private, gateway.table):
        assert ShownEntry(where, X, ours=False) in learned.shown(roster, {where}).entries
        with pytest.raises(CloudError) as refusal:
            learned.write(Change(where, X, Act.WITHDRAW), roster, LATER)
        assert refusal.value.failure is Failure.REFUSED
        assert "no longer points at a node of the group or at the attachment" in str(refusal.value)
    assert gateway_routes(ec2, gateway) == {X}


def test_a_route_at_the_other_node_is_ours_too(
    world: World, cloud: Cloud, learned: LearnedRoutes
) -> None:
    private = world.private["nat-a"]
    route(world.ec2, private, X, world.enis["nat-c"])
    shown = learned.shown(cloud.roster("nat-a"), {private})
    assert ShownEntry(private, X, ours=True) in shown.entries


def test_a_write_that_is_too_late_is_not_sent(
    world: World, gateway: Gateway, cloud: Cloud, learned: LearnedRoutes, calls: list[str]
) -> None:
    roster = cloud.roster("nat-a")
    calls.clear()
    for where in (world.private["nat-a"], gateway.table):
        with pytest.raises(CloudError) as refusal:
            learned.write(Change(where, X, Act.CREATE), roster, 999.0)
        assert refusal.value.failure is Failure.EXPIRED
    assert calls == []


def test_a_table_that_is_gone_has_no_routes_and_the_others_are_shown(
    world: World, cloud: Cloud, learned: LearnedRoutes
) -> None:
    private, gone = world.private["nat-a"], table(world.ec2, world.vpc)
    world.ec2.delete_route_table(RouteTableId=gone)
    shown = learned.shown(cloud.roster("nat-a"), {private, gone})
    assert {one.table for one in shown.entries} == {private}


def routes(*destinations: str, token: str = "", more: str = "false") -> Reply:
    """A page of SearchTransitGatewayRoutes, as EC2 sends it."""
    listed = "".join(
        f"<item><destinationCidrBlock>{one}</destinationCidrBlock><type>static</type>"
        "<transitGatewayAttachments><item><transitGatewayAttachmentId>tgw-attach-1"
        "</transitGatewayAttachmentId></item></transitGatewayAttachments></item>"
        for one in destinations
    )
    next_token = f"<nextToken>{token}</nextToken>" if token else ""
    inner = f"<routeSet>{listed}</routeSet><additionalRoutesAvailable>{more}"
    return answer("SearchTransitGatewayRoutes", f"{inner}</additionalRoutesAvailable>{next_token}")


def test_every_page_of_a_gateway_s_routes_is_read_and_half_of_them_is_refused(
    script: Server, script_client: Any, time: Time
) -> None:
    learn = Learn(
        into=("tgw-rtb-1",), allow=("10.8.0.0/13",), file="/run/p", attachment="tgw-attach-1"
    )
    learned = LearnedRoutes(script_client, learn, time.clock, sleep=time.sleep)
    roster = Roster(0.0, "nat-a", ())
    script.will(routes(X, token="two", more="true"), routes("10.9.0.0/16"))
    shown = learned.shown(roster, {"tgw-rtb-1"})
    assert [one.destination for one in shown.entries if one.ours] == [X, "10.9.0.0/16"]
    assert script.asked[1].form["NextToken"] == "two"
    script.will(routes(X, more="true"))
    with pytest.raises(CloudError, match="EC2 has more static routes than it shows"):
        learned.shown(roster, {"tgw-rtb-1"})
