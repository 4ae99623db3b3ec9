"""What no node may ever do, as a column of questions that every deed is asked.

A *deed* is a write that a process has just begun. It is held against the witness (what the
packets allow to be believed) and against the last view that came, never against what the process
says of itself. Each question cites its rule and answers with the offence, or with nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nathb.core.errors import CloudError
from nathb.core.events import Event, EventKind
from nathb.core.model import Cause, Done, Failure, Move, Preempt, Route, Rule, Verdict
from nathb.core.view import Holding, RouteState, View
from tests.sim.witness import UPLINK

if TYPE_CHECKING:
    from tests.sim.post import Post

RECORDS = {EventKind.TOOK, EventKind.RETURNED, EventKind.RELEASED, EventKind.HANDED_OVER}
FIRST_BACKOFF = 0.1
"""Seconds that must pass after a refusal: half of the shortest first backoff, and a little less."""
MANY_TAKES, WITHIN, DAMPED_FOR = 3, 120.0, 900.0
"""So many takes of a route in so short a time must delay its return for longer than this (R11)."""


class OffenceError(AssertionError):
    """A node did what no node may ever do."""


@dataclass
class Past:
    """What this process has done to one route, and how that ended. Times in seconds."""

    flying: Move | None = None
    wrote: Move | None = None
    wrote_at: float = float("-inf")
    undone: dict[tuple[str, Cause], float] = field(default_factory=dict)
    """Moves that were carried out and are not so any more, and when a view first showed it."""
    refused_at: float = float("-inf")
    shown: str | None = None
    shown_at: float = 0.0
    takes: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Deed:
    """A write that is being begun, and all that it is judged by."""

    post: Post
    move: Move
    now: float
    view: View
    holding: Holding | None
    past: Past

    @property
    def me(self) -> str:
        return self.post.me

    @property
    def takes(self) -> bool:
        return self.move.to == self.me

    @property
    def releases(self) -> bool:
        return not self.takes and self.verdict(self.me) is Verdict.DOWN

    @property
    def hands_over(self) -> bool:
        return not self.takes and not self.releases and self.me in self.view.intent.drained

    @property
    def returns(self) -> bool:
        return not (self.takes or self.releases or self.hands_over)

    @property
    def order(self) -> tuple[str, ...]:
        return self.post.place.group.order(self.move.route)

    @property
    def holder(self) -> str:
        return self.holding.node if self.holding is not None else ""

    @property
    def blackhole(self) -> bool:
        return self.holding is not None and self.holding.state is RouteState.BLACKHOLE

    def verdict(self, node: str) -> Verdict:
        return self.post.witness.verdict(UPLINK if node == self.me else node)

    def alive(self, node: str) -> bool:
        return self.verdict(node) is Verdict.UP and node not in self.view.intent.drained


class Judge:
    """Watches one process from its start to its end."""

    def __init__(self, post: Post) -> None:
        self.post = post
        self.past: defaultdict[Route, Past] = defaultdict(Past)
        self.seen: View | None = None
        self.undrained_at: dict[str, float] = {}
        """When each drain that has ended was seen to end."""
        self.owed: Counter[tuple[Route, str]] = Counter()
        """Changes that were confirmed and have yet to be told."""
        self.unsure: Counter[tuple[Route, str]] = Counter()
        """Writes whose answer was lost: they may be told, once each."""
        self.stranded: dict[Route, float] = {}
        """Since when a route is left on a node known DOWN though it could be taken."""

    # --- what is judged ---------------------------------------------------------------------

    def begun(self, ticket: Hashable, now: float) -> None:
        """Judge a background call that is being started; only writes are of interest."""
        agent = self.post.agent
        if agent is None or not (isinstance(ticket, tuple) and ticket[0] == "move"):
            return
        ruling = next(one for one in agent.rulings if str(one.route) == ticket[1])
        move, view = ruling.move, agent.sight.view
        assert move is not None, f"{ticket} was begun without a wish"
        if view is None:
            raise self._violation(f"R10: wrote {move.route} without a view", now)
        self.look(view, now)
        past = self.past[move.route]
        deed = Deed(self.post, move, now, view, view.holding(move.route), past)
        for question in QUESTIONS:
            offence = question(deed)
            if offence:
                raise self._violation(f"{offence} ({move.route} to {move.to})", now)
        past.flying = move

    def ended(self, ticket: Hashable, answer: object, now: float) -> None:
        """Take in how a write ended."""
        if not (isinstance(ticket, tuple) and ticket[0] == "move"):
            return
        past = next(one for route, one in self.past.items() if str(route) == ticket[1])
        move, past.flying = past.flying, None
        assert move is not None, f"{ticket} ended and was never begun"
        if isinstance(answer, Done):
            self.owed[move.route, move.to] += 1
            self.unsure.pop((move.route, move.to), None)
            self._stands(past, move, now)
        elif isinstance(answer, CloudError) and answer.failure is not Failure.EXPIRED:
            past.refused_at = now
            if answer.failure is Failure.NO_REPLY:
                self.unsure[move.route, move.to] = 1
                past.wrote = None

    def told(self, event: Event) -> None:
        """Hold a record against what was done: one for each change, and none beside."""
        if event.kind not in RECORDS or event.route is None:
            return
        key = (event.route, event.target)
        for account in (self.owed, self.unsure):
            if account[key] > 0:
                account[key] -= 1
                if account is self.unsure:
                    past = self.past[event.route]
                    past.shown, past.shown_at = event.target, self.post.place.clock.now
                return
        raise self._violation(f"history: told and not done: {event.message}", 0.0)

    def stepped(self, now: float) -> None:
        """Look back on a step: was all told, and was nobody left where nobody should be?"""
        if self.owed and any(count > 0 for count in self.owed.values()):
            raise self._violation(f"history: done and not told: {dict(self.owed)}", now)
        if self.post.cloud.refused:
            raise self._violation(f"R8: {self.post.cloud.refused[0]}", now)
        agent = self.post.agent
        if agent is None or agent.sight.view is None:
            return
        self.look(agent.sight.view, now)
        self._look_for_the_stranded(agent.sight.view, now)

    def look(self, view: View, now: float) -> None:
        """Take in a view, if it is a new one."""
        if view is self.seen:
            return
        before, self.seen = self.seen, view
        witness, agent = self.post.witness, self.post.agent
        if agent is not None:
            witness.look(view, agent.sight.roster, now)
        if before is not None:
            ended = before.intent.drained - view.intent.drained
            self.undrained_at |= dict.fromkeys(ended, now)
        for holding in view.holdings:
            past = self.past[holding.route]
            wrote = past.wrote
            contradicts = wrote is not None and holding.node != wrote.to
            if contradicts and view.at < past.wrote_at + self.post.place.group.settle:
                continue  # Describe may lag behind a write (R10)
            if holding.node != past.shown:
                past.shown, past.shown_at = holding.node, view.at
            if past.flying is None and wrote is not None and contradicts:
                self._undone(past, wrote, view.at)

    # --- what is remembered -----------------------------------------------------------------

    def _undone(self, past: Past, wrote: Move, seen_at: float) -> None:
        """Another hand has moved the route after us, or so a view says that is no stale one."""
        group = self.post.place.group
        past.wrote = None
        if seen_at - past.wrote_at < group.contest_hold - group.settle:
            past.undone[wrote.to, wrote.cause] = seen_at

    def _stands(self, past: Past, move: Move, now: float) -> None:
        past.wrote, past.wrote_at = move, now
        past.shown, past.shown_at = move.to, now
        if move.to == self.post.me:
            past.takes.append(now)

    def _look_for_the_stranded(self, view: View, now: float) -> None:
        post = self.post
        group, witness = post.place.group, post.witness
        troubled = (
            post.dry_run
            or view.intent.paused
            or witness.verdict(UPLINK) is not Verdict.UP
            or post.place.net.unable[post.me]
            or now - max(post.place.ec2.well_since, witness.since[UPLINK]) < TROUBLE_LASTS
        )
        for holding in view.holdings:
            route, holder = holding.route, holding.node
            if (
                troubled
                or holder in {"", post.me}
                or witness.verdict(holder) is not Verdict.DOWN
                or witness.silent_since(holder) is None
                or self._first_alive(view, group.order(route)) != post.me
                or self._left_alone(route)
            ):
                self.stranded.pop(route, None)
            elif now - self.stranded.setdefault(route, now) > self.patience:
                raise self._violation(f"R3: clients of {route} left on {holder}, known DOWN", now)

    @property
    def patience(self) -> float:
        """Seconds in which a route must leave a node known DOWN, the API being well."""
        group = self.post.place.group
        return group.check.interval + group.check.timeout + group.settle + 2.0

    def _first_alive(self, view: View, order: tuple[str, ...]) -> str:
        witness, me = self.post.witness, self.post.me
        for name in order:
            if witness.verdict(UPLINK if name == me else name) is Verdict.UP:
                if name not in view.intent.drained:
                    return name
        return ""

    def _left_alone(self, route: Route) -> bool:
        rulings = self.post.agent.rulings if self.post.agent is not None else ()
        return any(one.route == route and one.rule in {Rule.R7, Rule.R8} for one in rulings)

    def _violation(self, offence: str, now: float) -> OffenceError:
        return OffenceError(f"{now:.3f} {self.post.me}: {offence}")


TROUBLE_LASTS = 17.0
"""Seconds for which an API trouble may still be felt: its longest backoff, and a little more."""


# --- the questions ------------------------------------------------------------------------------


def r9_paused_or_dry(deed: Deed) -> str:
    if deed.post.dry_run:
        return "wrote in a dry run"
    return "R9: wrote while paused" if deed.view.intent.paused else ""


def r10_view(deed: Deed) -> str:
    if deed.now - deed.view.at > deed.post.place.group.view_max_age:
        return "R10: acted on a view that is too old"
    if deed.past.flying is not None:
        return "R10: began a write while another of this route was in flight"
    settle = deed.post.place.group.settle
    if deed.past.wrote is not None and deed.now < deed.past.wrote_at + settle:
        if deed.view.at < deed.past.wrote_at or deed.holder != deed.past.wrote.to:
            return "R10: did not wait for its own last write to show"
    return ""


def r8_foreign(deed: Deed) -> str:
    if deed.holding is None:
        return "R8: wrote a route that is not there"
    if deed.holder == "" and not deed.blackhole:
        return "R8: took what points outside the group"
    return ""


def backoff(deed: Deed) -> str:
    if deed.now < deed.past.refused_at + FIRST_BACKOFF:
        return "R10: tried again at once after a refusal"
    return ""


def r7_contested(deed: Deed) -> str:
    group = deed.post.place.group
    undone_at = deed.past.undone.get((deed.move.to, deed.move.cause))
    if undone_at is None or deed.holder in deed.post.witness.gone:
        return ""
    if deed.now < undone_at + group.contest_hold:
        return "R7: repeated a move that another hand had undone"
    return ""


def r6_drained_target(deed: Deed) -> str:
    return "R6: gave a route to a drained node" if deed.move.to in deed.view.intent.drained else ""


def r1_target_is_up(deed: Deed) -> str:
    verdict = deed.verdict(deed.move.to)
    return (
        f"R1: gave a route to a node that is {verdict.value}" if verdict is not Verdict.UP else ""
    )


def r2_r3_take(deed: Deed) -> str:
    if not deed.takes:
        return ""
    if deed.holder == deed.me:
        return "R2: took from itself"
    verdict = deed.verdict(deed.holder)
    if verdict is Verdict.UP:
        return "R2: took from a node that is UP"
    if verdict is not Verdict.DOWN and not deed.blackhole:
        return "R3: took from a node that is not DOWN"
    if next((name for name in deed.order if deed.alive(name)), "") != deed.me:
        return "R3: took though another node comes first"
    return ""


def r3_witness(deed: Deed) -> str:
    if not deed.takes or deed.verdict(deed.holder) is not Verdict.DOWN:
        return ""
    silent_since = deed.post.witness.silent_since(deed.holder)
    if silent_since is None:
        return "R3: took from a node heard within its fall window"
    if deed.post.witness.heard_at(UPLINK) < silent_since:
        return "R3: took without an uplink heard since the silence began"
    return ""


def only_from_oneself(deed: Deed) -> str:
    if not deed.takes and deed.holder != deed.me:
        return "R3: gave away a route that another node holds"
    return ""


def r5_release(deed: Deed) -> str:
    if not deed.releases:
        return ""
    silent_since = deed.post.witness.silent_since(UPLINK)
    if silent_since is None or deed.post.witness.heard_at(deed.move.to) < silent_since:
        return "R5: released to a node not heard since the uplink fell silent"
    return ""


def r6_hand_over(deed: Deed) -> str:
    if not deed.hands_over:
        return ""
    first = next((name for name in deed.order if deed.alive(name)), "")
    return "" if deed.move.to == first else "R6: handed over to another than the first in order"


def r4_return(deed: Deed) -> str:
    if not deed.returns:
        return ""
    if deed.verdict(deed.me) is not Verdict.UP:
        return "R4: returned with an uplink that is not UP"
    if deed.order.index(deed.move.to) > deed.order.index(deed.me):
        return "R4: returned to a node that comes later"
    if deed.post.witness.silent_since(deed.move.to) is not None:
        return "R4: returned to a node that has just missed a check"
    return ""


def r4_r11_when(deed: Deed) -> str:
    if not deed.returns or deed.view.intent.revert:
        return ""
    group = deed.post.place.group
    if group.preempt is Preempt.MANUAL:
        return "R4: returned unasked, though preempt is manual"
    takes = [at for at in deed.past.takes if at > deed.now - DAMPED_FOR]
    if len(takes) >= MANY_TAKES and takes[-1] - takes[-MANY_TAKES] < WITHIN:
        return "R11: returned what was taken again and again"
    undrained_at = deed.post.judge.undrained_at.get(deed.move.to, float("-inf"))
    changed_at = deed.past.shown_at
    since = max(deed.post.witness.since[deed.move.to], changed_at)
    if undrained_at < changed_at and deed.now < since + group.preempt_delay:
        return "R4: returned too soon"
    return ""


QUESTIONS: tuple[Callable[[Deed], str], ...] = (
    r9_paused_or_dry,
    r8_foreign,
    r10_view,
    backoff,
    r7_contested,
    r6_drained_target,
    r1_target_is_up,
    r2_r3_take,
    r3_witness,
    only_from_oneself,
    r5_release,
    r6_hand_over,
    r4_return,
    r4_r11_when,
)
