"""nathb-nat.service on a plain NAT instance: its own command lines, and what packets make of them.

The instances' own masquerade is taken away first, and forwarding switched off. In its sandbox,
under a real systemd, it does the same: the last test. How tight that is, systemd says in
tests/host/test_systemd_files.py.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.lab.installed import bare
from tests.lab.lab import Lab
from tests.lab.machine import ip, nft, run, wait_until
from tests.lab.node_requests import can_ping
from tests.lab.nspawn import NspawnMachine
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


# --- tunnels ------------------------------------------------------------------------------------

# What each end of a new TCP connection believes that the other takes in one segment, in bytes.
SERVE = """
import socket
with socket.create_server(("1.1.1.1", 8080)) as server:
    print("ready", flush=True)
    line, _ = server.accept()
    line.recv(1)
    print(line.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG), flush=True)
"""
CONNECT = """
import socket
with socket.create_connection(("1.1.1.1", 8080), timeout=10) as line:
    line.send(b"1")
    print(line.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG))
"""
TIMESTAMPS = 12


def segment_sizes(lab: Lab) -> tuple[int, int]:
    """The client's and the server's, without the option that each segment carries."""
    python = (sys.executable, "-I", "-S", "-c")
    serve = lab.network.inside("internet", *python, SERVE)
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
            client = int(lab.network.read("app-a", *python, CONNECT))
            return client + TIMESTAMPS, int(server.stdout.readline()) + TIMESTAMPS
        finally:
            server.kill()


def test_both_ends_of_a_connection_through_a_tunnel_are_told_what_fits_it(
    lab: Lab, service: NatService
) -> None:
    service.start()
    assert segment_sizes(lab) == (1460, 1460), "where all is of one size, nothing is changed"
    way_out = service.read("ip", "route", "show", "default").strip()
    service.read("ip", "route", "change", *way_out.split(), "mtu", "1300")
    assert segment_sizes(lab) == (1260, 1260)


# --- IPv6 ---------------------------------------------------------------------------------------

SERVER = "2001:db8:1::1"
# Type, code, checksum (the kernel's), hop limit, flags, 1800 s, two timers: RFC 4861, 4.2.
ADVERTISE = """
import socket, sys
with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, sys.argv[1].encode())
    raw.sendto(bytes.fromhex("8600 0000 4000 0708 0000 0000 0000 0000"), ("ff02::1", 0))
"""


def link_local(lab: Lab, name: str, link: str) -> str:
    """The address of a link by which its neighbours reach it, once it is good to be used."""
    namespace = lab.network.namespace(name)

    def found() -> str:
        shown = run(["ip", "-n", namespace, "-6", "address", "show", "dev", link, "scope", "link"])
        ready = re.search(r"inet6 (\S+)/64 (?!.*tentative)", shown)
        return ready[1] if ready else ""

    return wait_until(f"{link} of {name} has an address", found)


def with_ipv6(lab: Lab) -> None:
    """Give a client of nat-a, and a server in the internet, IPv6 through a VPC that steers it."""
    at = {name: link_local(lab, name, "eth0") for name in ("app-a", "nat-a", "internet")}
    vpc = {link: link_local(lab, "vpc", link) for link in ("app-a", "igw")}
    own = lab.plan.instance("app-a").subnet.first_host6  # no other source leaves an interface
    lab.network.read("vpc", "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
    for name, lines in {
        "app-a": [
            f"address add {own}/128 dev eth0 nodad",
            f"route add default via {vpc['app-a']} dev eth0",
        ],
        "internet": [
            f"address add {SERVER}/128 dev lo",
            f"route add {own} via {vpc['igw']} dev eth0",
        ],
        "vpc": [
            f"route add {own} dev app-a via {at['app-a']}",
            f"route add {SERVER} dev igw via {at['internet']}",
            "rule add pref 100 iif app-a lookup 100",
            f"route add default dev nat-a via {at['nat-a']} table 100",
        ],
    }.items():
        ip(lab.network.namespace(name), lines, "-6")


def test_a_node_that_forwards_ipv6_serves_clients_and_keeps_its_own_default_route(
    lab: Lab, service: NatService
) -> None:
    def way_out() -> str:
        return service.read("ip", "-6", "route", "show", "default").strip()

    def served() -> bool:
        return lab.run("app-a", ["ping", "-6", "-q", "-c1", "-W1", SERVER]).returncode == 0

    with_ipv6(lab)
    lab.network.read("vpc", sys.executable, "-I", "-S", "-c", ADVERTISE, "nat-a")
    wait_until("nat-a has learned its default route", way_out)
    service.start()
    assert not served(), "IPv6 is forwarded only where the settings say so"
    service.settings["NATHB_NAT_IPV6"] = "yes"
    service.reload()
    assert "proto ra" in way_out()
    wait_until("the client is served", served)
    service.stop()
    assert service.table() == []


# --- the sandbox --------------------------------------------------------------------------------


@pytest.mark.usefixtures("bootable")
def test_in_its_sandbox_under_systemd_it_serves_as_well(lab: Lab) -> None:
    with NspawnMachine(lab, "nat-a", ()) as machine:
        bare(machine)
        shutil.copytree(SETTINGS.parent, machine.disk / "etc" / "nathb" / "nat")
        machine.furnish(f"/etc/systemd/system/{UNIT.name}", UNIT.read_text())
        machine.power_on()
        machine.did("nft", "flush", "ruleset")
        lab.network.forwarding("nat-a", on=False)
        assert not can_ping(lab, "app-a", "1.1.1.1")

        machine.did("systemctl", "start", UNIT.name)
        assert can_ping(lab, "app-a", "1.1.1.1")
        lab.clients["app-a"].wait_served(via="nat-a")
        assert machine.did("cat", "/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream") == (
            "300\n"
        )
        settings = machine.did("cat", "/etc/nathb/nat/settings.env")
        machine.write("/etc/nathb/nat/settings.env", settings.replace("IPV6=no", "IPV6=yes"))
        machine.did("systemctl", "reload", UNIT.name)
        assert machine.did("cat", "/proc/sys/net/ipv6/conf/all/forwarding") == "1\n"
        assert machine.did("cat", "/proc/sys/net/ipv6/conf/eth0/accept_ra") == "2\n"
        assert can_ping(lab, "app-a", "1.1.1.1")
        one_capability = machine.show(UNIT.name, "CapabilityBoundingSet")
        assert one_capability == "cap_net_admin"

        machine.did("systemctl", "stop", UNIT.name)
        assert machine.did("nft", "list", "tables") == ""
        assert not can_ping(lab, "app-a", "1.1.1.1")
        said = machine.journal("--unit", UNIT.name, "--priority", "warning", "--output", "cat")
        assert said == "", "systemd and nft had nothing to complain about"
