"""What was once seen go wrong, at production timers: one scenario each, with its figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from nathb.daemon.agent import Agent
from tests.sim.rows import ROWS, budget

PROVEN = (Path(__file__).parent.parent.parent / "docs" / "proven.md").read_text()


@pytest.mark.parametrize("name", ROWS)
def test_a_scenario_costs_no_more_than_its_bounds_and_what_proven_md_says(name: str) -> None:
    scene = ROWS[name](Agent)
    assert budget(name, scene) in PROVEN.splitlines(), "renew it: make budgets"
