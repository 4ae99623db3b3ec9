"""What each fault does: the lines before `yield` begin it, those after it end it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nathb.core.model import Route
from nathb.core.view import InstanceState, PinState
from tests.sim.draw import Fault
from tests.sim.ec2 import FOREIGN
from tests.sim.net import GATEWAY, Link, links

if TYPE_CHECKING:
    from tests.sim.world import World

Course = Iterator[None]
STOPPING = 4.0
"""Seconds for which an instance that is being stopped goes on forwarding."""


# --- the network ----------------------------------------------------------------------------------


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


# --- machines and processes -----------------------------------------------------------------------


def process_crash(world: World, fault: Fault) -> Course:
    """The process is killed, and started again later; the machine goes on forwarding."""
    world.kill(fault.who)
    yield
    world.revive(fault.who)


def host_crash(world: World, fault: Fault) -> Course:
    """The machine hangs, and EC2 does not know of it."""
    world.net.down[fault.who] += 1
    world.kill(fault.who)
    yield
    world.net.down[fault.who] -= 1
    world.revive(fault.who)


def stop(world: World, fault: Fault) -> Course:
    """An operator stops the instance: blackholes at once, silence a little later."""
    who, halted = fault.who, [False]

    def halt() -> None:
        if not halted[0]:
            halted[0] = True
            world.net.down[who] += 1
            world.kill(who)
            world.ec2.states[who] = InstanceState.STOPPED

    world.ec2.states[who] = InstanceState.STOPPING
    world.clock.later(STOPPING, halt)
    yield
    halt()
    world.net.down[who] -= 1
    world.ec2.states[who] = InstanceState.RUNNING
    world.revive(who)


def stand_in_stopped(world: World, fault: Fault) -> Course:
    """A hand moves every route to one node, and then that node is stopped."""
    for route, to in world.ec2.routes.items():
        if to in world.names and to != fault.who:
            world.ec2.change(route, fault.who)
    stopping = Fault("stop", 0.0, fault.lasts, fault.who, fault.other, 1)
    world.clock.later(0.5, lambda: world.begin(stopping))
    world.lasts_until(world.clock.now + 0.5 + fault.lasts)
    yield


def flapping(world: World, fault: Fault) -> Course:
    """A machine goes and comes, again and again."""
    again = Fault("host-crash", 0.0, 4.0, fault.who, fault.other, 1)
    for number in range(4):
        world.clock.later(number * 16.0, lambda: world.begin(again))
    world.lasts_until(world.clock.now + 4 * 16.0)
    yield


def frozen_in_doubt(world: World, fault: Fault) -> Course:
    """A node freezes just as it begins to miss another, which is back before it goes on."""
    gone = Fault("host-crash", 0.0, 3.0, fault.other, fault.who, 1)
    doubts = world.plot.group.check.interval + fault.size / 4
    world.begin(gone)
    world.clock.later(doubts, lambda: world.begin(Fault("freeze", 0.0, 4.0, fault.who, "", 1)))
    world.lasts_until(world.clock.now + doubts + 4.0)
    yield


def freeze(world: World, fault: Fault) -> Course:
    """The process stands still."""
    post = world.posts[fault.who]
    post.frozen += 1
    yield
    post.frozen -= 1
    post.wake()


def blind(world: World, fault: Fault) -> Course:
    """Sends fail (EPERM): all of them, or only those to one peer."""
    others = [*world.names, GATEWAY] if fault.size > 3 else [fault.other]
    return _on_links(world.net.unable, links([fault.who], others))


# --- EC2 ------------------------------------------------------------------------------------------


def mood(name: str) -> Callable[[World, Fault], Course]:
    """Let the API suffer from this for a while."""

    def suffer(world: World, _fault: Fault) -> Course:
        moods = world.ec2.moods
        setattr(moods, name, getattr(moods, name) + 1)
        world.ec2.well_since = float("inf")
        yield
        setattr(moods, name, getattr(moods, name) - 1)
        if moods.well:
            world.ec2.well_since = world.clock.now

    return suffer


def stale_describe(world: World, fault: Fault) -> Course:
    """The next change is not shown by the next few reads."""
    world.ec2.stale_reads = fault.size
    yield
    world.ec2.forget_past()


# --- operators ------------------------------------------------------------------------------------


def hand_moves(world: World, fault: Fault) -> Course:
    """A hand points a route at another node, and leaves it there."""
    route = _route(world, fault)
    if world.ec2.routes[route] in world.names:
        world.ec2.change(route, fault.other)
    yield


def hand_insists(world: World, fault: Fault) -> Course:
    """A hand points a route at one node, whatever the nodes do about it."""
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


def pin(state: PinState) -> Callable[[World, Fault], Course]:
    """Let a pin be deleted or moved, and put back later."""

    def spoil(world: World, fault: Fault) -> Course:
        spoilt = [key for key in world.ec2.pins if key[:2] == (fault.who, fault.other)]
        world.ec2.pins.update(dict.fromkeys(spoilt, state))
        yield
        world.ec2.pins.update(dict.fromkeys(spoilt, PinState.GOOD))

    return spoil


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
    world.posts[fault.who].reload()
    yield


FAULTS: dict[str, Callable[[World, Fault], Course]] = {
    "loss": loss,
    "slow-answers": slow_answers,
    "duplicates": duplicates,
    "one-way": one_way,
    "partition": partition,
    "gateway-cut": gateway_cut,
    "all-gateways-cut": all_gateways_cut,
    "targets-lost": targets_lost,
    "forwards-nothing": forwards_nothing,
    "echo-closed": echo_closed,
    "process-crash": process_crash,
    "host-crash": host_crash,
    "stop": stop,
    "stand-in-stopped": stand_in_stopped,
    "flapping": flapping,
    "freeze": freeze,
    "frozen-in-doubt": frozen_in_doubt,
    "blind": blind,
    "ec2-slow": mood("slow"),
    "ec2-throttled": mood("throttled"),
    "ec2-unavailable": mood("unavailable"),
    "ec2-denied": mood("denied"),
    "describe-denied": mood("unreadable"),
    "no-reply-applied": mood("applied_without_reply"),
    "no-reply-lost": mood("lost_without_reply"),
    "stale-describe": stale_describe,
    "hand-moves": hand_moves,
    "hand-insists": hand_insists,
    "foreign": foreign,
    "pin-missing": pin(PinState.MISSING),
    "pin-elsewhere": pin(PinState.ELSEWHERE),
    "pause": pause,
    "drain": drain,
    "reload": reload,
}


def _on_links(counter: Counter[Link], befallen: list[Link]) -> Course:
    counter.update(befallen)
    yield
    counter.subtract(befallen)


def _on_nodes(counter: Counter[str], befallen: list[str]) -> Course:
    counter.update(befallen)
    yield
    counter.subtract(befallen)


def _route(world: World, fault: Fault) -> Route:
    routes = world.plot.group.routes()
    return routes[fault.size % len(routes)]
