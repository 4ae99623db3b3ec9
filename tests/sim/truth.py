"""Who serves whom in truth, whatever any node believes.

The clients of a route live in the zone of its home. A node *serves* them when it forwards and
masquerades what they send, its internet gateway carries it, and of the packets that go out and of
those that come back no more than one in five is lost on the way: through the link between the
zones if the node lives in another one, through its network interface, and through its gateway.
It is *dark* to them when nine in ten are lost in one direction or more. Between the two it is
*poor*: clients suffer, but a ping in three gets through, so that nobody can be held to notice
within one detection, nor be blamed for acting. Seconds on a poor node are counted apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING

from nathb.core.ec2_state import PinState
from nathb.core.model import Route
from nathb.core.text import is_address
from tests.sim.ec2 import FOREIGN
from tests.sim.net import BURST_LOSS, GATEWAY, Link, entering, leaving

if TYPE_CHECKING:
    from tests.sim.world import World

STILL_SERVES = 0.2
"""Share of packets, in the worse direction, that a node that serves may lose."""
DARK_FROM = 0.9
"""Share from which on nothing of use gets through."""
LATE_ANSWERS = 0.5
"""What answers that come late, some of them too late, amount to: so many are missed."""


class Service(Enum):
    """What a node would do for some clients."""

    SERVES = "serves"
    POOR = "poor"
    DARK = "dark"


class Truth:
    """What is true of a world at any instant."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.net, self.ec2 = world.net, world.ec2
        self.names = world.names
        self.home = {route: world.schedule.group.order(route)[0] for route in world.ec2.routes}

    def holder(self, route: Route) -> str:
        """The node that the route points at; FOREIGN when that is none of the group."""
        return self.ec2.routes[route]

    def carries(self, node: str, besides: Route | None = None) -> int:
        """How many zones' clients the node carries, or would carry with one route more."""
        held = {self.home_of(route) for route, to in self.ec2.routes.items() if to == node}
        return len(held | {self.home_of(besides)} if besides is not None else held)

    def home_of(self, route: Route) -> str:
        """The route's home; routes that only a changed file names live in a zone of their own."""
        return self.home.get(route, str(route))

    def service(self, route: Route, node: str) -> Service:
        """What the node would do for the route's clients if the route pointed at it."""
        if node == FOREIGN:
            return Service.SERVES
        lost = self._lost(self.home_of(route), node, self.carries(node, route))
        if lost >= DARK_FROM:
            return Service.DARK
        return Service.SERVES if lost <= STILL_SERVES else Service.POOR

    def _lost(self, home: str, node: str, zones: int) -> float:
        net = self.net
        if net.down[node] or net.deaf[node] or net.cut[node] or net.unmasqueraded[node]:
            return 1.0
        if net.tunnel_cut[node] or (net.strained[node] and zones > 1):
            return 1.0
        there = [entering(node), leaving(node), (node, GATEWAY)]
        back = [(GATEWAY, node), entering(node), leaving(node)]
        if home != node and home in self.names:
            there, back = [(home, node), *there], [*back, (node, home)]
        return max(net.dropped(*there), net.dropped(*back))

    # --- what a node can find out, whatever it makes of it ----------------------------------

    def can_act(self, node: str) -> bool:
        """Whether a process runs there that can be expected to do something about a fault."""
        host = self.world.hosts[node]
        running = host.agent is not None and not host.frozen and not host.leaving
        return running and not host.dry_run and not self.ec2.intent.paused

    def can_vouch_for_itself(self, node: str) -> bool:
        """Whether the node's own uplink is there to be seen."""
        net = self.net
        parts = self.world.hosts[node].file.uplink_of(node)
        named = any(not any(is_address(one) for one in part) for part in parts)
        blind = net.unable[node, GATEWAY] or (named and net.nameless[node])
        whole = not net.targets_lost[node] and not net.tunnel_cut[node]
        seen = whole and not net.slow[node] and not blind
        way = (leaving(node), (node, GATEWAY), (GATEWAY, node), entering(node))
        return seen and not net.cut[node] and not net.down[node] and net.dropped(*way) < 0.5

    def misses(self, asker: str, node: str) -> bool:
        """Whether heartbeats of the node are sent by the asker and none of them comes back."""
        return self._asks(asker, node) and not self._hears(asker, node)

    def hears(self, asker: str, node: str) -> bool:
        """Whether heartbeats of the node come back to the asker, as far as they can be trusted."""
        return self._asks(asker, node) and self._hears(asker, node)

    def never_shows(self, asker: str, node: str) -> bool:
        """Whether a node can show no sign of life: nobody answers its heartbeats, nor its pulse."""
        wanted = self.world.schedule.group.node(node).heartbeat
        cut = self.net.severed[asker, node] > 0 or self.net.severed[node, asker] > 0
        pulsed = self.world.schedule.group.check.pulse > 0
        mute = cut or not pulsed or self.net.mute[asker, node] > 0
        return mute and all(address in self.net.unanswered for address in wanted)

    def _asks(self, asker: str, node: str) -> bool:
        """Whether some heartbeat is steered to the node, and there is somebody to answer it."""
        steered = {PinState.GOOD, PinState.BLACKHOLE}
        shown = not self.ec2.hidden[asker, node] and not self.net.unable[asker, node]
        return shown and any(
            self.ec2.pin(*key) in steered and key[2] not in self.net.unanswered
            for key in self.ec2.pins
            if key[:2] == (asker, node)
        )

    def _hears(self, asker: str, node: str) -> bool:
        net = self.net
        if net.down[node] or not net.forwards(node) or net.cut[node] or self.ec2.is_gone(node):
            return False
        if net.heartbeats_lost[asker, node] or net.tunnel_cut[node]:
            return False
        if net.unmasqueraded[node] and self.world.hosts[asker].file.node(asker).source:
            return False
        return net.dropped(*self._heartbeat(asker, node)) < DARK_FROM

    def _heartbeat(self, asker: str, node: str) -> tuple[Link, ...]:
        there = (leaving(asker), (asker, node), entering(node), leaving(node), (node, GATEWAY))
        back = ((GATEWAY, node), entering(node), leaving(node), (node, asker), entering(asker))
        return (*there, *back)

    def loss_between(self, taker: str, holder: str) -> float:
        """The worst share of loss at any one place that either node's packets may pass."""
        ways = {*self._heartbeat(taker, holder), *self._heartbeat(holder, taker)}
        late = LATE_ANSWERS if self.net.slow[taker] else 0.0
        return max([late, *self._shares(ways)])

    def _shares(self, links: Iterable[Link]) -> Iterable[float]:
        for link in links:
            yield BURST_LOSS if self.net.loss[link] > 0 else 0.0
            yield from self.net.dropping.get(link, ())
