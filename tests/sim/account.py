"""What clients went through, and what nodes wrote: counted per route, from the truth alone.

unserved    seconds on a dark node, and those of them in which a node could have served
poor        seconds on a node that loses much, and not all
on          seconds that each node held the route
writes      carried out by nodes, with what the holder and the target then were to the clients
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nathb.core.model import Route
from tests.sim.truth import Service, Truth

if TYPE_CHECKING:
    from tests.sim.ec2 import Change
    from tests.sim.world import World


@dataclass(frozen=True)
class Write:
    """A write that a node had carried out, and what it meant to the clients at that instant."""

    change: Change
    before: Service
    after: Service

    @property
    def takes(self) -> bool:
        return self.change.who == self.change.to != self.change.holder


@dataclass
class Account:
    """One route's."""

    dark: float = 0.0
    poor: float = 0.0
    on: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    writes: list[Write] = field(default_factory=list)


class Accounts:
    """All routes'. `look` is called whenever something may have changed, and in between."""

    def __init__(self, world: World) -> None:
        self.world, self.truth = world, Truth(world)
        self.at = world.clock.now
        self.of: defaultdict[Route, Account] = defaultdict(Account)
        self.holders = dict(world.ec2.routes)
        self.service: dict[tuple[Route, str], Service] = {}
        self.latest: list[Write] = []
        """Every write that a node had carried out, in order."""
        self._told: dict[Route, str] = {}
        self._written = 0
        self._see()

    def look(self, now: float) -> None:
        """Count the time since the last look, then take in how things stand now."""
        passed, self.at = now - self.at, now
        if passed > 0:
            for route, holder in self.holders.items():
                account = self.of[route]
                account.on[holder] += passed
                service = self.service[route, holder]
                account.dark += passed if service is Service.DARK else 0.0
                account.poor += passed if service is Service.POOR else 0.0
        self._see()

    def _see(self) -> None:
        """Take in who serves whom; a write is held against what was so just before it."""
        ec2 = self.world.ec2
        before = self.service
        self.service = {
            (route, node): self.truth.service(route, node)
            for route in ec2.routes
            for node in (*self.world.names, ec2.routes[route])
        }
        for change in ec2.changes[self._written :]:
            if change.who:
                old = before.get((change.route, change.holder), Service.SERVES)
                new = before.get((change.route, change.to), Service.SERVES)
                self.latest.append(Write(change, old, new))
                self.of[change.route].writes.append(self.latest[-1])
        self._written = len(ec2.changes)
        self.holders = dict(ec2.routes)
        self._tell()

    def _tell(self) -> None:
        for route, holder in self.holders.items():
            serving = [name for name in self.world.names if self._serves(route, name)]
            words = f"on {holder}: {self.service[route, holder].value}; would serve: {serving}"
            if self._told.get(route, "") != words:
                self._told[route] = words
                self.world.trace.append(f"{self.at:.3f} truth | {route} {words}")

    def _serves(self, route: Route, node: str) -> bool:
        return self.service[route, node] is Service.SERVES
