"""What may befall packets: loss, cuts, closed doors, and names that nobody resolves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.sim.draw import Fault
from tests.sim.net import GATEWAY, Link, links

if TYPE_CHECKING:
    from tests.sim.world import World

Course = Iterator[None]


def loss(world: World, fault: Fault) -> Course:
    """Most packets are lost, between one node and all else or only one other."""
    others = [*world.names, GATEWAY] if fault.size > 3 else [fault.other]
    return _on_links(world.net.loss, links([fault.who], others))


def one_way(world: World, fault: Fault) -> Course:
    """Nothing gets from one zone to the other, while the way back is open."""
    return _on_links(world.net.severed, [(fault.who, fault.other)])


def partition(world: World, fault: Fault) -> Course:
    """A zone and all the others cannot reach each other; each has its own internet."""
    both = links([fault.who], world.names) + links(world.names, [fault.who])
    return _on_links(world.net.severed, both)


def slow_answers(world: World, fault: Fault) -> Course:
    """Answers to this node arrive late, and some of them too late."""
    return _on_nodes(world.net.slow, [fault.who])


def duplicates(world: World, fault: Fault) -> Course:
    """Each answer to this node arrives twice."""
    return _on_nodes(world.net.echoing, [fault.who])


def gateway_cut(world: World, fault: Fault) -> Course:
    """A node's own internet gateway is cut."""
    return _on_nodes(world.net.cut, [fault.who])


def all_gateways_cut(world: World, _fault: Fault) -> Course:
    """The internet is gone for everybody at once."""
    return _on_nodes(world.net.cut, world.names)


def targets_lost(world: World, fault: Fault) -> Course:
    """The uplink's targets do not answer one node, or anybody, though the internet is there."""
    return _on_nodes(world.net.targets_lost, world.names if fault.size > 3 else [fault.who])


def forwards_nothing(world: World, fault: Fault) -> Course:
    """A machine answers pulses and forwards nothing."""
    return _on_nodes(world.net.deaf, [fault.who])


def echo_closed(world: World, fault: Fault) -> Course:
    """A security group drops pings between a node and the others, and nothing else."""
    both = links([fault.who], world.names) + links(world.names, [fault.who])
    return _on_links(world.net.mute, both)


def blind(world: World, fault: Fault) -> Course:
    """Sends fail (EPERM): all of them, or only those to one peer."""
    others = [*world.names, GATEWAY] if fault.size > 3 else [fault.other]
    return _on_links(world.net.unable, links([fault.who], others))


def unmasqueraded(world: World, fault: Fault) -> Course:
    """A machine forwards and masquerades no more: what bears a private source is not answered."""
    return _on_nodes(world.net.unmasqueraded, [fault.who])


def names_lost(world: World, fault: Fault) -> Course:
    """A process starts while it, or nobody, can resolve the names of the uplink's targets."""
    befallen = world.names if fault.size > 3 else [fault.who]
    world.net.nameless.update(befallen)
    world.kill(fault.who)
    world.clock.later(0.2, lambda: world.revive(fault.who))
    yield
    world.net.nameless.subtract(befallen)


def names_moved(world: World, _fault: Fault) -> Course:
    """The name of an uplink target stands for another address."""
    world.net.moved += 1
    yield
    world.net.moved -= 1


def _on_links(counter: Counter[Link], befallen: list[Link]) -> Course:
    counter.update(befallen)
    yield
    counter.subtract(befallen)


def _on_nodes(counter: Counter[str], befallen: list[str]) -> Course:
    counter.update(befallen)
    yield
    counter.subtract(befallen)
