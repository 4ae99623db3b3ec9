"""ICMP sockets: open one, send an echo request, read what has arrived.

icmplib opens the sockets and builds the packets. It does not read them here: its `receive` waits
by the wall clock and checks neither source nor payload, so the datagrams are taken from the
socket underneath. Linux offers two kinds:

- raw(7), with CAP_NET_RAW: we choose the ICMP id, and see every echo reply that comes to this
  machine, whoever asked for it.
- the ping sockets of icmp(7), open to the groups in net.ipv4.ping_group_range (which rules
  IPv6 too): the kernel puts its own id, one per socket, into every request, and delivers only
  the replies to that id.
"""

from __future__ import annotations

import struct
from contextlib import contextmanager
from ipaddress import ip_address
from socket import IPPROTO_ICMPV6, SO_BINDTODEVICE, SO_RCVBUF, SOL_SOCKET, socket
from typing import TYPE_CHECKING

from icmplib import ICMPLibError, ICMPRequest, ICMPv4Socket, ICMPv6Socket

from nathb.net import echo
from nathb.net.echo import Arrival, Echo

if TYPE_CHECKING:
    from collections.abc import Iterator

_SOCKETS = {4: ICMPv4Socket, 6: ICMPv6Socket}
_PARSERS = {
    (4, "raw"): echo.from_ipv4,
    (4, "ping"): echo.from_icmp,
    (6, "raw"): echo.from_icmpv6,
    (6, "ping"): echo.from_icmpv6,
}

# A set bit blocks that type (linux/icmp.h, linux/icmpv6.h; Python names none of these options).
# A router hears unreachables and neighbour discovery all day; only echo replies are to wake us.
_SOL_RAW, _ICMP_FILTER, _ICMP6_FILTER = 255, 1, 1
_ALL = 0xFFFFFFFF
_BLOCKED = [_ALL & ~(1 << (129 % 32)) if word == 129 // 32 else _ALL for word in range(8)]
_ONLY_REPLIES = {
    4: (_SOL_RAW, _ICMP_FILTER, struct.pack("=I", _ALL & ~1)),
    6: (IPPROTO_ICMPV6, _ICMP6_FILTER, struct.pack("=8I", *_BLOCKED)),
}

_RECEIVE_BUFFER = 256 * 1024
"""Bytes; several hundred replies. The kernel takes what net.core.rmem_max allows of it."""

_READ = 256
"""Bytes read of a datagram: the longest IPv4 header, a message of ours, and enough to see that
a payload is longer than any that we sent."""


class EchoSocket:
    """One non-blocking ICMP socket for IPv4 or IPv6 (`version` 4 or 6), of either kind.

    What it sends leaves from `source`, an address of this machine, or from the one that the
    kernel chooses, and by `interface`, if one is given: socket(7), SO_BINDTODEVICE. Every method
    raises OSError, errno and all, where the kernel refuses.
    """

    def __init__(self, version: int, source: str = "", interface: str = "", *, raw: bool) -> None:
        self.raw = raw
        self._parse = _PARSERS[version, "raw" if raw else "ping"]
        with _errno_kept():
            self._icmp = _SOCKETS[version](privileged=raw)
        try:
            self._icmp.blocking = False
            self._icmp.sock.setsockopt(SOL_SOCKET, SO_RCVBUF, _RECEIVE_BUFFER)
            if raw:
                self._icmp.sock.setsockopt(*_ONLY_REPLIES[version])
            if interface:
                bind_to_interface(self._icmp.sock, interface)
            if source:
                self._icmp.sock.bind((source, 0))
        except OSError:
            self.close()
            raise

    def send(self, address: str, request: Echo) -> Echo:
        """Send one echo request to an IP address; return it as it left, with the kernel's id."""
        packet = ICMPRequest(address, request.id, request.sequence, request.payload)
        with _errno_kept():
            self._icmp.send(packet)
        return Echo(packet.id, request.sequence, request.payload)

    def read(self, limit: int) -> list[Arrival]:
        """Take up to `limit` datagrams that have arrived, without waiting for any."""
        arrivals = []
        for _ in range(limit):
            try:
                datagram, (source, *_) = self._icmp.sock.recvfrom(_READ)
            except BlockingIOError:
                break
            except OSError:
                # An error was pending on the socket. Reading has cleared it, and it is no reply.
                continue
            arrivals.append(Arrival(ip_address(source), self._parse(datagram)))
        return arrivals

    def fileno(self) -> int:
        """Return the descriptor to poll for reading."""
        return int(self._icmp.sock.fileno())

    def close(self) -> None:
        """Close the socket; it is of no use afterwards."""
        self._icmp.close()


def open_socket(version: int, source: str, interface: str = "") -> EchoSocket:
    """Open a raw socket, or a ping socket where raw ones are not permitted; OSError for neither."""
    try:
        return EchoSocket(version, source, interface, raw=True)
    except PermissionError:
        return EchoSocket(version, source, interface, raw=False)


def bind_to_interface(one: socket, interface: str) -> None:
    """Let a socket send and receive by this interface alone; OSError, ENODEV, if it is missing."""
    one.setsockopt(SOL_SOCKET, SO_BINDTODEVICE, interface.encode() + b"\0")


@contextmanager
def _errno_kept() -> Iterator[None]:
    """Turn icmplib's errors, which are worded for people, back into the OSError behind them."""
    try:
        yield
    except ICMPLibError as error:
        cause = error.__context__
        if not isinstance(cause, OSError):
            raise OSError(None, str(error)) from error
        raise OSError(cause.errno, cause.strerror) from error
