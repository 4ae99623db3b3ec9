"""Three zones on packets: two of three nodes fail, one after the other; the third serves all."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from nathb.aws.tags import DRAIN_TAG
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.pair import Pair
from tests.lab.plan import TRIO, Plan

AT_HOME = {"a": "nat-a", "c": "nat-c", "d": "nat-d"}


def wait_served(lab: Lab, **zones: str) -> None:
    """Wait until each zone's route points at its node, and its clients' packets cross that node."""
    for zone, node in zones.items():
        wait_until(
            f"{node} serves zone {zone}; the routes are {lab.routes()}",
            lambda zone=zone, node=node: lab.holder(zone) == node,
            within=20.0,
            every=0.05,
        )
        lab.clients[f"app-{zone}"].wait_served(via=node)


def test_the_third_node_serves_all_whatever_two_of_three_fail_by_in_the_files_order(
    make_lab: Callable[[Plan], Lab],
) -> None:
    lab = make_lab(TRIO)
    pair = Pair(lab, refresh="1s", settle="1s").settle()

    # two machines crash: a route goes to the next live node of its order, and home again
    lab.crash("nat-c")
    wait_served(lab, a="nat-a", c="nat-d", d="nat-d")
    lab.crash("nat-d")
    wait_served(lab, a="nat-a", c="nat-a", d="nat-a")
    lab.revive("nat-c")
    wait_served(lab, a="nat-a", c="nat-c", d="nat-a")
    lab.revive("nat-d")
    wait_served(lab, **AT_HOME)
    pair.settle()  # a daemon that has just started has to hear its peers before it convicts one

    # a NAT is dead on a live host, and the next in order cannot write: the one after it takes, and
    # points the route at that next one, whose NAT serves
    lab.faults.api_unreachable("nat-c")
    began = time.monotonic()
    lab.faults.forwarding_off("nat-a")
    wait_served(lab, a="nat-c", c="nat-c", d="nat-d")
    assert pair.written(since=began) == [("nat-d", "nat-d"), ("nat-d", "nat-c")]
    lab.heal()
    wait_served(lab, **AT_HOME)
    pair.settle()

    # the next in order is drained: the one after it takes
    lab.ec2.create_tags(
        Resources=[lab.tables["private-a"]], Tags=[{"Key": DRAIN_TAG, "Value": "nat-a"}]
    )
    wait_served(lab, a="nat-c")
    lab.crash("nat-d")
    wait_served(lab, a="nat-c", c="nat-c", d="nat-c")
    lab.revive("nat-d")
    wait_served(lab, a="nat-c", c="nat-c", d="nat-d")
    lab.ec2.delete_tags(Resources=[lab.tables["private-a"]], Tags=[{"Key": DRAIN_TAG}])
    wait_served(lab, **AT_HOME)

    moved = Counter(one.parameters["RouteTableId"] for one in lab.writes())
    assert moved[lab.tables["private-c"]] == 3, "its second holder failed too"
    assert moved[lab.tables["private-d"]] == 2 + 2, "away and home for each fault"
