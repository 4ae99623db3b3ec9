"""What clients feel when a router dies, leaves and returns, on real packets; what is recorded."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from tests.host.journald import Journald
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.nspawn import NspawnMachine
from tests.lab.pair import DEFAULT, Pair
from tests.lab.plan import PAIR, Plan
from tests.lab.processes import nathb
from tests.lab.service import UNIT, Service


@pytest.mark.long
def test_a_crash_at_default_timing_silences_clients_for_4_5_s_and_the_return_for_100_ms(
    lab: Lab,
) -> None:
    pair = Pair(lab, **DEFAULT).settle()
    client = lab.clients["app-c"]
    crashed = time.monotonic()
    lab.crash("nat-c")
    client.wait_served(via="nat-a", within=10.0)
    assert client.takeover(since=crashed) <= 4.5
    revived = time.monotonic()
    lab.revive("nat-c")
    up = pair.daemons["nat-a"].wait_line("nat-c is up", within=40.0)
    assert "heartbeat 193.0.14.129 answers" in up
    back_up = time.monotonic()
    client.wait_served(via="nat-c", within=70.0)
    assert time.monotonic() - back_up >= 59.0
    time.sleep(1.0)
    assert client.outage(since=revived) <= 0.1
    assert pair.written() == [("nat-a", "nat-a"), ("nat-a", "nat-c")]


@pytest.mark.clock
def test_with_quick_timers_a_crash_costs_clients_700_ms_at_most(lab: Lab) -> None:
    check = {"interval": "100ms", "fast_interval": "50ms", "timeout": "200ms", "fall": 4}
    Pair(lab, check=check | {"pulse": "500ms"}).settle()
    client = lab.clients["app-c"]
    crashed = time.monotonic()
    lab.crash("nat-c")
    client.wait_served(via="nat-a", within=10.0)
    assert client.takeover(since=crashed) <= 0.7


def test_a_nat_that_is_dead_on_a_living_host_is_taken_from_within_interval_plus_3_5_s(
    lab: Lab,
) -> None:
    pair = Pair(lab, **DEFAULT).settle()
    checked = time.monotonic()
    lab.source_dest_check("nat-c", on=True)
    client = lab.clients["app-c"]
    client.wait_served(via="nat-a", within=45.0)
    assert client.takeover(since=checked) <= 30.0 + 3.5
    assert lab.run("nat-a", ["ping", "-c1", "-W1", "10.0.1.10"]).returncode == 0
    assert pair.written() == [("nat-a", "nat-a")]


def test_from_a_source_without_public_address_a_lost_masquerade_is_noticed_too(lab: Lab) -> None:
    nodes = {
        zone.nat.name: {
            "instance": lab.instances[zone.nat.name].instance,
            "heartbeat": str(zone.heartbeat),
            "source": str(zone.nat.secondary),
            "routes": [lab.tables[f"private-{zone.name}"]],
        }
        for zone in lab.plan.zones
    }
    pair = Pair(lab, nodes=nodes).settle()
    lab.faults.masquerade_off("nat-c")
    lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
    assert pair.written() == [("nat-a", "nat-a")]


def test_with_the_own_gateway_cut_nothing_is_taken_and_the_peer_serves_our_clients(
    lab: Lab,
) -> None:
    pair = Pair(lab, **DEFAULT | {"check": DEFAULT["check"] | {"interval": "5s"}}).settle()
    cut = time.monotonic()
    lab.faults.gateway_cut("nat-a")
    lab.clients["app-a"].wait_served(via="nat-c", within=15.0)
    time.sleep(10.0)
    assert lab.clients["app-a"].via() == "nat-c"
    assert lab.clients["app-c"].outage(since=cut) <= 0.1
    assert {to for _, to in pair.written()} == {"nat-c"}
    lines = pair.daemons["nat-a"].lines()
    assert any("my uplink is down" in line for line in lines)
    assert not any("took" in line for line in lines)


def test_three_routes_of_a_dead_node_move_in_parallel_and_the_default_route_first(
    make_lab: Callable[[Plan], Lab],
) -> None:
    lab = make_lab(PAIR.with_routes(3))
    pair = Pair(lab).settle()
    lab.crash("nat-c")
    wait_until("three writes arrive", lambda: len(lab.writes()) >= 3, 10.0)
    destinations = [one.parameters["DestinationCidrBlock"] for one in lab.writes()]
    assert destinations[0] == "0.0.0.0/0"
    assert sorted(destinations) == ["0.0.0.0/0", "10.8.0.0/16", "10.9.0.0/16"]
    assert len(pair.written()) == 3


# --- a machine that goes down ---------------------------------------------------------------------

# The firewall that masquerades is Debian's own nftables.service, which flushes all rules when it is
# stopped. So clients are heard only if the routes have gone before it.

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


# --- what the journal has -------------------------------------------------------------------------


@pytest.fixture
def journald() -> Iterator[Journald]:
    with Journald() as running:
        yield running


def test_a_takeover_and_its_return_are_told_by_history_and_explained_by_the_same_rules(
    lab: Lab, journald: Journald
) -> None:
    check = {"interval": "500ms", "fast_interval": "200ms", "timeout": "500ms", "pulse": "200ms"}
    pair = Pair(lab, journal=journald.address, check=check, preempt_delay="1s").settle()
    lab.crash("nat-c")
    pair.wait_holder("c", "nat-a", within=15.0)
    lab.revive("nat-c")
    pair.wait_holder("c", "nat-c", within=30.0)
    wait_until("the return is told", lambda: journald.entries("NATHB_EVENT=returned"), 10.0)
    at = ("--directory", journald.directory)

    done = lab.run("nat-a", nathb("history", "lab", "--json", *at))
    assert done.returncode == 0, done.stderr
    moves = [json.loads(line) for line in done.stdout.splitlines()]
    story = [(one["event"], one["node"], one["from"], one["to"]) for one in moves]
    assert story == [("took", "nat-a", "nat-c", "nat-a"), ("returned", "nat-a", "nat-a", "nat-c")]
    assert moves[0]["api_ms"] is not None
    assert 0 < moves[0]["detect_ms"] < 15_000

    done = lab.run("nat-a", nathb("explain", "lab", "2", "--json", *at))
    assert done.returncode == 0, done.stdout + done.stderr
    explained = json.loads(done.stdout)
    assert explained["same"] is True
    assert explained["recorded"]["move"]["to"] == "nat-a"
    assert [one["rule"] for one in explained["rules"]][-1] == "R3"
    [down] = [one for one in explained["around"] if one["event"] == "peer-down"]
    assert -5.0 < down["seconds"] <= 0.0

    done = lab.run("nat-a", nathb("explain", "lab", "2", *at))
    assert "the same facts lead to the same decision." in done.stdout
