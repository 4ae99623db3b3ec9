"""Every two faults of two nodes in groups of three and four, one a little after the other.

Only seeds draw what comes together by chance; here nothing is left out. The faults of one pair of
nodes follow each other in one world. Between two of them an hour passes asleep: what a node holds
against another is forgotten by then, and so is the damping.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from msgspec.structs import replace

from nathb.core.model import Group, Timers
from nathb.daemon.agent import Agent
from tests.sim.draw import Fault, Schedule
from tests.sim.judge import OffenceError
from tests.sim.stage import production
from tests.sim.world import World

KINDS = (
    "host-crash",
    "forwards-nothing",
    "daemon-dead",
    "daemon-frozen",
    "unreachable-api",
    "drain",
    "cut-between",
)
OFFSETS = 0.7, 6.0
"""Seconds by which the second is later: inside of the detection of the first, and after it."""
LASTS = 16.0
"""Seconds for which both are there: a detection and a turn of the next in line."""
CALM = 5.0
"""Seconds before the first: enough for verdicts and a view."""
HOUR = 3600.0


@dataclass(frozen=True)
class Double:
    """Two faults, and by how much (seconds) the second one is later; it ends last."""

    first: Fault
    second: Fault
    offset: float

    def __str__(self) -> str:
        return f"{_words(self.first)}, {self.offset:g} s later {_words(self.second)}"


def group(size: int) -> Group:
    """A group with timers that take little time, and no pulse: evidence is heartbeats alone."""
    check = Timers(interval=2.0, fast_interval=0.5, timeout=0.5, fall=2, rise=2, pulse=0.0)
    hasty = {"refresh": 3.0, "settle": 1.5, "view_max_age": 8.0, "contest_hold": 15.0}
    return replace(production(size), check=check, preempt_delay=2.0, **hasty)


def doubles(size: int) -> Iterator[Double]:
    """Every one in a group of this size. An order is a circle, so the first node may be nat-a."""
    names = [node.name for node in group(size).nodes]
    for offset, second in product(OFFSETS, names[1:]):
        pairs = product(_faults(names, names[0], offset), _faults(names, second, 0.0))
        yield from (Double(one, other, offset) for one, other in pairs)


def live(every: Iterable[Double], size: int, agent: type[Agent] = Agent) -> None:
    """Go through these, one after the other; OffenceError when anything is not as it must be."""
    world = World(Schedule(0, group(size), ()), agent)
    world.begin_as_ever()
    for double in every:
        world.run(world.clock.now + CALM)
        try:
            _go_through(world, double)
        except OffenceError as offence:
            raise OffenceError(f"{double}: {offence}") from offence
        world.pass_asleep(HOUR)


def _go_through(world: World, double: Double) -> None:
    world.begin(double.first)
    world.run(world.clock.now + double.offset)
    world.begin(double.second)
    world.run(world.clock.now + LASTS + 0.1)
    world.converge()


def _faults(names: list[str], who: str, offset: float) -> Iterator[Fault]:
    for kind in KINDS:
        others = [name for name in names if name != who] if kind == "cut-between" else [""]
        yield from (Fault(kind, 0.0, offset + LASTS, who, other, 1) for other in others)


def _words(fault: Fault) -> str:
    return f"{fault.kind} {fault.who}" + (f"/{fault.other}" if fault.other else "")
