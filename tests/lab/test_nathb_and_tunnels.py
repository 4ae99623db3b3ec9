"""Routers with tunnels: the far end is a trigger, and the machine's own routes swallow no check."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import yaml

from tests.lab.frr import bgp_is_up, start_bgp
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.pair import NODES, Pair
from tests.lab.plan import Plan
from tests.lab.processes import nathb
from tests.lab.tunnels import FAR_HOST, TUNNEL_PAIR, Tunnels

TIMERS = {"interval": "2s", "fast_interval": "1s", "timeout": "1s", "fall": 3, "rise": 2}
BOUND = 2.0 + 3.5
"""Seconds: interval + 3.5."""


def bound_to_the_vpc(lab: Lab) -> dict[str, Any]:
    """The nodes of the lab's file, with their heartbeats kept out of their own tunnels."""
    nodes: dict[str, Any] = yaml.safe_load(lab.pair_config())["nodes"]
    return {name: node | {"interface": "eth0"} for name, node in nodes.items()}


def test_a_cut_tunnel_hands_its_routes_over_within_interval_plus_3_5_seconds_and_two_move_nothing(
    make_lab: Callable[[Plan], Lab],
) -> None:
    lab = make_lab(TUNNEL_PAIR)
    tunnels = Tunnels(lab)
    uplink = [["1.1.1.1", "9.9.9.9"], [FAR_HOST]]
    pair = Pair(lab, uplink=uplink, nodes=bound_to_the_vpc(lab), check=TIMERS).settle()
    assert pair.written() == []

    cut_at = time.monotonic()
    tunnels.cut("nat-a")
    pair.wait_holder("a", "nat-c", within=30.0)
    first = lab.writes(since=cut_at)[0]
    assert lab.pace.elapsed(cut_at, first.at) <= BOUND
    assert {to for _, to in pair.written()} == {"nat-c"}
    wait_until("nat-a's uplink is down", lambda: pair.verdict("nat-a", "uplink") == "down")
    assert pair.snapshot("nat-a")["uplink"]["addresses"] == [FAR_HOST]

    tunnels.cut()
    pair.wait_holder("a", "nat-a", within=60.0)
    pair.settle()

    lab.faults.heal()
    both_at = time.monotonic()
    tunnels.cut(*NODES)
    for node, other in (NODES, NODES[::-1]):
        wait_until(
            f"{node} finds itself and {other} down",
            lambda node=node, other=other: (
                pair.verdict(node, "uplink") == pair.verdict(node, other) == "down"
            ),
            30.0,
        )
    time.sleep(2.0)
    assert lab.writes(since=both_at) == []
    assert (lab.holder("a"), lab.holder("c")) == NODES


def test_a_bgp_session_of_frr_that_is_cut_is_a_takeover_and_once_it_is_back_a_return(
    make_lab: Callable[[Plan], Lab],
) -> None:
    lab = make_lab(TUNNEL_PAIR)
    tunnels = Tunnels(lab, routed=False)
    start_bgp(lab, tunnels)
    nodes = {
        name: node | {"check_command": bgp_is_up(tunnels, name)}
        for name, node in bound_to_the_vpc(lab).items()
    }
    pair = Pair(lab, nodes=nodes).settle()
    assert pair.written() == []
    assert pair.snapshot("nat-a")["uplink"]["addresses"][-1] == "check_command sh"

    tunnels.cut_bgp("nat-a")
    pair.wait_holder("a", "nat-c", within=30.0)
    wait_until("nat-a's uplink is down", lambda: pair.verdict("nat-a", "uplink") == "down")
    assert pair.snapshot("nat-a")["uplink"]["addresses"] == ["check_command sh"]
    assert lab.holder("c") == "nat-c"
    checked = lab.run("nat-a", nathb("check", str(lab.directory / "nat-a/lab.yaml"), "--aws"))
    assert "says that this node does not serve: ended with status 1" in checked.stdout

    tunnels.cut_bgp()
    pair.wait_holder("a", "nat-a", within=60.0)
    assert {to for _, to in pair.written()} == {"nat-c", "nat-a"}
