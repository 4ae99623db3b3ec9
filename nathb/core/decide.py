"""The rules: from what is known to what every guarded route needs, as one pure function.

For each route the rules below are asked in turn, and the first that has something to say makes
the ruling. A ruling either leaves the route where it is, and says why, or wishes for a move; what
may hold back a move that is wished for (R7, R9, an API that has just failed) is asked last.

Evidence arrives here already weighed: Blind checks, void pins, hastened falls and stalls (R1,
R12, R13, R14) are matters of `core.health` and `core.watch`. What is left of R1 is that UNKNOWN
is neither UP nor DOWN, and no rule acts on it.

One principle stands behind R3 and R5: whoever convicts needs a witness that was heard *since* the
silence began. An uplink that answered half a minute ago does not tell a dead peer from a dead
region, and a view half a minute old does not show a pin that was just deleted.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from nathb.core import damping
from nathb.core.case import Case, Known, heard_since
from nathb.core.memory import Contest, RouteMemory, is_news
from nathb.core.model import (
    Cause,
    Evidence,
    Move,
    Preempt,
    Route,
    Rule,
    Ruling,
    Verdict,
)
from nathb.core.view import RouteState

AT_ONCE = float("-inf")
"""When something is due that need not wait, not even for fresher evidence."""


def decide(known: Known) -> tuple[Ruling, ...]:
    """Return one ruling per guarded route, default routes first. Same in, same out."""
    return tuple(_rule(known, route) for route in known.group.routes())


def _rule(known: Known, route: Route) -> Ruling:
    memory = known.memory.get(str(route), RouteMemory())
    if known.view is None:
        return Ruling(route, Rule.R10, "no view of the route tables yet")
    case = Case(known, known.view, route, memory, known.view.holding(route))
    rulings = (rule(case) for rule in RULES)
    return _held_back(case, next(ruling for ruling in rulings if ruling is not None))


# --- the rules, in the order in which they are asked --------------------------------------------


def r10_views(case: Case) -> Ruling | None:
    """No move on a view that is too old, or that our own last write has overtaken."""
    now, group = case.known.now, case.known.group
    if case.memory.in_flight is not None:
        return case.stay(Rule.R10, f"a move to {case.memory.in_flight.to} is under way")
    if now - case.view.at > group.view_max_age:
        return case.stay(Rule.R10, f"the last view is {now - case.view.at:.0f} s old")
    if not is_news(case.memory, case.holding, case.view.at, group.settle):
        return case.stay(Rule.R10, "the last write has yet to show in the route table")
    return None


def r8_foreign(case: Case) -> Ruling | None:
    """Hands off what points outside the group, and what is not there at all."""
    if case.holding is None:
        return case.stay(Rule.R8, "the table has no such route; create it to have it guarded")
    if case.holding.node == "" and case.holding.state is RouteState.ACTIVE:
        return case.stay(Rule.R8, f"points at {case.holding.target}, outside the group; left alone")
    return None


def r5_release(case: Case) -> Ruling | None:
    """I hold it, my uplink is DOWN, another node is alive: hand it over now."""
    uplink = case.known.uplink
    if not case.mine or uplink.verdict is not Verdict.DOWN:
        return None
    others = tuple(name for name in case.order if name != case.known.me)
    to = case.first_alive(others)
    if not to:
        return case.stay(Rule.R5, "my uplink is down, and so is every other node")
    if not heard_since(case.evidence(to), uplink):
        reason = f"my uplink is down; asking {to} afresh before handing over"
        return case.stay(Rule.R5, reason, fresh=to)
    cause = Cause("uplink", uplink.verdict.value, uplink.since)
    reason = f"my {_missed('uplink', uplink)}, {_heard(case, to)}"
    return case.move(Rule.R5, to, cause, reason, _first_sign(uplink))


def r6_drain(case: Case) -> Ruling | None:
    """I am drained, or shutting down, and hold it: hand it to the first live candidate."""
    why = case.absent(case.known.me)
    if not case.mine or not why:
        return None
    to = case.first_alive(case.order)
    if not to:
        return case.stay(Rule.R6, f"{why}, but no other node is alive: kept")
    if case.known.uplink.verdict is not Verdict.UP:
        return case.stay(Rule.R6, f"{why}; waiting for my own uplink before handing over")
    if case.evidence(to).doubted_since is not None:
        return case.stay(Rule.R6, f"{why}, but {to} is in doubt: kept for now", fresh=to)
    cause = Cause(case.known.me, why, case.known.undrained.get(case.known.me, 0.0))
    return case.move(Rule.R6, to, cause, f"{case.known.me} is {why}", case.known.now)


def r4_return(case: Case) -> Ruling | None:
    """I hold it, and a node earlier in its order has been UP for long enough: give it back."""
    if not case.mine:
        return None
    earlier = case.order[: case.order.index(case.known.me)]
    back = [name for name in earlier if case.alive(name)]
    if not back:
        return case.stay(Rule.R4, _absent(case, earlier[0]) if earlier else "at home")
    if case.known.uplink.verdict is not Verdict.UP:
        return case.stay(Rule.R4, "my uplink is not up: no return on this evidence")
    manual = case.known.group.preempt is Preempt.MANUAL
    if manual and not case.view.intent.revert:
        return case.stay(Rule.R4, f"{back[0]} is back; preempt is manual: waits for nathb revert")
    due = {name: AT_ONCE if manual else _return_due(case, name) for name in back}
    return _return_when_due(case, due)


def _return_when_due(case: Case, due: dict[str, float]) -> Ruling:
    """Give it back to the first that is due, on fresh evidence: no return is urgent."""
    now = case.known.now
    if damping.suppressed(case.memory.penalty, now):
        until = damping.reusable_at(case.memory.penalty)
        return case.stay(Rule.R11, "taken too often of late: the return waits", until)
    to = next((name for name in due if due[name] <= now), "")
    if not to:
        soonest = min(due, key=lambda name: due[name])
        return case.stay(Rule.R4, f"{soonest} is back; returns after a while", due[soonest])
    target = case.evidence(to)
    if target.doubted_since is not None:
        return case.stay(Rule.R4, f"{to} is in doubt: no return yet")
    if not case.seen_since(to, due[to]):
        return case.stay(Rule.R4, f"asking {to} and EC2 afresh before the return", fresh=to)
    cause = Cause(to, target.verdict.value, max(target.since, _undrained_at(case, to)))
    reason = f"{to} has been up for {now - target.since:.0f} s"
    return case.move(Rule.R4, to, cause, reason, target.since)


def r2_never_from_up(case: Case) -> Ruling | None:
    """Never take a route from a node that I believe UP; nor from oneself."""
    if case.mine:
        return case.stay(Rule.R2, "held by this node")
    if case.holder and case.evidence(case.holder).verdict is Verdict.UP:
        return case.stay(Rule.R2, f"{case.holder} is up")
    return None


def r3_take(case: Case) -> Ruling | None:
    """The holder is DOWN or a blackhole, and I am the first in the order that is alive."""
    holder, uplink = case.evidence(case.holder), case.known.uplink
    blackhole = case.holding is not None and case.holding.state is RouteState.BLACKHOLE
    if holder.verdict is not Verdict.DOWN and not blackhole:
        return None
    if uplink.verdict is not Verdict.UP:
        return case.stay(Rule.R3, f"the holder is lost, but my uplink is {uplink.verdict.value}")
    first = case.first_alive(case.order)
    if first != case.known.me:
        absent = f"the holder is lost, but I am {case.absent(case.known.me)}"
        return case.stay(Rule.R3, f"{first} comes first" if first else absent)
    if holder.verdict is Verdict.DOWN:
        if holder.silent_since is None:
            return case.stay(Rule.R3, f"{case.holder} has just answered again")
        if not heard_since(uplink, holder):
            return case.stay(Rule.R3, "asking my own uplink afresh before taking")
        if case.newer_view_awaited(holder):
            return case.stay(Rule.R10, "reading the route tables afresh before taking")
        cause = Cause(case.holder, holder.verdict.value, holder.since)
        reason = f"{_missed('heartbeat', holder)}, uplink up"
        return case.move(Rule.R3, case.known.me, cause, reason, _first_sign(holder))
    target = case.holding.target if case.holding is not None else ""
    cause = Cause(case.holder or target, RouteState.BLACKHOLE.value, 0.0)
    reason = f"EC2 shows a blackhole at {target}, uplink up"
    return case.move(Rule.R3, case.known.me, cause, reason, case.known.now)


def r1_unknown(case: Case) -> Ruling | None:
    """Whatever is left rests on UNKNOWN: wait for evidence."""
    return case.stay(Rule.R1, f"{case.holder} is unknown: waiting for evidence")


RULES: tuple[Callable[[Case], Ruling | None], ...] = (
    r10_views,
    r8_foreign,
    r5_release,
    r6_drain,
    r4_return,
    r2_never_from_up,
    r3_take,
    r1_unknown,
)


# --- what holds a wish back ---------------------------------------------------------------------


def _held_back(case: Case, ruling: Ruling) -> Ruling:
    """Let the wish through, hold it back (R7, a failed try), or mark it as `would` (R9)."""
    move, now = ruling.move, case.known.now
    if move is None:
        return ruling
    for contest in case.memory.contests:
        if _repeats(move, contest) and now < contest.until:
            if not case.evidence(case.holder).gone:
                return case.stay(Rule.R7, "another hand undid this move: left alone", contest.until)
    if now < case.memory.retry_at and case.memory.failed_for == move.cause:
        return case.stay(ruling.rule, f"{ruling.reason}; will be tried again", case.memory.retry_at)
    if case.view.intent.paused or case.known.dry_run:
        return replace(ruling, rule=Rule.R9, would=True)
    return ruling


def _repeats(move: Move, contest: Contest) -> bool:
    """Whether this is the move that was undone, called for by a verdict that still stands."""
    return (move.to, move.cause) == (contest.to, contest.cause)


def _return_due(case: Case, node: str) -> float:
    """When `node` gets its route back; at once where nothing but a drain had kept it away."""
    changed_at = max(case.evidence(node).since, case.memory.changed_at)
    if _undrained_at(case, node) >= changed_at:
        return AT_ONCE
    return changed_at + case.known.group.preempt_delay


def _undrained_at(case: Case, node: str) -> float:
    return case.known.undrained.get(node, float("-inf"))


def _absent(case: Case, home: str) -> str:
    return f"{home} is drained" if home in case.view.intent.drained else f"{home} is not back yet"


def _first_sign(evidence: Evidence) -> float:
    return evidence.since if evidence.doubted_since is None else evidence.doubted_since


def _missed(what: str, evidence: Evidence) -> str:
    """Say it as in `heartbeat 8.8.4.4 missed 3 of 3`."""
    addresses = ", ".join(evidence.addresses)
    blackhole = " and EC2 shows a blackhole" if evidence.hastened else ""
    hint = " and EC2 says it is gone" if evidence.gone else blackhole
    return f"{what} {addresses} missed {evidence.missed} of {evidence.needed}{hint}"


def _heard(case: Case, node: str) -> str:
    return f"heartbeat {', '.join(case.evidence(node).addresses)} of {node} answers"
