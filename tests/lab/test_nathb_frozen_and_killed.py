"""The daemon is frozen, killed, asked to go and made to reload, at the worst of moments."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.lab.api_faults import ApiFault
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.pair import DEFAULT, Pair
from tests.lab.plan import PAIR, Plan
from tests.lab.processes import Daemon


@contextmanager
def frozen(daemon: Daemon) -> Iterator[None]:
    """SIGSTOP, and SIGCONT in the end."""
    daemon.signal(signal.SIGSTOP)
    yield
    daemon.signal(signal.SIGCONT)


def in_order(pair: Pair, node: str, *texts: str) -> bool:
    """Whether the node's daemon has told the first of these first, then the second, and so on."""
    lines = pair.daemons[node].lines()
    at = [next(n for n, line in enumerate(lines) if text in line) for text in texts]
    return at == sorted(at)


def destinations(lab: Lab, since: float = 0.0) -> Counter[str]:
    """How many times each destination was written."""
    return Counter(one.parameters["DestinationCidrBlock"] for one in lab.writes(since=since))


# --- frozen -------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("seconds", [3, 60])
def test_r14_frozen_with_a_healthy_peer_is_told_once_and_nothing_is_written(
    lab: Lab, seconds: int
) -> None:
    pair = Pair(lab).settle()
    with frozen(pair.daemons["nat-a"]):
        time.sleep(seconds)
    pair.daemons["nat-a"].wait_line("was stalled for ")
    pair.settle("nat-a")
    time.sleep(3.0)
    assert len(pair.stalls("nat-a", longer_than=seconds - 0.5)) == 1
    assert pair.written() == []
    assert all(pair.told(node, " is down") == [] for node in pair.nodes)
    assert lab.clients["app-a"].outage() <= 0.5


@pytest.mark.long
def test_r14_frozen_for_60_s_in_which_the_peer_crashes_takes_on_fresh_evidence_alone(
    lab: Lab,
) -> None:
    pair = Pair(lab, **DEFAULT).settle()
    with frozen(pair.daemons["nat-a"]):
        time.sleep(5.0)
        lab.crash("nat-c")
        time.sleep(55.0)
        thawed = time.monotonic()
    lab.clients["app-c"].wait_served(via="nat-a", within=15.0)
    [write] = lab.writes()
    assert pair.written() == [("nat-a", "nat-a")]
    # three checks a second apart, the last of which gets its second: what a start would take
    assert write.at - thawed >= 3.0
    assert lab.pace.elapsed(thawed, write.at) <= 5.0
    pair.daemons["nat-a"].wait_line(" took ")
    assert in_order(pair, "nat-a", "was stalled for ", "nat-c is down", " took ")
    assert len(pair.stalls("nat-a", longer_than=55.0)) == 1


def test_r14_frozen_while_suspecting_and_the_peer_back_before_the_thaw_writes_nothing(
    lab: Lab,
) -> None:
    pair = Pair(lab, **DEFAULT).settle()
    lab.faults.dead("nat-c")
    wait_until("nat-a suspects", lambda: pair.snapshot("nat-a")["suspecting"])
    with frozen(pair.daemons["nat-a"]):
        time.sleep(4.0)
        lab.faults.dead("nat-c", on=False)
    pair.daemons["nat-a"].wait_line("was stalled for ")
    pair.settle("nat-a")
    time.sleep(2.0)
    assert pair.told("nat-a", "nat-c is down") == []
    assert pair.written() == []


# --- killed -------------------------------------------------------------------------------------


def test_both_daemons_killed_while_a_route_is_away_bring_it_home_once_after_preempt_delay(
    lab: Lab,
) -> None:
    pair = Pair(lab, preempt_delay="5s").settle()
    lab.crash("nat-c")
    pair.wait_holder("c", "nat-a", within=10.0)
    lab.revive("nat-c")
    lab.clients["app-c"].wait_served()
    lab.processes.kill()
    restarted = time.monotonic()
    for node in pair.nodes:
        pair.restart(node)
    pair.wait_holder("c", "nat-c", within=30.0)
    time.sleep(3.0)
    [home] = lab.writes(since=restarted)
    assert home.at - restarted >= 5.0
    assert pair.written() == [("nat-a", "nat-a"), ("nat-a", "nat-c")]


@pytest.mark.parametrize(
    ("fault", "most"), [(ApiFault.HANG, 1), (ApiFault.LATENCY, 2)], ids=["lost", "late"]
)
def test_kill_9_between_the_first_of_three_moves_and_the_rest_then_restart_moves_the_rest(
    make_lab: Callable[[Plan], Lab], fault: ApiFault, most: int
) -> None:
    """The two moves under way at the kill are lost for good, or applied 2 s later."""
    lab = make_lab(PAIR.with_routes(3))
    pair = Pair(lab).settle()
    active = lab.api.fail(fault, actions=["ReplaceRoute"], spare=1, seconds=2.0)
    lab.crash("nat-c")
    wait_until("three writes arrive", lambda: len(lab.writes()) == 3, 10.0)
    pair.daemons["nat-a"].kill()
    assert [one.applied for one in lab.writes()] == [True, False, False]
    if fault is ApiFault.HANG:
        lab.api.lift(active)
    restarted = time.monotonic()
    pair.restart("nat-a")
    table = lab.tables["private-c"]
    wait_until(
        "all is at nat-a",
        lambda: {to for (one, _), to in lab.routes().items() if one == table} == {"nat-a"},
        20.0,
    )
    time.sleep(4.0)
    again = destinations(lab, since=restarted)
    assert again["0.0.0.0/0"] == 0
    assert max(again.values(), default=0) <= most
    if fault is ApiFault.HANG:
        assert again == {"10.8.0.0/16": 1, "10.9.0.0/16": 1}
    assert set(pair.written()) == {("nat-a", "nat-a")}
    for words in ("this node did not move it", "another hand"):
        assert pair.told("nat-a", words) == []


# --- asked to go, and to read another file ------------------------------------------------------


def test_sigterm_in_the_middle_of_a_slow_move_lets_it_end_and_begins_no_other(
    make_lab: Callable[[Plan], Lab],
) -> None:
    lab = make_lab(PAIR.with_routes(3))
    pair = Pair(lab).settle()
    lab.api.fail(ApiFault.LATENCY, actions=["ReplaceRoute"], seconds=0.7)
    lab.crash("nat-c")
    wait_until("a write arrives", lambda: len(lab.writes()) >= 1, 10.0)
    asked = time.monotonic()
    assert pair.daemons["nat-a"].stop() == 0
    assert lab.pace.elapsed(asked) <= 2.0
    last = pair.daemons["nat-a"].lines()[-1]
    assert "stopped; routes stay where they are" in last
    time.sleep(1.0)
    assert lab.holder("c") == "nat-a"
    # the others wait for a quarter of a second before they follow the default route
    assert lab.writes(since=asked + 0.15) == []
    assert all(one.applied for one in lab.writes())
    assert max(destinations(lab).values()) == 1
    assert len(pair.told("nat-a", " took ")) == len(lab.writes())


def test_a_bad_reload_in_the_middle_of_an_outage_leaves_the_old_file_to_bring_the_route_home(
    lab: Lab,
) -> None:
    pair = Pair(lab, preempt_delay="3s").settle()
    lab.crash("nat-c")
    pair.wait_holder("c", "nat-a", within=10.0)
    pair.reload("nat-a", pair.config.replace("heartbeat: 193.0.14.129", "heartbeat: 8.8.4"))
    pair.daemons["nat-a"].wait_line("reload refused, the old file stays in force")
    time.sleep(1.0)
    assert pair.snapshot("nat-a")["peers"]["nat-c"]["verdict"] == "down"
    lab.revive("nat-c")
    pair.wait_holder("c", "nat-c", within=20.0)
    time.sleep(3.0)
    assert pair.written() == [("nat-a", "nat-a"), ("nat-a", "nat-c")]


@pytest.mark.parametrize("broken", [True, False], ids=["broken", "unchanged"])
def test_a_reload_in_the_middle_of_suspecting_costs_the_takeover_no_time(
    lab: Lab, broken: bool
) -> None:
    pair = Pair(lab, **DEFAULT).settle()
    crashed = time.monotonic()
    lab.crash("nat-c")
    wait_until(
        "a check is missed",
        lambda: pair.snapshot("nat-a")["peers"]["nat-c"].get("missed", 0) >= 1,
    )
    pair.reload("nat-a", "nodes: {" if broken else pair.config)
    pair.daemons["nat-a"].wait_line("reload refused" if broken else "reloaded lab")
    lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
    assert lab.clients["app-c"].takeover(since=crashed) <= 4.5
    assert pair.written() == [("nat-a", "nat-a")]
