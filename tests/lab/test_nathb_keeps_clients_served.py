"""Faults that are mild, long or flapping: clients sit on a node that serves them, at few writes.

Timers are the default ones where a test does not say otherwise.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.pair import DEFAULT, Pair
from tests.lab.plan import TRIO, ZONE_C, Plan
from tests.lab.processes import nathb

UNANSWERED = "198.51.100.99"
"""An address on the internet that nobody has: a typing mistake in the file."""


@pytest.mark.long
def test_a_dead_nat_has_no_clients_30_s_after_a_silence_of_the_peer_that_serves_both_zones(
    lab: Lab,
) -> None:
    """nat-a forwards nothing and does not know it: when nat-c is silent, it takes both routes."""
    pair = Pair(lab, **DEFAULT).settle()
    lab.faults.forwarding_off("nat-a")
    lab.clients["app-a"].wait_served(via="nat-c", within=45.0)
    silent = time.monotonic()
    lab.faults.dead("nat-c")
    time.sleep(6.0)
    lab.faults.dead("nat-c", on=False)
    back = time.monotonic()
    for zone in ("a", "c"):
        lab.clients[f"app-{zone}"].wait_served(via="nat-c", within=60.0)
        assert lab.clients[f"app-{zone}"].takeover(since=silent) <= back - silent + 30.0
    rests = time.monotonic()
    time.sleep(20.0)
    for zone in ("a", "c"):
        assert lab.clients[f"app-{zone}"].outage(since=rests) <= 0.5
    assert ("nat-a", "nat-a") in pair.written(since=silent), "it had reason to take them back"


@pytest.mark.long
def test_zones_that_are_cut_for_8_s_in_every_24_s_cost_at_most_8_writes(lab: Lab) -> None:
    Pair(lab, **DEFAULT).settle()
    for _ in range(6):
        lab.faults.partition("a", "c")
        time.sleep(8.0)
        lab.faults.partition("a", "c", on=False)
        time.sleep(16.0)
    assert len(lab.writes()) <= 8


@pytest.mark.long
def test_a_node_that_loses_its_own_packets_for_2_min_leaves_the_healthy_peer_its_route(
    lab: Lab,
) -> None:
    """What is lost is left to chance, so only what no chance can change is asked for here.

    The world of tests/sim loses by seed, and bounds the seconds on the lossy node.
    """
    pair = Pair(lab, **DEFAULT).settle()
    lab.faults.loss("nat-a", 35)
    time.sleep(120.0)
    lab.faults.loss("nat-a", 0)
    healed = time.monotonic()
    assert len(pair.written()) <= 4
    taken = [
        one
        for one in lab.writes(caller="nat-a")
        if one.parameters["RouteTableId"] == lab.tables["private-c"]
        and one.parameters["NetworkInterfaceId"] == lab.instances["nat-a"].eni
    ]
    assert len(taken) <= 1
    pair.wait_holder("c", "nat-c", within=75.0)
    assert len(pair.written(since=healed)) <= 2, "each zone's route goes home once"


def test_a_heartbeat_that_has_never_answered_convicts_nobody_until_the_pulse_is_silent_too(
    lab: Lab,
) -> None:
    nodes: dict[str, Any] = yaml.safe_load(lab.pair_config())["nodes"]
    nodes["nat-c"]["heartbeat"] = UNANSWERED
    lab.ec2.create_route(
        RouteTableId=lab.tables["public-a"],
        DestinationCidrBlock=f"{UNANSWERED}/32",
        NetworkInterfaceId=lab.instances["nat-c"].eni,
    )
    pair = Pair(lab, **DEFAULT, nodes=nodes)
    told = pair.daemons["nat-a"].wait_line("has never answered")
    assert f"heartbeat {UNANSWERED} of nat-c has never answered, its pulse does" in told
    time.sleep(15.0)
    assert pair.written() == []
    assert pair.verdict("nat-a", "nat-c") == "unknown"
    assert len(pair.told("nat-a", "has never answered")) == 1
    code, text = pair.status("nat-a")
    assert code == 1
    assert f"heartbeat {UNANSWERED} has never answered (missed 3 of 3)" in text
    file = str(lab.directory / "nat-a" / "lab.yaml")
    checked = lab.run("nat-a", nathb("check", file, "--aws"))
    assert checked.returncode == 1
    assert "through nat-c, and has never answered the daemon of this node" in checked.stdout
    lab.crash("nat-c")
    lab.clients["app-c"].wait_served(via="nat-a", within=45.0)
    assert pair.written() == [("nat-a", "nat-a")]
    assert pair.told("nat-a", f"heartbeat {UNANSWERED} has never answered (missed")


def test_a_peer_that_is_down_and_has_answered_since_is_not_taken_from_on_one_miss(
    lab: Lab,
) -> None:
    """To be up again takes so many answers here that it stays down; a pause keeps its route there.

    A check a second, each over before the next, so that two lost pings are one missed check.
    """
    check = {"interval": "1s", "fast_interval": "1s", "timeout": "900ms", "fall": 3, "rise": 20}
    pair = Pair(lab, check=check | {"pulse": "off"}).settle()
    file = str(lab.directory / "nat-a" / "lab.yaml")
    assert lab.run("nat-a", nathb("pause", file)).returncode == 0
    pair.daemons["nat-a"].wait_line("the group is paused")
    lab.faults.forwarding_off("nat-c")
    pair.daemons["nat-a"].wait_line("would take", within=20.0)
    lab.faults.forwarding_off("nat-c", on=False)

    def missed() -> int:
        return int(pair.snapshot("nat-a")["counters"]["missed"])

    def answers() -> bool:
        return not pair.snapshot("nat-a")["peers"]["nat-c"].get("missed", 0)

    wait_until("it has answered", answers, 10.0)
    assert lab.run("nat-a", nathb("resume", file)).returncode == 0
    pair.daemons["nat-a"].wait_line("the group is resumed")
    before = missed()
    lab.faults.lose_next_pings("nat-a", ZONE_C.heartbeat, count=2)
    wait_until("it has missed one", lambda: missed() == before + 1, 10.0)
    assert pair.verdict("nat-a", "nat-c") == "down"
    wait_until("it answers again", answers, 10.0)
    time.sleep(2.0)
    assert missed() == before + 1
    assert pair.written() == []


def no_daemon(pair: Pair) -> None:
    pair.daemons["nat-a"].stop()


def dry_run(pair: Pair) -> None:
    pair.daemons["nat-a"].stop()
    pair.restart("nat-a", "--dry-run").wait_line("dry run: nothing will be written")


@pytest.mark.long
@pytest.mark.parametrize("absence", [no_daemon, dry_run], ids=["no daemon", "dry run"])
def test_a_dead_node_whose_next_in_order_does_not_take_is_taken_from_within_60_s(
    make_lab: Callable[[Plan], Lab], absence: Callable[[Pair], None]
) -> None:
    """nat-a comes first after nat-d, and its NAT serves."""
    lab = make_lab(TRIO)
    pair = Pair(lab, **DEFAULT).settle()
    absence(pair)
    crashed = time.monotonic()
    lab.crash("nat-d")
    lab.clients["app-d"].wait_served(via="nat-c", within=75.0)
    assert lab.clients["app-d"].takeover(since=crashed) <= 60.0
    assert pair.written() == [("nat-c", "nat-c")]
    assert lab.clients["app-a"].outage(since=crashed) <= 0.5


def test_the_last_live_node_keeps_all_routes_when_it_is_drained(lab: Lab) -> None:
    """Quick timers: what matters is that nothing is moved."""
    pair = Pair(lab, refresh="1s", preempt_delay="2s").settle()
    lab.crash("nat-c")
    pair.wait_holder("c", "nat-a", within=10.0)
    drained = time.monotonic()
    file = str(lab.directory / "nat-a" / "lab.yaml")
    done = lab.run("nat-a", nathb("drain", file, "nat-a", "--wait", "3s"))
    assert done.returncode == 1, "it still holds them"
    pair.daemons["nat-a"].wait_line("nat-a is drained")
    time.sleep(5.0)
    for zone in ("a", "c"):
        assert lab.holder(zone) == "nat-a"
        assert lab.clients[f"app-{zone}"].outage(since=drained) <= 0.5
    lab.revive("nat-c")
    for zone in ("a", "c"):
        pair.wait_holder(zone, "nat-c", within=30.0)
        assert lab.clients[f"app-{zone}"].outage(since=drained) <= 0.5


def test_a_drained_node_takes_rather_than_leave_a_zone_without_a_nat(lab: Lab) -> None:
    """Quick timers: the shape matters."""
    pair = Pair(lab, refresh="1s", preempt_delay="2s").settle()
    file = str(lab.directory / "nat-a" / "lab.yaml")
    assert lab.run("nat-a", nathb("drain", file, "nat-a")).returncode == 0
    assert lab.holder("a") == "nat-c"
    lab.crash("nat-c")
    for zone in ("a", "c"):
        lab.clients[f"app-{zone}"].wait_served(via="nat-a", within=45.0)
    assert pair.written() == [("nat-a", "nat-c"), *[("nat-a", "nat-a")] * 2]


@pytest.mark.parametrize("verb", ["revert", "undrain"])
def test_what_operators_ask_for_is_done_at_once_after_three_takes(lab: Lab, verb: str) -> None:
    """Quick timers; damping as it always is."""
    pair = Pair(lab, refresh="1s").settle()
    for take in range(3):
        lab.crash("nat-c")
        pair.wait_holder("c", "nat-a", within=10.0)
        lab.revive("nat-c")
        if take < 2:
            pair.wait_holder("c", "nat-c", within=20.0)
    pair.daemons["nat-a"].wait_line("taken too often recently: the return waits", within=20.0)
    pair.settle()
    file = str(lab.directory / "nat-a" / "lab.yaml")
    if verb == "undrain":
        assert lab.run("nat-a", nathb("drain", file, "nat-c")).returncode == 0
        pair.daemons["nat-a"].wait_line("nat-c is drained")
    assert lab.holder("c") == "nat-a"
    asked = time.monotonic()
    arguments = [file, "nat-c"] if verb == "undrain" else [file]
    assert lab.run("nat-a", nathb(verb, *arguments)).returncode == 0
    pair.wait_holder("c", "nat-c", within=15.0)
    assert lab.pace.elapsed(asked) <= 5.0
    lab.clients["app-c"].wait_served(via="nat-c")


def test_a_machine_that_shuts_down_slowly_gets_nothing_back_before_it_was_away(lab: Lab) -> None:
    """Its NAT goes on for three preempt_delays after its daemon, and then it goes down.

    preempt_delay is 4 s here, so that this takes seconds.
    """
    pair = Pair(lab, preempt_delay="4s", refresh="1s").settle()
    begun = time.monotonic()
    pair.daemons["nat-a"].signal(signal.SIGUSR2)
    assert pair.daemons["nat-a"].stop(within=10.0) == 0
    time.sleep(3 * 4.0)
    assert pair.written() == [("nat-a", "nat-c")]
    lab.crash("nat-a")
    wait_until("nat-c sees it", lambda: pair.verdict("nat-c", "nat-a") == "down", 10.0)
    lab.revive("nat-a")
    pair.restart("nat-a")
    pair.wait_holder("a", "nat-a", within=20.0)
    lab.clients["app-a"].wait_served(via="nat-a")
    assert lab.clients["app-a"].outage(since=begun) <= 0.1
    assert pair.written() == [("nat-a", "nat-c"), ("nat-c", "nat-a")]
