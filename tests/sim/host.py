"""A machine and the process on it: its clock, its wire, and how it crashes, restarts and freezes.

A process that is killed loses all it knew; a call that had already left may still be carried out.
A frozen process is not stepped, while its packets and calls go on without it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from nathb.core.errors import BlindError, SnapshotError
from nathb.core.events import Event
from nathb.core.model import Group
from nathb.core.ports import Ports
from nathb.core.snapshot import Snapshot
from nathb.daemon.agent import Agent
from tests.sim.calls import LANDS_LATE, Calls
from tests.sim.clock import SimClock
from tests.sim.ec2 import SimCloud, SimEC2
from tests.sim.judge import Judge
from tests.sim.matches import matching
from tests.sim.net import GATEWAY, Addresses, Network
from tests.sim.packet_evidence import PacketEvidence
from tests.sim.recorders import JournalRecorder, ManagerRecorder

BREATH = 0.001
"""Seconds between two steps of a process, however eager it is."""
NUMBERS = re.compile(r"[0-9.]+")
FOREVER = float("inf")


@dataclass(frozen=True)
class Shared:
    """What all hosts of a world share."""

    group: Group
    clock: SimClock
    net: Network
    ec2: SimEC2
    rng: Random
    addresses: Addresses
    trace: list[str]
    agent: type[Agent] = Agent
    """What runs on each machine: nathb's own agent, or a mutant of it."""
    late: tuple[float, float] = LANDS_LATE
    judged: bool = True
    """Whether each process is held against its packets, and its writes against the checks."""
    leaving: set[str] = field(default_factory=set)
    """Machines that are shutting down, whoever knows of it."""
    found: str = ""
    """How the files have matches for their routes; empty where they list them."""
    telling: bool = False
    """Whether each change of mind about a route goes into the trace, and each check into `sent`."""


class Host:
    """One node of the group. `epoch` counts the processes that have run on it."""

    def __init__(self, shared: Shared, me: str) -> None:
        self.shared = shared
        self.me = me
        self.epoch = 0
        self.frozen = 0
        self.leaving = 0
        self.agent: Agent | None = None
        self.dry_run = False
        self.file = shared.group
        """What the machine has in its file system; `group` is what its process has read of it."""
        self.wake_at = FOREVER
        self.steps = 0
        self.renewals = 0
        """How often a process began to gather evidence anew: starts, reloads, stalls."""
        self.behind = 0.0
        """Seconds by which this machine's monotonic time is behind the world's."""
        self.slept = 0.0
        """Seconds for which this machine was suspended since it booted."""
        self.journal = JournalRecorder()
        self.manager = ManagerRecorder()
        self.snapshot: Snapshot | None = None
        """The newest status file of this machine."""
        self.disk_full = 0
        """How many faults keep the status file from being written."""
        self._slept_before = 0.0
        self._asleep_at: float | None = None
        self._told: dict[str, str] = {}

    # --- the clock of this machine ----------------------------------------------------------

    @property
    def now(self) -> float:
        """This machine's monotonic time, which stands still while it is suspended."""
        if self._asleep_at is not None:
            return self._asleep_at
        return self.shared.clock.now - self.behind

    def monotonic(self) -> float:
        return self.now

    def boottime(self) -> float:
        return self.now + self.slept

    @property
    def asleep(self) -> bool:
        """Whether the machine is suspended."""
        return self._asleep_at is not None

    def boot(self) -> None:
        """Let the machine's clocks begin anew: its process starts in the first second."""
        self.behind, self.slept = self.shared.clock.now - 0.2, 0.0

    def suspend(self) -> None:
        """Let the machine sleep: nothing of it goes on, monotonic time neither."""
        self.frozen += 1
        self._asleep_at = self.now

    def resume(self) -> None:
        """Let it go on; boot time has passed meanwhile, and monotonic time has not."""
        asleep_at, self._asleep_at = self._asleep_at, None
        if asleep_at is not None:
            slept = self.now - asleep_at
            self.behind, self.slept = self.behind + slept, self.slept + slept
        self.frozen -= 1
        self.wake()

    # --- the process on it ------------------------------------------------------------------

    def start(self, *, dry_run: bool = False) -> None:
        """Start a process that knows nothing but its file."""
        shared = self.shared
        self.epoch += 1
        self.renewals += 1
        if not self.leaving:
            shared.leaving.discard(self.me)
        self.dry_run = dry_run
        self.group = self.file
        self.evidence = PacketEvidence(self.group, self.me) if shared.judged else Unjudged()
        self.judge = Judge(self) if shared.judged else Unjudged()
        self.wire = Wire(self)
        self.cloud = SimCloud(shared.ec2, self.me, self.epoch, self.group, now=self.monotonic)
        self.calls = Calls(self)
        file = matching(self.group, shared.found)
        self.cloud.read(file)
        self.agent = shared.agent(file, self.me, self._edges(), dry_run=dry_run)
        self.agent.leaving = self.leaving > 0
        self._slept_before = self.slept
        self.expected_at, self.wake_at = FOREVER, shared.clock.now

    def leave(self) -> None:
        """Tell the process that the machine is shutting down."""
        self.shared.leaving.add(self.me)
        if self.agent is not None:
            self.agent.leaving = True
            self.wake()

    def has_left(self) -> bool:
        """Whether the process says that it may go; what it leaves behind is then judged."""
        if self.agent is None or self.frozen or self.wake_at <= self.shared.clock.now:
            return self.agent is None
        if self.agent.may_leave:
            self.judge.left(self.now)
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
            self.renewals += 1
            file = matching(self.group, self.shared.found)
            self.cloud.read(file)
            self.agent.reload(file, self.agent.ports)
            if _targets(self.group) != _targets(before):
                self.evidence.restart(self.group)
            self.expected_at = FOREVER
            self.wake()

    def wake(self) -> None:
        """Let the process take a step now: something has come for it."""
        if self.agent is not None:
            self.wake_at = min(self.wake_at, self.shared.clock.now)

    @property
    def steps_at(self) -> float:
        """When the process takes its next step."""
        return FOREVER if self.frozen else self.wake_at

    def step(self) -> None:
        """Let the process take a step, and hold what it did against what it may do."""
        agent, now = self.agent, self.now
        assert agent is not None, "a process that does not run takes no step"
        check = agent.group.check
        bound = max(1.0, 2 * check.fast_interval)
        slept, self._slept_before = self.slept - self._slept_before, self.slept
        if now - self.expected_at > bound or slept > bound:
            self.evidence.forget(now)
            self.renewals += 1
            self.shared.clock.stirred = True
        self.expected_at = agent.step()
        self.wake_at = max(self.expected_at, now + BREATH) + self.behind
        self.look()
        self.judge.stepped(now)
        if self.shared.telling:
            self._tell_rulings(agent)
        self.steps += 1

    def _tell_rulings(self, agent: Agent) -> None:
        """Put what has changed in the node's mind about each route into the trace."""
        for ruling in agent.rulings:
            key, reason = str(ruling.route), NUMBERS.sub("#", ruling.reason)
            words = f"{ruling.rule.value} {reason}" + (" (would)" if ruling.would else "")
            if self._told.get(key) != words:
                self._told[key] = words
                belief = f"{ruling.rule.value} {ruling.reason}"
                self.shared.trace.append(f"{self.shared.clock.now:.3f} {self.me} | {key}: {belief}")

    def look(self) -> None:
        """Let the packet evidence see what EC2 has shown to the process by now."""
        if self.agent is not None:
            sight = self.agent.ec2_watcher
            self.evidence.look(sight.view, sight.roster, sight.addresses, self.now)

    def emit(self, event: Event) -> None:
        """Take a record into the journal."""
        self.shared.trace.append(
            f"{self.shared.clock.now:.3f} {self.me} {event.kind.value}: {event.message}"
        )
        self.journal.emit(event)
        self.judge.told(event)

    def _publish(self, snapshot: Snapshot) -> None:
        if self.disk_full:
            raise SnapshotError("status.json: No space left on device")
        self.snapshot = snapshot

    def _edges(self) -> Ports:
        return Ports(
            clock=self,
            wire=self.wire,
            cloud=self.cloud,
            calls=self.calls,
            journal=self,
            manager=self.manager,
            publish=self._publish,
            resolve=lambda name: self.shared.net.resolve(self.me, name),
            check=lambda _command, _timeout: self.shared.net.check(self.me),
            jitter=self.shared.rng.random,
        )


@dataclass
class Wire:
    """Echo requests of one process. Whether one is answered is settled when it is sent."""

    host: Host
    arrived: list[tuple[str, int]] = field(default_factory=list)
    forgotten: set[int] = field(default_factory=set)
    tickets: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    open: set[int] = field(default_factory=set)
    """Tickets that were neither answered nor forgotten yet."""

    def send(self, address: str, source: str = "", _interface: str = "") -> int:
        host, shared = self.host, self.host.shared
        addresses = shared.addresses
        peer = addresses.heartbeats.get(address) or addresses.privates.get(address)
        host.look()
        if address in addresses.heartbeats and source != host.group.node(host.me).source:
            host.cloud.refused.append(f"R12: asked {address} from {source or 'the usual address'}")
        unable = shared.net.unable
        if unable[host.me, peer or GATEWAY] or unable[host.me, address]:
            host.evidence.could_not_ask(address)
            raise BlindError("Operation not permitted")
        ticket = next(self.tickets)
        self.open.add(ticket)
        if shared.telling:
            shared.net.sent.append((shared.clock.now, host.me, address))
        host.evidence.asked(address, ticket, host.now)
        if self._is_answered(address, source):
            for _ in range(2 if shared.net.echoing[host.me] else 1):
                delay = shared.net.delay(host.me)
                shared.clock.later(delay, lambda: self._arrive(address, ticket), stirs=False)
        return ticket

    def receive(self) -> list[int]:
        arrived, self.arrived = self.arrived, []
        arrived = [one for one in arrived if one[1] not in self.forgotten]
        self.host.evidence.hear(arrived, self.host.now)
        tickets = [ticket for _, ticket in arrived]
        self.open.difference_update(tickets)
        return tickets

    def forget(self, ticket: int) -> None:
        self.forgotten.add(ticket)
        self.open.discard(ticket)

    def _arrive(self, address: str, ticket: int) -> None:
        self.arrived.append((address, ticket))
        if self.host.agent is not None and self.host.wire is self:
            self.host.wake()

    def _is_answered(self, address: str, source: str) -> bool:
        shared, me = self.host.shared, self.host.me
        if address in shared.net.unanswered:
            return False
        peer = shared.addresses.heartbeats.get(address)
        if peer is not None:
            return shared.net.crosses_peer(me, peer, shared.ec2.pin(me, peer, address), source)
        peer = shared.addresses.privates.get(address)
        if peer is not None:
            return shared.net.reaches_peer(me, peer)
        return shared.net.reaches_target(me, address)


class Unjudged:
    """Where no process is held against its packets, nothing is noted of them."""

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return _nothing


def _nothing(*_what: object) -> None:
    """Note nothing."""


def _targets(group: Group) -> tuple[object, ...]:
    """What evidence is about: once any of it changes, nothing is known any more (R1)."""
    return group.nodes, group.uplink, group.check, group.check_command
