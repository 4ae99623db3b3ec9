"""Whatever a route's destination and table are, on real packets: IPv4 and IPv6 blocks, a prefix
list, a subnet behind the internet gateway; tables of subnets, of a gateway, the main one.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network

from nathb.aws.routes import family
from nathb.config import parse
from tests.lab.lab import Lab, destination_of
from tests.lab.machine import wait_until
from tests.lab.node_requests import can_ping, carrier
from tests.lab.pair import Pair
from tests.lab.plan import (
    ECHO,
    ECHO6,
    ECHO64,
    EVERY_DESTINATION,
    EVERYWHERE,
    EVERYWHERE6,
    NAT64,
    ZONE_C,
    Plan,
)
from tests.lab.processes import nathb

LISTED = [IPv4Network(block)[1] for block in EVERY_DESTINATION.prefixes]
PIN6 = f"{EVERY_DESTINATION.zone('c').heartbeat}/128"


def carriers(lab: Lab, zone: str) -> dict[str, str | None]:
    """Which NAT carries what a zone's client sends to each kind of destination; None: no answer."""
    app = f"app-{zone}"
    return {
        str(address): carrier(lab, app, address) if can_ping(lab, app, address) else None
        for address in (ECHO, ECHO6, ECHO64, *LISTED)
    }


def reached(lab: Lab) -> list[str]:
    """The clients that the internet reaches."""
    apps = (zone.app for zone in lab.plan.zones)
    return [app.name for app in apps if can_ping(lab, "internet", app.public_address)]


def test_a_takeover_and_a_return_of_every_kind_of_route(make_lab: Callable[[Plan], Lab]) -> None:
    lab = make_lab(EVERY_DESTINATION)
    config = lab.pair_config()
    home = {
        (route.table, route.destination): node.name
        for node in parse(config, "lab.yaml").nodes
        for route in node.routes
    }
    of_c = [route for route, node in home.items() if node == "nat-c"]
    listed, subnet = lab.account.prefix_list, str(ZONE_C.app.subnet.cidr)
    assert [to for _, to in of_c] == [EVERYWHERE, EVERYWHERE6, NAT64, listed, subnet]

    def held() -> dict[tuple[str, str], str]:
        now = lab.routes()
        return {route: now.get(route, "") for route in home}

    # `apply` creates what is missing of each kind, and the pin of an IPv6 heartbeat
    for table, to in (*of_c[1:], (lab.tables["public-a"], PIN6)):
        lab.ec2.delete_route(RouteTableId=table, **{family(to): to})
    assert reached(lab) == ["app-a", "app-c"], "without a route it is the VPC's own"
    assert carriers(lab, "c")[str(ECHO6)] is None
    path = lab.install("nat-a", config)
    done = lab.run("nat-a", nathb("apply", str(path), "--yes"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert held() == home
    assert set(carriers(lab, "a").values()) == {"nat-a"}
    assert set(carriers(lab, "c").values()) == {"nat-c"}
    lab.faults.gateway_cut("nat-a")
    assert reached(lab) == ["app-c"], "what comes in crosses the zone's own NAT"
    lab.faults.gateway_cut("nat-a", on=False)

    # `init` drafts all of them from what EC2 shows
    ids = [lab.instances[nat.name].instance for nat in lab.plan.nats]
    drafted = parse(lab.run("nat-a", nathb("init", *ids)).stdout, "lab.yaml")
    assert {(one.table, one.destination) for one in drafted.routes()} == home.keys()
    assert [node.heartbeat for node in drafted.nodes] == [
        (str(zone.heartbeat),) for zone in lab.plan.zones
    ]

    # heartbeats and uplinks with IPv6 addresses are checked like all others
    pair = Pair(lab).settle()
    seen = pair.snapshot("nat-a")
    assert seen["peers"]["nat-c"]["addresses"] == [str(lab.plan.zone("c").heartbeat)]
    assert seen["uplink"]["addresses"] == [str(one) for one in lab.plan.uplinks]

    lab.crash("nat-c")
    wait_until("nat-a has all routes", lambda: set(held().values()) == {"nat-a"}, within=20.0)
    assert set(carriers(lab, "c").values()) == {"nat-a"}
    assert reached(lab) == ["app-a", "app-c"]

    lab.revive("nat-c")
    wait_until("all routes are home", lambda: held() == home, within=20.0)
    assert set(carriers(lab, "c").values()) == {"nat-c"}
    for daemon in pair.daemons.values():
        daemon.kill()
    lab.faults.gateway_cut("nat-a")
    assert reached(lab) == ["app-c"]

    assert {one.caller for one in lab.writes()} == {"nat-a"}
    moved = [
        (one.parameters["RouteTableId"], destination_of(one.parameters))
        for one in lab.writes()
        if one.action == "ReplaceRoute"
    ]
    assert sorted(moved) == sorted(of_c * 2), "each once away and once home"
    assert {to for _, to in moved[:2]} == {EVERYWHERE, EVERYWHERE6}, "default routes first"
