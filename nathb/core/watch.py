"""Detection: which checks are due, what their outcomes add up to, and how fast to ask.

While all is settled, heartbeats and uplinks are asked every `interval`. As soon as anything is in
doubt (a missed check, a lost pulse, a path not yet decided), *everything* is asked every
`fast_interval`, the uplink too: distrust yourself before you accuse a peer.

This room keeps evidence but touches no socket and no clock. It says which paths are due; whoever
sends tells it what became of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nathb.core.health import Limit, limits, together
from nathb.core.model import Evidence, Timers, Verdict
from nathb.core.path import Path, Pulse

UPLINK = "uplink"


class Subject:
    """The uplink, or one peer: UP if any of its addresses answers."""

    def __init__(self, name: str, paths: Iterable[Path], now: float) -> None:
        self.name = name
        self.paths = list(paths)
        self.verdict = Verdict.UNKNOWN
        self.since = now
        self.hastened = False
        self.gone = False

    def conclude(self, now: float) -> None:
        """Bring the verdict up to date with the paths that can say anything."""
        verdict = together([path.health.verdict for path in self.paths if path.speaks])
        if verdict is not self.verdict:
            self.verdict, self.since = verdict, now


class Watch:
    """All paths of one node. Times in seconds; every method that takes `now` acts as of then.

    `heartbeats` has each peer's addresses; `source` is the address that asks them, if it is not
    the usual one.
    """

    def __init__(
        self, timers: Timers, heartbeats: dict[str, tuple[str, ...]], now: float, source: str = ""
    ) -> None:
        self.timers = timers
        self._limits = {hastened: limits(timers, hastened=hastened) for hastened in (False, True)}
        self.uplink = Subject(UPLINK, (), now)
        self.peers = {
            name: Subject(name, [Path(name, address, source) for address in addresses], now)
            for name, addresses in heartbeats.items()
        }
        self._subjects = (self.uplink, *self.peers.values())
        self._paths = [path for subject in self._subjects for path in subject.paths]
        self.pulses: dict[str, Pulse] = {}
        self.tickets: dict[int, Path | Pulse] = {}
        self.dropped: list[int] = []
        """Tickets of checks that nobody waits for any more; whoever sends takes them away."""
        for path in self._heartbeats():
            path.void = True  # until a view shows that it is pinned to its peer

    # --- what to watch ----------------------------------------------------------------------

    def set_uplink(self, addresses: Iterable[str]) -> None:
        """Watch these addresses as the uplink; what is already watched keeps its evidence."""
        known = {path.address: path for path in self.uplink.paths}
        kept = [known.get(address) or Path(UPLINK, address) for address in addresses]
        self._drop(path for path in self.uplink.paths if path not in kept)
        self.uplink.paths = kept
        self._paths = [*kept, *self._heartbeats()]

    def set_pulse(self, node: str, address: str) -> None:
        """Send the peer's pulse there; nothing changes when that is where it goes already."""
        known = self.pulses.get(node)
        if self.timers.pulse > 0 and address and (known is None or known.address != address):
            if known is not None and known.ticket is not None:
                self._give_up([known.ticket])
            self.pulses[node] = Pulse(node, address)

    def set_pins(self, good: Iterable[tuple[str, str]]) -> None:
        """Say which (node, address) pairs are pinned; every other heartbeat is void (R12)."""
        pinned = set(good)
        for path in self._heartbeats():
            void = (path.subject, path.address) not in pinned
            if void is not path.void:
                self._drop([path])
                path.restart()
                path.void = void

    def set_hastened(
        self, hastened: Iterable[str], gone: Iterable[str], gone_at: float = float("inf")
    ) -> None:
        """Say of which peers EC2 has bad news: one missed check is then enough (R13).

        That they are gone was seen at `gone_at`; a node heard since then is back.
        """
        bad, lost = set(hastened), set(gone)
        for subject in self.peers.values():
            heard = [path.heard_at for path in subject.paths if path.heard_at is not None]
            subject.gone = subject.name in lost and max(heard, default=gone_at) <= gone_at
            before, subject.hastened = subject.hastened, subject.name in bad or subject.gone
            if subject.hastened is not before:
                for path in subject.paths:
                    path.judge(self._needed(subject))

    def restart(self, now: float) -> None:
        """Forget everything in flight and every streak: this process was not there (R14)."""
        self._give_up(list(self.tickets))
        for subject in self._subjects:
            for path in subject.paths:
                path.restart()
            subject.conclude(now)
        for pulse in self.pulses.values():
            pulse.restart()

    # --- what to send -----------------------------------------------------------------------

    @property
    def suspecting(self) -> bool:
        """Whether anything is in doubt, so that all is asked fast."""
        for path in self._paths:
            if not path.settled:
                return True
        for pulse in self.pulses.values():
            if pulse.alarming and self.peers[pulse.node].verdict is not Verdict.DOWN:
                return True
        return False

    def ask(self, node: str) -> None:
        """Make the next check of this peer due at once, whatever the pace."""
        for path in self.peers[node].paths:
            path.ask_now()

    def due(self, now: float) -> list[Path | Pulse]:
        """Return what is to be asked now."""
        pace = self._pace()
        paths = [path for path in self._paths if not path.void and path.due_at(pace) <= now]
        pulses = [pulse for pulse in self.pulses.values() if self._pulse_due(pulse) <= now]
        return [*paths, *pulses]

    def asked(self, asked: Path | Pulse, ticket: int, now: float) -> None:
        """Note that a check or pulse is on its way."""
        self.tickets[ticket] = asked
        asked.asked(ticket, now)

    def could_not_ask(self, asked: Path | Pulse, why: str, now: float) -> None:
        """Note one that could not be sent; a pulse has nothing to say then, a check is Blind."""
        if isinstance(asked, Pulse):
            asked.asked(None, now)
        else:
            asked.could_not_ask(why, now)

    def wake_at(self) -> float:
        """When something is due next; infinity when nothing will be."""
        pace, timeout = self._pace(), self.timers.timeout
        times = [path.due_at(pace) for path in self._paths if not path.void]
        times += [self._pulse_due(pulse) for pulse in self.pulses.values()]
        for path in self._paths:
            times += [sent_at + timeout for sent_at in path.in_flight.values()]
        times += [self._pulse_deadline(p) for p in self.pulses.values() if p.ticket is not None]
        return min(times, default=float("inf"))

    # --- what came of it --------------------------------------------------------------------

    def heard(self, ticket: int, now: float) -> list[int]:
        """Take in an answer; return the tickets that need no answer any more.

        An unknown ticket is one that was given up already: it changes nothing.
        """
        asked = self.tickets.get(ticket)
        if asked is None:
            return []
        if isinstance(asked, Pulse):
            del self.tickets[ticket]
            if asked.heard() and self.peers[asked.node].verdict is Verdict.DOWN:
                self.ask(asked.node)
            return []
        subject = self._subject(asked.subject)
        over = asked.heard(ticket, self._needed(subject))
        for other in over:
            del self.tickets[other]
        subject.conclude(now)
        pulse = self.pulses.get(asked.subject)
        if pulse is not None and asked.heard_at is not None:
            pulse.contradicted(asked.heard_at, self.timers.rise)
        return over

    def expire(self, now: float) -> list[int]:
        """Count what is overdue as Missed; return the tickets given up."""
        over: list[int] = []
        for subject in self._subjects:
            for path in subject.paths:
                for ticket in path.overdue(now, self.timers.timeout):
                    path.missed(ticket, self._needed(subject))
                    over.append(ticket)
        self.conclude(now)
        for pulse in self.pulses.values():
            if pulse.ticket is not None and self._pulse_deadline(pulse) <= now:
                over.append(pulse.ticket)
                pulse.missed()
        for ticket in over:
            del self.tickets[ticket]
        return over

    def conclude(self, now: float) -> None:
        """Bring all verdicts up to date with what was heard, missed, pinned and hastened."""
        for subject in self._subjects:
            subject.conclude(now)

    def evidence(self, name: str) -> Evidence:
        """Sum up how the uplink or a peer stands, for the rules to go by."""
        subject = self._subject(name)
        paths = [path for path in subject.paths if path.speaks]
        silences = [path.silent_since for path in paths]
        silent = [since for since in silences if since is not None]
        silent_since = max(silent) if silent and len(silent) == len(paths) else None
        pulse = self.pulses.get(name)
        signs = [silent_since, pulse.lost_since if pulse and pulse.alarming else None]
        needed = self._needed(subject)[Limit.FALL]
        return Evidence(
            verdict=subject.verdict,
            since=subject.since,
            heard_at=max([p.heard_at for p in paths if p.heard_at is not None], default=None),
            silent_since=silent_since,
            doubted_since=min([sign for sign in signs if sign is not None], default=None),
            addresses=tuple([path.address for path in paths]),
            missed=min([needed, *[path.misses for path in paths]]) if paths else 0,
            needed=needed,
            hastened=subject.hastened,
            gone=subject.gone,
            blind=next((path.blind for path in subject.paths if path.blind), ""),
        )

    # --- how --------------------------------------------------------------------------------

    def _subject(self, name: str) -> Subject:
        return self.uplink if name == UPLINK else self.peers[name]

    def _heartbeats(self) -> Iterator[Path]:
        return (path for subject in self.peers.values() for path in subject.paths)

    def _needed(self, subject: Subject) -> dict[Limit, int]:
        return self._limits[subject.hastened]

    def _pace(self) -> float:
        return self.timers.fast_interval if self.suspecting else self.timers.interval

    def _pulse_due(self, pulse: Pulse) -> float:
        if pulse.ticket is not None:
            return float("inf")
        return float("-inf") if pulse.sent_at is None else pulse.sent_at + self.timers.pulse

    def _pulse_deadline(self, pulse: Pulse) -> float:
        return float("inf") if pulse.sent_at is None else pulse.sent_at + self.timers.pulse_timeout

    def _drop(self, paths: Iterable[Path]) -> None:
        self._give_up([ticket for path in paths for ticket in path.in_flight])

    def _give_up(self, tickets: list[int]) -> None:
        for ticket in tickets:
            del self.tickets[ticket]
        self.dropped += tickets
