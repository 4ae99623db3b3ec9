"""R11: the arithmetic of damping."""

from __future__ import annotations

import pytest

from nathb.core import damping
from nathb.core.damping import Penalty, penalty_at, reusable_at, suppressed, taken


def test_r11_a_penalty_halves_with_every_half_life() -> None:
    once = taken(Penalty(), 100.0)
    assert penalty_at(once, 100.0 + damping.HALF_LIFE) == pytest.approx(damping.PER_TAKE / 2)
    assert penalty_at(once, 100.0 + 2 * damping.HALF_LIFE) == pytest.approx(damping.PER_TAKE / 4)


def test_r11_the_third_take_in_a_quarter_of_an_hour_delays_returns_and_two_do_not() -> None:
    twice = taken(taken(Penalty(), 0.0), 60.0)
    assert not suppressed(twice, 60.0)
    assert suppressed(taken(twice, 120.0), 120.0)


def test_r11_a_suppressed_route_may_return_when_its_penalty_has_decayed_and_not_before() -> None:
    thrice = taken(taken(taken(Penalty(), 0.0), 60.0), 120.0)
    until = reusable_at(thrice)
    assert suppressed(thrice, until - 1.0)
    assert not suppressed(thrice, until + 1.0)


def test_r11_however_often_it_was_taken_a_return_waits_an_hour_at_most() -> None:
    penalty = Penalty()
    for second in range(100):
        penalty = taken(penalty, float(second))
    assert reusable_at(penalty) - 99.0 == pytest.approx(damping.MAX_SUPPRESS)
