"""The first seeds of the world, every seed that ever failed, and mutants that must be noticed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import pytest

from nathb.aws.client import CONNECT_TIMEOUT, READ_TIMEOUT
from nathb.aws.reader import PAUSES
from nathb.core.polling import GIVE_UP
from nathb.daemon.agent import Agent
from tests.sim.calls import LONGEST_READ, LONGEST_WRITE
from tests.sim.double_faults import KINDS as TWO_OF
from tests.sim.draw import EDITION, KINDS, LATER_KINDS, LATEST_KINDS, TUNNEL_KINDS, draw
from tests.sim.failed_seeds import FAILED, OPEN, Key, is_known
from tests.sim.faults import FAULTS
from tests.sim.judge import OffenceError
from tests.sim.mutants import MUTANTS
from tests.sim.totals import run, table
from tests.sim.world import World, world_of

ROOT = Path(__file__).parent.parent.parent
CHUNK = 25
SEEDS = 500
CHUNKS = [range(first, first + CHUNK) for first in range(0, SEEDS, CHUNK)]
ENOUGH = 100
"""Seeds with the right kind of fault within which the world notices any mutant."""
FAR = 20 * SEEDS
"""Seeds among which those with a rare kind of fault are looked for."""


def live(worlds: Iterable[World]) -> None:
    """Live each through, until one has something to object to; nothing drawn is left out."""
    for world in worlds:
        world.live()
        assert {fault.kind for fault in world.schedule.faults} <= world.injected.keys()


@pytest.mark.parametrize("seeds", CHUNKS, ids=lambda seeds: f"from {seeds[0]}")
def test_no_seed_leads_to_what_may_never_be(seeds: range) -> None:
    live(world_of(seed) for seed in seeds if (seed, EDITION) not in OPEN)


@pytest.mark.parametrize("key", sorted(FAILED), ids=lambda key: f"{key[0]} of edition {key[1]}")
def test_a_seed_that_failed_once_does_so_no_more_unless_it_is_open(key: Key) -> None:
    try:
        world_of(*key).live()
    except OffenceError as offence:
        if not is_known(key, offence):
            raise


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_rule_is_noticed(name: str) -> None:
    mutant = MUTANTS[name]
    schedules = (draw(seed) for seed in range(FAR) if (seed, EDITION) not in OPEN)
    telling = (schedule for schedule in schedules if mutant.may_show_in(schedule))
    with pytest.raises(OffenceError, match=mutant.offence):
        live(World(schedule, mutant.agent) for schedule in islice(telling, ENOUGH))


def test_every_kind_of_fault_is_in_some_seed_and_most_seeds_have_several() -> None:
    """What is drawn is injected: `live` holds each world to its schedule."""
    drawn = [{fault.kind for fault in draw(seed).faults} for seed in range(SEEDS)]
    assert set().union(*drawn) == {*KINDS, *LATER_KINDS, *LATEST_KINDS, *TUNNEL_KINDS}
    others = {"unreachable"} | set(TWO_OF)  # that comes with another, and these in pairs
    assert FAULTS.keys() - others == set().union(*drawn) - others
    assert sum(len(kinds) > 1 for kinds in drawn) > SEEDS / 2


def test_each_seed_draws_its_own_mix_and_says_so_first() -> None:
    first_lines = [world_of(seed).trace[0] for seed in range(20)]
    assert [line.split(":")[0] for line in first_lines] == [f"seed {n}" for n in range(20)]
    assert len({line.partition(":")[2] for line in first_lines}) == 20


class Fallen(Agent):
    """An agent with a defect of the plainest sort."""

    def step(self) -> float:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("agent", "end"),
    [(MUTANTS["R8: another route is written"].agent, "violated: "), (Fallen, "broke down: ")],
)
def test_a_seed_that_fails_is_told_with_its_story_and_the_next_one_is_lived(
    agent: type[Agent], end: str
) -> None:
    totals = run(range(8), agent)
    assert totals.seeds == 8
    assert len(totals.failed) > 1
    for seed, story in totals.failed.items():
        assert story.startswith(f"seed {seed}: ")
        assert end in story
    assert table(totals, 1.0).endswith(f"failed seeds: {', '.join(map(str, totals.failed))}")


def test_calls_hang_for_as_long_as_the_client_and_its_repeated_reads_allow() -> None:
    once = CONNECT_TIMEOUT + READ_TIMEOUT
    assert once == LONGEST_WRITE
    assert 2 * (2 * once + max(PAUSES.values())) == LONGEST_READ
    assert LONGEST_READ > GIVE_UP


@pytest.mark.parametrize("seed", [2, 3, 6])
def test_the_same_seed_gives_the_same_trace_to_the_byte(seed: int) -> None:
    world = world_of(seed)
    world.live()
    assert len(world.trace) > 20
    for hash_seed in ("0", "1"):
        again = subprocess.run(
            [sys.executable, "-m", "tests.sim", "--trace", str(seed)],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
            timeout=60,
        )
        assert again.stdout == ("\n".join(world.trace) + "\n").encode()
