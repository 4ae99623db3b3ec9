"""The spoofer errs in what it says it errs in; the name server knows its names, and silence."""

from __future__ import annotations

import socket
import struct
import sys

import pytest

from nathb.net.echo import from_ipv4
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.node_requests import can_ping, icmp_count
from tests.lab.pair import Pair
from tests.lab.ping_spoofer import forge
from tests.lab.plan import ZONE_C
from tests.lab.scripts import name_server, ping_spoofer

PAYLOAD = b"sixteen bytes ..."
LOOK_UP = """
import socket, sys
try:
    print(*sorted({answer[4][0] for answer in socket.getaddrinfo(sys.argv[1], None)}))
except OSError as error:
    print(error.strerror)
"""


def request() -> bytes:
    """An echo request of nat-a, as it comes in on a link."""
    header = struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(PAYLOAD), 7, 0, 64, socket.IPPROTO_ICMP, 0)
    addresses = socket.inet_aton("10.0.0.10") + socket.inet_aton("193.0.14.129")
    return header + addresses + struct.pack("!BBHHH", 8, 0, 0, 0xFFFF, 9) + PAYLOAD


def test_each_forgery_differs_in_the_one_thing_that_it_is_called_by() -> None:
    def fields(manner: str) -> dict[str, object]:
        packet = forge(request(), manner)
        echo = from_ipv4(packet)
        assert echo is not None
        carried = {"id": echo.id, "sequence": echo.sequence, "payload": echo.payload}
        return {"source": socket.inet_ntoa(packet[12:16]), **carried}

    honest = fields("faithful")
    assert honest == {"source": "193.0.14.129", "id": 0xFFFF, "sequence": 9, "payload": PAYLOAD}
    for manner in honest:
        forged = fields(manner)
        assert [name for name in honest if forged[name] != honest[name]] == [manner]


@pytest.mark.parametrize("manner", ["source", "id", "sequence", "payload", "thrice"])
def test_a_forgery_reaches_whom_it_is_meant_for(lab: Lab, manner: str) -> None:
    lab.faults.dead("nat-c")
    with ping_spoofer(lab, "nat-a", ZONE_C.heartbeat, manner):
        before = icmp_count(lab, "nat-a", "InEchoReps")
        can_ping(lab, "nat-a", ZONE_C.heartbeat)
        assert icmp_count(lab, "nat-a", "InEchoReps") - before == (3 if manner == "thrice" else 1)


def test_a_faithful_spoofer_is_taken_for_the_peer_even_by_nathb(lab: Lab) -> None:
    pair = Pair(lab).settle()
    with ping_spoofer(lab, "nat-a", ZONE_C.heartbeat, "faithful") as spoofer:
        lab.crash("nat-c")
        assert can_ping(lab, "nat-a", ZONE_C.heartbeat)
        answered = spoofer.said("answered")
        wait_until("it answers on", lambda: spoofer.said("answered") >= answered + 20, 10.0)
        assert pair.verdict("nat-a", "nat-c") == "up"
    pair.wait_holder("c", "nat-a", within=10.0)


def test_the_name_server_answers_until_it_is_frozen(lab: Lab) -> None:
    def look_up(name: str) -> str:
        return lab.run("nat-a", [sys.executable, "-c", LOOK_UP, name]).stdout.strip()

    with name_server(lab, {"uplink.example": "1.1.1.1"}, "nat-a") as server:
        assert look_up("uplink.example") == "1.1.1.1"
        assert look_up("other.example") == "Name or service not known"
        server.freeze()
        assert look_up("uplink.example") == "Temporary failure in name resolution"
        server.freeze(on=False)
        assert look_up("uplink.example") == "1.1.1.1"
