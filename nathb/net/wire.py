"""Checks of every kind under one roof: echo requests, and connections to `tcp://` targets."""

from __future__ import annotations

from typing import Self

from nathb.core.text import is_tcp
from nathb.net.icmp import IcmpWire
from nathb.net.tcp import TcpWire


class Wire:
    """Overlapping checks, for one single-threaded loop. Methods as those of `icmp.IcmpWire`."""

    def __init__(self) -> None:
        self._icmp = IcmpWire()
        self._tcp = TcpWire()

    @property
    def strays(self) -> int:
        """How many echo replies answered no check of ours."""
        return self._icmp.strays

    def send(self, target: str, source: str = "", interface: str = "") -> int:
        """Begin one check; return its ticket. BlindError when nothing has left this machine."""
        return (self._tcp if is_tcp(target) else self._icmp).send(target, source, interface)

    def receive(self) -> list[int]:
        """Return the tickets that have been answered since, each once, without waiting."""
        return [*self._icmp.receive(), *self._tcp.receive()]

    def forget(self, ticket: int) -> None:
        """End a check: what comes for it later counts for nothing."""
        (self._tcp if ticket < 0 else self._icmp).forget(ticket)

    def filenos(self) -> tuple[int, ...]:
        """Return the descriptors to select for reading; they stay the same until `close`."""
        return (*self._icmp.filenos(), *self._tcp.filenos())

    def close(self) -> None:
        """Close every socket and forget every check."""
        self._icmp.close()
        self._tcp.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
