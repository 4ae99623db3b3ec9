"""Paths and peers that are neither well nor gone: lost pings, one-sided cuts, flapping peers."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import yaml

from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.network_faults import NetworkFaults
from tests.lab.node_requests import can_ping
from tests.lab.pair import DEFAULT, Pair
from tests.lab.plan import ZONE_A, ZONE_C
from tests.lab.processes import nathb
from tests.lab.scripts import ping_spoofer

# --- pings ----------------------------------------------------------------------------------------

COUNTED = {"interval": "1s", "fast_interval": "1s", "timeout": "900ms", "fall": 3, "pulse": "off"}
"""Each check, repetition included, is over before the next one leaves, and no pulse is missed."""


def test_a_single_lost_ping_is_repeated_in_time_and_counts_as_no_miss(lab: Lab) -> None:
    pair = Pair(lab, check=COUNTED).settle()
    before = _missed(pair)
    lab.faults.lose_next_pings("nat-a", ZONE_C.heartbeat)
    _wait_checks(pair, 15)
    assert _missed(pair) == before
    _all_is_quiet(pair)


def test_a_lost_ping_whose_repetition_is_lost_too_is_a_miss_and_convicts_nobody(lab: Lab) -> None:
    pair = Pair(lab, check=COUNTED).settle()
    before = _missed(pair)
    lab.faults.lose_next_pings("nat-a", ZONE_C.heartbeat, count=2)
    wait_until("nat-a counts a miss", lambda: _missed(pair) > before, 10.0)
    time.sleep(3.0)
    assert _missed(pair) == before + 1
    _all_is_quiet(pair)


def test_every_second_ping_lost_both_ways_counts_as_no_miss(lab: Lab) -> None:
    pair = Pair(lab, check=COUNTED).settle()
    before = _missed(pair)
    lab.faults.lose_every_second_ping("nat-a", ZONE_C.heartbeat)
    lab.faults.lose_every_second_ping("nat-c", ZONE_A.heartbeat)
    _wait_checks(pair, 40)
    assert _missed(pair) == before
    _all_is_quiet(pair)


@pytest.mark.parametrize("manner", ["source", "id", "sequence", "payload"])
def test_a_dead_peer_in_whose_name_another_answers_is_convicted_all_the_same(
    lab: Lab, manner: str
) -> None:
    pair = Pair(lab).settle()
    with ping_spoofer(lab, "nat-a", ZONE_C.heartbeat, manner) as spoofer:
        lab.crash("nat-c")
        lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
        answered = spoofer.said("answered")
        time.sleep(2.0)
        assert spoofer.said("answered") > answered >= 4
        assert pair.verdict("nat-a", "nat-c") == "down"
    assert pair.written() == [("nat-a", "nat-a")]


def test_answers_that_come_after_the_timeout_are_misses(lab: Lab) -> None:
    pair = Pair(lab).settle()
    with ping_spoofer(lab, "nat-a", ZONE_C.heartbeat, "faithful", delay=0.4) as late:
        lab.crash("nat-c")
        lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
        answered = late.said("answered")
        time.sleep(2.0)
        assert late.said("answered") > answered
        assert pair.verdict("nat-a", "nat-c") == "down"
    assert pair.written() == [("nat-a", "nat-a")]


def test_an_answer_that_comes_four_times_counts_once(lab: Lab) -> None:
    pair = Pair(lab).settle()
    with ping_spoofer(lab, "nat-a", ZONE_C.heartbeat, "thrice") as echo:
        wait_until("it has answered 60 times", lambda: echo.said("answered") >= 60, 20.0)
        counted = pair.snapshot("nat-a")["counters"]
        assert counted["heard"] <= counted["checks"]
        _all_is_quiet(pair)
    lab.crash("nat-c")
    lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
    assert pair.written() == [("nat-a", "nat-a")]


def _missed(pair: Pair) -> int:
    return int(pair.snapshot("nat-a")["counters"].get("missed", 0))


def _wait_checks(pair: Pair, count: int) -> None:
    """Wait until nat-a has sent so many more pings, repetitions included."""
    before = pair.snapshot("nat-a")["counters"]["checks"]
    wait_until(
        "they are sent",
        lambda: pair.snapshot("nat-a")["counters"]["checks"] >= before + count,
        30.0,
    )


def _all_is_quiet(pair: Pair) -> None:
    assert pair.written() == []
    assert not any("is down" in line for one in pair.daemons.values() for line in one.lines())
    assert pair.verdict("nat-a", "nat-c") == "up"


# --- cuts -----------------------------------------------------------------------------------------

SETTLED = {"settle": "2s", "refresh": "1s"}
"""Quick timers, and a view that soon shows what someone else has done."""

UNHURRIED = {"interval": "5s", "fast_interval": "200ms", "timeout": "500ms", "fall": 3}
"""One detection takes up to 6 s: long enough for a view to show in it what a peer has taken."""


def test_nobody_alive_is_no_move_and_with_the_own_gateway_back_the_dead_peers_routes_are_taken(
    lab: Lab,
) -> None:
    pair = Pair(lab, **SETTLED, check={"fast_interval": "200ms", "timeout": "500ms"}).settle()
    lab.crash("nat-c")  # first, so that it answers nothing from the moment of the cut on
    lab.faults.gateway_cut("nat-a")  # over a second before anybody can draw a conclusion
    for line in ("my uplink is down", "nat-c is down"):
        pair.daemons["nat-a"].wait_line(line)
    time.sleep(3.0)
    assert pair.written() == []
    lab.faults.gateway_cut("nat-a", on=False)
    lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
    lab.clients["app-a"].wait_served(via="nat-a")
    time.sleep(2.0)
    assert pair.written() == [("nat-a", "nat-a")]


def test_what_was_handed_over_to_a_peer_that_then_died_is_taken_once_the_own_gateway_is_back(
    lab: Lab,
) -> None:
    pair = Pair(lab, **SETTLED).settle()
    lab.faults.gateway_cut("nat-a")
    lab.clients["app-a"].wait_served(via="nat-c", within=10.0)
    lab.crash("nat-c")
    pair.daemons["nat-a"].wait_line("nat-c is down")
    died = time.monotonic()
    time.sleep(3.0)
    assert pair.written(since=died) == []
    lab.faults.gateway_cut("nat-a", on=False)
    for zone in ("a", "c"):
        lab.clients[f"app-{zone}"].wait_served(via="nat-a", within=20.0)
    time.sleep(2.0)
    assert pair.written(since=died) == [("nat-a", "nat-a")] * 2


def test_with_the_peer_dead_a_cut_of_the_own_gateway_hands_over_nothing(lab: Lab) -> None:
    pair = Pair(lab, **SETTLED).settle()
    lab.crash("nat-c")
    lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
    lab.faults.gateway_cut("nat-a")
    pair.daemons["nat-a"].wait_line("my uplink is down")
    time.sleep(3.0)
    lab.faults.gateway_cut("nat-a", on=False)
    pair.daemons["nat-a"].wait_line("my uplink is up")
    for zone in ("a", "c"):
        lab.clients[f"app-{zone}"].wait_served(via="nat-a")
    time.sleep(3.0)
    assert pair.written() == [("nat-a", "nat-a")]


@pytest.mark.parametrize(("here", "there"), [("a", "c"), ("c", "a")], ids=["a-c", "c-a"])
def test_a_one_way_cut_between_the_zones_ends_in_quiet_with_both_zones_served(
    lab: Lab, here: str, there: str
) -> None:
    pair = Pair(lab, **SETTLED, check=UNHURRIED).settle()
    cut = time.monotonic()
    lab.faults.partition(here, there, one_way=True)
    for node, peer in (("nat-a", "nat-c"), ("nat-c", "nat-a")):
        # each way, a heartbeat's request or its answer has to cross the cut
        pair.daemons[node].wait_line(f"{peer} is down")
    for zone in ("a", "c"):
        pair.wait_holder(zone, f"nat-{zone}", within=50.0)
    for zone in ("a", "c"):
        lab.clients[f"app-{zone}"].wait_served(via=f"nat-{zone}")
        assert lab.clients[f"app-{zone}"].takeover(since=cut) <= 40.0
    quiet, wrote = time.monotonic(), lab.writes()
    assert len(wrote) <= 4, "taken, and taken back"
    time.sleep(8.0)
    for zone in ("a", "c"):
        assert lab.clients[f"app-{zone}"].outage(since=quiet) <= 0.5
        assert lab.clients[f"app-{zone}"].via() == f"nat-{zone}"
    lab.faults.heal()
    pair.settle()
    time.sleep(3.0)
    assert lab.writes() == wrote


# --- peers ----------------------------------------------------------------------------------------

TAKES, RETURNS = ("nat-a", "nat-a"), ("nat-a", "nat-c")
"""Who writes, and whom the route is pointed at."""

RESTS_ON = {
    "took": "is down: heartbeat",
    "returned": "is up: heartbeat",
    "released": "my uplink is down",
}
"""Which verdict calls for each kind of move: one route is so moved once for each, and no more."""


@pytest.mark.parametrize(
    "stop_forwarding",
    [NetworkFaults.forwarding_off, NetworkFaults.firewall_shut],
    ids=["ip_forward", "firewall"],
)
def test_a_live_host_that_no_longer_forwards_is_taken_from_within_interval_plus_3_5_s(
    lab: Lab, stop_forwarding: Callable[..., None]
) -> None:
    pair = Pair(lab, check=DEFAULT["check"] | {"interval": "2s"}).settle()
    stopped = time.monotonic()
    stop_forwarding(lab.faults, "nat-c")
    lab.clients["app-c"].wait_served(via="nat-a", within=15.0)
    assert lab.clients["app-c"].takeover(since=stopped) <= 2.0 + 3.5
    assert can_ping(lab, "nat-a", "10.0.1.10"), "its host is well"
    time.sleep(2.0)
    assert pair.written() == [TAKES]
    stop_forwarding(lab.faults, "nat-c", on=False)
    pair.wait_holder("c", "nat-c", within=20.0)
    assert pair.written() == [TAKES, RETURNS]
    assert lab.clients["app-a"].outage(since=stopped) <= 0.5


ACCEPTS = """
import socket
server = socket.create_server(("", 53), backlog=64)
while True:
    server.accept()[0].close()
"""


def test_a_firewall_that_forwards_pings_alone_is_noticed_by_a_heartbeat_over_tcp_and_by_check(
    lab: Lab,
) -> None:
    nodes: dict[str, Any] = yaml.safe_load(lab.pair_config())["nodes"]
    nodes["nat-c"]["heartbeat"] = f"tcp://{nodes['nat-c']['heartbeat']}:53"
    lab.start("internet", [sys.executable, "-c", ACCEPTS])
    check = DEFAULT["check"] | {"interval": "2s"}
    pair = Pair(lab, check=check, nodes=nodes).settle()
    stopped = time.monotonic()
    lab.faults.forwards_pings_only("nat-c")
    lab.clients["app-c"].wait_served(via="nat-a", within=15.0)
    assert lab.clients["app-c"].takeover(since=stopped) <= 2.0 + 3.5
    checked = lab.run("nat-c", nathb("check", str(lab.directory / "nat-c" / "lab.yaml"), "--aws"))
    assert "its firewall forwards pings and drops TCP" in checked.stdout
    lab.faults.forwards_pings_only("nat-c", on=False)
    pair.wait_holder("c", "nat-c", within=20.0)
    assert pair.written() == [TAKES, RETURNS]


def test_a_peer_that_loses_half_of_its_packets_costs_no_more_moves_than_verdicts_change(
    lab: Lab,
) -> None:
    hasty = {"fall": 3, "rise": 2, "timeout": "250ms"}  # verdicts change often, and call for moves
    pair = Pair(lab, check=hasty, settle="2s", refresh="1s", preempt_delay="200ms").settle()
    lab.faults.loss("nat-c", 50)
    pair.wait_holder("c", "nat-a", within=20.0)
    time.sleep(20.0)
    lab.faults.loss("nat-c", 0)
    pair.settle(within=40.0)
    time.sleep(8.0)  # the last returns, if any are still due
    wrote, quiet = len(lab.writes()), time.monotonic()
    time.sleep(5.0)
    assert len(lab.writes()) == wrote
    for zone in ("a", "c"):
        assert lab.clients[f"app-{zone}"].outage(since=quiet) <= 0.5
    lines = {node: daemon.lines() for node, daemon in pair.daemons.items()}
    for node, zone in product(pair.nodes, ("a", "c")):
        table = lab.tables[f"private-{zone}"]
        for moved, rests_on in RESTS_ON.items():
            # verdicts that are not told: the first UP, and the same one again after a stall (R14)
            untold = (moved == "returned") + _count(lines[node], "was stalled")
            verdicts = _count(lines[node], rests_on) + untold
            assert _count(lines[node], f" {moved} {table} ") <= verdicts
    # R11: the third take ends all returns, but for those of what nat-c handed over by itself
    table = lab.tables["private-c"]
    released = _count(lines["nat-c"], f" released {table} ")
    assert _count(lines["nat-a"], f" returned {table} ") <= 2 + released


@pytest.mark.long
def test_a_peer_that_flaps_every_20_s_is_taken_from_once_and_given_nothing_back(lab: Lab) -> None:
    pair = Pair(lab, **DEFAULT).settle()
    daemon, client, begun = pair.daemons["nat-a"], lab.clients["app-c"], time.monotonic()
    lab.crash("nat-c")
    taken = client.wait_served(via="nat-a", within=10.0)
    assert client.takeover(since=begun) <= 4.5
    for flap in (1, 2):
        _sleep_until(begun + 20.0 * flap - 10.0)
        lab.revive("nat-c")
        wait_until("nat-a sees nat-c up", lambda: pair.verdict("nat-a", "nat-c") == "up", 9.0)
        _sleep_until(begun + 20.0 * flap)
        lab.crash("nat-c")
        wait_until("nat-a sees nat-c down", lambda: pair.verdict("nat-a", "nat-c") == "down", 9.0)
    _sleep_until(begun + 50.0)
    assert client.outage(since=taken) <= 0.5
    assert lab.clients["app-a"].outage(since=begun) <= 0.5
    assert pair.written() == [TAKES]
    assert _count(daemon.lines(), "nat-c is down") == 3


def test_r11_a_peer_that_dies_whenever_it_got_its_route_back_gets_it_back_twice(lab: Lab) -> None:
    pair = Pair(lab).settle()
    daemon, client = pair.daemons["nat-a"], lab.clients["app-c"]
    for _ in range(2):
        lab.crash("nat-c")
        pair.wait_holder("c", "nat-a", within=10.0)
        lab.revive("nat-c")
        pair.wait_holder("c", "nat-c", within=20.0)
    lab.crash("nat-c")
    taken = client.wait_served(via="nat-a", within=10.0)
    lab.revive("nat-c")
    daemon.wait_line("taken too often recently: the return waits", within=20.0)
    for _ in range(2):
        lab.crash("nat-c")
        wait_until("nat-a sees nat-c down", lambda: pair.verdict("nat-a", "nat-c") == "down", 10.0)
        lab.revive("nat-c")
        wait_until("nat-a sees nat-c up", lambda: pair.verdict("nat-a", "nat-c") == "up", 20.0)
    time.sleep(3.0)
    assert pair.written() == [TAKES, RETURNS, TAKES, RETURNS, TAKES]
    assert client.outage(since=taken) <= 0.5


def _count(lines: list[str], text: str) -> int:
    return sum(text in line for line in lines)


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
