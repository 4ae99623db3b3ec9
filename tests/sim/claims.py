"""The judge that knows the truth: what clients are owed, and what no node may do to them.

    unserved   Clients sit on a dark node while another could serve them: at most one detection and
               5 s after the truth changed, and what `grants` adds by facts of the world.
    taken      A route is taken from a node that serves its clients, and has done so for one
               detection and 5 s: never, unless the taker could not see it. Loss at one place of up
               to 5 % is no reason; up to 20 %, one per route and hour; above that, two. Behind a
               cut (its heartbeats cross nothing though the node serves) six per node: as often
               as damping lets returns happen while a cut comes and goes for an hour.
    written    Writes of one route: at most two for each change of the truth, and four an hour. A
               cut that flaps is one change when it begins, and one when it ends; who would serve
               is another truth each time that it changes.

A node *could* serve when it serves those clients in truth, a process runs on it that is neither
frozen nor dry nor leaving, its file names the route, its own uplink can be seen, EC2's API answers
it with permission and shows both nodes, and its own heartbeats of the holder are lost. A holder
whose own gateway is cut could release the route, too, when it hears another node that would serve.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import permutations
from typing import TYPE_CHECKING

from nathb.core.model import Route
from nathb.core.text import is_address
from tests.sim.account import Write
from tests.sim.grants import GRANTS, HOUR, Claim, detection
from tests.sim.judge import OffenceError
from tests.sim.net import GATEWAY
from tests.sim.truth import Service

if TYPE_CHECKING:
    from tests.sim.world import World

GRACE = 5.0
MILD, MIDDLING = 0.05, 0.2
TAKES_IN_MIDDLING_LOSS, TAKES_IN_HEAVY_LOSS, TAKES_BEHIND_A_CUT = 1, 2, 6
WRITES_PER_CHANGE, WRITES_PER_HOUR = 2, 4
NEVER = float("-inf")


class Claims:
    """What clients may claim in one world. `look` after whatever may have changed the truth."""

    def __init__(self, world: World) -> None:
        self.world, self.truth = world, world.accounts.truth
        self.detection = detection(world.schedule.group)
        self.began = world.clock.now
        self.open: dict[tuple[Route, str], tuple[tuple[object, ...], Claim]] = {}
        self.due = float("inf")
        """When the next claim may be overdue."""
        self.owed: defaultdict[Route, float] = defaultdict(float)
        """Seconds that clients were on a dark node while another could serve them."""
        self._at = world.clock.now
        self.changes: defaultdict[Route, set[object]] = defaultdict(set)
        """Changes of the truth that called for writes, each by what brought it about."""
        self.taken: defaultdict[tuple[Route, str], list[float]] = defaultdict(list)
        self.taken_in_loss: defaultdict[Route, list[float]] = defaultdict(list)
        self.trouble_at: dict[str, float] = {}
        self.uplink_lost_at: dict[str, float] = {}
        self.news_at = NEVER
        self._unseen_at: dict[tuple[str, str], float] = {}
        self._heard_since: dict[tuple[str, str], float] = {}
        self._heard_at: dict[tuple[str, str], float] = {}
        """When one could last hear the other, and had been able to for a whole detection."""
        self._lossy_at: defaultdict[tuple[str, str], dict[float, float]] = defaultdict(dict)
        self._well_since: dict[tuple[Route, str], float] = {}
        self._key: dict[Route, tuple[object, object]] = {}
        self._news: object = None
        self._written = 0
        self._begun = False

    # --- what is asked of the history -------------------------------------------------------

    def earlier(self, claim: Claim) -> int:
        """How many nodes come before this one in the route's order and answer its pings."""
        drained = self.world.ec2.intent.drained
        order = self.world.hosts[claim.node].file.order(claim.route)
        order = sorted(order, key=lambda name: name in drained)
        before = order[: order.index(claim.node)]
        others = [name for name in before if name not in {claim.holder}]
        return sum(self.truth.hears(claim.node, name) for name in others)

    def undone_lately(self, route: Route, node: str) -> int:
        """How many takes by the node were overwritten by someone else within the last hour."""
        since, times, mine = self.world.clock.now - HOUR, 0, False
        for change in self.world.ec2.changes:
            if change.route == route:
                times += mine and change.who != node and change.at > since
                mine = change.who == change.to == node
        return times

    def split_since(self, node: str, holder: str) -> float | None:
        """When both had taken from each other within a detection, unheard since; None if not."""
        by_node = self._takes(node, holder)
        by_holder = self._takes(holder, node)
        pairs = ((one, other) for one in by_node for other in by_holder)
        met = [max(pair) for pair in pairs if abs(pair[0] - pair[1]) <= self.detection]
        heard_at = self._heard_at.get((node, holder), NEVER)
        return max(met) if met and heard_at <= max(met) else None

    def _takes(self, node: str, holder: str) -> list[float]:
        changes = self.world.ec2.changes
        return [one.at for one in changes if one.who == one.to == node and one.holder == holder]

    def news_of(self, claim: Claim) -> float:
        """When someone else last changed what this node has to see in EC2."""
        changes = self.world.ec2.changes
        others = [one.at for one in changes if one.route == claim.route and one.who != claim.node]
        return max([self.news_at, *others[-1:]])

    def loss_lately(self, one: str, other: str) -> float:
        """The worst share of loss that either could have within the last detection."""
        since = self.world.clock.now - self.detection - GRACE
        shares = self._lossy_at[one, other].items()
        return max([share for share, at in shares if at >= since], default=0.0)

    # --- what is noted ----------------------------------------------------------------------

    def changed(self, cause: object) -> None:
        """Note that a fault or an operator has just changed the truth, and what it was."""
        self.world.accounts.look(self.world.clock.now)
        for route in self.world.ec2.routes:
            serves, key = self._serving(route), self._truth_of(route)
            before = self._key.get(route)
            self._key[route] = serves, key
            if before is None or before[0] != serves:
                self.changes[route].add((cause, self.world.clock.now))
            elif before[1] != key:
                self.changes[route].add(cause)

    def _serving(self, route: Route) -> object:
        """Who would serve: when that changes, routes must move, however often it does."""
        return [self.world.accounts.service[route, name] for name in self.world.names]

    def _truth_of(self, route: Route) -> object:
        ec2 = self.world.ec2
        nodes = [(self._acts(name), ec2.is_gone(name)) for name in self.world.names]
        pairs = permutations(self.world.names, 2)
        links = [self.truth.misses(one, other) for one, other in pairs]
        by_others = [one for one in ec2.changes if one.route == route and not one.who]
        return nodes, links, ec2.intent, len(by_others)

    def look(self) -> None:
        """Take in how things stand: what is claimed from now on, and what was written."""
        now, world = self.world.clock.now, self.world
        passed, self._at = now - self._at, now
        for route in {route for route, _ in self.open}:
            self.owed[route] += passed
        self._note(now)
        for write in self._new_writes():
            self._hold_against(write)
        for route, holder in world.ec2.routes.items():
            dark = world.accounts.service[route, holder] is Service.DARK
            for node in world.names:
                could = self._could if node != holder else self._could_release
                if dark and could(node, route, holder):
                    key = (holder, world.hosts[node].renewals)
                    if self.open.get((route, node), (None,))[0] != key:
                        self.open[route, node] = key, Claim(route, holder, node, now)
                    claim = self.open[route, node][1]
                    claim.turn = max(claim.turn, self.earlier(claim))
                else:
                    self.open.pop((route, node), None)
        bound = self.detection + GRACE
        self.due = min([one.since + bound for _, one in self.open.values()], default=float("inf"))
        for pair in list(self._well_since):
            if world.accounts.service.get(pair) is not Service.SERVES:
                del self._well_since[pair]
        for pair, service in world.accounts.service.items():
            if service is Service.SERVES:
                self._well_since.setdefault(pair, now if self._begun else NEVER)
        self._begun = True

    def _note(self, now: float) -> None:
        world, truth = self.world, self.truth
        for one in world.names:
            if not self._api_is_well(one):
                self.trouble_at[one] = now
            if not truth.can_vouch_for_itself(one):
                self.uplink_lost_at[one] = now
            for other in world.names:
                if one != other:
                    if truth.misses(one, other):
                        self._unseen_at[one, other] = now
                        self._heard_since.pop((one, other), None)
                    elif now >= self._heard_since.setdefault((one, other), now) + self.detection:
                        self._heard_at[one, other] = now
                    self._lossy_at[one, other][truth.loss_between(one, other)] = now
        hidden = tuple(world.ec2.hidden.items())
        shown = tuple(world.ec2.pins.values()), hidden, world.ec2.intent
        if shown != self._news:
            self._news, self.news_at = shown, now if self._begun else NEVER

    def _new_writes(self) -> list[Write]:
        writes = self.world.accounts.latest[self._written :]
        self._written += len(writes)
        return writes

    # --- what is judged ---------------------------------------------------------------------

    def judge(self) -> None:
        """Judge the claims that are due; OffenceError for one that no fact excuses."""
        now, self.due = self.world.clock.now, float("inf")
        self._note(now)
        for _, claim in self.open.values():
            granted = {name: one.seconds(self, claim) for name, one in GRANTS.items()}
            bound = self.detection + GRACE + sum(granted.values())
            if now > claim.since + bound + 0.001:
                grants = [f"{name} {more:.0f} s" for name, more in granted.items() if more]
                passed, why = now - claim.since, ", ".join(grants) or "nothing"
                raise self._offence(
                    f"unserved: {claim.route} on {claim.holder} for {passed:.1f} s though"
                    f" {claim.node} could serve; at most {bound:.1f} s (granted: {why})"
                )
            self.due = min(self.due, claim.since + bound + 0.002)

    def _hold_against(self, write: Write) -> None:
        change = write.change
        route = change.route
        writes = len(self.world.accounts.of[route].writes)
        hours = 1 + int((change.at - self.began) / HOUR)
        bound = WRITES_PER_CHANGE * len(self.changes[route]) + WRITES_PER_HOUR * hours
        if writes > bound:
            causes = len(self.changes[route])
            raise self._offence(
                f"written: {route} {writes} times for {causes} changes of the truth in {hours} h"
            )
        if write.takes and change.holder in self.world.names:
            if not self.world.ec2.is_gone(change.holder):
                self._take(write)

    def _take(self, write: Write) -> None:
        """Hold a take against what the holder was to the clients, and what the taker could see."""
        change, world = write.change, self.world
        route, taker, holder = change.route, change.who, change.holder
        lately = change.at - self.detection - GRACE
        if self._well_since.get((route, holder), change.at) > lately:
            return  # the truth has changed again since it was decided
        others = [one for one in world.ec2.changes if one.route == route and one is not change]
        window = lately if self._api_is_well(taker) else lately - world.schedule.group.view_max_age
        if others and others[-1].at > window:
            return  # decided while another held it: no compare-and-set exists for ReplaceRoute
        unseen = self._unseen_at.get((taker, holder), NEVER) > lately
        if unseen or self.truth.never_shows(taker, holder):
            self._count(write, self.taken[route, taker], TAKES_BEHIND_A_CUT, "behind a cut")
            return
        share = self.loss_lately(taker, holder)
        if share > MILD:
            bound = TAKES_IN_MIDDLING_LOSS if share <= MIDDLING else TAKES_IN_HEAVY_LOSS
            self._count(write, self.taken_in_loss[route], bound, f"at {share:.0%} loss")
            return
        raise self._offence(
            f"taken: {route} by {taker} from {holder}, which served and was seen to"
        )

    def _count(self, write: Write, taken: list[float], bound: int, how: str) -> None:
        change = write.change
        taken[:] = [*(one for one in taken if one > change.at - HOUR), change.at]
        if len(taken) > bound:
            raise self._offence(
                f"taken: {change.route} by {change.who} from {change.holder}, which served,"
                f" {len(taken)} times within the hour {how}; at most {bound}"
            )

    # --- what could be done -----------------------------------------------------------------

    def _acts(self, node: str) -> bool:
        return self.truth.can_act(node) and self._api_is_well(node)

    def _api_is_well(self, node: str) -> bool:
        ec2 = self.world.ec2
        return ec2.is_well and not ec2.denied_to[node] and not ec2.unreachable_from[node]

    def _could(self, node: str, route: Route, holder: str) -> bool:
        world, ec2 = self.world, self.world.ec2
        if not self._acts(node) or not self.truth.can_vouch_for_itself(node):
            return False
        if world.accounts.service[route, node] is not Service.SERVES:
            return False
        if route not in world.hosts[node].group.routes():
            return False
        if ec2.hidden[node, node] or ec2.hidden[node, holder]:
            return False
        silent = world.net.down[holder] and world.hosts[node].file.check.pulse > 0
        return self.truth.misses(node, holder) or ec2.is_gone(holder) or bool(silent)

    def _could_release(self, node: str, route: Route, _holder: str) -> bool:
        """Whether the dark holder itself can see that it is cut off, and whom to give it to."""
        world, net = self.world, self.world.net
        parts = world.hosts[node].file.uplink_of(node)
        named = not all(is_address(one) for part in parts for one in part)
        cut = net.cut[node] or net.tunnel_cut[node]
        blind = net.unable[node, GATEWAY] or net.slow[node] or (named and net.nameless[node])
        if not self._acts(node) or not cut or net.down[node] or blind:
            return False
        if route not in world.hosts[node].group.routes() or world.ec2.hidden[node, node]:
            return False
        return any(
            world.accounts.service[route, name] is Service.SERVES
            and self.truth.hears(node, name)
            and not self.loss_lately(node, name)
            for name in world.names
            if name != node and name not in world.ec2.intent.drained
        )

    def _offence(self, text: str) -> OffenceError:
        return OffenceError(f"{self.world.clock.now:.3f} {text}")
