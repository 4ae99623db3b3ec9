"""Detection: which checks are due, what their outcomes add up to, and how fast to ask.

While all is settled, heartbeats and uplinks are asked every `interval`. As soon as anything is in
doubt (a missed check, a lost pulse, a path not yet decided), *everything* is asked every
`fast_interval`, the uplink too: distrust yourself before you accuse a peer (R15).

This module keeps evidence but touches no socket and no clock. It says which paths are due; whoever
sends them reports their outcomes to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from nathb.core.awareness import Awareness
from nathb.core.health import Limit, fall, limits
from nathb.core.local_check import LocalCheck
from nathb.core.model import Evidence, Outcome, Timers, Verdict
from nathb.core.parts import evidence_of_all
from nathb.core.path import Path, Pulse
from nathb.core.subject import UPLINK, Subject
from nathb.core.text import crosses_gateway


class Expired(NamedTuple):
    """What was given up: the tickets, and how many checks and pulses were missed."""

    tickets: list[int]
    missed: int


class Prober:
    """All paths of one node. Times in seconds; every method that takes `now` acts as of then.

    `heartbeats` has each peer's addresses; `source` is the address that asks them, if it is not
    the usual one. What leaves through the VPC is bound to `interface`, if one is given:
    heartbeats, pulses, and the uplink's addresses of the internet. The others lie in a tunnel.
    `command` is the program of a check of this machine, one more part of the uplink.
    """

    def __init__(
        self,
        timers: Timers,
        heartbeats: dict[str, tuple[str, ...]],
        now: float,
        *,
        source: str = "",
        interface: str = "",
        command: tuple[str, ...] = (),
    ) -> None:
        self.timers = timers
        self.interface = interface
        self.local = LocalCheck(UPLINK, command, timers.command_timeout) if command else None
        self.awareness = Awareness()
        self.uplink = Subject(UPLINK, (), now)
        self.peers = {
            name: Subject(
                name,
                [Path(name, address, source, interface) for address in addresses],
                now,
                timers,
            )
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

    def set_uplink(self, *parts: Iterable[str]) -> None:
        """Probe these addresses as the uplink; what is already watched keeps its evidence.

        Of each part, one address must answer. An address may be in several parts.
        """
        known = {path.address: path for path in self.uplink.paths}
        divided: list[list[Path]] = [
            [known.setdefault(one, self._uplink_path(one)) for one in dict.fromkeys(part)]
            for part in parts
        ]
        kept = list(dict.fromkeys(path for part in divided for path in part))
        self._paths = [*kept, *self._heartbeats()]
        if self.local is not None:
            divided.append([self.local])
            kept.append(self.local)
        self._drop(path for path in self.uplink.paths if path not in kept)
        self.uplink.paths = kept
        if len(divided) > 1:
            before = self.uplink.parts or [Subject(UPLINK, (), self.uplink.since) for _ in divided]
            self.uplink.parts = tuple(before)
            for subject, paths in zip(before, divided, strict=True):
                subject.paths = paths

    def set_pulse(self, node: str, address: str) -> None:
        """Send the peer's pulse there; nothing changes when that is where it goes already."""
        known = self.pulses.get(node)
        if self.timers.pulse > 0 and address and (known is None or known.address != address):
            if known is not None and known.ticket is not None:
                self._give_up([known.ticket])
            self.pulses[node] = Pulse(node, address, self.interface)

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
        self,
        hastened: Iterable[str],
        gone: Iterable[str],
        now: float,
        gone_at: float = float("inf"),
    ) -> None:
        """Say of which peers EC2 has bad news: one missed check is then enough (R13).

        That they are gone was seen at `gone_at`; a node heard since then is back.
        """
        bad, lost = frozenset(hastened), frozenset(gone)
        for subject in self.peers.values():
            subject.gone = subject.name in lost and not subject.was_heard_since(gone_at)
            before, subject.hastened = subject.hastened, subject.name in bad or subject.gone
            if subject.hastened is not before:
                for path in subject.paths:
                    path.judge(self._needed(subject, now))

    def restart(self, now: float) -> None:
        """Forget everything in flight and every streak: this process was not there (R14)."""
        self._give_up(list(self.tickets))
        for subject in self._subjects:
            for path in subject.paths:
                path.restart()
        for pulse in self.pulses.values():
            pulse.restart()
        self.awareness = Awareness()
        self.conclude(now)

    # --- what to send -----------------------------------------------------------------------

    @property
    def suspecting(self) -> bool:
        """Whether anything is in doubt, so that all is asked fast."""
        for path in self._paths:  # asked several times in every round
            if not path.settled:
                return True
        if self.local is not None and not self.local.settled:
            return True
        for pulse in self.pulses.values():
            if pulse.alarming and self.peers[pulse.node].verdict is not Verdict.DOWN:
                return True
        return False

    def probe_now(self, name: str) -> None:
        """Make the next check of the uplink or a peer due at once, whatever the pace."""
        for path in self._subject(name).paths:
            path.probe_now()

    def due(self, now: float) -> list[Path | Pulse]:
        """Return what is to be asked now."""
        pace, timeout = self._pace(), self.timers.timeout
        due: list[Path | Pulse] = []
        for path in self._paths:
            if not path.void and (path.due_at(pace) <= now or path.repeat_at(timeout) <= now):
                due.append(path)
        for pulse in self.pulses.values():
            if self._pulse_due(pulse) <= now:
                due.append(pulse)
        return due

    def local_due(self, now: float) -> LocalCheck | None:
        """Return the check of this machine when it is to be run now."""
        local = self.local
        return local if local is not None and local.due_at(self._pace()) <= now else None

    def local_ended(self, outcome: Outcome, why: str, now: float) -> None:
        """Take in what came of the check of this machine; `why` says why it could not be run."""
        if self.local is not None:
            self.local.ended(outcome, why, self._needed(self.uplink, now))
            self.conclude(now)

    def sent(self, asked: Path | Pulse, ticket: int, now: float) -> None:
        """Note that a check or pulse is on its way."""
        self.tickets[ticket] = asked
        if isinstance(asked, Path) and self._repeats(asked, now):
            asked.repeated(ticket)
        else:
            asked.sent(ticket, now)

    def not_sent(self, asked: Path | Pulse, why: str, now: float) -> None:
        """Note one that could not be sent; a pulse has nothing to say then, a check is Blind."""
        if isinstance(asked, Pulse):
            asked.sent(None, now)
        elif self._repeats(asked, now):
            asked.repeat_of = None  # the check itself was sent; only its repetition was not
        else:
            asked.not_sent(why, now)

    def wake_at(self) -> float:
        """When something is due next; infinity when nothing will be."""
        pace, timeout = self._pace(), self.timers.timeout
        times: list[float] = []
        for path in self._paths:
            if not path.void:
                times.append(path.due_at(pace))
                times.append(path.repeat_at(timeout))
            for sent_at in path.in_flight.values():
                times.append(sent_at + timeout)
        if self.local is not None:
            times += (self.local.due_at(pace), self.local.overdue_at)
        for pulse in self.pulses.values():
            waits = pulse.ticket is not None
            times.append(self._pulse_deadline(pulse) if waits else self._pulse_due(pulse))
        return min(times, default=float("inf"))

    # --- what came of it --------------------------------------------------------------------

    def replied(self, ticket: int, now: float) -> list[int]:
        """Take in an answer; return the tickets that need no answer any more.

        An unknown ticket is one that was given up already: it changes nothing.
        """
        asked = self.tickets.get(ticket)
        if asked is None:
            return []
        if isinstance(asked, Pulse):
            del self.tickets[ticket]
            if asked.replied() and self.peers[asked.node].verdict is Verdict.DOWN:
                self.probe_now(asked.node)
            return []
        subject, pulse = self._subject(asked.subject), self.pulses.get(asked.subject)
        over = asked.replied(ticket, self._needed(subject, now))
        for other in over:
            del self.tickets[other]
        subject.conclude(now, pulse)
        if pulse is not None and asked.heard_at is not None:
            pulse.contradicted(asked.heard_at, self.timers.rise)
        return over

    def expire(self, now: float) -> Expired:
        """Count what is overdue as Missed; return the tickets given up, and how many were missed.

        The uplink comes first: what this node knows of its own losses weighs the peers' misses.
        """
        over: list[int] = []
        missed = 0
        for subject in self._subjects:
            for path in subject.paths:
                if not path.in_flight:
                    continue
                for sent_at, tickets in path.overdue(now, self.timers.timeout).items():
                    path.missed(sent_at, tickets, self._needed(subject, now))
                    over += tickets
                    missed += 1
                    if subject is self.uplink and self._round_lost(path, sent_at):
                        self.awareness.raised(sent_at, now)
        if self.local is not None:
            missed += self.local.expire(now, self._needed(self.uplink, now))
        self.conclude(now)
        for pulse in self.pulses.values():
            if pulse.ticket is not None and self._pulse_deadline(pulse) <= now:
                over.append(pulse.ticket)
                missed += 1
                pulse.missed()
        for ticket in over:
            del self.tickets[ticket]
        return Expired(over, missed)

    def conclude(self, now: float) -> None:
        """Bring all verdicts up to date with what was heard, missed, pinned and hastened."""
        for subject in self._subjects:
            subject.conclude(now, self.pulses.get(subject.name))

    def evidence(self, name: str, now: float) -> Evidence:
        """Sum up how the uplink or a peer stands, for the rules to go by."""
        subject = self._subject(name)
        if subject.parts:
            return evidence_of_all(
                [self._evidence(part, None, now) for part in subject.parts],
                subject.verdict,
                subject.since,
            )
        return self._evidence(subject, self.pulses.get(name), now)

    # --- how --------------------------------------------------------------------------------

    def _evidence(self, subject: Subject, pulse: Pulse | None, now: float) -> Evidence:
        needed = missed = self._fall(subject, now)
        addresses: list[str] = []
        heard: list[float] = []
        silent: list[float] = []
        blind = ""
        # One pass, for this is done for each subject in every round.
        for path in subject.paths:
            blind = blind or path.blind
            if path.speaks:
                addresses.append(path.address)
                missed = min(missed, path.misses)
                if path.heard_at is not None:
                    heard.append(path.heard_at)
                if path.silent_since is not None:
                    silent.append(path.silent_since)
        silent_since = max(silent) if silent and len(silent) == len(addresses) else None
        doubted_since = silent_since
        if pulse is not None and pulse.lost_since is not None and pulse.alarming:
            since = pulse.lost_since
            doubted_since = since if silent_since is None else min(silent_since, since)
        return Evidence(
            verdict=subject.verdict,
            since=subject.since,
            heard_at=max(heard, default=None),
            silent_since=silent_since,
            doubted_since=doubted_since,
            addresses=tuple(addresses),
            missed=missed if addresses else 0,
            needed=needed,
            hastened=subject.hastened,
            gone=subject.gone,
            blind=blind,
            never_answered=subject.never_answered,
            pulsing_since=pulse.heard_since if pulse is not None else None,
        )

    def _uplink_path(self, address: str) -> Path:
        bound = bool(self.interface) and crosses_gateway(address)
        return Path(UPLINK, address, interface=self.interface if bound else "")

    def _subject(self, name: str) -> Subject:
        return self.uplink if name == UPLINK else self.peers[name]

    def _heartbeats(self) -> Iterator[Path]:
        return (path for subject in self.peers.values() for path in subject.paths)

    def _needed(self, subject: Subject, now: float) -> dict[Limit, int]:
        """R13, R15: one miss is enough where EC2 adds its word; a lossy path of my own wants more.

        The uplink always needs all its misses: the awareness is about the uplink.
        """
        level = 0 if subject.name == UPLINK else self.awareness.level(now)
        return limits(self.timers, hastened=subject.hastened, factor=1 + level)

    def _fall(self, subject: Subject, now: float) -> int:
        level = 0 if subject.name == UPLINK else self.awareness.level(now)
        return fall(self.timers, hastened=subject.hastened, factor=1 + level)

    def _round_lost(self, missed: Path, sent_at: float) -> bool:
        """Whether no address of a part of the uplink has answered since the round sent then.

        Of a part to which the missed one belongs: what loses one part's packets may lose a peer's.
        """
        for part in self.uplink.parts or (self.uplink,):
            if missed in part.paths and not part.was_heard_from(sent_at):
                return True
        return False

    def _repeats(self, path: Path, now: float) -> bool:
        """Whether what is sent now is the repetition of a check, and not the next check.

        The pace may have changed since it was found due: what was sent just before it may have
        settled a doubt.
        """
        return path.repeat_at(self.timers.timeout) <= now < path.due_at(self._pace())

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
