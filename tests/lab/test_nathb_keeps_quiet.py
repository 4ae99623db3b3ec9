"""When not to write: cuts that leave nobody better off, frozen processes, other people's routes."""

from __future__ import annotations

import signal
import time
from typing import Any

import pytest

from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.pair import DEFAULT, Pair

WATCHFUL = {"refresh": "1s", "preempt_delay": "3s"}
"""Quick timers, and a view that is read often enough not to wait for it in a test."""


@pytest.mark.long
def test_both_gateways_cut_is_not_one_write_in_60_s(lab: Lab) -> None:
    pair = Pair(lab, **DEFAULT).settle()
    cut = time.monotonic()
    lab.faults.gateway_cut("nat-a", "nat-c")
    for node in pair.nodes:
        pair.daemons[node].wait_line("my uplink is down", within=45.0)
    time.sleep(cut + 60.0 - time.monotonic())
    assert pair.written() == []
    lab.faults.gateway_cut("nat-a", "nat-c", on=False)
    for node in pair.nodes:
        pair.daemons[node].wait_line("my uplink is up", within=45.0)
    time.sleep(5.0)
    assert pair.written() == []


@pytest.mark.long
def test_a_cut_between_the_zones_ends_in_quiet_with_both_zones_served(lab: Lab) -> None:
    """Each takes the other's route, takes its own back, and leaves it at that."""
    pair = Pair(lab, **DEFAULT).settle()
    lab.faults.partition("a", "c")
    cut = time.monotonic()
    wait_until("somebody writes", lambda: len(lab.writes()) >= 2, 10.0)
    for zone in ("a", "c"):
        pair.wait_holder(zone, f"nat-{zone}", within=50.0)
    for zone in ("a", "c"):
        lab.clients[f"app-{zone}"].wait_served(via=f"nat-{zone}")
        assert lab.clients[f"app-{zone}"].takeover(since=cut) <= 40.0
    quiet = time.monotonic()
    wrote = len(lab.writes())
    assert wrote <= 6
    time.sleep(40.0)
    assert len(lab.writes()) == wrote
    for zone in ("a", "c"):
        assert lab.clients[f"app-{zone}"].outage(since=quiet) <= 0.5
        assert lab.clients[f"app-{zone}"].via() == f"nat-{zone}"
    for daemon in pair.daemons.values():
        assert any("left alone for another" in line for line in daemon.lines())


def test_r14_a_process_frozen_for_12_s_writes_nothing(lab: Lab) -> None:
    pair = Pair(lab).settle()
    pair.daemons["nat-a"].signal(signal.SIGSTOP)
    time.sleep(12.0)
    pair.daemons["nat-a"].signal(signal.SIGCONT)
    pair.daemons["nat-a"].wait_line("was stalled for 1")
    pair.settle("nat-a")
    time.sleep(3.0)
    assert pair.written() == []
    assert lab.clients["app-a"].outage() <= 0.5


def test_r8_a_route_that_an_operator_pointed_elsewhere_is_left_alone_and_reported(
    lab: Lab,
) -> None:
    pair = Pair(lab, **WATCHFUL).settle()
    lab.move("private-c", "0.0.0.0/0", "app-a")
    pair.daemons["nat-a"].wait_line("outside the group; left alone", within=10.0)
    lab.crash("nat-c")
    pair.daemons["nat-a"].wait_line("nat-c is down", within=10.0)
    time.sleep(5.0)
    assert pair.written() == []
    assert lab.holder("c") == "app-a"


@pytest.mark.parametrize("elsewhere", [False, True], ids=["missing", "wrong"])
def test_r12_a_void_pin_is_reported_and_never_read_as_health(lab: Lab, elsewhere: bool) -> None:
    pair = Pair(lab, **WATCHFUL).settle()
    pin = {"RouteTableId": lab.tables["public-a"], "DestinationCidrBlock": "193.0.14.129/32"}
    if elsewhere:
        lab.ec2.replace_route(**pin, NetworkInterfaceId=lab.instances["app-a"].eni)
    else:
        lab.ec2.delete_route(**pin)
    pair.daemons["nat-a"].wait_line("which counts as unknown" if elsewhere else "is not pinned in")
    # without its pin, the address is answered by the internet all the same
    answered = lab.run("nat-a", ["ping", "-c1", "-W1", "193.0.14.129"]).returncode == 0
    assert answered is not elsewhere
    wait_until(
        "nat-c counts as unknown",
        lambda: pair.snapshot("nat-a")["peers"]["nat-c"].get("verdict", "unknown") == "unknown",
        5.0,
    )
    lab.crash("nat-c")
    time.sleep(5.0)
    assert pair.written() == []


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(lab: Lab) -> None:
    pair = Pair(lab, "--dry-run", **WATCHFUL).settle()
    lab.crash("nat-c")
    would = pair.daemons["nat-a"].wait_line("would take", within=10.0)
    assert "(dry run)" in would
    time.sleep(3.0)
    assert pair.written() == []


DEFAULT_FALL = DEFAULT["check"] | {"interval": "1s"}
PATIENT = {"interval": "1s", "fast_interval": "200ms", "timeout": "500ms", "fall": 6}


@pytest.mark.parametrize(("percent", "check"), [(10, DEFAULT_FALL), (20, PATIENT)])
def test_r2_loss_at_the_peer_moves_nothing(lab: Lab, percent: int, check: dict[str, Any]) -> None:
    """A ping crosses the loss twice: of 10 % with `fall: 3`, of 20 % with `fall: 6`."""
    pair = Pair(lab, check=check).settle()
    lab.faults.loss("nat-c", percent)
    time.sleep(20.0)
    assert pair.written() == []
