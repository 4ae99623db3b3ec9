"""The rules: from what is known to what every guarded route needs, as one pure function.

One aim stands above them: clients sit on a node that serves them.

For each route the rules below are asked in turn, and the first that has something to say makes
the ruling. A ruling either leaves the route where it is, and says why, or calls for a move; what
may hold back a move that is called for (R7, R9, an API that has just failed) is asked last.

Evidence arrives here already weighed: Blind checks, void pins, hastened falls, stalls and a lossy
path of this node's own (R1, R12, R13, R14, R15) are matters of `core.health` and `core.prober`.
What is left of R1 is that UNKNOWN is neither UP nor DOWN, and no rule acts on it.

One principle stands behind R3 and R5: whoever convicts needs a witness that was heard *since* the
silence began. An uplink that answered half a minute ago does not tell a dead peer from a dead
region, and a view half a minute old does not show a pin that was just deleted.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from nathb.core import damping, split
from nathb.core.context import (
    Facts,
    RouteContext,
    case_of,
    heard_since,
    silent_throughout,
)
from nathb.core.ec2_state import RouteState
from nathb.core.memory import SHUTTING_DOWN, contest_hold
from nathb.core.model import Cause, Evidence, Move, Route, Rule, Ruling, Verdict
from nathb.core.text import format_age, format_evidence

ROBBED_WAIT = 30.0
"""Seconds that a node waits longer for a home route of its own that a peer has taken (R7b)."""


def decide(known: Facts) -> tuple[Ruling, ...]:
    """Return one ruling per guarded route, default routes first. Same in, same out."""
    return tuple([_rule(known, route) for route in known.group.routes()])


def _rule(known: Facts, route: Route) -> Ruling:
    if known.view is None:
        return Ruling(route, Rule.R10, "no view of the route tables yet")
    case = case_of(known, known.view, route)
    for rule in RULES:
        ruling = rule(case)
        if ruling is not None:
            return ruling if ruling.move is None else _held_back(case, ruling, ruling.move)
    raise AssertionError("the last rule always makes a ruling")


# --- the rules, in the order in which they are asked --------------------------------------------


def r10_views(case: RouteContext) -> Ruling | None:
    """One move at a time for each route, and none on a view that is too old."""
    age, move = case.known.now - case.as_of, case.memory.under_way
    if move is not None:
        return case.stay(Rule.R10, f"a move to {move.to} is under way")
    if age > case.known.group.view_max_age:
        return case.stay(Rule.R10, f"the last view is {format_age(age)} old")
    return None


def r8_foreign(case: RouteContext) -> Ruling | None:
    """Leave alone what points outside the group, and what is not in the table at all."""
    if case.holding is None:
        return case.stay(Rule.R8, "the table has no such route; create it to have it guarded")
    if case.holding.node == "" and not case.holding.is_blackhole:
        return case.stay(Rule.R8, f"points at {case.holding.target}, outside the group; left alone")
    return None


def r5_release(case: RouteContext) -> Ruling | None:
    """I hold it, my uplink is DOWN, another node is alive: hand it over now."""
    uplink = case.known.uplink
    if uplink.verdict is not Verdict.DOWN or not case.mine:
        return None
    if case.memory.released_at is not None and case.memory.released_at >= uplink.since:
        return case.stay(Rule.R5, "my uplink is down, but the route was given back to me: kept")
    if not case.successors:
        return case.stay(Rule.R5, "my uplink is down, and no other node can take it: kept")
    to = case.successors[0]
    if not silent_throughout(uplink):
        return case.stay(Rule.R5, "my uplink has just answered again")
    if not heard_since(case.evidence(to), uplink.silent_since):
        reason = f"my uplink is down; pinging {to} once more before the release"
        return case.stay(Rule.R5, reason, fresh=to)
    cause = Cause("uplink", uplink.verdict.value, uplink.since)
    reason = f"my {_missed('uplink', uplink)}, {_answers(case, to)}"
    return case.move(Rule.R5, to, cause, reason, _first_sign(uplink))


def r6_drain(case: RouteContext) -> Ruling | None:
    """I am drained, or shutting down, and hold it: hand it to the first live candidate."""
    me, leaving = case.known.me, case.known.leaving
    if not case.mine or not (leaving or case.drained(me)):
        return None
    why = SHUTTING_DOWN if leaving else "drained"
    if leaving and case.memory.handed_over:
        return case.stay(Rule.R6, f"{why}, but it was given back to me: kept")
    others = [name for name in case.candidates if name != me]
    undrained = [name for name in case.successors if not case.drained(name)]
    to = next(iter(others if leaving else undrained), "")
    if not to:
        return case.stay(Rule.R6, f"{why}, but no other node can take it: kept")
    if case.known.uplink.verdict is not Verdict.UP:
        return case.stay(Rule.R6, f"{why}; waiting for my own uplink before handing over")
    if case.evidence(to).doubted_since is not None:
        return case.stay(Rule.R6, f"{why}, but {to} is in doubt: kept for now", fresh=to)
    cause = Cause(me, why, case.known.undrained.get(me, 0.0))
    return case.move(Rule.R6, to, cause, f"{me} is {why}", case.known.now)


def r4_return(case: RouteContext) -> Ruling | None:
    """I hold it, and a node earlier in its order has been UP for long enough: give it back."""
    if not case.mine:
        return None
    earlier = case.earlier
    back = [name for name in earlier if case.alive(name) and not case.drained(name)]
    if not back:
        return case.stay(Rule.R4, _away(case, earlier[0]) if earlier else "at home")
    if case.known.uplink.verdict is not Verdict.UP:
        return case.stay(Rule.R4, "my uplink is not up: no return on this evidence")
    if case.waits_for_revert():
        return case.stay(Rule.R4, f"{back[0]} is back; preempt is manual: waits for nathb revert")
    return _return_when_due(case, back)


def _return_when_due(case: RouteContext, back: list[str]) -> Ruling:
    """Give it back to the first that is due, on fresh evidence: no return is urgent."""
    now, due = case.known.now, {name: case.return_due(name) for name in back}
    to = next((name for name in due if due[name] <= now), "")
    damped = damping.suppressed(case.memory.penalty, now)
    if damped and (not to or due[to] > float("-inf")):
        until = damping.reusable_at(case.memory.penalty)
        return case.stay(Rule.R11, "taken too often recently: the return waits", until)
    if not to:
        soonest = min(due, key=lambda name: due[name])
        return case.stay(Rule.R4, f"{soonest} is back; returns after a while", due[soonest])
    target = case.evidence(to)
    if target.doubted_since is not None:
        return case.stay(Rule.R4, f"{to} is in doubt: no return yet")
    if not case.seen_since(to, due[to]):
        return case.stay(Rule.R4, f"checking {to} and EC2 once more before the return", fresh=to)
    cause = Cause(to, target.verdict.value, max(target.since, case.asked_home_at(to)))
    reason = f"{to} has been up for {format_age(now - target.since)}"
    return case.move(Rule.R4, to, cause, reason, target.since)


def r2_never_from_up(case: RouteContext) -> Ruling | None:
    """Never take a route from a node that I believe UP; nor from oneself."""
    if case.mine:
        return case.stay(Rule.R2, "held by this node")
    if case.holder and case.evidence(case.holder).verdict is Verdict.UP:
        return case.stay(Rule.R2, f"{case.holder} is up")
    return None


def r3_take_from_the_dead(case: RouteContext) -> Ruling | None:
    """The holder is DOWN, I am fit, and no live node comes before me: move it to me."""
    holder, uplink = case.evidence(case.holder), case.known.uplink
    if holder.verdict is not Verdict.DOWN:
        return None
    obstacle = _not_my_turn(case, holder.since)
    if obstacle is not None:
        return obstacle
    if not silent_throughout(holder):
        return case.stay(Rule.R3, f"{case.holder} has answered again: {_missed_in_a_row(holder)}")
    if not heard_since(uplink, holder.silent_since):
        reason = "pinging my own uplink once more before taking"
        return case.stay(Rule.R3, reason, fresh=case.known.me)
    if case.newer_view_awaited(holder):
        return case.stay(Rule.R10, "reading the route tables once more before taking")
    cause = Cause(case.holder, holder.verdict.value, holder.since)
    reason = f"{_missed('heartbeat', holder)}, uplink up"
    return case.move(Rule.R3, case.known.me, cause, reason, _first_sign(holder))


def r3_take_a_blackhole(case: RouteContext) -> Ruling | None:
    """EC2 shows a blackhole, I am fit, and no live node comes before me: move it to me."""
    since, holding = case.memory.blackhole_since, case.holding
    if holding is None or not holding.is_blackhole:
        return None
    since = case.view.at if since is None else since
    obstacle = _not_my_turn(case, since)
    if obstacle is not None:
        return obstacle
    if not heard_since(case.known.uplink, since):
        reason = "pinging my own uplink once more before taking"
        return case.stay(Rule.R3, reason, fresh=case.known.me)
    cause = Cause(case.holder or holding.target, RouteState.BLACKHOLE.value, 0.0)
    reason = f"EC2 shows a blackhole at {holding.target}, uplink up"
    return case.move(Rule.R3, case.known.me, cause, reason, case.known.now)


def _not_my_turn(case: RouteContext, since: float) -> Ruling | None:
    """Say why this node may not take a route that has had no live holder since then (R3, R3b).

    The first live node of the order takes at once. The next in line takes after one full
    detection and `settle` for each node before it: the first may be one whose daemon is dead,
    in dry run, denied by IAM, or reading another file.
    """
    me, uplink, group = case.known.me, case.known.uplink, case.known.group
    if uplink.verdict is not Verdict.UP:
        return case.stay(Rule.R3, f"the holder is lost, but my uplink is {uplink.verdict.value}")
    if me not in case.candidates:
        return case.stay(Rule.R3, "the holder is lost, but I am shutting down")
    rank, first = case.candidates.index(me), case.candidates[0]
    if rank == 0:
        return None
    due = since + rank * (group.check.detection + group.settle)
    if case.known.now < due:
        return case.stay(Rule.R3, f"{first} comes first; this node takes if it does not", due)
    if case.view.at < due:
        reason = f"{first} has not taken it; reading the route tables once more before taking"
        return case.stay(Rule.R3, reason, fresh=first)
    return None


def r1_unknown(case: RouteContext) -> Ruling | None:
    """Whatever is left rests on UNKNOWN: wait for evidence."""
    return case.stay(Rule.R1, f"{case.holder} is unknown: waiting for evidence")


RULES: tuple[Callable[[RouteContext], Ruling | None], ...] = (
    r10_views,
    r8_foreign,
    r5_release,
    r6_drain,
    r4_return,
    r2_never_from_up,
    r3_take_from_the_dead,
    r3_take_a_blackhole,
    r1_unknown,
)


# --- what holds a move back ---------------------------------------------------------------------


def _held_back(case: RouteContext, ruling: Ruling, move: Move) -> Ruling:
    """Let the move through, hold it back (R7, a failed try), or mark it as `would` (R9)."""
    now = case.known.now
    if move.rule is Rule.R3 and not case.evidence(case.holder).gone:
        holds = (hold(case) for hold in (r7_contested, r7b_robbed, r7c_split))
        for held in holds:
            if held is not None and held.due is not None and now < held.due:
                return held
    if now < case.memory.retry_at and case.memory.failed_for == move.cause:
        return case.stay(ruling.rule, f"{ruling.reason}; will be tried again", case.memory.retry_at)
    if case.view.intent.paused or case.known.dry_run:
        return replace(ruling, rule=Rule.R9, would=True)
    return ruling


def r7_contested(case: RouteContext) -> Ruling | None:
    """Someone undid such a take: the holder must be DOWN without a break for longer each time."""
    contest = case.contest()
    if contest is None:
        return None
    since = max(contest.at, case.evidence(case.holder).since)
    due = since + contest_hold(case.memory, case.known.now, case.known.group)
    return case.stay(Rule.R7, "someone else undid this move: left alone", due)


def r7b_robbed(case: RouteContext) -> Ruling | None:
    """My home route is with a node that I call DOWN: it called me DOWN before.

    Where pulses are answered and heartbeats are not, nothing lies between the two: then its
    forwarding is dead, and there is nothing to wait for. In a split there is not either.
    """
    holder = case.evidence(case.holder)
    mine = case.order[0] == case.known.me and case.holder != ""
    if not mine or holder.verdict is not Verdict.DOWN or case.gave_away(case.holder):
        return None
    if case.holder in case.known.splits:
        return None
    due = holder.since + ROBBED_WAIT
    if holder.pulsing_since is not None:
        due = min(due, holder.pulsing_since + case.known.group.check.fast_detection)
    reason = f"{case.holder} took this route from me: waiting to be sure"
    return case.stay(Rule.R7, reason, due)


def r7c_split(case: RouteContext) -> Ruling | None:
    """The holder and I have called each other DOWN: each keeps its own, and takes nothing else.

    Only while neither is answered: where pulses are answered, the path between them is not cut.
    """
    found = case.known.splits.get(case.holder)
    if found is None or case.order[0] == case.known.me:
        return None
    due, pulsing_since = found.acted_at + split.HOLD, case.evidence(case.holder).pulsing_since
    if pulsing_since is not None:
        due = min(due, pulsing_since + case.known.group.check.fast_detection)
    reason = f"{case.holder} took a route while it did not answer, so it is alive: left alone"
    return case.stay(Rule.R7, reason, due)


# --- words --------------------------------------------------------------------------------------


def _away(case: RouteContext, home: str) -> str:
    return f"{home} is drained" if case.drained(home) else f"{home} is not back yet"


def _first_sign(evidence: Evidence) -> float:
    return evidence.since if evidence.doubted_since is None else evidence.doubted_since


def _missed_in_a_row(evidence: Evidence) -> str:
    return f"missed {evidence.missed} of {evidence.needed} since"


def _missed(what: str, evidence: Evidence) -> str:
    """Say it as in `heartbeat 8.8.4.4 missed 3 of 3`."""
    blackhole = " and EC2 shows a blackhole" if evidence.hastened else ""
    hint = " and EC2 says it is gone" if evidence.gone else blackhole
    return f"{format_evidence(what, evidence)}{hint}"


def _answers(case: RouteContext, node: str) -> str:
    return f"heartbeat {', '.join(case.evidence(node).addresses)} of {node} answers"
