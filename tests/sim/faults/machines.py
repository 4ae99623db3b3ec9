"""Faults of machines, and of the processes on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nathb.core.ec2_state import InstanceState
from tests.sim.draw import Fault

if TYPE_CHECKING:
    from tests.sim.world import World

Course = Iterator[None]
STOPPING = 4.0
"""Seconds for which an instance that is being stopped goes on forwarding."""
LEAVING = 8.0
"""Seconds for which a machine that shuts down waits for its process."""


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


def shutdown(world: World, fault: Fault) -> Course:
    """The machine shuts down, as for a reboot; its process may leave first, but not for long."""
    who, host, halted = fault.who, world.hosts[fault.who], [False]
    known_to_ec2 = fault.size > 3
    until = world.clock.now + LEAVING

    def halt() -> None:
        if not halted[0]:
            halted[0] = True
            world.net.down[who] += 1
            world.kill(who)

    def leave() -> None:
        if halted[0]:
            return
        if host.agent is None or host.has_left() or world.clock.now >= until:
            halt()
        else:
            world.clock.later(0.05, leave)

    if known_to_ec2:
        world.ec2.states[who] = InstanceState.STOPPING
    host.leaving += 1
    host.leave()
    world.clock.later(0.05, leave)
    yield
    halt()
    host.leaving -= 1
    world.net.down[who] -= 1
    if known_to_ec2:
        world.ec2.states[who] = InstanceState.RUNNING
    world.revive(who)


def stand_in_stopped(world: World, fault: Fault) -> Course:
    """An operator moves every route to one node, and then that node is stopped."""
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
    doubts = world.schedule.group.check.interval + fault.size / 4
    world.begin(gone)
    world.clock.later(doubts, lambda: world.begin(Fault("freeze", 0.0, 4.0, fault.who, "", 1)))
    world.lasts_until(world.clock.now + doubts + 4.0)
    yield


def freeze(world: World, fault: Fault) -> Course:
    """The process stands still."""
    host = world.hosts[fault.who]
    host.frozen += 1
    yield
    host.frozen -= 1
    host.wake()


def slow_shutdown(world: World, fault: Fault) -> Course:
    """A machine shuts down, and its NAT forwards on for a long while after its process has left."""
    who, host, halted = fault.who, world.hosts[fault.who], [False]
    until = world.clock.now + LEAVING

    def leave() -> None:
        if host.agent is not None and not host.has_left() and world.clock.now < until:
            world.clock.later(0.05, leave)
            return
        world.kill(who)
        world.clock.later(fault.lasts * 0.6, halt)

    def halt() -> None:
        if not halted[0]:
            halted[0] = True
            world.net.down[who] += 1

    host.leaving += 1
    host.leave()
    world.clock.later(0.05, leave)
    world.lasts_until(world.clock.now + LEAVING + fault.lasts * 1.6 + 2.0)
    yield

    def boot() -> None:
        halt()
        host.leaving -= 1
        world.net.down[who] -= 1
        world.revive(who)

    world.clock.later(LEAVING + fault.lasts * 0.6 + 1.0, boot)


def suspend(world: World, fault: Fault) -> Course:
    """A machine sleeps: nothing is forwarded, and its monotonic time stands still."""
    host = world.hosts[fault.who]
    if host.asleep:
        yield
        return
    world.net.down[fault.who] += 1
    host.suspend()
    yield
    world.net.down[fault.who] -= 1
    host.resume()


def reboot(world: World, fault: Fault) -> Course:
    """A machine goes and boots again; its process starts in the first second of its new clock."""
    world.net.down[fault.who] += 1
    world.kill(fault.who)
    yield
    world.net.down[fault.who] -= 1
    world.hosts[fault.who].boot()
    world.revive(fault.who)


def daemon_dry(world: World, fault: Fault) -> Course:
    """A process is replaced by one in dry run, and later by a good one."""
    world.kill(fault.who)
    world.dry[fault.who] += 1
    world.revive(fault.who)
    yield
    world.kill(fault.who)
    world.dry[fault.who] -= 1
    world.revive(fault.who)
