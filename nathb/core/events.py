"""What nathb reports: every change once, as one sentence and a few fields.

Steady state is no event. The machine's side (identifiers, priorities, the catalog) is
`host.journal`; the words are here, so that whoever replays a round reads the same sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from nathb.core.ec2_state import Intent, Pin, PinState
from nathb.core.model import Done, Evidence, Move, Route, Rule, Ruling, Undone, Verdict
from nathb.core.text import format_age, format_duration, format_evidence, host_of


class EventKind(Enum):
    """One name per kind of event; NATHB_EVENT in the journal."""

    STARTED = "started"
    STOPPED = "stopped"
    LEAVING = "leaving"
    RELOADED = "reloaded"
    RELOAD_REFUSED = "reload-refused"
    TOOK = "took"
    RETURNED = "returned"
    RELEASED = "released"
    HANDED_OVER = "handed-over"
    WOULD_MOVE = "would-move"
    MOVE_FAILED = "move-failed"
    MOVED_BY_ANOTHER = "moved-by-another"
    PEER_UP = "peer-up"
    PEER_DOWN = "peer-down"
    UPLINK_UP = "uplink-up"
    UPLINK_DOWN = "uplink-down"
    CONTESTED = "contested"
    FOREIGN = "foreign"
    ROUTE_MISSING = "route-missing"
    ROUTE_GUARDED = "route-guarded"
    ROUTE_FOUND = "route-found"
    ROUTE_UNGUARDED = "route-unguarded"
    DAMPED = "damped"
    PIN_VOID = "pin-void"
    PIN_GOOD = "pin-good"
    VIEW_LOST = "view-lost"
    VIEW_BACK = "view-back"
    STALLED = "stalled"
    PAUSED = "paused"
    STILL_PAUSED = "still-paused"
    RESUMED = "resumed"
    DRAINED = "drained"
    STILL_DRAINED = "still-drained"
    UNDRAINED = "undrained"
    BLIND = "blind"
    SIGHTED = "sighted"
    NAME_LOST = "name-lost"
    NAME_BACK = "name-back"
    NEVER_ANSWERED = "never-answered"
    PULSE_IGNORED = "pulse-ignored"
    STATUS_LOST = "status-lost"
    HOOK_FAILED = "hook-failed"
    NOTICE_FAILED = "notice-failed"
    METRICS_LOST = "metrics-lost"
    UNTOLD = "untold"
    FILE_DIFFERS = "file-differs"
    FILE_SAME = "file-same"
    LEARNED = "learned"
    WITHDRAWN = "withdrawn"
    LEARN_WOULD = "learn-would"
    LEARN_REFUSED = "learn-refused"
    LEARN_FAILED = "learn-failed"
    LEARN_BLIND = "learn-blind"
    LEARN_SIGHTED = "learn-sighted"


TRANSITIONS = frozenset(
    {
        # moves that were made (R3 to R6) or that EC2 did not confirm
        EventKind.TOOK,
        EventKind.RETURNED,
        EventKind.RELEASED,
        EventKind.HANDED_OVER,
        EventKind.MOVE_FAILED,
        # verdicts that changed
        EventKind.PEER_UP,
        EventKind.PEER_DOWN,
        EventKind.UPLINK_UP,
        EventKind.UPLINK_DOWN,
        # what keeps moves from being made until a person has checked
        EventKind.CONTESTED,
        EventKind.VIEW_LOST,
    }
)
"""What hooks and notifications get; all else is for the journal alone."""


class Event(Struct, frozen=True, kw_only=True):
    """One thing that happened. `message` is the sentence; the rest are fields for machines.

    Durations are whole milliseconds, as in NATHB_DETECT_MS and NATHB_API_MS.
    """

    kind: EventKind
    message: str
    route: Route | None = None
    source: str = ""
    target: str = ""
    reason: str = ""
    rule: str = ""
    detect_ms: int | None = None
    api_ms: int | None = None
    request_id: str = ""
    error: str = ""
    """What EC2, or whatever stood in its way, said to a move that failed."""
    trace: str = ""
    """The round that led here, as `core.replay` writes it; empty where no decision was made."""


MOVED: dict[Rule, tuple[EventKind, str]] = {
    Rule.R3: (EventKind.TOOK, "took {route} from {holder}"),
    Rule.R4: (EventKind.RETURNED, "returned {route} to {to}"),
    Rule.R5: (EventKind.RELEASED, "released {route} to {to}"),
    Rule.R6: (EventKind.HANDED_OVER, "handed {route} over to {to}"),
}

DUE: dict[Rule, str] = {
    Rule.R3: "take {route} from {holder}",
    Rule.R4: "return {route} to {to}",
    Rule.R5: "release {route} to {to}",
    Rule.R6: "hand {route} over to {to}",
}

PINS: dict[PinState, str] = {
    PinState.GOOD: "is pinned to {node} again: heartbeats count",
    PinState.BLACKHOLE: "is pinned to {node}, and EC2 shows a blackhole",
    PinState.MISSING: "is not pinned in {table}: {node} counts as unknown; "
    "create the route {address} to {node} in that table",
    PinState.ELSEWHERE: "is pinned to {target} in {table}, not to {node}, which counts as unknown; "
    "point that route at {node}",
}


def moved(move: Move, done: Done | None, trace: str = "") -> Event:
    """Report a move that was carried out; `done` is None when only the view shows that it was."""
    kind, words = MOVED[move.rule]
    took = "the call's answer was lost, the table shows it"
    if done is not None:
        took = f"moved in {format_duration(done.took)}"
    detected = ""
    if move.rule in {Rule.R3, Rule.R5}:
        detected = f"detected in {format_duration(move.detected_in)}, "
    event = _event(kind, f"{_fill(words, move)}: {move.reason} ({detected}{took})", move)
    if done is None:
        return replace(event, trace=trace)
    api_ms = round(done.took * 1000)
    return replace(event, api_ms=api_ms, request_id=done.request_id, trace=trace)


def move_failed(move: Move, undone: Undone, trace: str = "") -> Event:
    """Report a move that EC2 did not confirm."""
    message = f"could not {_fill(DUE[move.rule], move)}: {undone.message}"
    event = _event(EventKind.MOVE_FAILED, message, move)
    return replace(event, request_id=undone.request_id, error=undone.message, trace=trace)


def moved_by_another(route: Route, holder: str, to: str, me: str) -> Event:
    """Report a move that `me`, this node, did not make; `holder` is empty for a target outside of
    the group. Nodes move routes from themselves or to themselves, so one of the two it was, or a
    person.
    """
    was = holder or "a target outside of the group"
    nodes = " or ".join(node for node in (holder, to) if node not in {"", me})
    likely = f"{nodes} probably did" if nodes and holder else "see CloudTrail for who did"
    message = f"{route} now points at {to}, no longer at {was}; this node did not move it: {likely}"
    return Event(
        kind=EventKind.MOVED_BY_ANOTHER, message=message, route=route, source=holder, target=to
    )


def moved_before_restart(route: Route, holder: str, me: str) -> Event:
    """Report a route that arrives at `me`, this node, just after its daemon has started.

    The daemon that ran before may have written it: such a write can land after its end.
    """
    was = holder or "a target outside of the group"
    message = (
        f"{route} now points at {me}, no longer at {was}; {me}'s daemon probably moved it before"
        " its restart"
    )
    return Event(
        kind=EventKind.MOVED_BY_ANOTHER, message=message, route=route, source=holder, target=me
    )


def would_move(move: Move, why: str) -> Event:
    """Report a move that is not carried out because of `why`: a pause, or a dry run."""
    message = f"would {_fill(DUE[move.rule], move)}: {move.reason} ({why})"
    return _event(EventKind.WOULD_MOVE, message, move)


def left_alone(kind: EventKind, ruling: Ruling, now: float) -> Event:
    """Report that a route is not, or is again, subject to moves, and why."""
    wait = "" if ruling.due is None else f" for another {format_age(ruling.due - now)}"
    return Event(
        kind=kind,
        message=f"{ruling.route}: {ruling.reason}{wait}",
        route=ruling.route,
        reason=ruling.reason,
        rule=ruling.rule.value,
    )


def found(route: Route, nodes: Sequence[str]) -> Event:
    """Report a route that matches find now; `nodes` are theirs, and the first is its home."""
    home, *others = nodes
    reason = f"found by the match of {home}, its home"
    if others:
        reason += f"; the match of {' and '.join(others)} finds it too, and the first node counts"
    return Event(
        kind=EventKind.ROUTE_FOUND,
        message=f"{route}: guarded from now on: {reason}",
        route=route,
        target=home,
        reason=reason,
    )


def no_longer_found(route: Route, home: str) -> Event:
    """Report a route that was found, and that EC2 does not show in a matching table any more."""
    reason = f"EC2 shows no such route any more in a table that the match of {home} finds"
    return Event(
        kind=EventKind.ROUTE_UNGUARDED,
        message=f"{route}: not guarded any more: {reason}",
        route=route,
        source=home,
        reason=reason,
    )


def guarded_by_another(route: Route, home: str, who: str) -> Event:
    """Report a route that is found in a table which another daemon of this machine guards."""
    reason = f"{who} guards this table, and two daemons would move its routes against each other"
    return Event(
        kind=EventKind.ROUTE_UNGUARDED,
        message=f"{route}: not guarded: {reason}; leave the table out of one of the files",
        route=route,
        source=home,
        reason=reason,
    )


def verdict(name: str, evidence: Evidence, *, peer: bool) -> Event:
    """Report that the uplink or a peer is now UP or DOWN."""
    up = evidence.verdict is Verdict.UP
    because = format_evidence("heartbeat" if peer else "uplink", evidence)
    if peer:
        kind = EventKind.PEER_UP if up else EventKind.PEER_DOWN
        return Event(
            kind=kind, message=f"{name} is {evidence.verdict.value}: {because}", source=name
        )
    kind = EventKind.UPLINK_UP if up else EventKind.UPLINK_DOWN
    return Event(kind=kind, message=f"my uplink is {evidence.verdict.value}: {because}")


def never_answered(node: str, evidence: Evidence) -> Event:
    """Report a peer whose pulse answers, and no heartbeat has ever since this process started."""
    addresses = ", ".join(evidence.addresses)
    message = (
        f"heartbeat {addresses} of {node} has never answered, its pulse does: {node} counts as "
        "unknown, and its routes are not taken; check that the address is right and answers "
        f"pings, then run nathb check --aws on {node}"
    )
    return Event(kind=EventKind.NEVER_ANSWERED, message=message, source=node, rule="R1")


NO_TABLE = (
    "is not pinned: EC2 shows no route table that steers this node's own subnet: {node} counts as "
    "unknown; associate the subnet with a table"
)


def pin(one: Pin) -> Event:
    """Report how a heartbeat is pinned now (R12)."""
    is_looked_up = one.table or one.state is not PinState.MISSING
    words = (PINS[one.state] if is_looked_up else NO_TABLE).format(
        node=one.node, address=host_of(one.address), table=one.table, target=one.target
    )
    good = one.state in {PinState.GOOD, PinState.BLACKHOLE}
    return Event(
        kind=EventKind.PIN_GOOD if good else EventKind.PIN_VOID,
        message=f"heartbeat {one.address} of {one.node} {words}",
        source=one.node,
        target=one.target,
        rule="R12",
    )


def paused(intent: Intent) -> Event:
    """Report that nothing is moved, and until when (R9)."""
    message = f"the group is paused: no moves {_until(intent)}"
    return Event(kind=EventKind.PAUSED, message=message, rule="R9")


def still_paused(intent: Intent, seconds: float) -> Event:
    """Remind of a pause that this node has seen for so long."""
    message = f"still paused, for {format_age(seconds)} now: nobody takes over {_until(intent)}"
    return Event(kind=EventKind.STILL_PAUSED, message=message, rule="R9")


def still_drained(node: str, seconds: float) -> Event:
    """Remind of a drain that this node has seen for so long."""
    message = f"{node} is still drained, for {format_age(seconds)} now: `nathb undrain` ends it"
    return Event(kind=EventKind.STILL_DRAINED, message=message, source=node, rule="R6")


def _until(intent: Intent) -> str:
    end = "`nathb resume`"
    return f"{intent.until}, or {end}" if intent.until else f"until {end}"


def _fill(words: str, move: Move) -> str:
    return words.format(route=move.route, holder=move.holder or "a blackhole", to=move.to)


def _event(kind: EventKind, message: str, move: Move) -> Event:
    return Event(
        kind=kind,
        message=message,
        route=move.route,
        source=move.holder,
        target=move.to,
        reason=move.reason,
        rule=move.rule.value,
        detect_ms=round(move.detected_in * 1000),
    )
