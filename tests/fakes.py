"""A small world on virtual time: real agents, and ports that do as they are told.

One `World` holds a clock, a network, an EC2 and as many agents as there are nodes. Nothing sleeps:
`run` moves the clock to whatever happens next.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

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
from nathb.core.errors import BlindError, CloudError, ResolveError
from nathb.core.events import Event
from nathb.core.model import Done, Failure, Group, Move, Route
from nathb.core.ports import Ports
from nathb.core.snapshot import Snapshot
from nathb.daemon.agent import Agent

RTT = 0.002
API = 0.006


class FakeClock:
    """Seconds that pass only when the world says so, from the boot on if nothing else is said."""

    def __init__(self, uptime: float = 0.0) -> None:
        self.now = uptime
        self.suspended = 0.0

    def monotonic(self) -> float:
        return self.now

    def boottime(self) -> float:
        return self.now + self.suspended


@dataclass
class Write:
    """One ReplaceRoute that EC2 carried out."""

    at: float
    by: str
    route: Route
    to: str


class FakeEC2:
    """Route tables, instances and tags, with faults to order."""

    def __init__(self, group: Group, clock: FakeClock) -> None:
        self.group = group
        self.clock = clock
        self.routes = {route: group.order(route)[0] for route in group.routes()}
        self.pins = {(n.name, a): PinState.GOOD for n in group.nodes for a in n.heartbeat}
        self.states = {node.name: InstanceState.RUNNING for node in group.nodes}
        self.intent = Intent()
        self.writes: list[Write] = []
        self.fails: Callable[[str], CloudError | None] = lambda _action: None
        self.applies_in_spite_of_failure = False
        self.reads = 0

    def roster(self, me: str) -> Roster:
        self._maybe_fail("DescribeInstances")
        instances = tuple(
            Instance(
                node.name,
                node.instance,
                f"eni-{node.name}",
                (f"eni-{node.name}",),
                f"10.0.{number}.10",
                self.states[node.name],
            )
            for number, node in enumerate(self.group.nodes)
        )
        return Roster(self.clock.now, me, instances, "rtb-own")

    def view(self, roster: Roster) -> View:
        self._maybe_fail("DescribeRouteTables")
        self.reads += 1
        names = {node.name for node in self.group.nodes}
        holdings = tuple(
            Holding(
                route,
                to if to in names else "",
                f"eni-{to}",
                RouteState.BLACKHOLE if self._is_gone(to) else RouteState.ACTIVE,
            )
            for route, to in self.routes.items()
        )
        pins = tuple(
            Pin(node, address, self._pin(node, state), table=roster.own_table)
            for (node, address), state in self.pins.items()
            if node != roster.me
        )
        return View(self.clock.now, holdings, pins, self.intent)

    def move(self, by: str, move: Move, not_after: float) -> Done:
        if self.clock.now > not_after:
            raise CloudError(Failure.EXPIRED, "decided too long ago")
        try:
            self._maybe_fail("ReplaceRoute")
        except CloudError:
            if self.applies_in_spite_of_failure:
                self._write(by, move)
            raise
        self._write(by, move)
        return Done(API, "request-1")

    def _write(self, by: str, move: Move) -> None:
        self.writes.append(Write(self.clock.now, by, move.route, move.to))
        self.routes[move.route] = move.to

    def _maybe_fail(self, action: str) -> None:
        error = self.fails(action)
        if error is not None:
            raise error

    def _is_gone(self, node: str) -> bool:
        return node in self.states and self.states[node].is_gone

    def _pin(self, node: str, state: PinState) -> PinState:
        return PinState.BLACKHOLE if state is PinState.GOOD and self._is_gone(node) else state


@dataclass
class FakeCloud:
    """One node's door to EC2."""

    ec2: FakeEC2
    me: str

    def roster(self, me: str) -> Roster:
        return self.ec2.roster(me)

    def view(self, roster: Roster) -> View:
        return self.ec2.view(roster)

    def move(self, move: Move, eni: str, not_after: float) -> Done:
        assert eni == f"eni-{move.to}"
        return self.ec2.move(self.me, move, not_after)


class FakeWire:
    """Checks of one node; whether an address answers is asked of the world at sending."""

    def __init__(self, world: World, me: str) -> None:
        self.world = world
        self.me = me
        self.tickets = itertools.count(1)
        self.arrived: list[int] = []
        self.forgotten: set[int] = set()
        self.open: set[int] = set()
        """Tickets that were neither answered nor given up yet."""

    def send(self, address: str, source: str = "") -> int:  # noqa: ARG002
        why = self.world.blind(self.me, address)
        if why:
            raise BlindError(why)
        ticket = next(self.tickets)
        self.open.add(ticket)
        self.world.sent.append((self.world.clock.now, self.me, address))
        if self.world.answers(self.me, address):
            self.world.later(RTT, lambda: self.arrived.append(ticket))
        return ticket

    def receive(self) -> list[int]:
        arrived, self.arrived = self.arrived, []
        self.open.difference_update(arrived)
        return [ticket for ticket in arrived if ticket not in self.forgotten]

    def forget(self, ticket: int) -> None:
        self.forgotten.add(ticket)
        self.open.discard(ticket)


class FakeCalls:
    """Background calls: carried out and answered after the world's API latency."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.done: list[tuple[Hashable, object]] = []

    def start(self, ticket: Hashable, call: Callable[[], object]) -> None:
        self.world.later(self.world.latency, lambda: self.done.append((ticket, self._run(call))))

    def _run(self, call: Callable[[], object]) -> object:
        try:
            return call()
        except Exception as error:  # noqa: BLE001
            return error

    def ended(self) -> list[tuple[Hashable, object]]:
        done, self.done = self.done, []
        return done


@dataclass
class FakeJournal:
    events: list[Event] = field(default_factory=list)

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def kinds(self) -> list[str]:
        return [event.kind.value for event in self.events]

    def sentences(self) -> list[str]:
        return [event.message for event in self.events]


@dataclass
class FakeManager:
    statuses: list[str] = field(default_factory=list)
    kicks: int = 0

    def ready(self, status: str) -> None:
        self.statuses.append(status)

    def status(self, status: str) -> None:
        self.statuses.append(status)

    def watchdog(self) -> None:
        self.kicks += 1


class Post:
    """One agent and what stands around it."""

    def __init__(self, world: World, me: str, *, dry_run: bool) -> None:
        self.me = me
        self.journal = FakeJournal()
        self.manager = FakeManager()
        self.snapshots: list[Snapshot] = []
        self.publish: Callable[[Snapshot], None] = self.snapshots.append
        self.names: dict[str, tuple[str, ...]] = {}
        self.ports = Ports(
            clock=world.clock,
            wire=FakeWire(world, me),
            cloud=FakeCloud(world.ec2, me),
            calls=FakeCalls(world),
            journal=self.journal,
            manager=self.manager,
            publish=self._publish,
            resolve=self._resolve,
            jitter=lambda: 0.5,
        )
        self.agent = Agent(world.group, me, self.ports, dry_run=dry_run)
        self.wake_at = world.clock.now
        self.frozen = False

    def _publish(self, snapshot: Snapshot) -> None:
        self.publish(snapshot)

    def _resolve(self, name: str) -> tuple[str, ...]:
        if name not in self.names:
            raise ResolveError(f"{name}: no such name")
        return self.names[name]


class World:
    """All of it. `answers` and `blind` say what becomes of a check (asker, address)."""

    def __init__(
        self, group: Group, *nodes: str, dry_run: bool = False, uptime: float = 0.0
    ) -> None:
        self.group = group
        self.clock = FakeClock(uptime)
        self.ec2 = FakeEC2(group, self.clock)
        self.latency = API
        self.sent: list[tuple[float, str, str]] = []
        self.answers: Callable[[str, str], bool] = lambda _asker, _address: True
        self.blind: Callable[[str, str], str] = lambda _asker, _address: ""
        self._order = itertools.count()
        self._coming: list[tuple[float, int, Callable[[], None]]] = []
        self.posts = {me: Post(self, me, dry_run=dry_run) for me in nodes}

    def later(self, seconds: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._coming, (self.clock.now + seconds, next(self._order), happen))

    def run(self, seconds: float) -> World:
        end = self.clock.now + seconds
        while True:
            awake = [post for post in self.posts.values() if not post.frozen]
            times = [post.wake_at for post in awake] + [at for at, _, _ in self._coming[:1]]
            if not times or min(times) > end:
                break
            self.clock.now = max(self.clock.now, min(times))
            self._happen()
            for post in awake:
                post.wake_at = max(post.agent.step(), self.clock.now + 0.0005)
        self.clock.now = end
        return self

    def _happen(self) -> None:
        while self._coming and self._coming[0][0] <= self.clock.now:
            heapq.heappop(self._coming)[2]()

    def writes(self, since: float = 0.0) -> list[tuple[str, str, str]]:
        """Return (by, table, to) of every write carried out since then."""
        return [(w.by, w.route.table, w.to) for w in self.ec2.writes if w.at >= since]
