"""Faults of the network: loss, cuts, closed firewalls, and names that nobody resolves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from nathb.core.ec2_state import PinState
from tests.sim.draw import Fault
from tests.sim.grants import detection
from tests.sim.net import GATEWAY, Link, entering, leaving, links

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


def cut_between(world: World, fault: Fault) -> Course:
    """Two zones cannot reach each other; all others reach both."""
    return _on_links(
        world.net.severed, links([fault.who], [fault.other]) + links([fault.other], [fault.who])
    )


def slow_answers(world: World, fault: Fault) -> Course:
    """Answers to this node arrive late, and some of them too late."""
    return _on_nodes(world.net.slow, [fault.who])


def duplicates(world: World, fault: Fault) -> Course:
    """Each answer to this node arrives twice."""
    return _on_nodes(world.net.echoing, [fault.who])


def gateway_cut(world: World, fault: Fault) -> Course:
    """A node's own internet gateway is cut."""
    return _on_nodes(world.net.cut, [fault.who])


def contested_then_dead(world: World, fault: Fault) -> Course:
    """Two zones lose each other for long enough to quarrel; then one node is really gone.

    Once its routes were taken, someone points them at the dead node again, and leaves it at that:
    one contest. Where an operator insists anyhow, there are contests enough.
    """
    detected = detection(world.schedule.group)
    insists = any(one.kind == "operator-insists" for one in world.schedule.faults)
    cut = detected + 10.0
    gone = 3 * detected + 100.0

    def undo() -> None:
        for route in world.schedule.group.node(fault.other).routes:
            if world.ec2.is_well and not insists and world.ec2.routes[route] in world.names:
                world.ec2.change(route, fault.other)

    world.begin(Fault("partition", 0.0, cut, fault.who, fault.other, 1))
    crash = Fault("host-crash", 0.0, gone, fault.other, fault.who, 1)
    world.clock.later(cut + 5.0, lambda: world.begin(crash))
    world.clock.later(cut + 5.0 + detected + 10.0, undo)
    world.lasts_until(world.clock.now + cut + 5.0 + gone)
    yield


def gateway_cut_unseen(world: World, fault: Fault) -> Course:
    """A node's gateway is cut, and nobody's pins lead to it: it alone can know (R5, R12)."""
    pins = [key for key in world.ec2.pins if key[1] == fault.who]
    world.ec2.pins.update(dict.fromkeys(pins, PinState.MISSING))
    world.net.cut[fault.who] += 1
    yield
    world.net.cut[fault.who] -= 1
    world.ec2.pins.update(dict.fromkeys(pins, PinState.GOOD))


def all_gateways_cut(world: World, _fault: Fault) -> Course:
    """The internet is gone for everybody at once."""
    return _on_nodes(world.net.cut, world.names)


def tunnel_cut(world: World, fault: Fault) -> Course:
    """A node's tunnel carries nothing, or the daemon that its routes come from is dead."""
    return _on_nodes(world.net.tunnel_cut, [fault.who])


def all_tunnels_cut(world: World, _fault: Fault) -> Course:
    """The far site is gone for everybody at once."""
    return _on_nodes(world.net.tunnel_cut, world.names)


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
    affected = world.names if fault.size > 3 else [fault.who]
    world.net.nameless.update(affected)
    world.kill(fault.who)
    world.clock.later(0.2, lambda: world.revive(fault.who))
    yield
    world.net.nameless.subtract(affected)


def names_moved(world: World, _fault: Fault) -> Course:
    """The name of an uplink target stands for another address."""
    world.net.moved += 1
    yield
    world.net.moved -= 1


SHARES = 0.02, 0.05, 0.1, 0.2, 0.35, 0.5
"""Shares of packets that mild loss drops, by the fault's size."""
FLAPS = (1.0, 4.0), (4.0, 12.0), (8.0, 24.0), (20.0, 60.0), (45.0, 120.0), (100.0, 300.0)
"""Cuts of so many seconds, one in every so many, by the fault's size."""


def mild_loss(world: World, fault: Fault) -> Course:
    """A node loses some packets at its interface: those that enter, those that leave, or both."""
    way = int(fault.at * 1000) % 3
    affected = [leaving(fault.who)] * (way != 1) + [entering(fault.who)] * (way != 2)
    return _dropping(world, affected, SHARES[fault.size - 1])


def mild_loss_between(world: World, fault: Fault) -> Course:
    """Some packets are lost between two zones, or between a node and the internet."""
    other = GATEWAY if int(fault.at * 1000) % 3 == 0 else fault.other
    there, back = (fault.who, other), (other, fault.who)
    way = int(fault.at * 1000) % 2
    return _dropping(world, [there] if way else [there, back], SHARES[fault.size - 1])


def _dropping(world: World, affected: list[Link], share: float) -> Course:
    for link in affected:
        world.net.dropping.setdefault(link, []).append(share)
    yield
    for link in affected:
        world.net.dropping[link].remove(share)
        if not world.net.dropping[link]:
            del world.net.dropping[link]


def flapping_cut(world: World, fault: Fault) -> Course:
    """Two zones lose each other and find each other, in a period of its own; both are healthy."""
    both = links([fault.who], world.names) + links(world.names, [fault.who])
    return _flapping(world, fault, world.net.severed, both)


def flapping_gateway(world: World, fault: Fault) -> Course:
    """A node's own internet gateway comes and goes."""
    return _flapping(world, fault, world.net.cut, [fault.who])


def _flapping(world: World, fault: Fault, counter: Counter[Any], affected: list[Any]) -> Course:
    lasts, period = FLAPS[fault.size - 1]
    cut, over = [False], [False]

    def turn() -> None:
        if over[0] and not cut[0]:
            return
        if cut[0] or not over[0]:
            (counter.subtract if cut[0] else counter.update)(affected)
            cut[0] = not cut[0]
            world.changed(fault, "begins")
        if not over[0]:
            world.clock.later(lasts if cut[0] else period - lasts, turn)

    turn()
    yield
    over[0] = True
    if cut[0]:
        turn()


def conntrack_full(world: World, fault: Fault) -> Course:
    """Whoever carries two zones fills its connection tracking, and forwards nothing new."""
    return _on_nodes(world.net.strained, world.names if fault.size > 2 else [fault.who])


def dead_nat_and_silence(world: World, fault: Fault) -> Course:
    """A node's NAT is dead, its host alive; meanwhile the other one falls silent for 6 s."""
    world.net.deaf[fault.who] += 1
    silence = Fault("unreachable", 0.0, min(6.0, fault.lasts / 4), fault.other, fault.who, 1)
    world.clock.later(fault.lasts / 2, lambda: world.begin(silence))
    yield
    world.net.deaf[fault.who] -= 1


def unreachable(world: World, fault: Fault) -> Course:
    """Nothing gets to a machine or from it, and its process goes on."""
    world.net.down[fault.who] += 1
    world.net.cut[fault.who] += 1
    yield
    world.net.down[fault.who] -= 1
    world.net.cut[fault.who] -= 1


def _on_links(counter: Counter[Link], affected: list[Link]) -> Course:
    counter.update(affected)
    yield
    counter.subtract(affected)


def _on_nodes(counter: Counter[str], affected: list[str]) -> Course:
    counter.update(affected)
    yield
    counter.subtract(affected)
