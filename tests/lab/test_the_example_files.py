"""Each example file in etc/nathb, with the lab's ids in place of its own, through takeover and
return.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from nathb.config import load
from nathb.core.model import Group
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.pair import Pair
from tests.lab.plan import ECHO, EVERYWHERE, NAME_SERVER, PAIR, TRIO, Plan

FILES = sorted((Path(__file__).parents[2] / "etc" / "nathb").glob("*.yaml"))
PLANS = {len(plan.zones): plan for plan in (PAIR, TRIO)}
LEFT_TO_THE_LAB = ("check", "preempt_delay", "region", "notify", "metrics", "learn")
"""Keys whose values would make the test slow, or that name what the lab has not: a transit gateway,
a router's own programs.
"""

Where = dict[tuple[str, str], str]
"""Whom each route points at, by table and destination."""


def build(make_lab: Callable[[Plan], Lab], group: Group) -> tuple[Lab, dict[str, str], Where]:
    """Make a lab for a group: what the lab has in place of the file's ids and addresses, and where
    its routes point. Tables beyond a zone's first exist in EC2 alone; no client is behind them.
    """
    lab = make_lab(PLANS[len(group.nodes)])
    ours = _uplinks(lab, group)
    if EVERYWHERE not in {route.destination for route in group.routes()}:
        ours[group.routes()[0].destination] = EVERYWHERE  # where the lab's clients go
    home: Where = {}
    for node, zone in zip(group.nodes, lab.plan.zones, strict=True):
        ids = lab.instances[zone.nat.name]
        ours |= {node.instance: ids.instance, node.eni: ids.eni, node.interface: "eth0"}
        ours |= {node.source: str(zone.nat.secondary)}
        ours |= dict.fromkeys(node.heartbeat, str(zone.heartbeat))
        tables = list(dict.fromkeys(route.table for route in node.routes))
        for number, table in enumerate(tables):
            ours[table] = _table(lab, f"private-{zone.name}", number)
        there = lab.routes()
        for route in node.routes:
            table, destination = ours[route.table], ours.get(route.destination, route.destination)
            home[table, destination] = zone.nat.name
            if (table, destination) not in there:
                lab.ec2.create_route(
                    RouteTableId=table,
                    DestinationCidrBlock=destination,
                    NetworkInterfaceId=ids.eni,
                )
    return lab, ours, home


def _uplinks(lab: Lab, group: Group) -> dict[str, str]:
    """What the lab has in place of each uplink: it answers, and one node has none twice."""
    answering = [str(one) for one in (*lab.plan.uplinks, ECHO, NAME_SERVER)]
    ours: dict[str, str] = {}
    for node in group.nodes:
        addresses = [address for part in group.uplink_of(node.name) for address in part]
        taken = {ours.get(address) for address in addresses}
        free = (one for one in answering if one not in taken)
        ours |= {address: next(free) for address in addresses if address not in ours}
    return ours


def _table(lab: Lab, subnet: str, number: int) -> str:
    """The table of a subnet, or another one in its VPC."""
    if number == 0:
        return lab.tables[subnet]
    made = lab.ec2.create_route_table(VpcId=lab.account.vpc)["RouteTable"]["RouteTableId"]
    lab.account.tables[f"{subnet}-{number}"] = made
    return str(made)


def translated(value: Any, ours: dict[str, str]) -> Any:
    """The same value of the file, with what the lab has in place of its ids and addresses."""
    if isinstance(value, dict):
        return {key: translated(one, ours) for key, one in value.items()}
    if isinstance(value, list):
        return [translated(one, ours) for one in value]
    return ours.get(value, value)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_takes_over_and_returns(make_lab: Callable[[Plan], Lab], file: Path) -> None:
    lab, ours, home = build(make_lab, load(file))
    top: dict[str, Any] = {"uplink": None} | yaml.safe_load(file.read_text())
    keys = {key: one for key, one in top.items() if key not in LEFT_TO_THE_LAB}
    pair = Pair(lab, **translated(keys, ours)).settle()
    *_, dead = (node for node in pair.nodes if node in home.values())

    def held() -> Where:
        now = lab.routes()
        return {route: now[route] for route in home}

    assert held() == home
    lab.crash(dead)
    wait_until("all routes have left it", lambda: dead not in held().values(), 20.0)
    moved = {route for route, node in held().items() if node != home[route]}
    assert moved == {route for route, node in home.items() if node == dead}
    zone = dead.removeprefix("nat-")
    lab.clients[f"app-{zone}"].wait_served(via=lab.holder(zone), within=10.0)
    lab.revive(dead)
    wait_until("all routes are home", lambda: held() == home, 20.0)
    lab.clients[f"app-{zone}"].wait_served(via=dead, within=10.0)
    assert len(lab.writes()) == 2 * len(moved)
