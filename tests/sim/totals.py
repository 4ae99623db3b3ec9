"""What some seeds amounted to, in figures: how much was lived through, and what befell it."""

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
class Tally:
    """What some seeds amounted to, and the story of each that failed."""

    seeds: int = 0
    seconds: float = 0.0
    moves: int = 0
    hands: int = 0
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
        self.hands += len(world.ec2.changes) - world.moves
        self.rounds += world.rounds
        self.mixed += len(world.injected) > 1
        self.faults += world.injected

    def add(self, other: Tally) -> None:
        self.seeds += other.seeds
        self.seconds += other.seconds
        self.moves += other.moves
        self.hands += other.hands
        self.rounds += other.rounds
        self.mixed += other.mixed
        self.faults += other.faults
        self.known += other.known
        self.failed |= other.failed


def run(seeds: Iterable[int], agent: type[Agent] = Agent) -> Tally:
    """Live these seeds through, one after the other. A defect of any sort fails its seed only."""
    tally = Tally()
    for seed in seeds:
        world = World(draw(seed), agent)
        try:
            world.live()
        except OffenceError as offence:
            if is_known((seed, EDITION), offence):
                tally.known.append(seed)
            else:
                tally.failed[seed] = _story(world, f"violated: {offence}")
        except Exception:  # noqa: BLE001
            tally.failed[seed] = _story(world, f"broke down: {traceback.format_exc()}")
        tally.take_in(world)
    return tally


def table(tally: Tally, took: float) -> str:
    """Lay the figures out in two columns."""
    figures = {
        "seeds": f"{tally.seeds:,}",
        "failed": f"{len(tally.failed):,}",
        "failed as known": f"{len(tally.known):,}",
        "simulated hours": f"{tally.seconds / 3600:,.1f}",
        "rounds": f"{tally.rounds:,}",
        "moves by nodes": f"{tally.moves:,}",
        "changes by other hands": f"{tally.hands:,}",
        "seeds of several faults": f"{tally.mixed:,}",
        "wall time": f"{took:,.1f} s",
        "faults": f"{tally.faults.total():,}",
    }
    figures |= {f"  {kind}": f"{count:,}" for kind, count in sorted(tally.faults.items())}
    lines = [f"{name:24}{value:>14}" for name, value in figures.items()]
    if tally.failed:
        lines.append(f"failed seeds: {', '.join(map(str, sorted(tally.failed)))}")
    return "\n".join(lines)


def _story(world: World, end: str) -> str:
    trace = "\n".join(f"    {line}" for line in world.trace[1:][-LAST_LINES:])
    return f"{world.trace[0]}\n{trace}\n  {end}"
