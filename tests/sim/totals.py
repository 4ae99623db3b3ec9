"""What some seeds amounted to, in figures: how much was simulated, and with which faults."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from nathb.daemon.agent import Agent
from tests.sim.draw import EDITION, draw
from tests.sim.failed_seeds import is_known
from tests.sim.judge import OffenceError
from tests.sim.world import World

LAST_LINES = 25


@dataclass
class Totals:
    """What some seeds amounted to, and the story of each that failed."""

    seeds: int = 0
    seconds: float = 0.0
    moves: int = 0
    by_others: int = 0
    rounds: int = 0
    mixed: int = 0
    """Seeds with faults of several kinds."""
    faults: Counter[str] = field(default_factory=Counter)
    known: list[int] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)

    def take_in(self, world: World) -> None:
        self.seeds += 1
        self.seconds += world.seconds
        self.moves += world.moves
        self.by_others += len(world.ec2.changes) - world.moves
        self.rounds += world.rounds
        self.mixed += len(world.injected) > 1
        self.faults += world.injected

    def add(self, other: Totals) -> None:
        self.seeds += other.seeds
        self.seconds += other.seconds
        self.moves += other.moves
        self.by_others += other.by_others
        self.rounds += other.rounds
        self.mixed += other.mixed
        self.faults += other.faults
        self.known += other.known
        self.failed |= other.failed


def run(seeds: Iterable[int], agent: type[Agent] = Agent) -> Totals:
    """Live these seeds through, one after the other. A defect of any sort fails its seed only."""
    totals = Totals()
    for seed in seeds:
        world = World(draw(seed), agent)
        try:
            world.live()
        except OffenceError as offence:
            if is_known((seed, EDITION), offence):
                totals.known.append(seed)
            else:
                totals.failed[seed] = _story(world, f"violated: {offence}")
        except Exception:  # noqa: BLE001
            totals.failed[seed] = _story(world, f"broke down: {traceback.format_exc()}")
        totals.take_in(world)
    return totals


def table(totals: Totals, took: float) -> str:
    """Lay the figures out in two columns."""
    figures = {
        "seeds": f"{totals.seeds:,}",
        "failed": f"{len(totals.failed):,}",
        "failed as known": f"{len(totals.known):,}",
        "simulated hours": f"{totals.seconds / 3600:,.1f}",
        "rounds": f"{totals.rounds:,}",
        "moves by nodes": f"{totals.moves:,}",
        "changes by others": f"{totals.by_others:,}",
        "seeds of several faults": f"{totals.mixed:,}",
        "wall time": f"{took:,.1f} s",
        "faults": f"{totals.faults.total():,}",
    }
    figures |= {f"  {kind}": f"{count:,}" for kind, count in sorted(totals.faults.items())}
    lines = [f"{name:24}{value:>14}" for name, value in figures.items()]
    if totals.failed:
        lines.append(f"failed seeds: {', '.join(map(str, sorted(totals.failed)))}")
    return "\n".join(lines)


def _story(world: World, end: str) -> str:
    trace = "\n".join(f"    {line}" for line in world.trace[1:][-LAST_LINES:])
    return f"{world.trace[0]}\n{trace}\n  {end}"
