"""What this process remembers of each route between two rounds.

None of it is needed after a restart: the route tables are the only truth. It keeps a node from
believing a stale Describe (R10), from arguing with another hand (R7), from giving a flapping peer
its routes back too soon (R4, R11) and from hammering an API that has just said no.
"""

from __future__ import annotations

from msgspec.structs import replace

from nathb.core import damping
from nathb.core.model import Cause, Done, Failure, Group, Move, Recorded, Rule, Undone
from nathb.core.view import Holding

CONTEST_HOLD_MAX = 2 * 3600.0
CONTESTS = 8
"""How many contests of one route are remembered, newest last; more causes than nodes are rare."""

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


class Wrote(Recorded, frozen=True):
    """A write of ours, and when it was answered or given up (seconds)."""

    move: Move
    at: float


class Contest(Recorded, frozen=True):
    """A move of ours that another hand undid, and until when we do not repeat it (R7)."""

    to: str
    cause: Cause
    until: float
    times: int


class RouteMemory(Recorded, frozen=True):
    """What is remembered of one route. Times in seconds."""

    holder: str | None = None
    """The holder when last seen; None before the first view."""
    changed_at: float = 0.0
    in_flight: Move | None = None
    wrote: Wrote | None = None
    unsure: Wrote | None = None
    """A write whose answer was lost; the view will tell whether it was carried out."""
    contests: tuple[Contest, ...] = ()
    """One for each move and cause: one that is settled must not make another be forgotten."""
    penalty: damping.Penalty = damping.Penalty()
    failed_for: Cause | None = None
    """What called for the move that failed last; another cause need not wait for its retry."""
    attempts: int = 0
    retry_at: float = 0.0


def is_news(memory: RouteMemory, holding: Holding | None, view_at: float, settle: float) -> bool:
    """Whether a view begun at `view_at` says anything about this route yet (R10).

    A view older than our last write does not, nor does one that contradicts it within `settle`:
    Describe may lag behind a write.
    """
    wrote = memory.wrote
    if wrote is None or (holding is not None and holding.node == wrote.move.to):
        return wrote is None or view_at >= wrote.at
    return view_at >= wrote.at + settle


def begun(memory: RouteMemory, move: Move) -> RouteMemory:
    """Remember that the move is on its way; until it ends, this route gets no other."""
    return replace(memory, in_flight=move)


def ended(
    memory: RouteMemory, move: Move, result: Done | Undone, now: float, jitter: float
) -> RouteMemory:
    """Remember how a move ended at `now`. A lost answer is kept as unsure, not as failed.

    The route may have gone there and back while the answer was awaited, with no view to show it:
    so a return waits from now on. No return is urgent.
    """
    wrote = Wrote(move, now)
    is_unsure = isinstance(result, Undone) and result.failure is Failure.NO_REPLY
    if isinstance(result, Done):
        return _carried_out(replace(memory, in_flight=None), wrote)
    attempts = memory.attempts + 1 if memory.failed_for == move.cause else 1
    return replace(
        memory,
        in_flight=None,
        unsure=wrote if is_unsure else memory.unsure,
        changed_at=now if is_unsure else memory.changed_at,
        failed_for=move.cause,
        attempts=attempts,
        retry_at=now + backoff(result.failure, attempts, jitter),
    )


def observed(
    memory: RouteMemory, holding: Holding | None, view_at: float, group: Group
) -> RouteMemory:
    """Take in what a view begun at `view_at` shows of this route."""
    if memory.in_flight is not None or not is_news(memory, holding, view_at, group.settle):
        return memory
    holder = holding.node if holding is not None else ""
    if holder != memory.holder:
        memory = replace(memory, holder=holder, changed_at=view_at)
    if memory.unsure is not None:
        if holder == memory.unsure.move.to:
            return _carried_out(memory, memory.unsure)
        if view_at >= memory.unsure.at + group.settle:
            memory = replace(memory, unsure=None)
    wrote = memory.wrote
    if wrote is None or holder == wrote.move.to:
        return memory
    return _undone(memory, wrote, view_at, group)


def _carried_out(memory: RouteMemory, wrote: Wrote) -> RouteMemory:
    take = wrote.move.rule is Rule.R3
    return replace(
        memory,
        wrote=wrote,
        unsure=None,
        holder=wrote.move.to,
        changed_at=wrote.at,
        failed_for=None,
        attempts=0,
        retry_at=0.0,
        penalty=damping.taken(memory.penalty, wrote.at) if take else memory.penalty,
    )


def _undone(memory: RouteMemory, wrote: Wrote, view_at: float, group: Group) -> RouteMemory:
    """Another hand moved the route after us: a contest, unless our move had stood for long.

    A move that stood for contest_hold is not argued about but made anew, at most once per
    contest_hold. Without this, two healthy nodes that cannot hear each other would swap homes
    when their holds run out, and each would then leave its own home with the other.
    """
    memory = replace(memory, wrote=None)
    if view_at - wrote.at >= group.contest_hold - group.settle:
        return memory
    to, cause = wrote.move.to, wrote.move.cause
    before = [one for one in memory.contests if (one.to, one.cause) == (to, cause)]
    others = [one for one in memory.contests if one not in before]
    times = before[-1].times + 1 if before else 1
    hold = min(CONTEST_HOLD_MAX, group.contest_hold * 2.0 ** min(times - 1, 16))
    contests = (*others, Contest(to, cause, view_at + hold, times))
    return replace(memory, contests=contests[-CONTESTS:])
