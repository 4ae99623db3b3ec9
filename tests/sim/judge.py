"""Watches one process: what it begins, how that ends, what it tells, and whom it leaves behind."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable
from typing import TYPE_CHECKING

from nathb.core.ec2_state import Holding, View
from nathb.core.errors import CloudError
from nathb.core.events import Event, EventKind
from nathb.core.model import Done, Failure, Move, Route, Verdict
from nathb.core.prober import Prober
from tests.sim.net import GATEWAY
from tests.sim.packet_evidence import UPLINK
from tests.sim.write_checks import CHECKS, LONGEST_MOVE, Past, WriteAttempt

if TYPE_CHECKING:
    from tests.sim.host import Host

RECORDS = {EventKind.TOOK, EventKind.RETURNED, EventKind.RELEASED, EventKind.HANDED_OVER}
KEPT_AT_MOST = 30.0
"""Seconds for which a drained node may hold a route that another could have."""
TROUBLE_LASTS = 4.0
"""Seconds for which an API trouble may still be felt: a short backoff, and the next attempt."""


class OffenceError(AssertionError):
    """A node did what no node may ever do."""


class Judge:
    """Watches one process from its start to its end."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.past: defaultdict[Route, Past] = defaultdict(Past)
        self.seen: View | None = None
        self.kept_since: dict[Route, float] = {}
        """Since when this drained node holds a route that another could have."""
        self.undrained_at: dict[str, float] = {}
        """When each drain that has ended was seen to end."""
        self.owed: Counter[tuple[Route, str]] = Counter()
        """Changes that were confirmed and have yet to be told."""
        self.unsure: Counter[tuple[Route, str]] = Counter()
        """Writes whose answer was lost: they may be told, once each."""
        self.shown: dict[tuple[Route, str], float] = {}
        """When a view first showed a write of this node whose answer was lost, and that it made."""
        self._said: dict[str, Verdict] = {}
        """The verdict on each subject after the last step."""

    # --- what is judged ---------------------------------------------------------------------

    def begun(self, ticket: Hashable, now: float) -> None:
        """Judge a background call that is being started; only writes are of interest."""
        agent = self.host.agent
        if agent is None or not (isinstance(ticket, tuple) and ticket[0] == "move"):
            return
        moves = (one.move for one in agent.rulings if str(one.route) == ticket[1])
        move, view = next(moves, None), agent.ec2_watcher.view
        if move is None:
            raise self._violation(f"R8: wrote {ticket[1]}, which nobody wished for", now)
        if view is None:
            raise self._violation(f"R10: wrote {move.route} without a view", now)
        self.host.look()
        self.look(view, now)
        past = self.past[move.route]
        attempt = WriteAttempt(self.host, move, now, view, self._believed(view, move.route), past)
        for check in CHECKS:
            offence = check(attempt)
            if offence:
                raise self._violation(f"{offence} ({move.route} to {move.to})", now)
        past.flying, past.flying_since, past.unsure_to = move, now, ""
        self.shown = {key: at for key, at in self.shown.items() if key[0] != move.route}
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
                past.wrote, past.unsure_at, past.unsure_to = None, now, move.to

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
        if self._given_up(event.route, event.target):
            return  # and then the route came there all the same: by whom, nobody can tell
        raise self._violation(f"history: told and not done: {event.message}", 0.0)

    def _look_for_the_undrained(self, view: View, now: float) -> None:
        """A drained node hands over what it holds, as soon as somebody else can have it (R6)."""
        me, evidence = self.host.me, self.host.evidence
        if me not in view.intent.drained or self._troubled(view, now):
            self.kept_since.clear()
            return
        for route in self.host.group.routes():
            holding = self._believed(view, route)
            others = [name for name in self.host.group.order(route) if name != me]
            free = [name for name in others if name not in view.intent.drained]
            to = self._first_alive(view, tuple(free))
            changes = [one for one in self.host.shared.ec2.changes if one.route == route]
            given = bool(changes) and changes[-1].who == to
            sound = to != "" and evidence.silent_since(to) is None and not given
            holds = holding is not None and holding.node == me
            if not sound or not holds or evidence.silent_since(UPLINK) is not None:
                self.kept_since.pop(route, None)
            elif now - self.kept_since.setdefault(route, now) > KEPT_AT_MOST:
                raise self._violation(f"R6: keeps {route} though drained, {to} being alive", now)

    def _given_up(self, route: Route, to: str) -> bool:
        """Whether a write of the route to that node has not ended, and is no longer waited for."""
        past = self.past[route]
        since = self.host.shared.clock.now - past.flying_since
        return past.flying is not None and past.flying.to == to and since >= LONGEST_MOVE

    def stepped(self, now: float) -> None:
        """Look back on a step: was all told, and was nobody left where nobody should be?"""
        if self.owed and any(count > 0 for count in self.owed.values()):
            raise self._violation(f"history: done and not told: {dict(self.owed)}", now)
        for key, at in list(self.shown.items()):
            if not self.unsure[key]:
                del self.shown[key]
            elif now > at + 1.0:
                raise self._violation(f"history: not told though a view shows it: {key}", now)
        if self.host.cloud.refused:
            raise self._violation(self.host.cloud.refused[0], now)
        agent = self.host.agent
        if agent is None:
            return
        self._hold_against_packets(agent.prober, now)
        if agent.ec2_watcher.view is None:
            return
        self.look(agent.ec2_watcher.view, now)
        self._look_for_the_undrained(agent.ec2_watcher.view, now)

    def left(self, now: float) -> None:
        """Judge a process that says it may leave: has it handed over all that it could?"""
        view, evidence, me = self.seen, self.host.evidence, self.host.me
        if view is None or self._troubled(view, now) or evidence.verdict(UPLINK) is not Verdict.UP:
            return
        leaving = self.host.shared.leaving  # whom the other gives its own routes at the same time
        for route in self.host.group.routes():
            to = self._first_alive(view, self.host.group.order(route))
            could = to != "" and evidence.silent_since(to) is None and to not in leaving
            holding = self._believed(view, route)
            if holding is not None and holding.node == me and could:
                raise self._violation(f"R6: leaves with {route}, {to} being alive", now)

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
            if self._is_overtaken(view, past, holding.node):
                continue
            key = (holding.route, holding.node)
            lost = self.unsure[key] and past.unsure_to == holding.node
            if lost and past.unsure_at <= view.at < self._settled_at(past):
                if self._was_carried_out(*key):
                    self.shown.setdefault(key, now)
            if holding.node != past.shown:
                past.shown, past.shown_at = holding.node, view.at
            if past.flying is None and past.wrote is not None and holding.node != past.wrote.to:
                past.wrote = None

    def _settled_at(self, past: Past) -> float:
        return past.unsure_at + self.host.group.settle

    def _was_carried_out(self, route: Route, to: str) -> bool:
        """Whether the last change of the route was this process's, to that node."""
        changes = [one for one in self.host.shared.ec2.changes if one.route == route]
        me = (self.host.me, self.host.epoch, to)
        return bool(changes) and (changes[-1].who, changes[-1].epoch, changes[-1].to) == me

    def _believed(self, view: View, route: Route) -> Holding | None:
        """Where the route points as far as this node can know: what EC2 accepted counts, too."""
        holding, past = view.holding(route), self.past[route]
        if holding is None or past.wrote is None:
            return holding
        if view.at >= past.wrote_at and not self._is_overtaken(view, past, holding.node):
            return holding
        return Holding(route, past.wrote.to, holding.target)

    def _is_overtaken(self, view: View, past: Past, holder: str) -> bool:
        """Whether the view contradicts this node's own write, and may only lag behind it (R10)."""
        contradicts = past.wrote is not None and holder != past.wrote.to
        return contradicts and view.at < past.wrote_at + self.host.group.settle

    # --- what is remembered -----------------------------------------------------------------

    def _stands(self, past: Past, move: Move, now: float) -> None:
        past.wrote, past.wrote_at = move, now
        past.shown, past.shown_at = move.to, now
        if move.to == self.host.me:
            past.takes.append(now)

    def _hold_against_packets(self, watch: Prober, now: float) -> None:
        """A verdict rests on packets: DOWN on `fall` misses at least, UP on `rise` answers.

        More than `fall` may be asked for, by whoever distrusts itself. So UP may last longer than
        the packets say, but not begin without them.
        """
        for name, subject in ((UPLINK, watch.uplink), *watch.peers.items()):
            verdict, said = self.host.evidence.verdict(name), subject.verdict
            begins = said is not self._said.get(name, Verdict.UNKNOWN)
            self._said[name] = said
            down = said is Verdict.DOWN and not self.host.evidence.may_be_down(name)
            unfounded = down or (said is Verdict.UP and begins)
            if unfounded and verdict is not said:
                offence = f"R1: {name} is {said.value}, packets say {verdict.value}"
                raise self._violation(offence, now)

    def _troubled(self, view: View, now: float) -> bool:
        host = self.host
        return (
            host.dry_run
            or view.intent.paused
            or now - view.at > host.group.view_max_age
            or host.shared.net.unable[host.me, GATEWAY] > 0
            or now - max(host.shared.ec2.well_since, host.evidence.since[UPLINK]) < TROUBLE_LASTS
        )

    def _first_alive(self, view: View, order: tuple[str, ...]) -> str:
        evidence, me = self.host.evidence, self.host.me
        for name in order:
            if name == me and self.host.leaving:
                continue
            if evidence.verdict(UPLINK if name == me else name) is Verdict.UP:
                if name not in view.intent.drained:
                    return name
        return ""

    def _violation(self, offence: str, now: float) -> OffenceError:
        return OffenceError(f"{now:.3f} {self.host.me}: {offence}")
