"""What was once seen go wrong, at production timers: one scenario each, with its figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from nathb.daemon.agent import Agent
from tests.sim.faults import FAULTS
from tests.sim.mutants import MUTANTS
from tests.sim.rows import ROWS, budget

PROVEN = (Path(__file__).parent.parent.parent / "docs" / "proven.md").read_text()


@pytest.mark.parametrize("name", ROWS)
def test_a_scenario_costs_no_more_than_its_bounds_and_what_proven_md_says(name: str) -> None:
    scene = ROWS[name](Agent)
    assert budget(name, scene) in PROVEN.splitlines(), "renew it: make budgets"


def test_proven_md_counts_what_is_there() -> None:
    words = " ".join(PROVEN.split())
    assert f"{len(FAULTS)} kinds" in words
    assert f"{len(ROWS)} scenarios" in words
    assert f"{len(MUTANTS)} deliberate defects" in words
