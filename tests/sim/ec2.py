"""EC2 as the nodes meet it: route tables, pins, tags, instances, and an API with faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from random import Random

from msgspec.structs import replace

from nathb.core.ec2_state import (
    Holding,
    Instance,
    InstanceState,
    Intent,
    Pin,
    PinState,
    Roster,
    RouteState,
    View,
)
from nathb.core.errors import CloudError
from nathb.core.found_routes import Resolved, resolve, with_found
from nathb.core.model import Done, Failure, Group, Move, Route
from tests.sim.clock import SimClock
from tests.sim.matches import show
from tests.sim.net import private

LATENCY = 0.02
FOREIGN = "nat-gateway"
TOKENS = 3.0
LATEST_WRITE = 3.0 + 1.5
"""Seconds after its round within which a write reaches EC2, and the longest way of a request."""
CONNECTING = (2.0, 10.0)
"""Seconds that a resolver or a connect takes while they hang."""
REFILL = 0.5
"""Tokens of the bucket, and how many come back per second, while EC2 throttles."""


@dataclass(frozen=True)
class Change:
    """One change of a route's target: by a node's call, or by someone else (`who` is empty)."""

    at: float
    who: str
    epoch: int
    route: Route
    holder: str
    to: str


@dataclass
class ApiFaults:
    """What is wrong with the API. Counted, so that two faults may overlap."""

    slow: int = 0
    unavailable: int = 0
    denied: int = 0
    unreadable: int = 0
    applied_without_reply: int = 0
    lost_without_reply: int = 0
    throttled: int = 0
    hanging: int = 0
    connecting: int = 0
    """Connects and resolvers that hang: a call leaves only when they have come to an end."""
    endless: int = 0
    """Calls that never end."""
    endless_writes: int = 0
    """The same for writes alone."""
    late: int = 0
    """Writes that the kernel delivers after their answer was given up."""
    applied_with_error: int = 0
    """Writes that are carried out and answered with a 5xx."""
    disrupted: int = 0
    """A zone is disrupted: DescribeInstances fails whole."""
    wavering: int = 0
    """Reads show a change, then what was before it, then the change."""

    @property
    def well(self) -> bool:
        return not any(vars(self).values())


@dataclass
class SimEC2:
    """The truth, and how the API tells it."""

    group: Group
    clock: SimClock
    rng: Random
    trace: list[str]
    intent: Intent = Intent()  # noqa: RUF009
    faults: ApiFaults = field(default_factory=ApiFaults)
    changes: list[Change] = field(default_factory=list)
    hidden: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(asker, node): the asker is shown no instance that stands for the node."""
    likely: float = 0.7
    """How likely a fault that does not affect every call affects this one."""
    failing: dict[str, Failure] = field(default_factory=dict)
    """Actions of which every call fails, and how."""
    takes: float = LATENCY
    """Seconds that a call takes, half of them on its way to EC2, when nothing is wrong."""
    connect_takes: tuple[float, float] = CONNECTING
    """Seconds that a connect takes, at the least and at the most, while connects hang."""
    stale_reads: int = 0
    tokens: float = TOKENS
    well_since: float = 0.0
    calls: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        group = self.group
        self.names = [node.name for node in group.nodes]
        self.routes = {route: group.order(route)[0] for route in group.routes()}
        self.pins = {
            (asker, node.name, address): PinState.GOOD
            for asker in self.names
            for node in group.nodes
            for address in node.heartbeat
            if node.name != asker
        }
        self.states = dict.fromkeys(self.names, InstanceState.RUNNING)
        self.wrote: list[Change] = []
        """What nodes have written, whether or not it changed anything."""
        self.denied_to: Counter[str] = Counter()
        """Nodes that may look, and may not write."""
        self.unreachable_from: Counter[str] = Counter()
        """Nodes none of whose calls reach the API."""
        self._past: dict[Route, str] | None = None
        self._before: dict[Route, str] = {}
        self._reads = 0
        self._filled_at = self.clock.now

    # --- what is so -------------------------------------------------------------------------

    def change(self, route: Route, to: str, who: str = "", epoch: int = 0) -> Change:
        """Point a route elsewhere; a Describe that lags goes on to show what was before."""
        if self.stale_reads and self._past is None:
            self._past = dict(self.routes)
        if self.faults.wavering and not self._before:
            self._before = dict(self.routes)
        self.clock.stirred = True
        holder = self.routes.get(route, "")
        change = Change(self.clock.now, who, epoch, route, holder, to)
        self.routes[route] = to
        self.changes.append(change)
        if who:
            self.wrote.append(change)
        self.trace.append(f"{change.at:.3f} {who or 'operator'} writes {route}: {holder} -> {to}")
        return change

    def delete(self, route: Route) -> None:
        """Take a route out of its table, as an operator does."""
        self.clock.stirred = True
        del self.routes[route]
        self.trace.append(f"{self.clock.now:.3f} operator deletes {route}")

    @property
    def is_well(self) -> bool:
        """Whether calls are answered in time, and with what is so."""
        return (
            self.faults.well and not self.failing and self.stale_reads <= 0 and self._past is None
        )

    def is_gone(self, node: str) -> bool:
        return node in self.states and self.states[node].is_gone

    def pin(self, asker: str, node: str, address: str) -> PinState:
        state = self.pins[asker, node, address]
        return PinState.BLACKHOLE if state is PinState.GOOD and self.is_gone(node) else state

    # --- how it is told ---------------------------------------------------------------------

    def latency(self) -> float:
        """Seconds that the next call will take."""
        return self.rng.uniform(0.2, 2.5) if self.faults.slow else self.takes

    def hang(self, longest: float) -> float:
        """Seconds after which the next call is given up by its client; 0 when it does not hang."""
        return self.rng.uniform(longest / 2, longest) if self.faults.hanging else 0.0

    def connect(self) -> float:
        """Seconds until the next call can leave: names are resolved, and a connection is there."""
        return self.rng.uniform(*self.connect_takes) if self.faults.connecting else 0.0

    def roster(self, me: str, at: float) -> Roster:
        self._reach(me)
        if self.faults.disrupted:
            raise CloudError(Failure.UNAVAILABLE, "a zone is disrupted")
        self._answer("DescribeInstances")
        instances = tuple(
            Instance(node.name, node.instance, eni(node.name), (), private(n), self.states[name])
            if not self.hidden[me, name]
            else Instance(node.name, "", state=InstanceState.UNSEEN)
            for n, (name, node) in enumerate(zip(self.names, self.group.nodes, strict=True))
        )
        return Roster(at, me, instances, "rtb-own")

    def view(self, roster: Roster, at: float, routes: tuple[Route, ...]) -> View:
        """Answer a Describe of these routes, to somebody who knows these instances."""
        self._reach(roster.me)
        if self.faults.unreadable:
            raise CloudError(Failure.DENIED, "as the faults have it")
        self._answer("DescribeRouteTables")
        me = roster.me
        known = {one.node for one in roster.instances if one.eni}
        holdings = tuple(
            Holding(
                route,
                to if to in known else "",
                eni(to),
                RouteState.BLACKHOLE if self.is_gone(to) else RouteState.ACTIVE,
            )
            for route, to in self._shown().items()
            if route in routes
        )
        pins = tuple(
            Pin(node, address, self._shown_pin(asker, node, address, known), table="rtb-own")
            for asker, node, address in self.pins
            if asker == me
        )
        return View(at, holdings, pins, self.intent)

    def replace_route(self, who: str, epoch: int, move: Move) -> Change:
        """Carry out a ReplaceRoute, or fail as the faults have it."""
        faults = self.faults
        self._reach(who)
        if faults.denied or self.denied_to[who]:
            raise CloudError(Failure.DENIED, "as the faults have it")
        self._answer("ReplaceRoute")
        if faults.lost_without_reply and self.rng.random() < self.likely:
            raise CloudError(Failure.NO_REPLY, "no reply, not applied")
        change = self.change(move.route, move.to, who, epoch)
        if faults.applied_with_error and self.rng.random() < self.likely:
            raise CloudError(Failure.UNAVAILABLE, "503, applied")
        return change

    def _reach(self, who: str) -> None:
        if self.unreachable_from[who]:
            raise CloudError(Failure.UNAVAILABLE, "no route to the endpoint")

    def loses_reply(self) -> bool:
        """Whether the answer to a write that was carried out is lost."""
        return self.faults.applied_without_reply > 0 and self.rng.random() < self.likely

    def _shown_pin(self, asker: str, node: str, address: str, known: set[str]) -> PinState:
        state = self.pin(asker, node, address)
        return state if node in known or state is PinState.MISSING else PinState.ELSEWHERE

    def _shown(self) -> dict[Route, str]:
        self._reads += 1
        if self._before and self._reads % 2:
            return self._before
        if self._past is None:
            return self.routes
        shown = self._past
        self.stale_reads -= 1
        if self.stale_reads <= 0:
            self.forget_past()
        return shown

    def forget_past(self) -> None:
        """Let Describe tell the truth again."""
        self.stale_reads, self._past = 0, None
        self._before = {}

    def _answer(self, action: str) -> None:
        self.calls[action] += 1
        if action in self.failing:
            raise CloudError(self.failing[action], "as the faults have it")
        if self.faults.unavailable and self.rng.random() < 0.9:
            raise CloudError(Failure.UNAVAILABLE, "as the faults have it")
        passed, self._filled_at = self.clock.now - self._filled_at, self.clock.now
        self.tokens = min(TOKENS, self.tokens + passed * REFILL)
        if self.faults.throttled:
            if self.tokens < 1.0:
                raise CloudError(Failure.THROTTLED, "request limit exceeded")
            self.tokens -= 1.0


@dataclass
class SimCloud:
    """One process's door to EC2. It promises that no write leaves later than `not_after`."""

    ec2: SimEC2
    me: str
    epoch: int
    group: Group
    left_at: float = 0.0
    """When the request now being answered was sent, on the clock of the process."""
    begun_at: float = 0.0
    """When the process began that request, on the same clock."""
    now: Callable[[], float] = field(default=lambda: 0.0)
    """What the clock of the process says."""
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.taken: dict[str, str] = {}
        """Tables that another daemon of the machine guards, and who."""
        self.shown: set[Route] = set()
        """The routes that EC2 has shown at a node to this process."""
        self.named: set[Route] = set()
        """What any file named that this process has read: it may have been asked for by then."""
        self.read(self.group)

    def read(self, group: Group) -> None:
        """Go by this file from now on."""
        self.group = group
        self.named |= set(group.routes())

    def roster(self, me: str) -> Roster:
        return self.ec2.roster(me, self.left_at)

    def view(self, roster: Roster) -> View:
        return self.ec2.view(roster, self.left_at, self.group.routes())

    def resolved(self, roster: Roster, before: Collection[Route]) -> Resolved:
        """Answer with what the matches find. EC2 has forgotten the interface of a gone node.

        It forgets that once this process was shown the node: so what was found must be remembered.
        """
        view = self.ec2.view(roster, self.left_at, tuple(self.ec2.routes))
        claims = resolve(self.group, show(view.holdings, self._shown_holder), before)
        self.shown |= {seen.route for seen in view.holdings if seen.node}
        refused = {one: self.taken[one.table] for one in claims if one.table in self.taken}
        claims = {one: nodes for one, nodes in claims.items() if one not in refused}
        group = with_found(self.group, claims)
        self.named |= set(claims)
        routes = set(group.routes())
        holdings = tuple(seen for seen in view.holdings if seen.route in routes)
        return Resolved(group, replace(view, holdings=holdings), claims, refused)

    def _shown_holder(self, seen: Holding) -> str:
        if not seen.is_blackhole:
            return seen.node
        return "" if seen.route in self.shown else seen.target.removeprefix("eni-")

    def move(self, move: Move, target: str, not_after: float) -> Done:
        if not target:
            raise CloudError(Failure.REFUSED, "EC2 shows no interface that a route could point at")
        if self.left_at > not_after:
            raise CloudError(Failure.EXPIRED, "decided too long ago")
        late = self.now() - self.begun_at
        if late > LATEST_WRITE:
            self.refused.append(f"R16: {move.route} is written {late:.1f} s after its round")
        if move.route not in self.named or move.to not in self.ec2.states:
            self.refused.append(f"R8: wrote {move.route} to {move.to}, which no file names")
        if target != eni(move.to):
            self.refused.append(f"R8: pointed {move.route} at {target}, meaning {move.to}")
        self.ec2.replace_route(self.me, self.epoch, move)
        if self.ec2.loses_reply():
            raise CloudError(Failure.NO_REPLY, "no reply, applied")
        return Done(self.now() - self.left_at, "request-1")


def eni(node: str) -> str:
    """The interface that stands for a node."""
    return f"eni-{node}"
