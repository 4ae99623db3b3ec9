"""A network of one's own, and the means to answer checks in it, honestly or not."""

from __future__ import annotations

import ctypes
import os
import select
import socket
import struct
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nathb.net.echo import Echo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from nathb.net.icmp import IcmpWire

PATIENCE = 10.0
"""Seconds after which a wait has failed. No test that passes gets anywhere near it."""

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def fresh_network() -> Iterator[None]:
    """Put this thread, and what it starts, into a new network namespace; afterwards back."""
    with Path("/proc/thread-self/ns/net").open() as home:
        _checked(_libc.unshare(_CLONE_NEWNET))
        try:
            if Path("/proc/sys/net/ipv6").exists():  # where the machine has turned it off, too
                sysctl("net.ipv6.conf.all.disable_ipv6", "0")
            run("ip link set lo up")
            yield
        finally:
            _checked(_libc.setns(home.fileno(), _CLONE_NEWNET))


def _checked(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def run(command: str) -> None:
    subprocess.run(command.split(), check=True, timeout=PATIENCE)


def nft(rules: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True, timeout=PATIENCE)


def sysctl(name: str, value: str) -> None:
    Path("/proc/sys", *name.split(".")).write_text(value)


def allow_ping_sockets() -> None:
    sysctl("net.ipv4.ping_group_range", "0 0")


def hush() -> None:
    """Keep the kernel from answering, so that the test can."""
    sysctl("net.ipv4.icmp_echo_ignore_all", "1")


def listen(wire: IcmpWire, enough: Callable[[list[int]], bool]) -> list[int]:
    """Receive until `enough` is true of all tickets that came; return them."""
    tickets: list[int] = []
    while not enough(tickets):
        assert readable(*wire.filenos()), f"silence after {tickets}, {wire.strays} strays"
        tickets += wire.receive()
    return tickets


def readable(*filenos: int, within: float = PATIENCE) -> bool:
    return bool(select.select(filenos, [], [], within)[0])


class Request(NamedTuple):
    source: str
    target: str
    echo: Echo


class Tap:
    """Reads the echo requests that reach this network's hosts, and sends replies of any make."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self._socket.setsockopt(255, 1, struct.pack("=I", 0xFFFFFFFF & ~(1 << 8)))

    def request(self) -> Request:
        assert readable(self._socket.fileno()), "no echo request came by"
        packet, (source, _) = self._socket.recvfrom(2048)
        echo = Echo(*struct.unpack("!HH", packet[24:28]), packet[28:])
        return Request(source, socket.inet_ntoa(packet[16:20]), echo)

    def reply(self, request: Request, *, source: str = "", **changed: int | bytes) -> None:
        """Answer a request; `source` and the echo's fields as given, honest where not given."""
        fields = {name: getattr(request.echo, name) for name in Echo.__struct_fields__}
        message = icmp(0, Echo(**{**fields, **changed}))
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as forger:
            forger.bind((source or request.target, 0))
            forger.sendto(message, (request.source, 0))

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Tap:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def icmp(kind: int, echo: Echo, code: int = 0) -> bytes:
    """An ICMP message with its checksum (RFC 1071)."""
    body = struct.pack("!HH", echo.id, echo.sequence) + echo.payload
    words = struct.pack("!BBH", kind, code, 0) + body + b"\0" * (len(body) % 2)
    total = sum(word for (word,) in struct.iter_unpack("!H", words))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!BBH", kind, code, ~total & 0xFFFF) + body
