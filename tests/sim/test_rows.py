"""What was once seen go wrong, at production timers: one scenario each, with its figures."""

from __future__ import annotations

import pytest

from nathb.agent import Agent
from tests.sim.rows import ROWS


@pytest.mark.parametrize("name", ROWS)
def test_a_scenario_costs_no_more_than_its_bounds(name: str) -> None:
    ROWS[name](Agent)
