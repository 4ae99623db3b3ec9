"""What a node may believe: worked out from the packets it sent and heard, apart from production.

This says the same as design and rules do, in other words: a target is DOWN once its last `fall`
checks went unanswered, each of them twice (one is enough when EC2 adds its word), UP once its last
`rise` were answered, and otherwise what it was. Checks that were never sent leave no trace here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nathb.core.ec2_state import PinState, Roster, RouteState, View
from nathb.core.model import Group, Outcome, Timers, Verdict
from nathb.core.text import is_address

UPLINK = "uplink"
LEADS_THERE = {PinState.GOOD, PinState.BLACKHOLE}


@dataclass
class Target:
    """The checks of one address. `void` targets say nothing (R12)."""

    void: bool
    in_flight: dict[int, float] = field(default_factory=dict)
    """When the check of each ticket was begun; its repetition has the same."""
    repeated: bool = True
    """Whether the newest check was repeated, so that what is sent next is another one."""
    verdict: Verdict = Verdict.UNKNOWN
    heard: int = 0
    missed: int = 0
    echoes: int = 0
    """Echo requests in a row that were not answered: at the most so many checks were missed."""
    heard_at: float | None = None
    silent_since: float | None = None
    unasked: bool = False
    """Whether nothing has come of it and it cannot be asked: then it says nothing either."""

    @property
    def speaks(self) -> bool:
        return not self.void and not self.unasked

    def judge(self, rise: int, fall: int) -> None:
        if self.heard >= rise:
            self.verdict = Verdict.UP
        if self.missed >= fall:
            self.verdict = Verdict.DOWN

    def send(self, ticket: int, now: float, timers: Timers) -> None:
        """Take in an echo request: a new check, or the one repetition of one half overdue."""
        newest = max(self.in_flight.values(), default=float("-inf"))
        half = timers.timeout / 2
        if not self.repeated and half <= now - newest < min(timers.fast_interval, timers.timeout):
            self.in_flight[ticket], self.repeated = newest, True
        else:
            self.in_flight[ticket], self.repeated = now, False

    def answer(self, ticket: int) -> None:
        """Take in an answer; what was asked before it has nothing left to say."""
        sent_at = self.in_flight[ticket]
        self.in_flight = {t: at for t, at in self.in_flight.items() if at > sent_at}
        self.heard, self.missed, self.unasked = self.heard + 1, 0, False
        self.echoes = 0
        self.heard_at, self.silent_since = sent_at, None

    def expire(self, now: float, timeout: float) -> bool:
        """Count as missed what is `timeout` late by now; return whether anything was."""
        late = [ticket for ticket, sent_at in self.in_flight.items() if now >= sent_at + timeout]
        checks = sorted({self.in_flight[ticket] for ticket in late})
        self.echoes += len(late)
        for ticket in late:
            del self.in_flight[ticket]
        for sent_at in checks:
            self.heard, self.missed, self.unasked = 0, self.missed + 1, False
            if self.silent_since is None:
                self.silent_since = sent_at
        return bool(late)


class PacketEvidence:
    """All targets of one process, by subject: the uplink, and each peer."""

    def __init__(self, group: Group, me: str) -> None:
        self.me = me
        self.restart(group)

    def restart(self, group: Group) -> None:
        """Start, reload: everything is UNKNOWN, and no pin has been seen yet (R1)."""
        self.timers: Timers = group.check
        self.where: dict[str, tuple[str, Target]] = {}
        self.targets: dict[str, list[Target]] = {}
        self.since: dict[str, float] = {}
        self.told: dict[str, Verdict] = {}
        self.hastened: frozenset[str] = frozenset()
        self.listed_gone: frozenset[str] = frozenset()
        self.listed_at = float("-inf")
        self.parts = group.uplink_of(self.me)
        self.local = Target(void=False) if group.check_command_of(self.me) else None
        self._begun_at: float | None = None
        self._seen: tuple[View | None, Roster | None] = (None, None)
        self._addresses: dict[str, tuple[str, ...]] = {}
        self._stale = False
        every = (one for part in self.parts for one in part)
        self._add(UPLINK, tuple(filter(is_address, every)), void=False)
        if self.local is not None:
            self.targets[UPLINK].append(self.local)
        for node in group.nodes:
            if node.name != self.me:
                self._add(node.name, node.heartbeat, void=True)

    def forget(self, now: float) -> None:
        """A stall: nothing that was in flight and no streak means anything (R14)."""
        for address, (subject, target) in self.where.items():
            self._renew(subject, address, void=target.void)
        if self.local is not None:
            old, self.local = self.local, Target(void=False)
            self._exchange(UPLINK, old, self.local)
        self._begun_at = None
        self._conclude(now)

    def asked(self, address: str, ticket: int, now: float) -> None:
        if address in self.where:
            target = self.where[address][1]
            target.send(ticket, now, self.timers)
            self._stale, target.unasked = self._stale or target.unasked, False

    def check_begun(self, now: float) -> None:
        """Note that the check of the machine itself is being run."""
        self._begun_at = now

    def checked(self, answer: object, now: float) -> None:
        """Take in what that check came to, unless it was begun before a stall or a reload."""
        begun, self._begun_at = self._begun_at, None
        if self.local is None or begun is None or not isinstance(answer, tuple):
            return
        if answer[0] is Outcome.HEARD:
            self.local.in_flight[0] = begun
            self.local.answer(0)
        else:
            self.local.in_flight[0] = begun
            self.local.expire(now, 0.0)
        self.local.judge(self.timers.rise, self._fall(UPLINK))
        self._conclude(now)

    def could_not_ask(self, address: str) -> None:
        """Note that nothing was sent: it changes what was never asked, and nothing else."""
        if address in self.where:
            target = self.where[address][1]
            if target.heard == target.missed == 0 and not target.unasked:
                self._stale = target.unasked = True

    def hear(self, tickets: list[tuple[str, int]], now: float) -> None:
        """Take in what was received by now, and what was not."""
        changed, self._stale = self._stale, False
        for address, ticket in tickets:
            subject, target = self.where.get(address, ("", None))
            if target is not None and ticket in target.in_flight:
                target.answer(ticket)
                target.judge(self.timers.rise, self._fall(subject))
                changed = True
        for subject, target in self.where.values():
            if target.in_flight and target.expire(now, self.timers.timeout):
                target.judge(self.timers.rise, self._fall(subject))
                changed = True
        if changed:
            self._conclude(now)

    def look(
        self,
        view: View | None,
        roster: Roster | None,
        addresses: dict[str, tuple[str, ...]],
        now: float,
    ) -> None:
        """Take in what EC2 was last seen to show (void pins, who is gone), and what names mean."""
        if self._addresses != addresses:
            self._addresses = dict(addresses)
            self._resolved()
            self._conclude(now)
        if self._seen[0] is view and self._seen[1] is roster:
            return
        self._seen = (view, roster)
        if view is not None:
            for pin in view.pins:
                void = pin.state not in LEADS_THERE
                if void is not self.where[pin.address][1].void:
                    self._renew(pin.node, pin.address, void=void)
        instances = roster.instances if roster is not None else ()
        self.listed_gone = frozenset(one.node for one in instances if one.state.is_gone)
        self.listed_at = roster.at if roster is not None else float("-inf")
        pins = {p.node for p in view.pins if p.state is PinState.BLACKHOLE} if view else set()
        held = {h.node for h in view.holdings if h.state is RouteState.BLACKHOLE} if view else set()
        self.hastened = frozenset(pins | held)
        for subject, target in self.where.values():
            target.judge(self.timers.rise, self._fall(subject))
        self._conclude(now)

    # --- what may be believed ---------------------------------------------------------------

    def verdict(self, subject: str) -> Verdict:
        """UP if any target is; DOWN takes all of them; void ones do not count."""
        return self.told.get(subject, Verdict.UNKNOWN)

    def may_be_down(self, subject: str) -> bool:
        """Whether every target has missed so many echoes that these may have been `fall` checks.

        A check that is made at once, because somebody asked for it, looks like a repetition.
        """
        return any(
            targets and all(target.echoes >= self._fall(subject) for target in targets)
            for targets in self._parts(subject)
        )

    def is_gone(self, node: str) -> bool:
        """Whether EC2 says so of another, and it was not heard since: then it is back (R13)."""
        listed = node != self.me and node in self.listed_gone
        return listed and self.heard_at(node) <= self.listed_at

    def heard_at(self, subject: str) -> float:
        """When the newest answered check was sent; minus infinity when none was."""
        never = float("-inf")
        return min(
            max([one.heard_at for one in part if one.heard_at is not None], default=never)
            for part in self._parts(subject, speaking=False)
        )

    def silent_since(self, subject: str) -> float | None:
        """Since when no target of a part has answered; None while one of each does.

        Of several silent parts that are DOWN, the one that has been silent for longest counts.
        """
        found: list[tuple[bool, float]] = []
        for targets in self._parts(subject):
            silent = [one.silent_since for one in targets if one.silent_since is not None]
            if silent and len(silent) == len(targets):
                down = _together(targets) is Verdict.DOWN
                missed = min(one.missed for one in targets) >= self._fall(subject)
                found.append((not (down and missed), max(silent)))
        return min(found)[1] if found else None

    def _parts(self, subject: str, *, speaking: bool = True) -> list[list[Target]]:
        """The targets of each part: of a peer, and of a flat uplink, there is one."""
        if subject == UPLINK and len(self.parts) + (self.local is not None) > 1:
            parts = [
                [self.where[one][1] for name in part for one in self._stands_for(name)]
                for part in self.parts
            ]
            parts += [[self.local]] if self.local is not None else []
        else:
            parts = [self.targets.get(subject, [])]
        return [[one for one in part if one.speaks or not speaking] for part in parts]

    def _stands_for(self, name: str) -> tuple[str, ...]:
        return (name,) if is_address(name) else self._addresses.get(name, ())

    def _fall(self, subject: str) -> int:
        bad = subject in self.hastened or self.is_gone(subject)
        return 1 if bad else self.timers.fall

    def _add(self, subject: str, addresses: tuple[str, ...], *, void: bool) -> None:
        self.targets[subject] = []
        self.since[subject], self.told[subject] = 0.0, Verdict.UNKNOWN
        for address in addresses:
            target = Target(void)
            self.where[address] = (subject, target)
            self.targets[subject].append(target)

    def _resolved(self) -> None:
        """Ask what the uplink's names stand for now; what stays keeps its evidence."""
        found = (self._stands_for(one) for part in self.parts for one in part)
        wanted = list(dict.fromkeys(address for several in found for address in several))
        before = {a: target for a, (subject, target) in self.where.items() if subject == UPLINK}
        for address in before.keys() - set(wanted):
            del self.where[address]
        targets = {address: before.get(address) or Target(void=False) for address in wanted}
        self.where |= {address: (UPLINK, target) for address, target in targets.items()}
        self.targets[UPLINK] = list(targets.values())
        if self.local is not None:
            self.targets[UPLINK].append(self.local)

    def _renew(self, subject: str, address: str, *, void: bool) -> None:
        old = self.where[address][1]
        new = Target(void)
        self.where[address] = (subject, new)
        self._exchange(subject, old, new)

    def _exchange(self, subject: str, old: Target, new: Target) -> None:
        self.targets[subject] = [
            new if target is old else target for target in self.targets[subject]
        ]

    def _conclude(self, now: float) -> None:
        for subject in self.targets:
            parts = [_together(part) for part in self._parts(subject)]
            verdict = Verdict.DOWN if Verdict.DOWN in parts else Verdict.UNKNOWN
            if all(part is Verdict.UP for part in parts):
                verdict = Verdict.UP
            if verdict is not self.told[subject]:
                self.told[subject], self.since[subject] = verdict, now


def _together(targets: list[Target]) -> Verdict:
    """UP if any of a part's targets is; DOWN takes all of them."""
    seen = [target.verdict for target in targets]
    if Verdict.UP in seen:
        return Verdict.UP
    return Verdict.DOWN if seen and seen.count(Verdict.DOWN) == len(seen) else Verdict.UNKNOWN
