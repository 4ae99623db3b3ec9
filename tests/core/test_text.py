"""Durations as people say them."""

from __future__ import annotations

import pytest

from nathb.core.text import humane


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1.0, "0 ms"),
        (0.0064, "6 ms"),
        (0.9994, "999 ms"),
        (0.9999, "1.0 s"),
        (3.44, "3.4 s"),
        (9.96, "10 s"),
        (89.4, "89 s"),
        (90.0, "2 min"),
        (720.0, "12 min"),
        (18_600.0, "5 h 10 min"),
        (7_200.0, "2 h"),
        (129_600.0, "1 d 12 h"),
        (10 * 86_400.0, "10 d"),
    ],
)
def test_a_duration_is_said_in_the_unit_that_people_would_choose(seconds: float, said: str) -> None:
    assert humane(seconds) == said
