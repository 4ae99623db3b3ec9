"""Checks by TCP: a connection is opened, and closed as soon as it stands.

For firewalls that let pings pass and connections not. Only an accepted connection counts: a reset
may come from a firewall on the way (`reject with tcp reset`) as well as from the far end.

There is no clock here, and nothing waits.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from ipaddress import ip_address
from itertools import count
from typing import Self

from nathb.core.errors import BlindError
from nathb.core.text import host_of, port_of
from nathb.net.sockets import bind_to_interface

MOST = 256
"""Connections being opened at once: well inside the usual limit of 1024 descriptors."""

FIXES = {
    errno.EMFILE: "raise LimitNOFILE= of the service",
    errno.ENFILE: "raise sysctl fs.file-max",
    errno.EADDRNOTAVAIL: "give this machine the address that the file calls its source",
    errno.ENETUNREACH: "give this machine a route to it, as `ip route get` would show",
    errno.EHOSTUNREACH: "give this machine a route to it, as `ip route get` would show",
    errno.ENODEV: "correct `interface:`, or bring the interface up (`ip link`)",
    errno.EPERM: "let TCP out through this machine's firewall (`nft list ruleset`)",
    errno.EACCES: "let TCP out through this machine's firewall (`nft list ruleset`)",
}


class TcpWire:
    """Overlapping TCP checks, for one single-threaded loop. Tickets are negative numbers."""

    def __init__(self) -> None:
        self._numbers = count(-1, -1)
        self._open: dict[int, socket.socket] = {}
        self._tickets: dict[int, int] = {}
        self._epoll = select.epoll()

    def send(self, target: str, source: str = "", interface: str = "") -> int:
        """Begin a connection to `tcp://ADDRESS:PORT`; return the ticket of this check.

        It leaves from `source`, if one is given that is of the same family, and by `interface`, if
        one is given, whatever the machine's routes say. BlindError when
        nothing has left this machine; its message names the target, the errno and the fix.
        """
        address = ip_address(host_of(target))
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        if len(self._open) >= MOST:
            raise _blind(target, OSError(errno.EMFILE, f"{MOST} connections are being opened"))
        try:
            one = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            raise _blind(target, error) from error
        try:
            if interface:
                bind_to_interface(one, interface)
            if source and ip_address(source).version == address.version:
                one.bind((source, 0))
            one.connect((str(address), port_of(target)))
        except BlockingIOError:
            pass
        except OSError as error:
            one.close()
            raise _blind(target, error) from error
        ticket = next(self._numbers)
        self._epoll.register(one.fileno(), select.EPOLLOUT)
        self._open[ticket], self._tickets[one.fileno()] = one, ticket
        return ticket

    def receive(self) -> list[int]:
        """Return the tickets whose connection stands, each once, without waiting."""
        heard = []
        for fileno, _ in self._epoll.poll(0):
            ticket = self._tickets[fileno]
            if self._open[ticket].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                heard.append(ticket)
            self.forget(ticket)
        return heard

    def forget(self, ticket: int) -> None:
        """Give up a connection. Unknown tickets are fine."""
        one = self._open.pop(ticket, None)
        if one is not None:
            del self._tickets[one.fileno()]
            self._epoll.unregister(one.fileno())  # as in `icmp`: a child may keep it alive
            one.close()

    def filenos(self) -> tuple[int, ...]:
        """Return the descriptors to select for reading; they stay the same until `close`."""
        return (self._epoll.fileno(),)

    def close(self) -> None:
        """Give up every connection."""
        for ticket in list(self._open):
            self.forget(ticket)
        self._epoll.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _blind(target: str, error: OSError) -> BlindError:
    number = error.errno or 0
    name = errno.errorcode.get(number, "no errno")
    fix = FIXES.get(number, "see connect(2)")
    cause = error.strerror or os.strerror(number)
    return BlindError(f"{target}: connection not begun: {name} ({cause}): {fix}")
