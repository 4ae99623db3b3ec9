"""Watches one process: what it begins, how that ends, what it tells, and whom it leaves behind."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable
from typing import TYPE_CHECKING

from nathb.core.errors import CloudError
from nathb.core.events import Event, EventKind
from nathb.core.model import Done, Failure, Move, Route, Rule, Verdict
from nathb.core.view import View
from nathb.core.watch import Watch
from tests.sim.deed import QUESTIONS, Deed, Past
from tests.sim.net import GATEWAY
from tests.sim.witness import UPLINK

if TYPE_CHECKING:
    from tests.sim.post import Post

RECORDS = {EventKind.TOOK, EventKind.RETURNED, EventKind.RELEASED, EventKind.HANDED_OVER}
TROUBLE_LASTS = 4.0
"""Seconds for which an API trouble may still be felt: a short backoff, and the next attempt."""


class OffenceError(AssertionError):
    """A node did what no node may ever do."""


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
        wishes = (one.move for one in agent.rulings if str(one.route) == ticket[1])
        move, view = next(wishes, None), agent.sight.view
        if move is None:
            raise self._violation(f"R8: wrote {ticket[1]}, which nobody wished for", now)
        if view is None:
            raise self._violation(f"R10: wrote {move.route} without a view", now)
        self.post.look()
        self.look(view, now)
        past = self.past[move.route]
        deed = Deed(self.post, move, now, view, view.holding(move.route), past)
        for question in QUESTIONS:
            offence = question(deed)
            if offence:
                raise self._violation(f"{offence} ({move.route} to {move.to})", now)
        past.flying = move
        past.tries.append(now)

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
            past.refused[move.cause] = now
            if answer.failure is Failure.NO_REPLY:
                self.unsure[move.route, move.to] = 1
                past.wrote, past.unsure_at = None, now

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
                    past.shown, past.shown_at = event.target, past.unsure_at
                return
        raise self._violation(f"history: told and not done: {event.message}", 0.0)

    def stepped(self, now: float) -> None:
        """Look back on a step: was all told, and was nobody left where nobody should be?"""
        if self.owed and any(count > 0 for count in self.owed.values()):
            raise self._violation(f"history: done and not told: {dict(self.owed)}", now)
        if self.post.cloud.refused:
            raise self._violation(self.post.cloud.refused[0], now)
        agent = self.post.agent
        if agent is None:
            return
        self._hold_against_packets(agent.watch, now)
        if agent.sight.view is None:
            return
        self.look(agent.sight.view, now)
        self._look_for_the_stranded(agent.sight.view, now)

    def left(self, now: float) -> None:
        """Judge a process that says it may leave: has it handed over all that it could?"""
        view, witness, me = self.seen, self.post.witness, self.post.me
        if view is None or self._troubled(view, now) or witness.verdict(UPLINK) is not Verdict.UP:
            return
        for holding in view.holdings:
            to = self._first_alive(view, self.post.group.order(holding.route))
            could = to != "" and witness.silent_since(to) is None
            if holding.node == me and could and not self._left_alone(holding.route):
                raise self._violation(f"R6: leaves with {holding.route}, {to} being alive", now)

    def look(self, view: View, now: float) -> None:
        """Take in a view, if it is a new one."""
        if view is self.seen:
            return
        before, self.seen = self.seen, view
        if before is not None:
            ended = before.intent.drained - view.intent.drained
            self.undrained_at |= dict.fromkeys(ended, now)
        for holding in view.holdings:
            past = self.past[holding.route]
            wrote = past.wrote
            if self._is_overtaken(view, past, holding.node):
                continue
            if holding.node != past.shown:
                past.shown, past.shown_at = holding.node, view.at
            if past.flying is None and wrote is not None and holding.node != wrote.to:
                self._undone(past, wrote, view.at)

    def _is_overtaken(self, view: View, past: Past, holder: str) -> bool:
        """Whether the view contradicts this node's own write, and may only lag behind it (R10)."""
        contradicts = past.wrote is not None and holder != past.wrote.to
        return contradicts and view.at < past.wrote_at + self.post.group.settle

    # --- what is remembered -----------------------------------------------------------------

    def _undone(self, past: Past, wrote: Move, seen_at: float) -> None:
        """Another hand has moved the route after us, or so a view says that is no stale one."""
        group = self.post.group
        past.wrote = None
        if seen_at - past.wrote_at < group.contest_hold - group.settle:
            past.undone[wrote.to, wrote.cause] = seen_at

    def _stands(self, past: Past, move: Move, now: float) -> None:
        past.wrote, past.wrote_at = move, now
        past.shown, past.shown_at = move.to, now
        if move.to == self.post.me:
            past.takes.append(now)

    def _hold_against_packets(self, watch: Watch, now: float) -> None:
        """No verdict but what packets say; so nothing that was never sent convicts anybody."""
        for name, subject in ((UPLINK, watch.uplink), *watch.peers.items()):
            verdict = self.post.witness.verdict(name)
            if subject.verdict is not verdict:
                offence = f"R1: {name} is {subject.verdict.value}, packets say {verdict.value}"
                raise self._violation(offence, now)

    def _look_for_the_stranded(self, view: View, now: float) -> None:
        """Clients must not stay where this node knows that nothing is forwarded."""
        if not self.stranded and Verdict.DOWN not in self.post.witness.told.values():
            return
        troubled = self._troubled(view, now)
        for holding in view.holdings:
            route, holder = holding.route, holding.node
            past = self.past[route]
            unclear = past.flying is not None or self._is_overtaken(view, past, holder)
            excused = troubled or unclear or self._left_alone(route)
            if excused or not self._must_move(view, route, holder):
                self.stranded.pop(route, None)
            elif now - self.stranded.setdefault(route, now) > self.patience(holder):
                raise self._violation(f"R3 R5: clients of {route} left on {holder}", now)

    def _troubled(self, view: View, now: float) -> bool:
        post = self.post
        return (
            post.dry_run
            or view.intent.paused
            or now - view.at > post.group.view_max_age
            or post.place.net.unable[post.me, GATEWAY] > 0
            or now - max(post.place.ec2.well_since, post.witness.since[UPLINK]) < TROUBLE_LASTS
        )

    def _must_move(self, view: View, route: Route, holder: str) -> bool:
        """Whether it is this node that has to move the route away from a node known DOWN."""
        post, witness = self.post, self.post.witness
        order = post.group.order(route)
        if holder == post.me:
            to = self._first_alive(view, tuple(name for name in order if name != holder))
            silent_since = witness.silent_since(UPLINK)
            if witness.verdict(UPLINK) is not Verdict.DOWN or not to or silent_since is None:
                return False
            return witness.heard_at(to) >= silent_since
        return (
            holder != ""
            and witness.verdict(holder) is Verdict.DOWN
            and witness.silent_since(holder) is not None
            and witness.verdict(UPLINK) is Verdict.UP
            and self._first_alive(view, order) == post.me
        )

    def patience(self, holder: str) -> float:
        """Seconds in which a route must leave a node known DOWN, the API being well.

        A view that another hand's move has made old is no news until `settle` has passed, and is
        read again within `refresh`. Who takes needs a fresh uplink too: an interval and a timeout.
        """
        group = self.post.group
        uplink = group.check.interval + group.check.timeout if holder != self.post.me else 0.0
        return uplink + group.settle + group.refresh + 2.0

    def _first_alive(self, view: View, order: tuple[str, ...]) -> str:
        witness, me = self.post.witness, self.post.me
        for name in order:
            if name == me and self.post.leaving:
                continue
            if witness.verdict(UPLINK if name == me else name) is Verdict.UP:
                if name not in view.intent.drained:
                    return name
        return ""

    def _left_alone(self, route: Route) -> bool:
        rulings = self.post.agent.rulings if self.post.agent is not None else ()
        return any(one.route == route and one.rule in {Rule.R7, Rule.R8} for one in rulings)

    def _violation(self, offence: str, now: float) -> OffenceError:
        return OffenceError(f"{now:.3f} {self.post.me}: {offence}")
