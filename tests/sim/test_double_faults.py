"""Two faults of two nodes in groups of three and four: what the judge that knows the truth says."""

from __future__ import annotations

import pytest

from tests.sim.double_faults import KINDS, OFFSETS, Double, doubles, live
from tests.sim.judge import OffenceError
from tests.sim.mutants import MUTANTS
from tests.sim.stage import C, D

STRIDE = 17
"""In groups of four, one in so many: it has no common factor with how many there are."""


def in_turns(size: int) -> list[Double]:
    """All pairs of faults of all pairs of nodes, with one or the other offset in turns."""
    every = list(doubles(size))
    half = len(every) // len(OFFSETS)
    return [every[number + half * (number % 2)] for number in range(half)]


def of(kind: str, every: list[Double]) -> list[Double]:
    return [double for double in every if double.first.kind == kind]


@pytest.mark.parametrize("kind", KINDS)
def test_three_nodes_bear_any_fault_of_one_and_then_any_of_another(kind: str) -> None:
    mine = of(kind, in_turns(3))
    assert {double.second.kind for double in mine} == set(KINDS)
    assert {double.second.who for double in mine} == {C, D}
    live(mine, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_four_nodes_bear_a_fault_of_one_and_then_one_of_another(kind: str) -> None:
    live(of(kind, list(doubles(4))[::STRIDE]), 4)


def test_a_double_fault_that_is_not_borne_is_told() -> None:
    with pytest.raises(
        OffenceError, match=r"host-crash nat-a, .* later host-crash nat-c: .*unserved"
    ):
        live(of("host-crash", in_turns(3)), 3, MUTANTS["R3 is dropped"].agent)
