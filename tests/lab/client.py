"""What one client of the NATs lives through: what came back, through whom, and the silences."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.datagrams import INTERVAL, RECORD
from tests.lab.machine import wait_until
from tests.lab.pace import Pace, heard_after
from tests.lab.record_file import RecordFile
from tests.lab.silence import Silence, check_control, freezes, longest, silences


@dataclass(frozen=True)
class Arrival:
    """One datagram that came back. Monotonic seconds; `via` is the NAT whose address it wore."""

    sent: float
    heard: float
    via: str


class Client:
    """Reads the records of one client process, which goes on writing them."""

    def __init__(self, name: str, notes: Path, names: Mapping[str, str], pace: Pace) -> None:
        """`names` has a NAT's name per public address."""
        self.name = name
        self._records = RecordFile(notes, RECORD)
        self._names = names
        self._pace = pace
        self._arrivals: list[Arrival] = []
        self._control: list[float] = []

    def arrivals(self, since: float = 0.0) -> list[Arrival]:
        """All that came back since, in the order in which it came."""
        self._read()
        return [one for one in self._arrivals if one.heard >= since]

    def control(self) -> list[float]:
        """When something came back from the router, whom no route table leads to or away from."""
        self._read()
        return self._control

    def silences(self, since: float, longer_than: float = 0.1) -> list[Silence]:
        """Every silence of more than `longer_than` seconds, one that lasts still included."""
        heard = [one.heard for one in self.arrivals(since)]
        every = silences(heard, since, time.monotonic())
        return [one for one in every if one.length > longer_than]

    def outage(self, since: float | None = None) -> float:
        """The longest silence in seconds since then (default: since the first answer).

        Without the time in which the control was silent too: that is this machine's.
        """
        return self._longest(since, ())

    def takeover(self, since: float) -> float:
        """The same without the time in which the daemons had to wait for a CPU as well."""
        return self._longest(since, self._pace.freezes(since))

    def _longest(self, since: float | None, frozen: Sequence[Silence]) -> float:
        until = time.monotonic()
        beats = heard_after(self.control, until)
        heard = [one.heard for one in self.arrivals()]
        since = since if since is not None else max(heard[:1] + beats[:1])
        own = freezes(beats, INTERVAL, since, until)
        check_control(own, heard, INTERVAL)
        return longest(heard, [*own, *frozen], since, until)

    def _read(self) -> None:
        for sent, heard, address, by_control in self._records.new_records():
            if by_control:
                self._control.append(heard)
            else:
                seen_as = socket.inet_ntoa(address)
                self._arrivals.append(Arrival(sent, heard, self._names.get(seen_as, seen_as)))

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

    def wait_served(self, via: str | None = None, within: float = 15.0) -> float:
        """Wait until something comes back (through that NAT); the monotonic second of the first."""
        start = time.monotonic()

        def first() -> float | None:
            fresh = (one for one in self.arrivals(start) if via in (None, one.via))
            return next((one.heard for one in fresh), None)

        through = f" through {via}" if via else ""
        return wait_until(f"{self.name} is served{through}", first, within)
