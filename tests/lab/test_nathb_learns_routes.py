"""Learned routes through takeover and return: what each NAT's own kernel knows becomes routes of
the VPC and of a transit gateway, and nothing else is touched.
"""

from __future__ import annotations

import time
from typing import Any

from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.pair import Pair
from tests.lab.processes import nathb

HEADQUARTERS, BRANCH, TAKEN = "10.8.0.0/16", "10.10.0.0/16", "10.9.0.0/16"
OUTSIDE = "192.168.77.0/24"
WITHDRAW_AFTER = 5.0


class Gateway:
    """A transit gateway's table, with the lab's VPC and another one attached."""

    def __init__(self, lab: Lab) -> None:
        self._ec2 = ec2 = lab.ec2
        made = ec2.create_transit_gateway()["TransitGateway"]["TransitGatewayId"]
        answer = ec2.create_transit_gateway_route_table(TransitGatewayId=made)
        self.table = answer["TransitGatewayRouteTable"]["TransitGatewayRouteTableId"]
        there = ec2.create_vpc(CidrBlock="10.64.0.0/16")["Vpc"]["VpcId"]
        self.attachment, self.other = (self._attach(made, vpc) for vpc in (lab.account.vpc, there))

    def _attach(self, gateway: str, vpc: str) -> str:
        subnets = self._ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])
        ids = [one["SubnetId"] for one in subnets["Subnets"]]
        answer = self._ec2.create_transit_gateway_vpc_attachment(
            TransitGatewayId=gateway, VpcId=vpc, SubnetIds=ids
        )
        return str(answer["TransitGatewayVpcAttachment"]["TransitGatewayAttachmentId"])

    def create(self, destination: str, attachment: str) -> None:
        self._ec2.create_transit_gateway_route(
            TransitGatewayRouteTableId=self.table,
            DestinationCidrBlock=destination,
            TransitGatewayAttachmentId=attachment,
        )

    def routes(self) -> dict[str, str]:
        """The attachment of each static route, by its destination."""
        found = self._ec2.search_transit_gateway_routes(
            TransitGatewayRouteTableId=self.table, Filters=[{"Name": "type", "Values": ["static"]}]
        )
        return {
            one["DestinationCidrBlock"]: one["TransitGatewayAttachments"][0][
                "TransitGatewayAttachmentId"
            ]
            for one in found["Routes"]
        }


def knows(lab: Lab, node: str, *prefixes: str) -> None:
    """Let a NAT's kernel have these routes of BGP, and no others."""
    lab.run(node, ["ip", "route", "flush", "proto", "bgp"])
    for prefix in prefixes:
        assert (
            lab.run(node, ["ip", "route", "add", prefix, "dev", "lo", "proto", "bgp"]).returncode
            == 0
        )


def learned(lab: Lab, zone: str) -> dict[str, str]:
    """Whom the routes of a zone's private table point at, but for its default route."""
    table = lab.tables[f"private-{zone}"]
    return {there: node for (one, there), node in lab.routes().items() if one == table}


def test_what_the_routers_know_becomes_routes_that_follow_a_takeover_and_a_return(
    lab: Lab,
) -> None:
    gateway = Gateway(lab)
    foreign = {OUTSIDE: gateway.attachment, TAKEN: gateway.other}
    for destination, attachment in foreign.items():
        gateway.create(destination, attachment)
    for zone, node in (("a", "nat-a"), ("c", "nat-c")):
        table = lab.tables[f"private-{zone}"]
        lab.ec2.create_route(
            RouteTableId=table, DestinationCidrBlock=TAKEN, GatewayId=lab.account.gateway
        )
        lab.ec2.create_route(
            RouteTableId=table,
            DestinationCidrBlock="172.20.0.0/16",
            NetworkInterfaceId=lab.instances[node].eni,
        )
        knows(lab, node, HEADQUARTERS, TAKEN, OUTSIDE)
    theirs = {TAKEN: lab.account.gateway, "172.20.0.0/16": "its own"}
    pair = Pair(lab, learn=_learn(lab, gateway)).settle()

    def shown() -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
        """What was learned in the two private tables and in the gateway's."""
        kept = [learned(lab, zone) for zone in ("a", "c")]
        for one, node in zip(kept, ("nat-a", "nat-c"), strict=True):
            assert one.pop(TAKEN) == theirs[TAKEN]
            assert one.pop("172.20.0.0/16") == node
            one.pop("0.0.0.0/0")
        routes = gateway.routes()
        assert {there: routes.pop(there) for there in foreign} == foreign
        return kept[0], kept[1], routes

    def wait(what: str, a: dict[str, str], c: dict[str, str], *everywhere: str) -> None:
        wanted = a, c, dict.fromkeys(everywhere, gateway.attachment)
        wait_until(f"{what}; it is {shown()}", lambda: shown() == wanted, 30.0, 0.1)

    # what both know has a route to the holder of each table; who holds the first route writes the
    # gateway's
    wait("created", {HEADQUARTERS: "nat-a"}, {HEADQUARTERS: "nat-c"}, HEADQUARTERS)
    assert pair.told("nat-a", f"outside of `allow`: {OUTSIDE}")
    assert pair.told("nat-a", f"not made by nathb: {TAKEN}")

    told = _check(lab, pair)
    assert [one for one in _checked(gateway) if one not in told] == []

    # a takeover moves it with the default route, and the survivor writes for both zones
    lab.crash("nat-c")
    both = {HEADQUARTERS: "nat-a"}
    wait("taken over", both, both, HEADQUARTERS)
    knows(lab, "nat-a", HEADQUARTERS, BRANCH)
    both |= {BRANCH: "nat-a"}
    wait("learned by the survivor", both, both, HEADQUARTERS, BRANCH)

    # a return gives all of it back, and what only nat-a knows is then withdrawn from nat-c's table
    knows(lab, "nat-c", HEADQUARTERS)
    lab.revive("nat-c")
    knows(lab, "nat-c", HEADQUARTERS)
    wait("returned", both, {HEADQUARTERS: "nat-c", BRANCH: "nat-c"}, HEADQUARTERS, BRANCH)
    returned_at = time.monotonic()
    wait("withdrawn by nat-c", both, {HEADQUARTERS: "nat-c"}, HEADQUARTERS, BRANCH)
    assert time.monotonic() - returned_at > WITHDRAW_AFTER - 1.0

    # a prefix that is gone is withdrawn, and an empty reading withdraws nothing
    knows(lab, "nat-a", HEADQUARTERS)
    here, there = {HEADQUARTERS: "nat-a"}, {HEADQUARTERS: "nat-c"}
    wait("withdrawn by nat-a", here, there, HEADQUARTERS)
    for node in pair.nodes:
        knows(lab, node)
        wait_until(f"{node} is blind", lambda node=node: _is_blind(pair, node), 20.0)
    time.sleep(WITHDRAW_AFTER + 2.0)
    assert shown() == (here, there, {HEADQUARTERS: gateway.attachment})
    code, screen = pair.status("nat-a")
    assert code == 1
    assert "learned  the router cannot be read since " in screen
    assert "ip: no prefix at all, which is no reason to withdraw any; 1 prefix known" in screen
    assert "this node has made 2 routes" in screen


def _learn(lab: Lab, gateway: Gateway) -> dict[str, Any]:
    return {
        "from": ["ip", "-json", "route", "show", "proto", "bgp"],
        "into": [lab.tables["private-a"], lab.tables["private-c"], gateway.table],
        "allow": ["10.8.0.0/13"],
        "attachment": gateway.attachment,
        "interval": "1s",
        "withdraw_after": f"{WITHDRAW_AFTER:.0f}s",
    }


def _check(lab: Lab, pair: Pair) -> str:
    path = str(lab.install("nat-a", pair.config))
    done = lab.run("nat-a", nathb("check", path, "--aws"))
    return done.stdout + done.stderr


def _checked(gateway: Gateway) -> list[str]:
    """What a check of all that learned routes need says when all of it is good."""
    calls = ("CreateRoute", "DeleteRoute", "DeleteTransitGatewayRoute")
    return [
        "learn: the router knows 3 prefixes, of which `allow` has 2",
        f"{gateway.table}: is of tgw-",
        *(f"this role may call {call}" for call in calls),
    ]


def _is_blind(pair: Pair, node: str) -> bool:
    return bool(pair.snapshot(node)["learned"]["failing_since"])
