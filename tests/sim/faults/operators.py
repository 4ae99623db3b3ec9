"""What operators do: in the route tables, by intent, and in the file."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nathb.core.model import Group, Route
from tests.sim.draw import Fault, another_order
from tests.sim.ec2 import FOREIGN
from tests.sim.matches import SPARE
from tests.sim.net import GATEWAY

if TYPE_CHECKING:
    from tests.sim.world import World

Course = Iterator[None]


def operator_moves(world: World, fault: Fault) -> Course:
    """An operator points a route at another node, and leaves it there."""
    route = _route(world, fault)
    if world.ec2.routes[route] in world.names:
        world.ec2.change(route, fault.other)
    yield


def operator_insists(world: World, fault: Fault) -> Course:
    """An operator points a route at one node, whatever the nodes do about it."""
    route = _route(world, fault)
    over = [False]

    def insist() -> None:
        if over[0]:
            return
        if world.ec2.routes[route] not in {fault.who, FOREIGN}:
            world.ec2.change(route, fault.who)
        world.clock.later(3.0, insist)

    insist()
    yield
    over[0] = True


def foreign(world: World, fault: Fault) -> Course:
    """A route is pointed outside the group; later it comes back, or does not."""
    route = _route(world, fault)
    world.ec2.change(route, FOREIGN)
    yield
    if world.ec2.routes[route] == FOREIGN and fault.size > 2:
        world.ec2.change(route, fault.who)


def pause(world: World, _fault: Fault) -> Course:
    """The group is paused."""
    world.pauses += 1
    world.ec2.intent = replace(world.ec2.intent, paused=True)
    yield
    world.pauses -= 1
    world.ec2.intent = replace(world.ec2.intent, paused=world.pauses > 0)


def drain(world: World, fault: Fault) -> Course:
    """A node is drained."""
    world.ec2.intent = replace(world.ec2.intent, drained=world.ec2.intent.drained | {fault.who})
    yield
    world.ec2.intent = replace(world.ec2.intent, drained=world.ec2.intent.drained - {fault.who})


def reload(world: World, fault: Fault) -> Course:
    """A process reads its file again."""
    world.hosts[fault.who].reload()
    yield


def drained_unsure(world: World, fault: Fault) -> Course:
    """A node is drained while its process, just started, cannot ask its uplink."""
    uplink = (fault.who, GATEWAY)
    world.net.unable[uplink] += 1
    world.kill(fault.who)
    world.clock.later(0.2, lambda: world.revive(fault.who))
    draining = drain(world, fault)
    next(draining)
    yield
    next(draining, None)
    world.net.unable[uplink] -= 1


def revert(world: World, _fault: Fault) -> Course:
    """Under `preempt: manual`, an operator lets the routes go home."""
    world.reverts += 1
    world.ec2.intent = replace(world.ec2.intent, revert=True)
    yield
    world.reverts -= 1
    world.ec2.intent = replace(world.ec2.intent, revert=world.reverts > 0)


def reload_changed(world: World, fault: Fault) -> Course:
    """One machine, or all one after the other, get another file; later they get the old one."""
    file = _another(world.schedule.group, fault.size)
    world.ec2.routes.setdefault(SPARE, fault.other)
    affected = world.names if fault.size > 3 else [fault.who]
    over = [False]

    def roll_out(name: str) -> None:
        if not over[0]:
            world.hosts[name].reload(file)

    for number, name in enumerate(affected):
        world.clock.later(number * 0.7, lambda name=name: roll_out(name))
    yield
    over[0] = True
    for name in affected:
        world.hosts[name].reload(world.schedule.group)


def drained_in_doubt(world: World, fault: Fault) -> Course:
    """A node is drained just as the other goes: the view that doubt asks for shows the drain."""
    gone = Fault("host-crash", 0.0, fault.lasts, fault.other, fault.who, 1)
    world.begin(gone)
    world.lasts_until(world.clock.now + fault.lasts)
    yield from drain(world, fault)


def other_order(world: World, fault: Fault) -> Course:
    """One machine gets a file with another order, or with one route less; later the old one."""
    host, before = world.hosts[fault.who], world.hosts[fault.who].file
    host.reload(another_order(world.schedule.group, Random(f"order {fault.at}")))
    yield
    host.reload(before)


def _another(group: Group, size: int) -> Group:
    """The same nodes, with other timers, other targets, one route more, or one route less."""
    first, *others = group.nodes
    last = group.nodes[-1]
    if size % 4 == 0:
        slower = replace(group.check, interval=group.check.interval + 1.0, fall=4, rise=1)
        return replace(group, check=slower)
    if size % 4 == 1:
        return replace(group, uplink=("8.26.56.26",))
    if size % 4 == 2:
        return replace(group, nodes=(replace(first, routes=(*first.routes, SPARE)), *others))
    return replace(group, nodes=(*group.nodes[:-1], replace(last, routes=last.routes[:-1])))


def _route(world: World, fault: Fault) -> Route:
    routes = world.schedule.group.routes()
    return routes[fault.size % len(routes)]
