"""nathb-nat.service on a plain NAT instance: its own command lines, and what packets make of them.

The instances' own masquerade is taken away first, and forwarding switched off.
"""

from __future__ import annotations

import json
import re
import shlex
import time
from pathlib import Path
from typing import Any

import pytest

from tests.lab.lab import Lab
from tests.lab.machine import nft, run, wait_until
from tests.lab.node_requests import can_ping
from tests.lab.plan import ZONE_A, ZONE_C

CHECKOUT = Path(__file__).parents[2]
UNIT = CHECKOUT / "systemd" / "nathb-nat.service"
SETTINGS = CHECKOUT / "etc" / "nathb" / "nat" / "settings.env"
BARE = "flush ruleset\n"
LEAVING = """
table ip leaving {{
    chain last {{
        type filter hook postrouting priority 300;
        meta l4proto icmp ip saddr {client} counter
    }}
}}
"""


class NatService:
    """Does on an instance what systemd does for the unit, with this checkout's /etc/nathb."""

    def __init__(self, lab: Lab, node: str) -> None:
        self.lab = lab
        self.node = node
        self.settings = dict(
            line.partition("=")[::2] for line in shlex.split(SETTINGS.read_text(), comments=True)
        )
        nft(lab.network.namespace(node), BARE)
        self.read("sysctl", "-qw", "net.ipv4.ip_forward=0")

    def start(self) -> None:
        self._run("ExecStart")

    def reload(self) -> None:
        self._run("ExecReload")

    def stop(self) -> None:
        self._run("ExecStopPost")

    def read(self, *argv: str) -> str:
        return self.lab.network.read(self.node, *argv)

    def table(self) -> list[dict[str, Any]]:
        """What nft lists of the table, nothing when there is none."""
        listed = json.loads(self.read("nft", "--json", "list", "ruleset"))["nftables"]
        return [one for one in listed if "nathb_nat" in json.dumps(one)]

    def _run(self, setting: str) -> None:
        lines = re.findall(rf"^{setting}=-?(.+)$", UNIT.read_text(), re.M)
        assert lines
        for line in lines:
            words = [self._expanded(word) for word in shlex.split(line)]
            self.read(*words)

    def _expanded(self, word: str) -> str:
        word = re.sub(r"\$\{(\w+)\}", lambda name: self.settings[name[1]], word)
        return word.replace("/etc/nathb", str(CHECKOUT / "etc" / "nathb"))


@pytest.fixture
def service(lab: Lab) -> NatService:
    return NatService(lab, "nat-a")


def test_it_serves_clients_until_it_is_stopped(lab: Lab, service: NatService) -> None:
    assert not can_ping(lab, "app-a", "1.1.1.1"), "nothing is in force unless it is enabled"
    service.start()
    assert can_ping(lab, "app-a", "1.1.1.1")
    lab.clients["app-a"].wait_served(via="nat-a")
    service.stop()
    assert service.table() == []
    assert not can_ping(lab, "app-a", "1.1.1.1")


def test_starting_it_again_changes_nothing(service: NatService) -> None:
    service.start()
    once = run(service.lab.network.inside("nat-a", "nft", "--stateless", "list", "ruleset"))
    service.start()
    assert run(service.lab.network.inside("nat-a", "nft", "--stateless", "list", "ruleset")) == once


def test_what_others_have_in_nft_is_left_alone(lab: Lab, service: NatService) -> None:
    nft(lab.network.namespace("nat-a"), "add table ip mine\n")
    service.start()
    service.reload()
    service.stop()
    assert service.read("nft", "list", "tables").split("\n")[:-1] == ["table ip mine"]


def test_clients_notice_nothing_of_a_reload(lab: Lab, service: NatService) -> None:
    service.start()
    client = lab.clients["app-a"]
    client.wait_served(via="nat-a")
    begun = time.monotonic()
    for _ in range(20):
        service.reload()
        assert can_ping(lab, "app-a", "1.1.1.1")
    assert client.outage(since=begun) <= 0.1


def test_what_is_inside_sees_clients_own_addresses(lab: Lab, service: NatService) -> None:
    service.start()
    nft(lab.network.namespace("nat-a"), LEAVING.format(client=ZONE_A.app.address))
    for inside in ("10.99.0.1", "172.16.3.4", "192.168.7.7", "100.64.0.9"):
        can_ping(lab, "app-a", inside)  # nobody is there; what counts is how it left
    assert can_ping(lab, "app-a", "1.1.1.1")
    left_as_itself = service.read("nft", "list", "table", "ip", "leaving")
    assert "counter packets 4 " in left_as_itself


def test_only_clients_of_the_settings_are_served(lab: Lab, service: NatService) -> None:
    service.settings["NATHB_NAT_CLIENTS"] = "172.16.0.0/12"
    service.start()
    assert not can_ping(lab, "app-a", "1.1.1.1")
    service.settings["NATHB_NAT_CLIENTS"] = "172.16.0.0/12, 10.0.0.0/8"
    service.reload()
    assert can_ping(lab, "app-a", "1.1.1.1")


def test_a_source_without_public_address_is_answered_through_the_peers_masquerade_alone(
    lab: Lab, service: NatService
) -> None:
    peer = NatService(lab, "nat-c")
    service.start()
    peer.start()
    ping = ["ping", "-q", "-c1", "-W1", "-I", str(ZONE_A.nat.secondary)]

    def answers(address: object) -> bool:
        return lab.run("nat-a", [*ping, str(address)]).returncode == 0

    assert not answers("1.1.1.1"), "its own masquerade leaves its own addresses alone"
    assert answers(ZONE_C.heartbeat)
    peer.stop()
    assert not answers(ZONE_C.heartbeat)
    peer.start()
    wait_until("the peer masquerades again", lambda: answers(ZONE_C.heartbeat))


def test_the_kernel_is_set_for_a_router_of_one_interface(service: NatService) -> None:
    service.start()
    wanted = {
        "net.ipv4.ip_forward": "1",
        "net.ipv4.conf.eth0.send_redirects": "0",
        "net.ipv4.conf.all.send_redirects": "0",
        "net.ipv4.conf.all.rp_filter": "2",
        "net.netfilter.nf_conntrack_tcp_timeout_established": "7440",
        "net.netfilter.nf_conntrack_udp_timeout_stream": "300",
        "net.netfilter.nf_conntrack_tcp_loose": "1",
    }
    assert {key: service.read("sysctl", "-n", key).strip() for key in wanted} == wanted
