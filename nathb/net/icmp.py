"""The wire: overlapping ICMP echo checks, and which of them have been answered.

A reply counts when source, id, sequence and payload are all those of a check still open. The
payload is random and never leaves the path of the check, so whoever is not on that path cannot
answer for it. Errors (unreachable, time exceeded) are no replies: silence is the caller's to time.

Every check is a new flow. Connection tracking keys an ICMP flow by addresses and id. A NAT whose
masquerade rule has gone, but whose firewall is stateful, goes on translating the flows it knows,
and each packet prolongs them (nf_conntrack_icmp_timeout, 30 s). Checks under one id would keep
on hearing a NAT that serves no new client.

- Raw sockets, one per address family and source: ids count up from a random start, so that none
  comes back before 65536 checks have gone out, where random ids would meet a flow still alive now
  and then.
- Ping sockets: the kernel gives each socket one id, counting up likewise, so each check has its
  own socket, closed as soon as the check is. `_PING_SOCKETS` bounds them.

There is no clock here, and nothing waits.
"""

from __future__ import annotations

import errno
import os
import secrets
import select
from ipaddress import ip_address
from itertools import count
from typing import TYPE_CHECKING, Self

from msgspec import Struct

from nathb.core.errors import BlindError
from nathb.core.text import is_address
from nathb.net.echo import Arrival, Echo
from nathb.net.sockets import EchoSocket, open_socket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PAYLOAD = 16
_DRAIN = 256
"""Datagrams read from one socket in one call, so that a flood cannot hold the loop."""

_PING_SOCKETS = 256
"""Ping sockets open at once: well inside the usual limit of 1024 descriptors."""


class _Check(Struct, frozen=True):
    """An echo request under way: the one arrival that answers it, and the socket it left by."""

    answer: Arrival
    socket: EchoSocket


class IcmpWire:
    """Overlapping ICMP echo checks, for one single-threaded loop.

    `strays` counts the datagrams that answered no open check: forged, duplicated, late, or
    meant for another program. `opener` gives a socket for IP version 4 or 6, a source address and
    an interface, each empty for the kernel's choice, or raises OSError.
    """

    def __init__(self, opener: Callable[[int, str, str], EchoSocket] = open_socket) -> None:
        self.strays = 0
        self._opener = opener
        self._ids = count(secrets.randbits(16))
        self._numbers = count(1)
        self._raw: dict[tuple[int, str, str], EchoSocket] = {}
        self._watched: dict[int, EchoSocket] = {}
        self._checks: dict[int, _Check] = {}
        self._tickets: dict[Arrival, int] = {}
        # Sockets come and go with the checks. An epoll(7) descriptor is itself pollable, and
        # so gives the loop's selector one descriptor that stays.
        self._epoll = select.epoll()

    def send(self, address: str, source: str = "", interface: str = "") -> int:
        """Send one echo request to an IP address; return the ticket of this check.

        It leaves from `source`, an address of this machine, if one is given that is of the same
        family; else from the address that the kernel chooses. It leaves by `interface`, if one is
        given, whatever the machine's routes say.
        The check stays open until `receive` returns its ticket or `forget` is called with it.
        BlindError when no request has left this machine; its message names the address, the
        errno and the fix. What could not be opened is tried again at the next call.
        """
        if not is_address(address):
            raise BlindError(f"{address}: cannot be pinged: give an IP address without a zone")
        target = ip_address(address)
        kind = target.version, _of_family(source, target.version), interface
        try:
            socket = self._socket(*kind)
        except OSError as error:
            raise BlindError(_blind(address, "no ICMP socket", error, _OPEN_FIXES)) from error
        request = Echo(
            next(self._ids) & 0xFFFF, secrets.randbits(16), secrets.token_bytes(_PAYLOAD)
        )
        try:
            sent = socket.send(str(target), request)
        except OSError as error:
            if interface and error.errno in _INTERFACE_GONE and kind in self._raw:
                del self._raw[kind]
                self._end(socket)  # it stays bound to what is gone, even if that comes back
            else:
                self._release(socket)
            raise BlindError(_blind(address, "request not sent", error, _SEND_FIXES)) from error
        ticket = next(self._numbers)
        check = _Check(Arrival(target, sent), socket)
        self._checks[ticket] = check
        self._tickets[check.answer] = ticket
        return ticket

    def receive(self) -> list[int]:
        """Return the tickets whose reply has come since, each once, without waiting.

        Call it again while a descriptor of `filenos` is readable: a call reads a bounded number.
        """
        heard = []
        for fileno, _ in self._epoll.poll(0):
            socket = self._watched.get(fileno)
            if socket is None:
                continue  # closed a moment ago in this very loop: its reply came in elsewhere
            for arrival in socket.read(_DRAIN):
                ticket = self._tickets.get(arrival)
                if ticket is None:
                    self.strays += 1
                else:
                    heard.append(ticket)
                    self.forget(ticket)
        return heard

    def forget(self, ticket: int) -> None:
        """Close a check: what comes for it later is a stray. Unknown tickets are fine."""
        check = self._checks.pop(ticket, None)
        if check is not None:
            del self._tickets[check.answer]
            self._release(check.socket)

    def filenos(self) -> tuple[int, ...]:
        """Return the descriptors to select for reading; they stay the same until `close`."""
        return (self._epoll.fileno(),)

    def close(self) -> None:
        """Close every socket and forget every check."""
        for socket in self._watched.values():
            socket.close()
        for known in (self._raw, self._watched, self._checks, self._tickets):
            known.clear()
        self._epoll.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _socket(self, version: int, source: str, interface: str) -> EchoSocket:
        """Return the raw socket of this kind, or a ping socket for one check."""
        if (version, source, interface) in self._raw:
            return self._raw[version, source, interface]
        if len(self._watched) >= _PING_SOCKETS:
            raise OSError(errno.EMFILE, f"{_PING_SOCKETS} ping sockets are in use")
        socket = self._opener(version, source, interface)
        self._epoll.register(socket.fileno(), select.EPOLLIN)
        self._watched[socket.fileno()] = socket
        if socket.raw:
            self._raw[version, source, interface] = socket
        return socket

    def _release(self, socket: EchoSocket) -> None:
        """Close the ping socket of a check that is over; raw sockets serve on."""
        if not socket.raw:
            self._end(socket)

    def _end(self, socket: EchoSocket) -> None:
        # Closing alone would do, were it not for a child process between fork and exec, which
        # keeps the socket alive and with it a place in the epoll set that nobody can name.
        self._epoll.unregister(socket.fileno())
        del self._watched[socket.fileno()]
        socket.close()


def _of_family(source: str, version: int) -> str:
    return source if source and ip_address(source).version == version else ""


_PERMIT = (
    "give the service AmbientCapabilities=CAP_NET_RAW (or the interpreter `setcap cap_net_raw+ep`),"
    " or let its group into sysctl net.ipv4.ping_group_range"
)
_INTERFACE_GONE = {errno.ENODEV, errno.ENXIO}
_INTERFACE = "correct `interface:`, or bring the interface up (`ip link`)"
_DESCRIPTORS = "give the service CAP_NET_RAW, which takes one socket, or raise LimitNOFILE="
_OPEN_FIXES = {
    errno.EPERM: _PERMIT,
    errno.EACCES: _PERMIT,
    errno.EMFILE: _DESCRIPTORS,
    errno.ENFILE: "raise sysctl fs.file-max",
    errno.EADDRNOTAVAIL: "give this machine the address that the file calls its source",
    errno.ENODEV: _INTERFACE,
    errno.EAFNOSUPPORT: "this machine has no such address family: name an address of the other",
}
_ROUTE = "give this machine a route to it, as `ip route get` would show"
_QUEUE = "see whether this machine's interface is saturated (`tc -s qdisc`) or short of memory"
_SEND_FIXES = {
    errno.EPERM: "let ICMP echo requests out through this machine's firewall (`nft list ruleset`)",
    errno.EACCES: "name a unicast address that no `prohibit` route covers",
    errno.ENETUNREACH: _ROUTE,
    errno.EHOSTUNREACH: _ROUTE,
    errno.EINVAL: _ROUTE,
    errno.EADDRNOTAVAIL: "give this machine an address of that family",
    errno.ENETDOWN: "bring the interface up (`ip link`)",
    errno.ENODEV: _INTERFACE,
    errno.ENXIO: _INTERFACE,
    errno.ENOBUFS: _QUEUE,
    errno.ENOMEM: _QUEUE,
    errno.EAGAIN: _QUEUE,
}


def _blind(address: str, what: str, error: OSError, fixes: Mapping[int, str]) -> str:
    """Say what kept a request from leaving: address, errno and fix."""
    number = error.errno or 0
    name = errno.errorcode.get(number, "no errno")
    fix = fixes.get(number, "see errno(3) and sendto(2)")
    return f"{address}: {what}: {name} ({error.strerror or os.strerror(number)}): {fix}"
