"""Faults of EC2's API, and of what it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from nathb.core.ec2_state import PinState
from tests.sim.draw import Fault

if TYPE_CHECKING:
    from tests.sim.world import World

Course = Iterator[None]


def api_fault(name: str) -> Callable[[World, Fault], Course]:
    """Let the API have this fault for a while."""

    def course(world: World, _fault: Fault) -> Course:
        faults = world.ec2.faults
        setattr(faults, name, getattr(faults, name) + 1)
        world.ec2.well_since = float("inf")
        yield
        setattr(faults, name, getattr(faults, name) - 1)
        if faults.well:
            world.ec2.well_since = world.clock.now

    return course


def stale_describe(world: World, fault: Fault) -> Course:
    """The next change is not shown by the next few reads."""
    world.ec2.stale_reads = fault.size
    yield
    world.ec2.forget_past()


def pin(state: PinState) -> Callable[[World, Fault], Course]:
    """Let a pin be deleted or moved, and put back later."""

    def spoil(world: World, fault: Fault) -> Course:
        spoilt = [key for key in world.ec2.pins if key[:2] == (fault.who, fault.other)]
        world.ec2.pins.update(dict.fromkeys(spoilt, state))
        yield
        world.ec2.pins.update(dict.fromkeys(spoilt, PinState.GOOD))

    return spoil


def disrupted_zone(world: World, fault: Fault) -> Course:
    """A zone is disrupted: DescribeInstances fails whole, or lists no node of that zone."""
    if fault.size > 3:
        return api_fault("disrupted")(world, fault)
    return _hiding(world, [(asker, fault.who) for asker in world.names])


def ambiguous_match(world: World, fault: Fault) -> Course:
    """Two instances match: it is not known which of them stands for the node."""
    return _hiding(world, [(asker, fault.who) for asker in world.names])


def new_ids(world: World, fault: Fault) -> Course:
    """An instance is replaced; one node goes by the old one for longer than the others."""
    return _hiding(world, [(fault.other, fault.who)])


def _hiding(world: World, affected: list[tuple[str, str]]) -> Course:
    world.ec2.hidden.update(affected)
    yield
    world.ec2.hidden.subtract(affected)


def denied_to_one(world: World, fault: Fault) -> Course:
    """One node may look, and may not write."""
    world.ec2.denied_to[fault.who] += 1
    yield
    world.ec2.denied_to[fault.who] -= 1


def unreachable_api(world: World, fault: Fault) -> Course:
    """None of one node's calls reaches the API."""
    world.ec2.unreachable_from[fault.who] += 1
    yield
    world.ec2.unreachable_from[fault.who] -= 1


def wavering_reads(world: World, _fault: Fault) -> Course:
    """Reads show the next change, then what was before it, then the change."""
    world.ec2.faults.wavering += 1
    yield
    world.ec2.faults.wavering -= 1
    world.ec2.forget_past()
