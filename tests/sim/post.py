"""A machine and the process on it: its wire, its background calls, and what may befall both.

A process that is killed loses all it knew; a call that had already left may still be carried out.
A frozen process is not stepped, while its packets and calls go on without it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from random import Random

from nathb.agent import Agent
from nathb.core.edges import Edges
from nathb.core.errors import BlindError, CloudError, ResolveError
from nathb.core.events import Event
from nathb.core.model import Failure, Group
from tests.sim.clock import SimClock
from tests.sim.ec2 import SimCloud, SimEC2
from tests.sim.judge import Judge
from tests.sim.net import GATEWAY, Addresses, Network
from tests.sim.witness import Witness

BREATH = 0.001
"""Seconds between two steps of a process, however eager it is."""
SOCKET_TIMEOUT = 2.0
"""Seconds that a call takes whose answer never comes."""
LONGEST_WRITE = 5.0
"""Seconds that a write can take at most: to connect, and to wait for its answer."""
LONGEST_READ = 22.0
"""The same for a look: two questions, each asked twice, with a pause of a second between."""
HUNG = Failure.NO_REPLY, "given up, with or without effect"
FOREVER = float("inf")


@dataclass(frozen=True)
class Place:
    """What all posts of a world stand in."""

    group: Group
    clock: SimClock
    net: Network
    ec2: SimEC2
    rng: Random
    addresses: Addresses
    trace: list[str]
    agent: type[Agent] = Agent
    """What runs on each machine: nathb's own agent, or a mutant of it."""


class Post:
    """One node of the group. `epoch` counts the processes that have run on it."""

    def __init__(self, place: Place, me: str) -> None:
        self.place = place
        self.me = me
        self.epoch = 0
        self.frozen = 0
        self.leaving = 0
        self.agent: Agent | None = None
        self.dry_run = False
        self.file = place.group
        """What the machine has in its file system; `group` is what its process has read of it."""
        self.wake_at = FOREVER
        self.steps = 0

    def start(self, *, dry_run: bool = False) -> None:
        """Start a process that knows nothing but its file."""
        place = self.place
        self.epoch += 1
        self.dry_run = dry_run
        self.group = self.file
        self.witness = Witness(self.group, self.me)
        self.judge = Judge(self)
        self.wire = Wire(self)
        self.cloud = SimCloud(place.ec2, self.me, self.epoch, self.group)
        self.calls = Calls(self)
        self.agent = place.agent(self.group, self.me, self._edges(), dry_run=dry_run)
        self.agent.leaving = self.leaving > 0
        self.expected_at, self.wake_at = FOREVER, place.clock.now

    def leave(self) -> None:
        """Tell the process that the machine is shutting down."""
        if self.agent is not None:
            self.agent.leaving = True
            self.wake()

    def has_left(self) -> bool:
        """Whether the process says that it may go; what it leaves behind is then judged."""
        if self.agent is None or self.frozen or self.wake_at <= self.place.clock.now:
            return self.agent is None
        if self.agent.may_leave:
            self.judge.left(self.place.clock.now)
        return self.agent.may_leave

    def kill(self) -> None:
        """End the process as SIGKILL does."""
        self.agent, self.wake_at = None, FOREVER
        self.epoch += 1

    def reload(self, file: Group | None = None) -> None:
        """Read the file again, or another. If targets or timers are the same, evidence stays."""
        self.file = file or self.file
        if self.agent is not None:
            before, self.group = self.group, self.file
            self.cloud.read(self.group)
            self.agent.reload(self.group, self.agent.edges)
            if _targets(self.group) != _targets(before):
                self.witness.restart(self.group)
            self.expected_at = FOREVER
            self.wake()

    def wake(self) -> None:
        """Let the process take a step now: something has come for it."""
        if self.agent is not None:
            self.wake_at = min(self.wake_at, self.place.clock.now)

    @property
    def steps_at(self) -> float:
        """When the process takes its next step."""
        return FOREVER if self.frozen else self.wake_at

    def step(self) -> None:
        """Let the process take a step, and hold what it did against what it may do."""
        agent, now = self.agent, self.place.clock.now
        assert agent is not None, "a process that does not run takes no step"
        check = agent.group.check
        if now - self.expected_at > max(1.0, 2 * check.fast_interval):
            self.witness.forget(now)
        self.expected_at = agent.step()
        self.wake_at = max(self.expected_at, now + BREATH)
        self.look()
        self.judge.stepped(now)
        self.steps += 1

    def look(self) -> None:
        """Let the witness see what EC2 has shown to the process by now."""
        if self.agent is not None:
            sight = self.agent.sight
            now = self.place.clock.now
            self.witness.look(sight.view, sight.roster, sight.addresses, now)

    def tell(self, event: Event) -> None:
        """Take a record into the journal."""
        self.place.trace.append(
            f"{self.place.clock.now:.3f} {self.me} {event.kind.value}: {event.message}"
        )
        self.judge.told(event)

    def _edges(self) -> Edges:
        return Edges(
            clock=self.place.clock,
            wire=self.wire,
            cloud=self.cloud,
            calls=self.calls,
            journal=self,
            manager=Silent(),
            publish=lambda _snapshot: None,
            resolve=lambda name: self.place.net.resolve(self.me, name),
            jitter=self.place.rng.random,
        )


class Silent:
    """A service manager that listens to nothing."""

    def ready(self, status: str) -> None:
        pass

    def status(self, status: str) -> None:
        pass

    def watchdog(self) -> None:
        pass


@dataclass
class Wire:
    """Echo requests of one process. Whether one is answered is settled when it is sent."""

    post: Post
    arrived: list[tuple[str, int]] = field(default_factory=list)
    forgotten: set[int] = field(default_factory=set)
    tickets: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def send(self, address: str, source: str = "") -> int:
        post, place = self.post, self.post.place
        addresses = place.addresses
        peer = addresses.heartbeats.get(address) or addresses.privates.get(address)
        post.look()
        if address in addresses.heartbeats and source != post.group.node(post.me).source:
            post.cloud.refused.append(f"R12: asked {address} from {source or 'the usual address'}")
        if place.net.unable[post.me, peer or GATEWAY]:
            post.witness.could_not_ask(address)
            raise BlindError("Operation not permitted")
        ticket = next(self.tickets)
        post.witness.asked(address, ticket, place.clock.now)
        if self._is_answered(address, source):
            for _ in range(2 if place.net.echoing[post.me] else 1):
                place.clock.later(place.net.delay(post.me), lambda: self._arrive(address, ticket))
        return ticket

    def receive(self) -> list[int]:
        arrived, self.arrived = self.arrived, []
        arrived = [one for one in arrived if one[1] not in self.forgotten]
        self.post.witness.hear(arrived, self.post.place.clock.now)
        return [ticket for _, ticket in arrived]

    def forget(self, ticket: int) -> None:
        self.forgotten.add(ticket)

    def _arrive(self, address: str, ticket: int) -> None:
        self.arrived.append((address, ticket))
        if self.post.agent is not None and self.post.wire is self:
            self.post.wake()

    def _is_answered(self, address: str, source: str) -> bool:
        place, me = self.post.place, self.post.me
        peer = place.addresses.heartbeats.get(address)
        if peer is not None:
            return place.net.crosses_peer(me, peer, place.ec2.pin(me, peer, address), source)
        peer = place.addresses.privates.get(address)
        if peer is not None:
            return place.net.reaches_peer(me, peer)
        return place.net.reaches_target(me)


@dataclass
class Calls:
    """Background calls of one process: sent, carried out half-way, answered at the end."""

    post: Post
    done: list[tuple[Hashable, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.epoch, self.cloud = self.post.epoch, self.post.cloud

    def start(self, ticket: Hashable, call: Callable[[], object]) -> None:
        place = self.post.place
        self.post.judge.begun(ticket, place.clock.now)
        half = place.ec2.latency() / 2
        hang = place.ec2.hang(LONGEST_WRITE if isinstance(ticket, tuple) else LONGEST_READ)
        sent_at = place.clock.now
        if hang:
            place.clock.later(hang, lambda: self._answer(ticket, CloudError(*HUNG)))
            if place.rng.random() < 0.5:
                return
        place.clock.later(half, lambda: self._carry_out(ticket, call, sent_at, half, hang))

    def ended(self) -> list[tuple[Hashable, object]]:
        done, self.done = self.done, []
        for ticket, answer in done:
            self.post.judge.ended(ticket, answer, self.post.place.clock.now)
        return done

    @property
    def _orphaned(self) -> bool:
        return self.post.epoch != self.epoch

    def _carry_out(
        self,
        ticket: Hashable,
        call: Callable[[], object],
        sent_at: float,
        half: float,
        hang: float,
    ) -> None:
        post, place = self.post, self.post.place
        now = place.clock.now
        if not self._orphaned and post.frozen and place.rng.random() < 0.5:
            # The whole process stands still, and the request has yet to leave it.
            if hang:
                return
            place.clock.later(0.5, lambda: self._carry_out(ticket, call, now + 0.5, half, hang))
            return
        if self._orphaned and place.rng.random() < 0.5:
            return
        self.cloud.left_at = sent_at
        answer: object
        try:
            answer = call()
        except (CloudError, ResolveError) as error:
            answer = error
        if hang:
            return
        lost = isinstance(answer, CloudError) and answer.failure is Failure.NO_REPLY
        place.clock.later(SOCKET_TIMEOUT if lost else half, lambda: self._answer(ticket, answer))

    def _answer(self, ticket: Hashable, answer: object) -> None:
        if not self._orphaned:
            self.done.append((ticket, answer))
            self.post.wake()


def _targets(group: Group) -> tuple[object, ...]:
    """What evidence is about: once any of it changes, nothing is known any more (R1)."""
    return group.nodes, group.uplink, group.check
