"""The wire against the real kernel, over either kind of socket where both must hold."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nathb.core.errors import BlindError
from nathb.net.echo import Echo
from nathb.net.icmp import IcmpWire
from nathb.net.sockets import EchoSocket
from tests.net.loopback import (
    PATIENCE,
    Tap,
    allow_ping_sockets,
    hush,
    listen,
    nft,
    readable,
    run,
    sysctl,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

IP_RECVERR = 11  # linux/in.h

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("network")]


@pytest.fixture(params=["raw", "ping"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def wire(network: None, kind: str) -> Iterator[IcmpWire]:  # noqa: ARG001
    allow_ping_sockets()
    with IcmpWire(partial(EchoSocket, raw=kind == "raw")) as wire:
        yield wire


only_raw = pytest.mark.parametrize("kind", ["raw"], indirect=True)


@pytest.mark.usefixtures("ipv6")
def test_many_overlapping_checks_are_all_answered_each_once(wire: IcmpWire) -> None:
    addresses = [f"127.0.{high}.{low}" for high in range(5) for low in range(1, 25)]
    tickets = [wire.send(address) for address in ["::1", *addresses, "::1", *addresses]]
    assert len(set(tickets)) == len(tickets)
    heard = listen(wire, lambda heard: len(heard) >= len(tickets))
    assert sorted(heard) == sorted(tickets)
    assert wire.receive() == []


def test_an_address_that_nobody_answers_gives_no_ticket(wire: IcmpWire) -> None:
    nft("table ip t { chain in { type filter hook input priority 0; ip daddr 127.0.0.9 drop; }; }")
    wire.send("127.0.0.9")
    answered = wire.send("127.0.0.1")
    assert listen(wire, bool) == [answered]


def test_an_unreachable_error_is_no_reply_and_not_even_a_stray(wire: IcmpWire) -> None:
    nft(
        "table ip t { chain in { type filter hook input priority 0;"
        " ip daddr 127.0.0.9 reject with icmp type host-unreachable; }; }"
    )
    wire.send("127.0.0.9")
    answered = wire.send("127.0.0.1")
    assert listen(wire, bool) == [answered]
    assert wire.strays == 0


def test_an_error_pending_on_a_socket_hides_no_reply_behind_it(kind: str) -> None:
    allow_ping_sockets()
    nft(
        "table ip t { chain in { type filter hook input priority 0;"
        " ip daddr 127.0.0.9 reject with icmp type host-unreachable; }; }"
    )
    echo_socket = EchoSocket(4, raw=kind == "raw")
    with socket.socket(fileno=os.dup(echo_socket.fileno())) as same_socket:
        same_socket.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    sent = echo_socket.send("127.0.0.1", Echo(1, 1, b"reachable"))
    assert readable(echo_socket.fileno())
    echo_socket.send("127.0.0.9", Echo(1, 2, b"unreachable"))
    assert [arrival.echo for arrival in echo_socket.read(256)] == [sent]


def test_a_check_leaves_from_its_source_and_is_answered_there(wire: IcmpWire) -> None:
    with Tap() as tap:
        tickets = {wire.send("127.0.0.5", "127.0.0.2"), wire.send("127.0.0.5")}
        assert {tap.request().source, tap.request().source} == {"127.0.0.2", "127.0.0.1"}
        assert set(listen(wire, lambda heard: len(heard) == 2)) == tickets


def test_a_source_that_this_machine_has_not_is_a_check_that_was_not_sent(wire: IcmpWire) -> None:
    with pytest.raises(BlindError, match=r"EADDRNOTAVAIL .*the file calls its source"):
        wire.send("127.0.0.1", "10.0.0.11")


def test_a_check_leaves_by_its_interface_whatever_the_routes_say(wire: IcmpWire) -> None:
    """A missing interface is a check that was not sent. Once it is back, it is used again."""
    far = f"far-{os.getpid()}"
    for which in ("all", "default"):
        sysctl(f"net.ipv4.conf.{which}.rp_filter", "0")
    run("ip route add 192.0.2.9/32 dev lo")  # it swallows, as a tunnel does
    run(f"ip netns add {far}")
    try:
        link_to(far)
        swallowed = wire.send("192.0.2.9")
        bound = wire.send("192.0.2.9", "", "near")
        assert listen(wire, bool) == [bound]
        wire.forget(swallowed)
        run("ip link delete near")
        for _ in range(2):
            with pytest.raises(BlindError, match=r"ENODEV .*correct `interface:`, or bring"):
                wire.send("192.0.2.9", "", "near")
        link_to(far)
        bound = wire.send("192.0.2.9", "", "near")
        assert listen(wire, bool) == [bound]
    finally:
        run(f"ip netns delete {far}")


def link_to(far: str) -> None:
    """Lead a link of this network, `near`, to 192.0.2.9 in another."""
    run(f"ip link add near type veth peer name eth0 netns {far}")
    run(f"ip -n {far} address add 192.0.2.9/31 dev eth0")
    run(f"ip -n {far} link set eth0 up")
    run("ip address add 192.0.2.8/31 dev near")
    run("ip link set near up")


def test_forged_replies_are_ignored_and_counted(wire: IcmpWire) -> None:
    hush()
    with Tap() as tap:
        ticket = wire.send("127.0.0.5")
        request = tap.request()
        tap.reply(request, source="127.0.0.6")
        tap.reply(request, payload=bytes(16))
        tap.reply(request, payload=request.echo.payload + b"!")
        tap.reply(request, sequence=request.echo.sequence ^ 1)
        assert listen(wire, lambda _: wire.strays == 4) == []
        tap.reply(request)
        assert listen(wire, bool) == [ticket]


@only_raw
def test_the_right_payload_under_another_id_is_ignored_and_counted(wire: IcmpWire) -> None:
    hush()
    with Tap() as tap:
        wire.send("127.0.0.5")
        request = tap.request()
        tap.reply(request, id=request.echo.id ^ 1)
        assert listen(wire, lambda _: wire.strays == 1) == []


@only_raw
def test_a_duplicate_is_a_stray(wire: IcmpWire) -> None:
    hush()
    with Tap() as tap:
        ticket = wire.send("127.0.0.5")
        request = tap.request()
        tap.reply(request)
        tap.reply(request)
        assert listen(wire, lambda _: wire.strays == 1) == [ticket]


@only_raw
def test_a_reply_after_forget_is_a_stray(wire: IcmpWire) -> None:
    hush()
    with Tap() as tap:
        late = wire.send("127.0.0.5")
        wire.forget(late)
        tap.reply(tap.request())
        assert listen(wire, lambda _: wire.strays == 1) == []


def test_a_forgotten_check_stays_silent_when_its_reply_was_already_waiting(wire: IcmpWire) -> None:
    forgotten = wire.send("127.0.0.1")
    assert readable(*wire.filenos())
    wire.forget(forgotten)
    wire.forget(forgotten)
    ticket = wire.send("127.0.0.1")
    assert listen(wire, bool) == [ticket]


@only_raw
def test_replies_to_other_programs_are_strays(wire: IcmpWire) -> None:
    wire.receive()
    ticket = wire.send("127.0.0.1")
    run("ping -q -c 1 127.0.0.1")
    assert listen(wire, lambda _: wire.strays == 1) == [ticket]


def test_every_check_is_a_flow_of_its_own(wire: IcmpWire) -> None:
    with Tap() as tap:
        for _ in range(100):
            wire.forget(wire.send("127.0.0.1"))
        seen = [tap.request().echo.id for _ in range(100)]
    assert len(set(seen)) == 100


def test_no_descriptor_is_left_behind(wire: IcmpWire) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    listen_for_one = partial(listen, wire, bool)
    wire.send("127.0.0.1")
    listen_for_one()
    before = descriptors()
    for _ in range(50):
        wire.forget(wire.send("127.0.0.1"))
        wire.send("127.0.0.1")
        listen_for_one()
    assert descriptors() == before


def test_a_firewall_that_drops_the_request_makes_it_blind(wire: IcmpWire) -> None:
    nft("table ip t { chain out { type filter hook output priority 0; icmp type 8 drop; }; }")
    with pytest.raises(BlindError, match=r"^127\.0\.0\.1: request not sent: EPERM .*nft list"):
        wire.send("127.0.0.1")


def test_without_a_route_it_is_blind(wire: IcmpWire) -> None:
    assert_without_a_route(wire, "192.0.2.1")


@pytest.mark.usefixtures("ipv6")
def test_without_an_ipv6_route_it_is_blind(wire: IcmpWire) -> None:
    assert_without_a_route(wire, "2001:db8::1")


def assert_without_a_route(wire: IcmpWire, address: str) -> None:
    with pytest.raises(BlindError, match=rf"^{address}: request not sent: ENETUNREACH .*ip route"):
        wire.send(address)


def test_an_unreachable_route_makes_it_blind(wire: IcmpWire) -> None:
    run("ip route add unreachable 192.0.2.0/24")
    with pytest.raises(BlindError, match=r"request not sent: EHOSTUNREACH .*ip route get"):
        wire.send("192.0.2.1")


@pytest.mark.usefixtures("ipv6")
def test_where_ipv6_is_off_ipv6_is_blind_and_ipv4_is_heard(wire: IcmpWire) -> None:
    sysctl("net.ipv6.conf.all.disable_ipv6", "1")
    with pytest.raises(BlindError, match=r"^::1: request not sent: E"):
        wire.send("::1")
    ticket = wire.send("127.0.0.1")
    assert listen(wire, bool) == [ticket]


# --- which sockets a process of few rights is given ---------------------------------------------


def pinger(*addresses: str) -> dict[str, list[str]]:
    """Check the addresses from a process without CAP_NET_RAW."""
    command = ["setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw"]
    command += [sys.executable, "-m", "tests.net.pinger", *addresses]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, check=True, timeout=PATIENCE)
    return json.loads(done.stdout)


@pytest.mark.usefixtures("ipv6")
def test_without_cap_net_raw_ping_sockets_do_for_both_families() -> None:
    allow_ping_sockets()
    addresses = ["127.0.0.1", "127.0.0.2", "::1"]
    report = pinger(*addresses)
    assert sorted(report["heard"]) == sorted(addresses)
    assert report["blind"] == []


@pytest.mark.usefixtures("ipv6")
def test_with_neither_kind_every_send_is_blind_and_says_what_to_permit() -> None:
    report = pinger("127.0.0.1", "::1")
    assert report["heard"] == []
    for address, message in zip(["127.0.0.1", "::1"], report["blind"], strict=True):
        assert message.startswith(f"{address}: no ICMP socket: EACCES")
        assert "CAP_NET_RAW" in message
        assert "ping_group_range" in message


def test_with_cap_net_raw_the_sockets_are_raw() -> None:
    with IcmpWire() as wire, Tap() as tap:
        sent = [wire.send("127.0.0.1") for _ in range(3)]
        first, second, third = (tap.request().echo.id for _ in sent)
        assert ((second - first) & 0xFFFF, (third - second) & 0xFFFF) == (1, 1)
        assert listen(wire, lambda heard: len(heard) == 3) == sent


# --- why every check is a flow of its own -------------------------------------------------------


@pytest.fixture
def nat(network: None) -> Iterator[str]:  # noqa: ARG001
    """Put a NAT between here and 192.0.2.9; yield what to put before a command to run it there.

    Like most, it has a stateful rule besides its masquerade. That rule keeps connection tracking
    at work, known flows and all, when the masquerade goes; without it the kernel would stop both.
    """
    with holder() as nat, holder() as outside:
        in_nat, in_outside = (f"nsenter -t {one.pid} -n" for one in (nat, outside))
        run(f"ip link add inner type veth peer name inner netns {nat.pid}")
        run("ip address add 10.0.0.2/24 dev inner")
        run("ip link set inner up")
        run(f"{in_nat} ip link add outer type veth peer name outer netns {outside.pid}")
        run(f"{in_nat} ip address add 10.0.0.1/24 dev inner")
        run(f"{in_nat} ip address add 192.0.2.1/24 dev outer")
        run(f"{in_nat} ip link set inner up")
        run(f"{in_nat} ip link set outer up")
        run(f"{in_nat} sysctl -qw net.ipv4.ip_forward=1")
        run(f"{in_outside} ip address add 192.0.2.9/24 dev outer")
        run(f"{in_outside} ip link set outer up")
        run("ip route add default via 10.0.0.1")
        run(f"{in_nat} nft add table ip t")
        run(f"{in_nat} nft add chain ip t post {{ type nat hook postrouting priority 100; }}")
        run(f"{in_nat} nft add rule ip t post masquerade")
        run(f"{in_nat} nft add chain ip t through {{ type filter hook forward priority 0; }}")
        run(f"{in_nat} nft add rule ip t through ct state established accept")
        yield in_nat


def holder() -> subprocess.Popen[str]:
    """A process that keeps a network namespace alive until its standard input is closed."""
    command = ["unshare", "-n", "sh", "-c", "ip link set lo up; echo ready; exec cat"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_nat_that_lost_its_masquerade_is_not_heard_on_an_old_flow(
    wire: IcmpWire, kind: str, nat: str
) -> None:
    old_flow = EchoSocket(4, raw=kind == "raw")

    def is_heard_on_old_flow(payload: bytes) -> bool:
        sent = old_flow.send("192.0.2.9", Echo(4711, 1, payload))
        while readable(old_flow.fileno()):
            if any(arrival.echo == sent for arrival in old_flow.read(256)):
                return True
        return False

    assert is_heard_on_old_flow(b"in good times")
    first = wire.send("192.0.2.9")
    assert listen(wire, bool) == [first]

    run(f"{nat} nft flush chain ip t post")
    second = wire.send("192.0.2.9")
    # The old flow is still translated. Its answer arrives after any answer to the check would.
    assert is_heard_on_old_flow(b"when clients hear nothing")
    assert second not in wire.receive()
