"""What this process remembers of each route between two rounds.

None of it is needed after a restart: the route tables are the only truth. It keeps a node from
believing a stale Describe (R10), from arguing with someone else (R7), from giving a flapping peer
its routes back too soon (R4, R11) and from hammering an API that has just said no.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from nathb.core import damping
from nathb.core.ec2_state import Holding, View
from nathb.core.model import Cause, Done, Failure, Group, Move, Recorded, Route, Rule, Undone

CONTEST_HOLD_MIN = 15.0
"""Seconds that a contested holder must be DOWN before the take is repeated for the first time."""
CONTEST_MEMORY = 3600.0
"""Seconds after which a contest is forgotten."""
KEPT_FOR = 60.0
"""Seconds within which a released route that comes back is kept, for it was handed on."""

SHUTTING_DOWN = "shutting down"
"""The cause of a hand-over by a machine that is about to go down."""

BACKOFF: dict[Failure, tuple[float, float]] = {
    # failure: first and longest wait in seconds. Short where clients wait for the next try.
    Failure.EXPIRED: (0.0, 0.0),
    Failure.NO_REPLY: (0.25, 1.5),  # the lost answer itself has cost three already
    Failure.UNAVAILABLE: (0.5, 3.0),
    Failure.THROTTLED: (1.0, 4.0),
    Failure.CREDENTIALS: (2.0, 5.0),
    Failure.MISSING: (5.0, 15.0),
    Failure.DENIED: (5.0, 15.0),
    Failure.REFUSED: (5.0, 15.0),
}


def backoff(failure: Failure, attempts: int, jitter: float) -> float:
    """Return seconds to wait after the so-many-th failed attempt; `jitter` is in [0, 1).

    Half of the wait is fixed and half is jitter, so that many nodes do not come back as one.
    """
    first, longest = BACKOFF[failure]
    return min(longest, first * 2.0 ** min(attempts - 1, 16)) * (0.5 + jitter / 2)


class WriteState(Enum):
    """How far a write of ours has come."""

    SENT = "sent"
    """EC2 has not answered yet."""
    ACCEPTED = "accepted"
    UNANSWERED = "unanswered"
    """The answer was lost: a view will show whether it was carried out."""


class Write(Recorded, frozen=True):
    """A write of ours to a route, and since when it is in that state (seconds).

    An accepted write is a view of that one route, as old as the write.
    """

    move: Move
    state: WriteState
    at: float
    lost_at: float | None = None
    """When the answer to an earlier try of the same move was lost, if that is not settled yet."""


class Contest(Recorded, frozen=True):
    """Takes of ours that someone else undid, from one holder: how many, and the last one when."""

    holder: str
    at: float
    times: int = 1


class Handover(Recorded, frozen=True):
    """A route that its holder gave away, to this node, while UP as far as this node knew.

    A route that is given back to its home is none: that is a return.
    """

    by: str
    at: float


class RouteMemory(Recorded, frozen=True):
    """What is remembered of one route. Times in seconds."""

    holder: str | None = None
    """The holder when last seen; None before the first view."""
    changed_at: float = 0.0
    blackhole_since: float | None = None
    """When the first view was read that showed a blackhole; None while it is none."""
    accepted: Write | None = None
    """Our last write that EC2 accepted, until a view contradicts it."""
    pending: Write | None = None
    """Our write that is under way, or whose answer was lost; None when all is known."""
    given: Handover | None = None
    released_at: float | None = None
    """When this node last released the route because its uplink was DOWN (R5)."""
    handed_over: bool = False
    """Whether this node has handed the route over as its machine shuts down (R6)."""
    contests: tuple[Contest, ...] = ()
    penalty: damping.Penalty = damping.Penalty()
    failed_for: Cause | None = None
    """What called for the move that failed last; another cause need not wait for its retry."""
    attempts: int = 0
    retry_at: float = 0.0

    @property
    def under_way(self) -> Move | None:
        """The move that has been sent and has not ended; None when there is none."""
        pending = self.pending
        waits = pending is not None and pending.state is WriteState.SENT
        return pending.move if pending is not None and waits else None

    @property
    def unanswered(self) -> Write | None:
        """The write whose answer was lost, and that no view has settled yet."""
        pending = self.pending
        return pending if pending is not None and self.under_way is None else None


class Observer(Struct, frozen=True):
    """Who takes in a view: this node, its group, and the nodes that it believes UP."""

    me: str
    group: Group
    up: frozenset[str] = frozenset()


def believed(
    memory: RouteMemory, holding: Holding | None, view_at: float, settle: float
) -> tuple[Holding | None, float]:
    """Return where the route points as far as this node knows, and as of when in seconds (R10).

    That is what the view shows, unless our own accepted write is newer. A view that contradicts
    the write within `settle` is no news either: Describe may lag behind a write.
    """
    write = memory.accepted
    if write is None:
        return holding, view_at
    if holding is not None and holding.node == write.move.to:
        return holding, max(view_at, write.at)
    if view_at >= write.at + settle:
        return holding, view_at
    return Holding(write.move.route, write.move.to, ""), write.at


def contest_hold(memory: RouteMemory, now: float, group: Group) -> float:
    """Return for how many seconds a contested holder must be DOWN before the take is repeated.

    It doubles with every contest over this route, whoever was its holder.
    """
    times = sum(one.times for one in memory.contests if now < one.at + CONTEST_MEMORY)
    return min(group.contest_hold, CONTEST_HOLD_MIN * 2.0 ** min(times - 1, 16))


def contest_with(memory: RouteMemory, holder: str, now: float) -> Contest | None:
    """Return the contest over this route with that holder; None when there is none to remember."""
    return next(
        (
            contest
            for contest in memory.contests
            if contest.holder == holder and now < contest.at + CONTEST_MEMORY
        ),
        None,
    )


def begun(memory: RouteMemory, move: Move, now: float) -> RouteMemory:
    """Remember that the move is on its way; until it ends, this route gets no other."""
    lost = memory.unanswered
    same = lost is not None and lost.move.to == move.to
    lost_at = lost.at if lost is not None and same else None
    return replace(memory, pending=Write(move, WriteState.SENT, now, lost_at))


def ended(
    memory: RouteMemory,
    move: Move,
    result: Done | Undone,
    now: float,
    *,
    home: str,
    jitter: float,
) -> RouteMemory:
    """Remember how a move ended at `now`. A lost answer is unanswered, not failed.

    The route may have gone there and back while the answer was awaited, with no view to show it:
    so a return waits from now on. No return is urgent.
    """
    if isinstance(result, Done):
        return _carried_out(memory, Write(move, WriteState.ACCEPTED, now), home)
    lost_at = memory.pending.lost_at if memory.pending is not None else None
    if result.failure is Failure.NO_REPLY:
        lost_at = now
    attempts = memory.attempts + 1 if memory.failed_for == move.cause else 1
    return replace(
        memory,
        pending=Write(move, WriteState.UNANSWERED, lost_at) if lost_at is not None else None,
        changed_at=now if lost_at == now else memory.changed_at,
        failed_for=move.cause,
        attempts=attempts,
        retry_at=now + backoff(result.failure, attempts, jitter),
    )


def observed(memory: RouteMemory, route: Route, view: View, onlooker: Observer) -> RouteMemory:
    """Take in what a view shows of this route."""
    group = onlooker.group
    seen, as_of = believed(memory, view.holding(route), view.at, group.settle)
    if memory.under_way is not None or as_of > view.at:
        return memory
    holder = seen.node if seen is not None else ""
    home = group.home(route)
    lost = memory.unanswered
    if lost is not None and holder == lost.move.to:
        memory = _carried_out(memory, replace(lost, state=WriteState.ACCEPTED), home)
    elif lost is not None and view.at >= lost.at + group.settle:
        memory = replace(memory, pending=None)
    write = memory.accepted
    if write is not None and holder != write.move.to:
        memory = _undone(memory, write, view.at, group)
    if holder != memory.holder:
        memory = _arrived(memory, holder, view, onlooker, home)
    blackhole = seen is not None and seen.is_blackhole
    since = view.at if memory.blackhole_since is None else memory.blackhole_since
    return replace(memory, blackhole_since=since if blackhole else None)


def _arrived(
    memory: RouteMemory, holder: str, view: View, onlooker: Observer, home: str
) -> RouteMemory:
    """Remember that someone else has moved the route to this holder."""
    before, at, given = memory.holder, view.at, None
    if before is not None and before in onlooker.up and holder == onlooker.me != home:
        given = Handover(before, at)
    away = before is not None and holder not in {"", home}
    if away and home not in view.intent.drained:
        memory = replace(memory, penalty=damping.taken(memory.penalty, at))
    return replace(memory, holder=holder, changed_at=at, given=given)


def _carried_out(memory: RouteMemory, write: Write, home: str) -> RouteMemory:
    move, penalty = write.move, memory.penalty
    if move.to != home and move.rule is not Rule.R6:
        penalty = damping.taken(penalty, write.at)
    return replace(
        memory,
        holder=move.to,
        changed_at=write.at,
        accepted=write,
        pending=None,
        given=None,
        released_at=write.at if move.rule is Rule.R5 else memory.released_at,
        handed_over=memory.handed_over or move.cause.verdict == SHUTTING_DOWN,
        penalty=penalty,
        failed_for=None,
        attempts=0,
        retry_at=0.0,
    )


def _undone(memory: RouteMemory, write: Write, view_at: float, group: Group) -> RouteMemory:
    """Someone else moved the route after us: a contest if we took it, and not long ago.

    What we released and comes back at once, comes from a node that is no better: it is kept. What
    comes back after a while is a return, by a node that serves: R5 may release it once more.

    A take that stood for contest_hold was right in its time: what came after is a new event.
    """
    memory = replace(memory, accepted=None)
    if write.move.rule is Rule.R5 and view_at - write.at >= max(KEPT_FOR, group.preempt_delay):
        memory = replace(memory, released_at=None)
    if write.move.rule is not Rule.R3 or view_at - write.at >= group.contest_hold - group.settle:
        return memory
    holder = write.move.holder
    before = contest_with(memory, holder, view_at)
    others = [contest for contest in memory.contests if contest.holder != holder]
    contest = Contest(holder, view_at, before.times + 1 if before is not None else 1)
    return replace(memory, contests=(*others, contest))
