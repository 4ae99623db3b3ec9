"""A machine that goes down hands its routes over first; a daemon that is stopped moves nothing.

The firewall that masquerades is Debian's own nftables.service, which flushes all rules when it is
stopped. So clients are heard only if the routes have gone before it.
"""

from __future__ import annotations

import time

import pytest

from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.nspawn import NspawnMachine
from tests.lab.pair import DEFAULT
from tests.lab.service import UNIT, Service

LONGEST_SILENCE = 0.1
AWHILE = 3.0
"""Seconds after which a gap in what clients hear would have shown."""


def written(lab: Lab, since: float = 0.0) -> list[tuple[str, str]]:
    """Who wrote to whom."""
    names = {ids.eni: name for name, ids in lab.instances.items()}
    return [
        (one.caller, names[one.parameters["NetworkInterfaceId"]]) for one in lab.writes(since=since)
    ]


@pytest.fixture
def firewalled(lab: Lab, machine: NspawnMachine) -> Service:
    """nathb at its default timing, on a machine whose own firewall masquerades."""
    rules = machine.did("nft", "list", "ruleset")
    machine.write("/etc/nftables.conf", f"flush ruleset\n{rules}")
    machine.did("systemctl", "enable", "--now", "nftables.service")
    config = lab.pair_config(**DEFAULT | {"preempt_delay": "5s"})
    lab.start_nathb("nat-c", config, name="pair")
    return Service(machine, config).enable().settle(within=60.0)


def test_a_machine_that_is_powered_off_costs_its_clients_no_more_than_100_ms(
    lab: Lab, machine: NspawnMachine, firewalled: Service
) -> None:
    begun = time.monotonic()
    machine.poweroff()
    assert written(lab, begun) == [("nat-a", "nat-c")]
    assert lab.holder("a") == "nat-c"
    time.sleep(AWHILE)
    assert lab.clients["app-a"].via() == "nat-c"
    assert lab.clients["app-a"].outage(since=begun) <= LONGEST_SILENCE
    assert written(lab, begun) == [("nat-a", "nat-c")]
    machine.power_on()
    firewalled.wait_sentence("this machine is shutting down: handing over its routes")
    assert any("nat-a is shutting down (moved in" in one for one in firewalled.sentences())


@pytest.mark.usefixtures("firewalled")
def test_a_machine_that_reboots_costs_its_clients_no_more_than_100_ms_either_way(
    lab: Lab, machine: NspawnMachine
) -> None:
    begun = time.monotonic()
    machine.reboot(off=2.0)
    wait_until("its route is home again", lambda: lab.holder("a") == "nat-a", 90.0, every=0.1)
    time.sleep(AWHILE)
    assert lab.clients["app-a"].outage(since=begun) <= LONGEST_SILENCE
    assert written(lab, begun) == [("nat-a", "nat-c"), ("nat-c", "nat-a")]


@pytest.mark.parametrize("verb", ["stop", "restart"])
def test_a_daemon_that_is_stopped_or_restarted_alone_moves_nothing(
    lab: Lab, machine: NspawnMachine, service: Service, verb: str
) -> None:
    begun = time.monotonic()
    machine.did("systemctl", verb, UNIT)
    service.wait_sentence("stopped; routes stay where they are")
    time.sleep(AWHILE)
    assert written(lab, begun) == []
    assert lab.holder("a") == "nat-a"
