"""One seed, from its first round to its last: a safety phase, healing, a liveness phase."""

from __future__ import annotations

from collections import Counter
from random import Random

from msgspec.structs import replace

from nathb.core.memory import BACKOFF
from nathb.core.model import Failure, Preempt, Route
from nathb.daemon.agent import Agent
from tests.sim.account import Accounts
from tests.sim.calls import LONGEST_READ
from tests.sim.claims import Claims
from tests.sim.clock import START, SimClock
from tests.sim.draw import EDITION, Fault, Schedule, draw
from tests.sim.ec2 import FOREIGN, SimEC2
from tests.sim.faults import FAULTS
from tests.sim.host import Host, Shared
from tests.sim.judge import OffenceError
from tests.sim.net import Addresses, Network

QUIET = 60.0
"""Seconds at rest without a write: over twice the longest wait of hasty timers, which is 25 s.

At production timers every path is checked and every view is read twice more.
"""
SLEEPS = 4
"""How often time is passed asleep: a damped route may have to wait for an hour."""


class World:
    """Agents, machines, network and EC2 on one clock, as the schedule has them."""

    def __init__(
        self,
        schedule: Schedule,
        agent: type[Agent] = Agent,
        *,
        judged: bool = True,
        held: bool = True,
        telling: bool = False,
    ) -> None:
        """Set the world up. `judged`: each write by its packets; `held`: all by the truth."""
        self.schedule = schedule
        self.trace: list[str] = [str(schedule)]
        self.clock = SimClock()
        self.names = [node.name for node in schedule.group.nodes]
        self.net = Network(Random(f"net {schedule.seed}"))
        rng = Random(f"ec2 {schedule.seed}")
        self.ec2 = SimEC2(schedule.group, self.clock, rng, self.trace)
        addresses = Addresses.of(schedule.group)
        shared = Shared(
            schedule.group,
            self.clock,
            self.net,
            self.ec2,
            rng,
            addresses,
            self.trace,
            agent,
            judged=judged,
            found=schedule.found,
            telling=telling,
        )
        self.hosts = {name: Host(shared, name) for name in self.names}
        self.dead: Counter[str] = Counter()
        self.dry: Counter[str] = Counter(schedule.dry)
        self.pauses = 0
        self.reverts = 0
        self.injected: Counter[str] = Counter()
        self._over_at = self.clock.now + schedule.calm
        self.accounts = Accounts(self)
        self.net.zones_carried = self.accounts.truth.carries
        self.claims = Claims(self) if held else None

    # --- the three phases -------------------------------------------------------------------

    def live(self) -> None:
        """Go through all three phases; OffenceError when anything is not as it must be."""
        self.begin_as_ever()
        for fault in self.schedule.faults:
            self.clock.later(fault.at, lambda fault=fault: self.begin(fault))
            self.lasts_until(START + fault.at + fault.lasts)
        while self.clock.now < self._over_at:
            self.run(self._over_at)
        self._heal()
        self.converge()
        self._stay_quiet()

    def begin_as_ever(self) -> None:
        """Start all nodes, with what is wrong with them from the first to the last."""
        schedule = self.schedule
        self.net.unanswered |= schedule.unanswered
        for name, file in schedule.files:
            self.hosts[name].file = file
        for name in schedule.fresh:
            self.hosts[name].boot()
        for name, how in schedule.absent:
            self.dead[name] += how == "dead"
            self.dry[name] += how == "dry"
            self.hosts[name].frozen += how == "frozen"
        for name, host in self.hosts.items():
            if not self.dead[name]:
                host.start(dry_run=self.dry[name] > 0)

    def _heal(self) -> None:
        """Let go of all that was not ended by itself, but for nodes that are lost for good."""
        self.trace.append(f"{self.clock.now:.3f} --- healed; lost: {sorted(self.schedule.lost)}")
        for name in sorted(self.schedule.dry):
            self.kill(name)
            self.dry[name] -= 1
            self.revive(name)
        for name in sorted(self.schedule.lost):
            self.begin(Fault("host-crash", 0.0, float("inf"), name, "", 1))
        if self.schedule.group.preempt is Preempt.MANUAL:
            self.ec2.intent = replace(self.ec2.intent, revert=True)

    def converge(self) -> None:
        """Wait until every route points at its first live node: no longer than is stated."""
        bound, sleeps = self.clock.now + self.bound(), 0
        rested_at = self.clock.now
        while self.clock.now < rested_at + self.verdict_takes():
            if self.clock.now >= bound:
                asleep = self._sleep() if sleeps < SLEEPS else 0.0
                if not asleep:
                    raise OffenceError(f"liveness: {self._astray()} after {self.bound():.0f} s")
                sleeps, bound = sleeps + 1, self.clock.now + self.bound()
            self.run(self.clock.now + 1.0)
            if not self._at_rest():
                rested_at = self.clock.now

    def _stay_quiet(self) -> None:
        """Go on for a while: nothing may be written any more."""
        written = len(self.ec2.changes)
        self.run(self.clock.now + QUIET)
        if len(self.ec2.changes) > written:
            raise OffenceError(f"liveness: wrote again at rest: {self.ec2.changes[written:]}")

    def bound(self) -> float:
        """Seconds after healing within which every route is where it belongs."""
        group = self.schedule.group
        views = 2 * group.refresh + 2 * group.settle
        denied = self.injected["ec2-denied"] + self.injected["describe-denied"] > 0
        refusal = Failure.DENIED if denied else Failure.THROTTLED
        waits = 6 * group.preempt_delay + 2 * BACKOFF[refusal][1]  # five where it gave away itself
        hung = self.injected["ec2-hangs"] + self.injected["endless-calls"]
        hangs = LONGEST_READ if hung + self.injected["connects-hang"] else 0.0
        return 3 * self.verdict_takes() + views + waits + hangs

    def verdict_takes(self) -> float:
        """Seconds from a change in the network to the last verdict on it."""
        check = self.schedule.group.check
        streak = max(check.rise, check.fall) * check.fast_interval
        return check.interval + streak + check.timeout

    # --- time -------------------------------------------------------------------------------

    def run(self, until: float) -> None:
        """Let the processes take their steps until then."""
        clock, hosts = self.clock, list(self.hosts.values())
        while True:
            first = min(hosts, key=_steps_at)
            at = min(first.steps_at, clock.next_at)
            if at > until:
                break
            if clock.next_at <= at:
                clock.advance(at)
                if clock.stirred:
                    self.look()
            elif at > clock.now:
                clock.now = at
            if first.steps_at <= clock.now:
                first.step()
            if self.claims is not None and clock.now > self.claims.due:
                self.look()
                self.claims.judge()
        clock.now = max(clock.now, until)
        self.look()

    def look(self) -> None:
        """Take in who serves whom by now."""
        self.clock.stirred = False
        self.accounts.look(self.clock.now)
        if self.claims is not None:
            self.claims.look()

    def lasts_until(self, at: float) -> None:
        """Let the safety phase last until then at least."""
        self._over_at = max(self._over_at, at)

    def _sleep(self) -> float:
        """Pass the time that a damped or contested route must wait, with everybody asleep."""
        waits = [
            one.due - host.now  # which is on the clock of that machine
            for host in self.hosts.values()
            for one in (host.agent.rulings if host.agent else ())
            if one.due is not None
        ]
        asleep = max([wait for wait in waits if wait > 0], default=0.0)
        if asleep:
            self.pass_asleep(asleep)
        return asleep

    def pass_asleep(self, seconds: float) -> None:
        """Let time pass in which no process takes a step."""
        self.trace.append(f"{self.clock.now:.3f} --- all asleep for {seconds:.0f} s")
        self.clock.advance(self.clock.now + seconds)
        for host in self.hosts.values():
            host.renewals += 1
            host.wake()
        self.look()

    @property
    def rounds(self) -> int:
        """Steps that the processes have taken."""
        return sum(host.steps for host in self.hosts.values())

    @property
    def seconds(self) -> float:
        """Seconds that have passed."""
        return self.clock.now - START

    @property
    def moves(self) -> int:
        """How often a node pointed a route elsewhere."""
        return sum(change.who != "" for change in self.ec2.changes)

    # --- faults -----------------------------------------------------------------------------

    def begin(self, fault: Fault) -> None:
        """Begin a fault, and let it end by itself when its time has come."""
        self.injected[fault.kind] += 1
        self.trace.append(f"{self.clock.now:.3f} fault: {fault}")
        course = FAULTS[fault.kind](self, fault)
        next(course)
        self.changed(fault, "begins")
        if fault.lasts < float("inf"):
            self.clock.later(fault.lasts, lambda: self._end(fault, course))

    def _end(self, fault: Fault, course: object) -> None:
        self.look()  # how it was until now
        self.trace.append(f"{self.clock.now:.3f} over: {fault.kind} {fault.who}/{fault.other}")
        next(course, None)
        self.changed(fault, "ends")
        self.clock.stirred = True  # the look above is of what was before

    def changed(self, fault: Fault, how: str) -> None:
        if self.claims is not None:
            self.claims.changed((fault, how))

    def kill(self, node: str) -> None:
        """End a node's process; it starts again once every reason against that has passed."""
        self.dead[node] += 1
        self.hosts[node].kill()

    def revive(self, node: str) -> None:
        """Take back one reason why the node's process does not run."""
        self.dead[node] -= 1
        if not self.dead[node]:
            self.hosts[node].start(dry_run=self.dry[node] > 0)

    # --- how things stand -------------------------------------------------------------------

    def _astray(self) -> list[str]:
        """Routes that do not point where they should; foreign ones are where they should be.

        A route is given back by whoever holds it: where no process acts, it stays. And a route
        that the holder's file does not name is nobody's to give back.
        """
        return [
            f"{route} is on {to}, not on {belongs}"
            for route in self.schedule.group.routes()
            if (to := self.ec2.routes[route]) not in {FOREIGN, belongs := self._belongs(route)}
            and (
                self._is_taken(route) if self.net.down[to] else self._gives_back(to, route, belongs)
            )
        ]

    def _is_taken(self, route: Route) -> bool:
        """Whether any process is left that could take it from the dead."""
        acting = [name for name in self.names if self.accounts.truth.can_act(name)]
        return any(route in self.hosts[name].file.routes() for name in acting)

    def _gives_back(self, holder: str, route: Route, home: str) -> bool:
        host = self.hosts[holder]
        if route not in host.file.routes() or not self.accounts.truth.can_act(holder):
            return False
        order = host.file.order(route)  # by which the holder may come before
        earlier = order.index(home) < order.index(holder)
        return earlier and self.accounts.truth.hears(holder, home)

    def _belongs(self, route: Route) -> str:
        return next(name for name in self.schedule.group.order(route) if not self.net.down[name])

    def _at_rest(self) -> bool:
        idle = all(host.agent.idle for host in self.hosts.values() if host.agent is not None)
        return idle and not self._astray()


def _steps_at(host: Host) -> float:
    return host.steps_at


def world_of(seed: int, edition: int = EDITION) -> World:
    """Return the world that a seed stands for, before its first round."""
    return World(draw(seed, edition))
