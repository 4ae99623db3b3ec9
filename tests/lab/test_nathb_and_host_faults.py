"""Its own machine fails nathb: pings that cannot leave, a full disk, a set clock, no resolver."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.lab.host_faults import (
    WITHOUT_RAW_SOCKETS,
    WallClock,
    no_echo_requests_out,
    queue_full,
    small_run,
)
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.pair import DEFAULT, Pair
from tests.lab.processes import nathb
from tests.lab.scripts import name_server

PATHS = 3
"""What a node of a pair asks: two uplinks and a heartbeat."""


def verdicts(pair: Pair, node: str) -> dict[str, str]:
    """What the node thinks of its uplink and of its peer."""
    now = pair.snapshot(node)
    return {name: one["verdict"] for name, one in {"uplink": now["uplink"], **now["peers"]}.items()}


def assert_blind_and_no_wiser(pair: Pair, node: str) -> None:
    """No verdict has changed, and each path is told once; again if a stall made all unknown."""
    stalls = len(pair.stalls(node))
    assert set(verdicts(pair, node).values()) <= ({"up", "unknown"} if stalls else {"up"})
    assert PATHS <= len(pair.told(node, "cannot ping ")) <= PATHS * (1 + stalls)


def assert_told_that_it_sees_again(pair: Pair, node: str) -> None:
    """Each path is told once; a stall may have wiped out that it could not be asked."""
    assert len(pair.told(node, "can be pinged again")) == PATHS or pair.stalls(node)


# --- pings that cannot leave --------------------------------------------------------------------


def test_r1_pings_that_the_own_firewall_drops_are_blind_and_convict_nobody(lab: Lab) -> None:
    """Not even a peer that is dead: it is taken from once pings leave again."""
    pair = Pair(lab).settle()
    no_echo_requests_out(lab, "nat-a")
    blind = pair.daemons["nat-a"].wait_line("cannot ping ")
    assert "EPERM" in blind
    assert "let ICMP echo requests out" in blind
    lab.crash("nat-c")
    before = pair.snapshot("nat-a")
    time.sleep(6.0)
    after = pair.snapshot("nat-a")
    assert_blind_and_no_wiser(pair, "nat-a")
    assert pair.written() == []
    # three paths every fast_interval of 50 ms, the pulse every 100 ms: asked again, not in a spin
    tries = after["counters"]["blind"] - before["counters"]["blind"]
    assert tries <= 1.2 * (PATHS * 20 + 10) * (after["at"] - before["at"])
    no_echo_requests_out(lab, "nat-a", on=False)
    lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
    assert_told_that_it_sees_again(pair, "nat-a")
    assert pair.written() == [("nat-a", "nat-a")]


def test_r1_a_full_queue_is_blind_on_ping_sockets_and_nothing_is_written(lab: Lab) -> None:
    pair = Pair(lab).settle()
    pair.daemons["nat-a"].stop()
    file = str(lab.install("nat-a", pair.config))
    pair.daemons["nat-a"] = lab.start("nat-a", [*WITHOUT_RAW_SOCKETS, *nathb("run", file)])
    pair.daemons["nat-a"].wait_line("guards lab")
    time.sleep(1.0)
    pair.settle("nat-a")
    queue_full(lab, "nat-a")
    blind = pair.daemons["nat-a"].wait_line("cannot ping ")
    assert "ENOBUFS" in blind
    time.sleep(5.0)
    assert_blind_and_no_wiser(pair, "nat-a")
    queue_full(lab, "nat-a", on=False)
    pair.settle("nat-a")
    assert_told_that_it_sees_again(pair, "nat-a")
    assert [to for by, to in pair.written() if by == "nat-a"] == []


def test_a_full_queue_is_silence_on_raw_sockets_and_the_own_uplink_is_blamed_for_it(
    lab: Lab,
) -> None:
    """Clients of nat-a lose their way out with it: nat-c takes their route, and gives it back."""
    pair = Pair(lab, preempt_delay="4s").settle()
    queue_full(lab, "nat-a")
    pair.daemons["nat-a"].wait_line("my uplink is down")
    lab.clients["app-a"].wait_served(via="nat-c", within=10.0)
    time.sleep(3.0)
    queue_full(lab, "nat-a", on=False)
    pair.wait_holder("a", "nat-a", within=20.0)
    assert [to for by, to in pair.written() if by == "nat-c"] == ["nat-c", "nat-a"]
    # a handover that was stuck in the queue may still leave when there is room again
    assert {to for by, to in pair.written() if by == "nat-a"} <= {"nat-c"}


# --- a full disk --------------------------------------------------------------------------------


def test_a_full_run_is_told_once_and_the_takeover_is_made_all_the_same(lab: Lab) -> None:
    with small_run(lab, "nat-a") as disk:
        pair = Pair(lab, preempt_delay="60s").settle()
        disk.fill()
        lost = pair.daemons["nat-a"].wait_line("cannot be written")
        assert "No space left on device; routes are still guarded" in lost
        lab.crash("nat-c")
        lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
        pair.daemons["nat-a"].wait_line(" took ")
        wait_until(
            "status says that it is stale",
            lambda: "was last written" in pair.status("nat-a")[1],
            10.0,
        )
        assert len(pair.told("nat-a", "cannot be written")) == 1
        disk.clear()
        wait_until(
            "status shows it",
            lambda: "held by nat-a (home is nat-c)" in pair.status("nat-a")[1],
            10.0,
        )
        assert len(pair.told("nat-a", "cannot be written")) == 1
        assert pair.written() == [("nat-a", "nat-a")]


# --- a clock that is set ------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [10, -10])
def test_r14_a_wall_clock_stepped_by_10_min_in_the_middle_of_a_crash_costs_the_takeover_no_time(
    lab: Lab, minutes: int
) -> None:
    clock = WallClock(lab.directory)
    pair = Pair(lab, env=clock.env, **DEFAULT).settle()
    crashed = time.monotonic()
    lab.crash("nat-c")
    time.sleep(1.0)
    clock.step(60 * minutes)
    lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
    assert lab.clients["app-c"].takeover(since=crashed) <= 4.5
    assert pair.written() == [("nat-a", "nat-a")]
    stamp = datetime.fromisoformat(pair.daemons["nat-a"].wait_line(" took ").split()[0])
    assert abs(stamp - datetime.now(UTC)) > timedelta(minutes=9), "the clock was not stepped"


@pytest.mark.parametrize("hours", [1, -1])
def test_r14_a_wall_clock_stepped_by_an_hour_changes_no_verdict_and_ec2_takes_writes_once_it_is_set(
    lab: Lab, hours: int
) -> None:
    """A signature that is 15 min off is refused (RequestExpired), and the lab's EC2 refuses it."""
    clock = WallClock(lab.directory)
    pair = Pair(lab, env=clock.env, refresh="1s").settle()
    clock.step(3600 * hours)
    refused = pair.daemons["nat-a"].wait_line("cannot read the route tables")
    assert "RequestExpired" in refused
    assert "its clock (`timedatectl`)" in refused
    time.sleep(3.0)
    assert set(verdicts(pair, "nat-a").values()) == {"up"}
    assert not any(pair.stalls(node, longer_than=60.0) for node in pair.nodes)
    assert pair.written() == []
    lab.crash("nat-c")
    pair.daemons["nat-a"].wait_line("could not take")
    time.sleep(3.0)
    assert not any(one.applied for one in lab.writes())
    assert len(lab.writes()) <= 4
    assert len(pair.told("nat-a", "could not take")) == 1
    clock.step(0)
    lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
    assert set(pair.written()) == {("nat-a", "nat-a")}
    assert len([one for one in lab.writes() if one.applied]) == 1


# --- names ----------------------------------------------------------------------------------------

NAMES = {"one.uplink.example": "1.1.1.1", "nine.uplink.example": "9.9.9.9"}
NODES = ("nat-a", "nat-c")


def test_without_dns_names_resolved_before_stay_in_use_and_a_dead_peer_is_taken_from(
    lab: Lab,
) -> None:
    with name_server(lab, NAMES, *NODES) as server:
        pair = Pair(lab, uplink=list(NAMES)).settle()
        server.freeze()
        for node in NODES:
            pair.daemons[node].signal(signal.SIGHUP)  # for only so are the names looked up early
            for name in NAMES:
                lost = pair.daemons[node].wait_line(f"cannot resolve {name}")
                assert "so its last addresses stay in use" in lost
        before = pair.snapshot("nat-a")
        assert sorted(before["uplink"]["addresses"]) == ["1.1.1.1", "9.9.9.9"]
        lab.crash("nat-c")
        lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
        time.sleep(2.0)
        assert pair.written() == [("nat-a", "nat-a")]
        assert pair.snapshot("nat-a")["counters"]["heard"] > before["counters"]["heard"]
        server.freeze(on=False)
        for name in NAMES:
            pair.daemons["nat-a"].wait_line(f"{name} can be resolved again")
        assert not any("uplink is down" in line for line in pair.daemons["nat-a"].lines())


def test_started_without_dns_it_says_so_and_takes_nothing_until_names_can_be_resolved(
    lab: Lab,
) -> None:
    with name_server(lab, NAMES, *NODES) as server:
        server.freeze()
        pair = Pair(lab, uplink=list(NAMES))
        for node in NODES:
            for name in NAMES:
                lost = pair.daemons[node].wait_line(f"cannot resolve {name}")
                assert "so it is not pinged" in lost
        wait_until("nat-a sees nat-c up", lambda: pair.verdict("nat-a", "nat-c") == "up", 10.0)
        lab.crash("nat-c")
        pair.daemons["nat-a"].wait_line("nat-c is down")
        time.sleep(3.0)
        assert pair.written() == []
        assert pair.daemons["nat-a"].running
        assert pair.verdict("nat-a", "uplink") == "unknown"
        server.freeze(on=False)
        lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
        assert pair.written() == [("nat-a", "nat-a")]


def test_one_name_that_cannot_be_resolved_leaves_the_other_uplink_in_force(lab: Lab) -> None:
    with name_server(lab, {}, *NODES):
        pair = Pair(lab, uplink=["1.1.1.1", "gone.uplink.example"]).settle()
        pair.daemons["nat-a"].wait_line("cannot resolve gone.uplink.example, so it is not pinged")
        lab.crash("nat-c")
        lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
        assert pair.written() == [("nat-a", "nat-a")]
