"""One seed, from its first round to its last: a safety phase, healing, a liveness phase."""

from __future__ import annotations

from collections import Counter
from random import Random

from msgspec.structs import replace

from nathb.agent import Agent
from nathb.core.memory import BACKOFF
from nathb.core.model import Failure, Preempt, Route, Rule
from tests.sim.clock import START, SimClock
from tests.sim.draw import CALM, EDITION, Fault, Plot, draw
from tests.sim.ec2 import FOREIGN, SimEC2
from tests.sim.faults import FAULTS
from tests.sim.judge import OffenceError
from tests.sim.net import Addresses, Network
from tests.sim.post import LONGEST_READ, Place, Post

QUIET_ROUNDS = 1000
"""Steps that all nodes together take at rest without a write."""
SLEEPS = 4
"""How often time is passed asleep: a damped route may have to wait for an hour."""


class World:
    """Agents, machines, network and EC2 on one clock, as the plot has them."""

    def __init__(self, plot: Plot, agent: type[Agent] = Agent) -> None:
        self.plot = plot
        self.trace: list[str] = [str(plot)]
        self.clock = SimClock()
        self.names = [node.name for node in plot.group.nodes]
        self.net = Network(Random(f"net {plot.seed}"))
        rng = Random(f"ec2 {plot.seed}")
        self.ec2 = SimEC2(plot.group, self.clock, rng, self.trace)
        addresses = Addresses.of(plot.group)
        place = Place(plot.group, self.clock, self.net, self.ec2, rng, addresses, self.trace, agent)
        self.posts = {name: Post(place, name) for name in self.names}
        self.dead: Counter[str] = Counter()
        self.pauses = 0
        self.reverts = 0
        self.injected: Counter[str] = Counter()
        self._over_at = self.clock.now + CALM

    # --- the three phases -------------------------------------------------------------------

    def live(self) -> None:
        """Go through all three phases; OffenceError when anything is not as it must be."""
        for name, post in self.posts.items():
            post.start(dry_run=name in self.plot.dry)
        for fault in self.plot.faults:
            self.clock.later(fault.at, lambda fault=fault: self.begin(fault))
            self.lasts_until(START + fault.at + fault.lasts)
        while self.clock.now < self._over_at:
            self.run(self._over_at)
        self._heal()
        self._converge()
        self._stay_quiet()

    def _heal(self) -> None:
        """Let go of all that was not ended by itself, but for nodes that are lost for good."""
        self.trace.append(f"{self.clock.now:.3f} --- healed; lost: {sorted(self.plot.lost)}")
        for name in sorted(self.plot.dry):
            self.kill(name)
            self.revive(name)
        for name in sorted(self.plot.lost):
            self.begin(Fault("host-crash", 0.0, float("inf"), name, "", 1))
        if self.plot.group.preempt is Preempt.MANUAL:
            self.ec2.intent = replace(self.ec2.intent, revert=True)

    def _converge(self) -> None:
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
        """Go on for many rounds: nothing may be written any more."""
        written = len(self.ec2.changes)
        until = self.rounds + QUIET_ROUNDS
        while self.rounds < until:
            self.run(self.clock.now + 5.0)
        if len(self.ec2.changes) > written:
            raise OffenceError(f"liveness: wrote again at rest: {self.ec2.changes[written:]}")

    def bound(self) -> float:
        """Seconds after healing within which every route is where it belongs."""
        group = self.plot.group
        views = 2 * group.refresh + 2 * group.settle
        denied = self.injected["ec2-denied"] + self.injected["describe-denied"] > 0
        refusal = Failure.DENIED if denied else Failure.THROTTLED
        waits = 2 * group.preempt_delay + 2 * BACKOFF[refusal][1]
        hangs = LONGEST_READ if self.injected["ec2-hangs"] else 0.0
        return 3 * self.verdict_takes() + views + waits + hangs

    def verdict_takes(self) -> float:
        """Seconds from a change in the network to the last verdict on it."""
        check = self.plot.group.check
        streak = max(check.rise, check.fall) * check.fast_interval
        return check.interval + streak + check.timeout

    # --- time -------------------------------------------------------------------------------

    def run(self, until: float) -> None:
        """Let the processes take their steps until then."""
        clock, posts = self.clock, list(self.posts.values())
        while True:
            first = min(posts, key=_steps_at)
            at = min(first.steps_at, clock.next_at)
            if at > until:
                break
            if clock.next_at <= at:
                clock.advance(at)
            elif at > clock.now:
                clock.now = at
            if first.steps_at <= clock.now:
                first.step()
        clock.now = max(clock.now, until)

    def lasts_until(self, at: float) -> None:
        """Let the safety phase last until then at least."""
        self._over_at = max(self._over_at, at)

    def _sleep(self) -> float:
        """Pass the time that a damped or contested route must wait, with everybody asleep."""
        rulings = [one for post in self.posts.values() if post.agent for one in post.agent.rulings]
        waits = [
            one.due - self.clock.now
            for one in rulings
            if one.rule in {Rule.R7, Rule.R11} and one.due is not None
        ]
        asleep = max([wait for wait in waits if wait > 0], default=0.0)
        if asleep:
            self.trace.append(f"{self.clock.now:.3f} --- all asleep for {asleep:.0f} s")
            self.clock.advance(self.clock.now + asleep)
            for post in self.posts.values():
                post.wake()
        return asleep

    @property
    def rounds(self) -> int:
        """Steps that the processes have taken."""
        return sum(post.steps for post in self.posts.values())

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
        if fault.lasts < float("inf"):
            self.clock.later(fault.lasts, lambda: self._end(fault, course))

    def _end(self, fault: Fault, course: object) -> None:
        self.trace.append(f"{self.clock.now:.3f} over: {fault.kind} {fault.who}/{fault.other}")
        next(course, None)

    def kill(self, node: str) -> None:
        """End a node's process; it starts again once every reason against that has passed."""
        self.dead[node] += 1
        self.posts[node].kill()

    def revive(self, node: str) -> None:
        """Take back one reason why the node's process does not run."""
        self.dead[node] -= 1
        if not self.dead[node]:
            self.posts[node].start()

    # --- how things stand -------------------------------------------------------------------

    def _astray(self) -> list[str]:
        """Routes that do not point where they should; foreign ones are where they should be."""
        return [
            f"{route} is on {to}, not on {belongs}"
            for route in self.plot.group.routes()
            if (to := self.ec2.routes[route]) not in {FOREIGN, belongs := self._belongs(route)}
        ]

    def _belongs(self, route: Route) -> str:
        return next(name for name in self.plot.group.order(route) if not self.net.down[name])

    def _at_rest(self) -> bool:
        idle = all(post.agent.idle for post in self.posts.values() if post.agent is not None)
        return idle and not self._astray()


def _steps_at(post: Post) -> float:
    return post.steps_at


def world_of(seed: int, edition: int = EDITION) -> World:
    """Return the world that a seed stands for, before its first round."""
    return World(draw(seed, edition))
