"""What may befall EC2's API, and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from nathb.core.view import PinState
from tests.sim.draw import Fault

if TYPE_CHECKING:
    from tests.sim.world import World

Course = Iterator[None]


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


def pin(state: PinState) -> Callable[[World, Fault], Course]:
    """Let a pin be deleted or moved, and put back later."""

    def spoil(world: World, fault: Fault) -> Course:
        spoilt = [key for key in world.ec2.pins if key[:2] == (fault.who, fault.other)]
        world.ec2.pins.update(dict.fromkeys(spoilt, state))
        yield
        world.ec2.pins.update(dict.fromkeys(spoilt, PinState.GOOD))

    return spoil
