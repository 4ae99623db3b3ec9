"""Run many seeds on all cores: `python -m tests.sim --seeds 1000 [--from 0] [--jobs 2]`.

Ends with a table of figures, also when it is interrupted. For a seed that fails it prints at once
what was violated and how the trace ends, and goes on; the exit status is then 1. How far it has
come is told on stderr now and then.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from nathb.daemon.agent import Agent
from tests.sim import double_faults
from tests.sim.double_faults import doubles
from tests.sim.draw import EDITION, draw
from tests.sim.judge import OffenceError
from tests.sim.rows import ROWS, STAGES, budget
from tests.sim.totals import Totals, run, table
from tests.sim.world import World

CHUNK = 25
TELL_EVERY = 30.0
"""Seconds between two lines on how far it has come."""
INTERRUPTED = 130


def show(seed: int, edition: int, *, verbose: bool = True, telling: bool = False) -> int:
    """Print the trace of one seed, or its end; return 1 when something was violated."""
    world = World(draw(seed, edition), telling=telling)
    try:
        world.live()
    except OffenceError as offence:
        world.trace.append(f"violated: {offence}")
        return 1
    finally:
        print("\n".join(world.trace if verbose else [world.trace[0], *world.trace[1:][-25:]]))
    return 0


def act(name: str, *, tracing: bool) -> int:
    """Act out one row; return 1 when its figures are not what they should be."""
    began, fallen = time.perf_counter(), ""
    try:
        ROWS[name](Agent)
    except AssertionError as error:
        fallen = str(error).partition("\nassert")[0]
    if tracing and STAGES:
        print("\n".join(STAGES[0].world.trace))
    took = f"{time.perf_counter() - began:.1f} s"
    print(f"{'red  ' if fallen else 'green'} {name} ({took}){': ' if fallen else ''}{fallen}")
    return 1 if fallen else 0


def bear(size: int) -> int:
    """Go through every double fault; print those that are not borne, and return 1 then."""
    not_borne = 0
    every = list(doubles(size))
    for double in every:
        try:
            double_faults.live([double], size)
        except OffenceError as offence:
            not_borne += 1
            print(offence, flush=True)
    print(f"{len(every)} double faults of {size} nodes, {not_borne} not borne")
    return min(not_borne, 1)


def live_all(every: range, jobs: int | None) -> tuple[Totals, bool]:
    """Live all seeds through; return what they amounted to, and whether all had their turn."""
    total, began = Totals(), time.perf_counter()
    told_at = began
    pool = ProcessPoolExecutor(jobs, initializer=_leave_interrupts_to_the_parent)
    try:
        for totals in _each(pool, every):
            total.add(totals)
            for story in totals.failed.values():
                print(story, flush=True)
            now = time.perf_counter()
            if now >= told_at + TELL_EVERY:
                told_at, left = now, (len(every) - total.seeds) * (now - began) / total.seeds
                so_far = f"{total.seeds:,} of {len(every):,} seeds, {len(total.failed)} failed"
                print(f"{so_far}; {left / 60:.0f} minutes to go", file=sys.stderr, flush=True)
    except (KeyboardInterrupt, BrokenProcessPool):  # a worker that was killed breaks the pool
        return total, False
    finally:
        pool.shutdown(cancel_futures=True)
    return total, True


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first of them")
    parser.add_argument("--jobs", type=int, default=None, help="processes; all cores by default")
    parser.add_argument(
        "--trace",
        type=int,
        nargs="?",
        const=-1,
        help="print all of this seed's trace, and no table; with --row, the row's trace",
    )
    parser.add_argument("--seed", type=int, dest="one", help="live through this one seed")
    parser.add_argument("--verbose", action="store_true", help="with --seed: print all its trace")
    parser.add_argument("--budgets", action="store_true", help="what every row costs at most")
    parser.add_argument("--row", help=f"act out a row: all, or one of {', '.join(ROWS)}")
    parser.add_argument("--edition", type=int, default=EDITION, help="of the seed to be traced")
    parser.add_argument("--doubles", type=int, help="every double fault in a group of so many")
    asked = parser.parse_args(arguments)
    if asked.doubles is not None:
        return bear(asked.doubles)
    if asked.budgets:
        for name, row in ROWS.items():
            print(budget(name, row(Agent)), flush=True)
        return 0
    if asked.row is not None:
        names = list(ROWS) if asked.row == "all" else [asked.row]
        return max([act(name, tracing=asked.trace is not None) for name in names])
    if asked.one is not None:
        return show(asked.one, asked.edition, verbose=asked.verbose, telling=asked.verbose)
    if asked.trace is not None:
        return show(asked.trace, asked.edition)
    began = time.perf_counter()
    total, whole = live_all(range(asked.first, asked.first + asked.seeds), asked.jobs)
    print(table(total, time.perf_counter() - began), flush=True)
    if not whole:
        print("interrupted: these are not all the seeds that were asked for", file=sys.stderr)
        return INTERRUPTED
    return 1 if total.failed else 0


def _each(pool: ProcessPoolExecutor, every: range) -> Iterator[Totals]:
    """Yield what each chunk of seeds amounted to, as soon as it is done."""
    chunks = (every[start : start + CHUNK] for start in range(0, len(every), CHUNK))
    doing: list[Future[Totals]] = [pool.submit(run, chunk) for chunk in chunks]
    for done in as_completed(doing):
        yield done.result()


def _leave_interrupts_to_the_parent() -> None:
    """A Ctrl-C reaches the whole process group; the parent alone is to answer it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
