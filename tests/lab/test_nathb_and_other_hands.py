"""An operator deletes a guarded route, or moves one that nathb has just moved."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.lab.lab import Lab
from tests.lab.pair import Pair
from tests.lab.plan import EVERYWHERE, PAIR, Plan

WATCHFUL = {"refresh": "1s", "settle": "2s", "preempt_delay": "2s"}
"""Quick timers, and a view that is read often enough not to wait for it in a test."""

OTHER = "10.8.0.0/16"
TAKEN = ("nat-a", "nat-a")


def test_r8_a_deleted_route_is_told_and_not_made_anew_while_the_others_fail_over(
    make_lab: Callable[[Plan], Lab],
) -> None:
    lab = make_lab(PAIR.with_routes(2))
    pair = Pair(lab, **WATCHFUL).settle()
    route = {"RouteTableId": lab.tables["private-c"], "DestinationCidrBlock": EVERYWHERE}
    lab.ec2.delete_route(**route)
    for daemon in pair.daemons.values():
        daemon.wait_line("0.0.0.0/0: the table has no such route; create it to have it guarded")
    lab.crash("nat-c")
    pair.daemons["nat-a"].wait_line(f"took {route['RouteTableId']} {OTHER} from nat-c")
    time.sleep(3.0)
    assert _written(lab) == [("nat-a", "ReplaceRoute", OTHER)]
    lab.ec2.create_route(**route, NetworkInterfaceId=lab.instances["nat-c"].eni)
    lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
    assert _written(lab)[1:] == [("nat-a", "ReplaceRoute", EVERYWHERE)]


def test_r8_a_taken_route_that_an_operator_points_elsewhere_stays_there(lab: Lab) -> None:
    pair = Pair(lab, **WATCHFUL).settle()
    lab.crash("nat-c")
    pair.wait_holder("c", "nat-a", within=10.0)
    lab.move("private-c", EVERYWHERE, "app-a")
    pair.daemons["nat-a"].wait_line("outside the group; left alone", within=20.0)
    time.sleep(3.0)
    lab.revive("nat-c")
    pair.settle()
    time.sleep(3.0)  # longer than preempt_delay: no return of what nobody of the group holds
    assert pair.written() == [TAKEN]
    assert lab.holder("c") == "app-a"


def test_r7_a_taken_route_that_an_operator_points_back_at_the_dead_node_is_not_fought_over(
    lab: Lab,
) -> None:
    pair = Pair(lab, **WATCHFUL).settle()
    daemon, client = pair.daemons["nat-a"], lab.clients["app-c"]
    lab.crash("nat-c")
    pair.wait_holder("c", "nat-a", within=10.0)
    lab.move("private-c", EVERYWHERE, "nat-c")
    daemon.wait_line("another hand undid this move: left alone for another", within=20.0)
    time.sleep(5.0)
    assert pair.written() == [TAKEN]
    assert not client.served()
    lab.revive("nat-c")
    client.wait_served(via="nat-c", within=10.0)
    daemon.wait_line("nat-c is up")
    lab.crash("nat-c")  # another death: the operator's wish was about the one before
    client.wait_served(via="nat-a", within=10.0)
    assert pair.written() == [TAKEN, TAKEN]


def test_r7_a_taken_route_that_an_operator_sends_home_early_is_left_at_home(lab: Lab) -> None:
    pair = Pair(lab, **WATCHFUL | {"preempt_delay": "60s"}).settle()
    lab.crash("nat-c")
    pair.wait_holder("c", "nat-a", within=10.0)
    lab.revive("nat-c")
    pair.daemons["nat-a"].wait_line("nat-c is up", within=20.0)
    lab.move("private-c", EVERYWHERE, "nat-c")
    lab.clients["app-c"].wait_served(via="nat-c")
    time.sleep(5.0)
    assert pair.written() == [TAKEN]
    assert lab.holder("c") == "nat-c"


def _written(lab: Lab) -> list[tuple[str, str, str]]:
    return [
        (one.caller, one.action, one.parameters["DestinationCidrBlock"]) for one in lab.writes()
    ]
