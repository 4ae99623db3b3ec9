"""Echo replies as they stand in a datagram: pure functions from bytes, which never raise.

An echo reply is type, code, checksum, id, sequence and payload (RFC 792 for IPv4, RFC 4443 for
IPv6). The checksum is not checked: whatever it covers, apart from type and code, is compared
whole with what was sent, and a random payload guards better than sixteen bits of sum.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

from msgspec import Struct

_HEADER = struct.Struct("!BBHHH")
_REPLY = 0
_REPLY_V6 = 129

_IP_HEADER_MIN = 20
_IP_PROTOCOL = 9
_ICMP = 1


class Echo(Struct, frozen=True):
    """What a request carries and its reply must bring back, each in full."""

    id: int
    sequence: int
    payload: bytes


class Arrival(Struct, frozen=True):
    """A datagram that came in: who sent it, and its echo, None when it was no echo reply."""

    source: IPv4Address | IPv6Address
    echo: Echo | None


def from_icmp(message: bytes) -> Echo | None:
    """Read an ICMP message as ping sockets deliver it; None unless it is an echo reply."""
    return _read(message, _REPLY)


def from_icmpv6(message: bytes) -> Echo | None:
    """Read an ICMPv6 message, which comes bare from every socket; None unless an echo reply."""
    return _read(message, _REPLY_V6)


def from_ipv4(packet: bytes) -> Echo | None:
    """Read an IPv4 packet as raw(7) sockets deliver it; None unless it holds an echo reply.

    The header may carry options, so its own length field says where the message starts.
    """
    if len(packet) < _IP_HEADER_MIN or packet[_IP_PROTOCOL] != _ICMP:
        return None
    version, words = packet[0] >> 4, packet[0] & 0x0F
    if version != 4 or words * 4 < _IP_HEADER_MIN:
        return None
    return _read(packet[words * 4 :], _REPLY)


def _read(message: bytes, reply: int) -> Echo | None:
    if len(message) < _HEADER.size:
        return None
    kind, code, _, an_id, sequence = _HEADER.unpack_from(message)
    if kind != reply or code != 0:
        return None
    return Echo(an_id, sequence, message[_HEADER.size :])
