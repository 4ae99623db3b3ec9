"""What one client of the NATs lives through: what came back, through whom, and the silences."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.lab.datagrams import INTERVAL, RECORD
from tests.lab.machine import wait_until


@dataclass(frozen=True)
class Arrival:
    """One datagram that came back. Monotonic seconds; `via` is the NAT whose address it wore."""

    sent: float
    heard: float
    via: str


@dataclass(frozen=True)
class Silence:
    """A time in which nothing came back. Monotonic seconds."""

    start: float
    end: float

    @property
    def length(self) -> float:
        return self.end - self.start


class Client:
    """Reads the notes of one client process, which goes on writing them."""

    def __init__(self, name: str, notes: Path, names: Mapping[str, str]) -> None:
        """`names` has a NAT's name per public address."""
        self.name = name
        self._notes = notes
        self._names = names
        self._read = 0
        self._arrivals: list[Arrival] = []

    def arrivals(self, since: float = 0.0) -> list[Arrival]:
        """All that came back since, in the order in which it came."""
        with self._notes.open("rb") as notes:
            notes.seek(self._read)
            fresh = notes.read()
        whole = len(fresh) // RECORD.size * RECORD.size
        self._read += whole
        for sent, heard, address in RECORD.iter_unpack(fresh[:whole]):
            seen_as = socket.inet_ntoa(address)
            self._arrivals.append(Arrival(sent, heard, self._names.get(seen_as, seen_as)))
        return [one for one in self._arrivals if one.heard >= since]

    def silences(self, since: float | None = None, longer_than: float = 0.1) -> list[Silence]:
        """Every silence of more than `longer_than` seconds, one that lasts still included."""
        heard = [one.heard for one in self.arrivals(since or 0.0)]
        start = since if since is not None else (heard or [time.monotonic()])[0]
        gaps = pairwise([start, *heard, time.monotonic()])
        return [Silence(a, b) for a, b in gaps if b - a > longer_than]

    def outage(self, since: float | None = None) -> float:
        """The longest silence in seconds since then (default: since the first answer)."""
        return max((one.length for one in self.silences(since, longer_than=0.0)), default=0.0)

    def via(self, within: float = 0.2) -> str | None:
        """The NAT that the latest answer came through, if it came in the last `within` seconds."""
        recent = self.arrivals(time.monotonic() - within)
        return recent[-1].via if recent else None

    def served(self, within: float = 0.2) -> bool:
        """Whether anything came back in the last `within` seconds."""
        return self.via(within) is not None

    def answered(self, since: float, until: float | None = None) -> float:
        """The part, 0 to 1, that came back of what was sent between two monotonic seconds."""
        until = until if until is not None else time.monotonic()
        back = sum(1 for one in self.arrivals(since) if since <= one.sent < until)
        return back / max(1.0, (until - since) / INTERVAL)

    def wait_served(self, via: str | None = None, within: float = 5.0) -> float:
        """Wait until something comes back (through that NAT); the monotonic second of the first."""
        start = time.monotonic()

        def first() -> float | None:
            fresh = (one for one in self.arrivals(start) if via in (None, one.via))
            return next((one.heard for one in fresh), None)

        through = f" through {via}" if via else ""
        return wait_until(f"{self.name} is served{through}", first, within)
