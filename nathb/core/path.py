"""One address on watch: what is in flight, what came back, how it stands.

A check is one echo request, and one repetition when half of the timeout has passed without an
answer: a network that loses a packet here and there fails no check, and a dead path is found no
later.

Checks overlap, so answers may overtake one another. Later evidence supersedes earlier: once a
check is heard, the ones sent before it and still in flight have nothing left to say, and are
dropped. A path is therefore never convicted by misses older than its newest answer.
"""

from __future__ import annotations

from nathb.core.health import Health, Limit, count, judge
from nathb.core.model import Outcome


class Path:
    """The checks of one address. Times are seconds; tickets are whatever the wire returns."""

    def __init__(self, subject: str, address: str, source: str = "", interface: str = "") -> None:
        self.subject = subject
        self.address = address
        self.source = source
        """The address that checks leave from; empty for the usual one."""
        self.interface = interface
        """The interface that checks are bound to; empty where the machine's routes choose."""
        self.void = False
        """A heartbeat that is not pinned to its peer is not pinged, and says nothing (R12)."""
        self.ever_answered = False
        """Whether this process has ever had an answer from it; a restart does not forget that."""
        self.restart()

    def restart(self) -> None:
        """Forget all evidence: UNKNOWN until there is new evidence (R1, R14)."""
        self.health = Health()
        self.in_flight: dict[int, float] = {}
        """Tickets, and when the check that each belongs to was begun."""
        self.repeat_of: float | None = None
        """When the newest check was begun, while it has not been repeated."""
        self.sent_at: float | None = None
        self.heard_at: float | None = None
        self.silent_since: float | None = None
        self.blind = ""

    @property
    def speaks(self) -> bool:
        """Whether it can say anything: it is no void pin, nor an address never once askable."""
        return not self.void and not (self.blind and self.health.latest is None)

    @property
    def settled(self) -> bool:
        """Whether there is nothing to hurry for: decided, and the last check agreed."""
        return self.void or (not self.blind and self.health.settled)

    def due_at(self, pace: float) -> float:
        """When the next check is due, if one is to go out every `pace` seconds."""
        return float("-inf") if self.sent_at is None else self.sent_at + pace

    def repeat_at(self, timeout: float) -> float:
        """When the newest check is to be repeated; infinity when it is answered or repeated."""
        return float("inf") if self.repeat_of is None else self.repeat_of + timeout / 2

    def probe_now(self) -> None:
        """Make the next check due at once."""
        self.sent_at = None

    def sent(self, ticket: int, now: float) -> None:
        """Note that a check is on its way."""
        self.in_flight[ticket] = self.sent_at = self.repeat_of = now
        self.blind = ""

    def repeated(self, ticket: int) -> None:
        """Note that the newest check was sent once more."""
        assert self.repeat_of is not None
        self.in_flight[ticket] = self.repeat_of
        self.repeat_of = None

    def not_sent(self, why: str, now: float) -> None:
        """Note a Blind check: it moves no counter, and is tried again soon."""
        self.sent_at, self.repeat_of = now, None
        self.blind = why

    def replied(self, ticket: int, needed: dict[Limit, int]) -> list[int]:
        """Note an answer; return the tickets that it has made pointless, its own included."""
        sent_at = self.in_flight[ticket]
        over = [other for other, sent in self.in_flight.items() if sent <= sent_at]
        for other in over:
            del self.in_flight[other]
        if self.repeat_of is not None and self.repeat_of <= sent_at:
            self.repeat_of = None
        self.ever_answered = True
        self.heard_at = sent_at
        self.silent_since = None
        self.health = judge(count(self.health, Outcome.HEARD), needed)
        return over

    def overdue(self, now: float, timeout: float) -> dict[float, list[int]]:
        """Return the checks whose answer is `timeout` late, oldest first, with their tickets."""
        late: dict[float, list[int]] = {}
        for ticket, sent_at in self.in_flight.items():
            if now >= sent_at + timeout:
                late.setdefault(sent_at, []).append(ticket)
        return late

    def missed(self, sent_at: float, tickets: list[int], needed: dict[Limit, int]) -> None:
        """Note that no answer came in time to the check that was begun then."""
        for ticket in tickets:
            del self.in_flight[ticket]
        if self.repeat_of == sent_at:
            self.repeat_of = None
        if self.silent_since is None:
            self.silent_since = sent_at
        self.health = judge(count(self.health, Outcome.MISSED), needed)

    def judge(self, needed: dict[Limit, int]) -> None:
        """Judge the streak again: what is needed may have changed (R13)."""
        self.health = judge(self.health, needed)

    @property
    def misses(self) -> int:
        """How many checks in a row were missed."""
        return self.health.streak if self.health.latest is Outcome.MISSED else 0


class Pulse:
    """The ping straight to a peer's private address. It can hasten a check, never convict."""

    def __init__(self, node: str, address: str, interface: str = "") -> None:
        self.node = node
        self.address = address
        self.source = ""
        self.interface = interface
        self.restart()

    def restart(self) -> None:
        """Forget what was heard and lost."""
        self.sent_at: float | None = None
        self.ticket: int | None = None
        self.heard_once = False
        self.heard_since: float | None = None
        """Since when pulses have been answered without a break; None when the last was lost."""
        self.blind = False
        self.lost_since: float | None = None
        self.contradictions = 0
        self.ignored = False

    @property
    def alarming(self) -> bool:
        """Whether its silence is a reason to check the peer fast."""
        return self.lost_since is not None and not self.ignored

    @property
    def state(self) -> str:
        """One word for people: `heard`, `lost`, `ignored`, `blind`, or `unknown` at first."""
        if self.blind:
            return "blind"
        if self.lost_since is None:
            return "heard" if self.heard_once else "unknown"
        return "ignored" if self.ignored else "lost"

    def sent(self, ticket: int | None, now: float) -> None:
        """Note that a pulse is on its way; None when it could not be sent."""
        self.ticket = ticket
        self.sent_at = now
        self.blind = ticket is None

    def replied(self) -> bool:
        """Note an answer; return whether it ended a silence."""
        ended = self.lost_since is not None
        self.ticket = None
        self.heard_once = True
        if self.heard_since is None:
            self.heard_since = self.sent_at
        self.lost_since = None
        self.ignored = False
        return ended

    def missed(self) -> None:
        """Note that no answer came in time."""
        self.ticket = None
        self.heard_since = None
        if self.lost_since is None:
            self.lost_since = self.sent_at
            self.contradictions = 0

    def contradicted(self, heartbeat_sent_at: float, rise: int) -> bool:
        """Note a heartbeat that was answered; return whether the silence is ignored from now on.

        After `rise` good heartbeats sent since it began, a silence says nothing about the peer:
        ICMP may simply be closed between the nodes.
        """
        if self.lost_since is None or self.ignored or heartbeat_sent_at <= self.lost_since:
            return False
        self.contradictions += 1
        self.ignored = self.contradictions >= rise
        return self.ignored
