"""Keeps the kernel of `vpc` as EC2 says: routes, source/dest checks, stopped instances."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from tests.lab.machine import ip, nft
from tests.lab.network import GATEWAY_NUMBER, GATEWAY_THERE, INTERNET6
from tests.lab.plan import Plan
from tests.lab.vpc_rules import GATEWAY, Set, refill


@dataclass(frozen=True)
class Wanted:
    """The data plane that EC2's state asks for.

    `routes` has, per subnet name (or `igw`, for what comes in there) and destination, the name of
    an instance, `igw`, or None for a route that leads nowhere.
    """

    routes: dict[tuple[str, str], str | None] = field(default_factory=dict)
    stopped: frozenset[str] = frozenset()
    checked: frozenset[str] = frozenset()


class Router(Protocol):
    """Whatever can put a `Wanted` into effect."""

    def sync(self, wanted: Wanted) -> None: ...


class KernelRouter:
    """The Router that programs the network namespace this process is in."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._numbers = {one.subnet.name: one.subnet.number for one in plan.instances}
        self._numbers[GATEWAY] = GATEWAY_NUMBER
        everyone = frozenset(one.name for one in plan.instances)
        self._now = Wanted(checked=everyone)  # as `vpc_rules` leaves it

    def sync(self, wanted: Wanted) -> None:
        """Make the kernel as `wanted`; does nothing where it is so already.

        A route is replaced in one step, so no packet meets a table without it.
        """
        lines = [
            self._route("replace", key, target)
            for key, target in wanted.routes.items()
            if key not in self._now.routes or self._now.routes[key] != target
        ]
        lines += [
            self._route("delete", key, target)
            for key, target in self._now.routes.items()
            if key not in wanted.routes
        ]
        ip(None, lines)
        states = ""
        if wanted.stopped != self._now.stopped:
            states += refill(Set.STOPPED, wanted.stopped)
        if wanted.checked != self._now.checked:
            states += refill(Set.CHECKED, wanted.checked)
        if states:
            nft(None, states)
        self._now = wanted

    def _route(self, verb: str, key: tuple[str, str], target: str | None) -> str:
        subnet, destination = key
        table = f"table {self._numbers[subnet]}"
        ipv6 = ":" in destination
        if target is None:
            return f"route {verb} blackhole {destination} {table}"
        if target == GATEWAY:
            there = INTERNET6 if ipv6 else GATEWAY_THERE
            return f"route {verb} {destination} via {there} dev {GATEWAY} {table}"
        one = self._plan.instance(target)
        via = one.subnet.first_host6 if ipv6 else one.address
        return f"route {verb} {destination} via {via} dev {target} onlink {table}"
