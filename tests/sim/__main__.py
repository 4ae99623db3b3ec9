"""Run many seeds on all cores: `python -m tests.sim --seeds 1000 [--from 0] [--jobs 2]`.

Prints a table of figures. For a seed that fails it prints what was violated and how the trace
ends, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.sim.book import is_known
from tests.sim.judge import OffenceError
from tests.sim.world import World, world_of

LAST_LINES = 25
CHUNK = 25


@dataclass
class Tally:
    """What some seeds amounted to, and the story of each that failed."""

    seeds: int = 0
    seconds: float = 0.0
    moves: int = 0
    rounds: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    known: list[int] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)

    def take_in(self, world: World) -> None:
        self.seeds += 1
        self.seconds += world.seconds
        self.moves += world.moves
        self.rounds += world.rounds
        self.faults += world.injected

    def add(self, other: Tally) -> None:
        self.seeds += other.seeds
        self.seconds += other.seconds
        self.moves += other.moves
        self.rounds += other.rounds
        self.faults += other.faults
        self.known += other.known
        self.failed |= other.failed


def run(seeds: Iterable[int]) -> Tally:
    """Live these seeds through, one after the other."""
    tally = Tally()
    for seed in seeds:
        world = world_of(seed)
        try:
            world.live()
        except OffenceError as offence:
            if is_known(seed, offence):
                tally.known.append(seed)
            else:
                ending = "\n".join(f"    {line}" for line in world.trace[1:][-LAST_LINES:])
                tally.failed[seed] = f"{world.trace[0]}\n{ending}\n  violated: {offence}"
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
        "changes of routes": f"{tally.moves:,}",
        "wall time": f"{took:,.1f} s",
        "faults": f"{tally.faults.total():,}",
    }
    figures |= {f"  {kind}": f"{count:,}" for kind, count in sorted(tally.faults.items())}
    return "\n".join(f"{name:24}{value:>14}" for name, value in figures.items())


def show(seed: int) -> int:
    """Print the whole trace of one seed; return 1 when something was violated."""
    world = world_of(seed)
    try:
        world.live()
    except OffenceError as offence:
        world.trace.append(f"violated: {offence}")
        return 1
    finally:
        print("\n".join(world.trace))
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first of them")
    parser.add_argument("--jobs", type=int, default=None, help="processes; all cores by default")
    parser.add_argument("--trace", type=int, help="print all of one seed's trace, and no table")
    asked = parser.parse_args(arguments)
    if asked.trace is not None:
        return show(asked.trace)
    began = time.perf_counter()
    every = range(asked.first, asked.first + asked.seeds)
    chunks = [every[start : start + CHUNK] for start in range(0, len(every), CHUNK)]
    total = Tally()
    with ProcessPoolExecutor(asked.jobs) as pool:
        for tally in pool.map(run, chunks):
            total.add(tally)
            for story in tally.failed.values():
                print(story, flush=True)
    print(table(total, time.perf_counter() - began))
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
