"""An operator deletes a guarded route, or moves one that nathb has just moved."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.lab.lab import Lab
from tests.lab.machine import wait_until
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


def test_r7_a_take_that_an_operator_undoes_is_made_again_after_15_s_and_then_after_30_s(
    lab: Lab,
) -> None:
    pair = Pair(lab, **WATCHFUL).settle()
    client = lab.clients["app-c"]
    lab.crash("nat-c")
    pair.wait_holder("c", "nat-a", within=10.0)
    for times, hold in enumerate((15.0, 30.0), 1):
        undone = time.monotonic()
        lab.move("private-c", EVERYWHERE, "nat-c")
        wait_until("nat-a says so", lambda times=times: len(_contests(pair)) == times, 10.0)
        assert _contests(pair)[-1].endswith((f" {hold:.0f} s", f" {hold - 1:.0f} s"))
        taken = client.wait_served(via="nat-a", within=hold + 20.0)
        assert taken - undone >= hold
        assert lab.pace.elapsed(undone, taken) <= hold + 5.0
    assert pair.written() == [TAKEN] * 3


def test_r7_another_death_does_not_shorten_the_time_for_which_a_contested_take_waits(
    lab: Lab,
) -> None:
    pair = Pair(lab, **WATCHFUL).settle()
    client = lab.clients["app-c"]
    lab.crash("nat-c")
    pair.wait_holder("c", "nat-a", within=10.0)
    lab.move("private-c", EVERYWHERE, "nat-c")
    wait_until("nat-a says so", lambda: _contests(pair), 10.0)
    lab.revive("nat-c")
    client.wait_served(via="nat-c", within=10.0)
    pair.daemons["nat-a"].wait_line("nat-c is up")
    died = time.monotonic()
    lab.crash("nat-c")
    taken = client.wait_served(via="nat-a", within=35.0)
    assert taken - died >= 15.0
    assert lab.pace.elapsed(died, taken) <= 20.0
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


def _contests(pair: Pair) -> list[str]:
    return pair.told("nat-a", "someone else undid this move: left alone for another")


def _written(lab: Lab) -> list[tuple[str, str, str]]:
    return [
        (one.caller, one.action, one.parameters["DestinationCidrBlock"]) for one in lab.writes()
    ]
