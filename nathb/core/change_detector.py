"""What is worth an event: the difference between what was last reported and what is so now.

Steady state is silent, but for what operators ask for, which is reported again every hour. Each
route's standing (guarded, foreign, missing, contested, damped, or a move that is not made)
is reported when it changes, and so are verdicts, pins and intent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from nathb.core import events
from nathb.core.ec2_state import Intent, Pin, PinState, View
from nathb.core.events import Event, EventKind
from nathb.core.model import Evidence, Route, Rule, Ruling, Verdict
from nathb.core.subject import UPLINK
from nathb.core.text import format_age

STANDINGS: dict[Rule, EventKind] = {
    Rule.R7: EventKind.CONTESTED,
    Rule.R8: EventKind.FOREIGN,
    Rule.R11: EventKind.DAMPED,
}

LEFT_ALONE = (EventKind.FOREIGN, EventKind.ROUTE_MISSING, EventKind.CONTESTED)

REMIND_EVERY = 3600.0
"""Seconds after which a drain or pause still in force is reported again: it is easily forgotten."""
PAUSE = ""
"""The pause among the requests, beside the names of drained nodes."""

VOID = {PinState.MISSING, PinState.ELSEWHERE}


class ChangeDetector:
    """Remembers what was reported, so that each change is reported once."""

    def __init__(self) -> None:
        self._standing: dict[Route, tuple[object, ...]] = {}
        self._verdicts: dict[str, Verdict] = {}
        self._pins: dict[tuple[str, str], PinState] = {}
        self._intent = Intent()
        self._seen: dict[str, tuple[float, float]] = {}
        """Since when each request (see `_requests`) is known, and when it was last reported."""
        self._ignored: set[str] = set()
        self._other_files: tuple[str, ...] = ()
        self._never_answered: set[str] = set()
        self._expired = False

    def rulings(
        self, rulings: Iterable[Ruling], view: View | None, now: float, *, dry_run: bool
    ) -> Iterator[Event]:
        """Yield events for the routes whose standing has changed."""
        for ruling in rulings:
            if ruling.rule is Rule.R10:
                continue  # between a write and its view there is nothing new to say
            kind = _standing(ruling, view)
            if kind is None:
                before = self._standing.pop(ruling.route, None)
                if before is not None and before[0] in LEFT_ALONE:
                    yield events.left_alone(EventKind.ROUTE_GUARDED, ruling, now)
                continue
            key = (kind, ruling.move and (ruling.move.to, ruling.move.cause), _subject(ruling))
            if key != self._standing.get(ruling.route):
                self._standing[ruling.route] = key
                if ruling.move is not None:
                    yield events.would_move(ruling.move, "dry run" if dry_run else "paused")
                else:
                    yield events.left_alone(kind, ruling, now)

    def keep(self, routes: Iterable[Route]) -> None:
        """Forget what was reported of all routes but these."""
        kept = set(routes)
        self._standing = {one: key for one, key in self._standing.items() if one in kept}

    def verdict(self, name: str, evidence: Evidence) -> Iterator[Event]:
        """Yield an event when a subject is UP or DOWN and was not so when last reported.

        A first UP after the start is steady state beginning, not a change. UNKNOWN is reported by
        whatever caused it: a start, a stall, a void pin.
        """
        before = self._verdicts.get(name, Verdict.UP)
        if evidence.verdict is Verdict.UNKNOWN or evidence.verdict is before:
            return
        self._verdicts[name] = evidence.verdict
        yield events.verdict(name, evidence, peer=name != UPLINK)

    def pins(self, pins: Iterable[Pin]) -> Iterator[Event]:
        """Yield events for pins that became void or good again (R12)."""
        for one in pins:
            key = (one.node, one.address)
            before = self._pins.get(key, PinState.GOOD)
            self._pins[key] = one.state
            if one.state is not before and {one.state, before} & VOID:
                yield events.pin(one)

    def heartbeats(self, peers: Mapping[str, Evidence]) -> Iterator[Event]:
        """Yield an event for each peer whose heartbeat has never answered, though its pulse does.

        Such a peer stays UNKNOWN. Where the pulse is silent too it is DOWN, and reported as that.
        """
        silent = {
            node
            for node, one in peers.items()
            if one.never_answered and one.missed >= one.needed > 0
            if one.verdict is Verdict.UNKNOWN
        }
        for node in sorted(silent - self._never_answered):
            yield events.never_answered(node, peers[node])
        answered = {node for node, one in peers.items() if not one.never_answered}
        self._never_answered = (self._never_answered | silent) - answered

    def pulses(self, states: Mapping[str, str]) -> Iterator[Event]:
        """Yield an event for each peer whose silent pulse is now ignored."""
        ignored = {node for node, state in states.items() if state == "ignored"}
        for node in sorted(ignored - self._ignored):
            message = (
                f"the pulse of {node} is not answered, its heartbeat is: ignored from now on; "
                "allow ICMP echo between the nodes, and a crash is noticed sooner"
            )
            yield Event(kind=EventKind.PULSE_IGNORED, message=message, source=node)
        self._ignored = ignored

    def view(self, view: View | None, now: float, max_age: float) -> Iterator[Event]:
        """Yield an event when the last view has become too old to act upon (R10)."""
        expired = view is not None and now - view.at > max_age
        if view is not None and expired and not self._expired:
            message = (
                f"the route tables were last read {format_age(now - view.at)} ago: NO ROUTE IS "
                "MOVED until they can be read again"
            )
            yield Event(kind=EventKind.VIEW_LOST, message=message, rule="R10")
        self._expired = expired

    def files(self, digests: Iterable[str], own: str) -> Iterator[Event]:
        """Yield an event when another file than this node's was applied, and when it no longer is.

        `digests` are those that the guarded tables have noted, `own` is this node's (R17).
        """
        others = tuple(digest for digest in digests if own and digest != own)
        if others and others != self._other_files:
            yield Event(
                kind=EventKind.FILE_DIFFERS,
                message=f"this node's file (digest {own}) is not the one that was applied "
                f"({', '.join(others)}): the nodes may disagree; compare their files, then "
                "nathb apply",
                rule="R17",
            )
        elif self._other_files and not others:
            message = f"this node's file (digest {own}) is the one that was applied"
            yield Event(kind=EventKind.FILE_SAME, message=message, rule="R17")
        self._other_files = others

    def intent(self, intent: Intent, now: float) -> Iterator[Event]:
        """Yield events for what operators have begun or ended to ask for."""
        before, self._intent = self._intent, intent
        self._seen = {one: self._seen.get(one, (now, now)) for one in _requests(intent)}
        if intent.paused and (intent.paused, intent.until) != (before.paused, before.until):
            yield events.paused(intent)
        if before.paused and not intent.paused:
            message = "the group is resumed: moves are made again"
            yield Event(kind=EventKind.RESUMED, message=message, rule="R9")
        for node in sorted(intent.drained - before.drained):
            message = f"{node} is drained: its routes go to the others and stay there"
            yield Event(kind=EventKind.DRAINED, message=message, source=node, rule="R6")
        for node in sorted(before.drained - intent.drained):
            message = f"{node} is no longer drained: its routes may go home"
            yield Event(kind=EventKind.UNDRAINED, message=message, source=node, rule="R6")

    def reminders(self, now: float) -> Iterator[Event]:
        """Yield an event for each request that nobody has been reminded of for a while."""
        for request, (since, reported_at) in self._seen.items():
            if now >= reported_at + REMIND_EVERY:
                self._seen[request] = (since, now)
                if request == PAUSE:
                    yield events.still_paused(self._intent, now - since)
                else:
                    yield events.still_drained(request, now - since)


def _requests(intent: Intent) -> tuple[str, ...]:
    """What is asked for: the pause, and the name of each drained node."""
    return (*((PAUSE,) if intent.paused else ()), *sorted(intent.drained))


def _standing(ruling: Ruling, view: View | None) -> EventKind | None:
    if ruling.move is not None:
        return EventKind.WOULD_MOVE if ruling.would else None
    if ruling.rule is Rule.R8 and view is not None and view.holding(ruling.route) is None:
        return EventKind.ROUTE_MISSING
    return STANDINGS.get(ruling.rule)


def _subject(ruling: Ruling) -> str:
    return ruling.reason if ruling.rule is Rule.R8 else ""
