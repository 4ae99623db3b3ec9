"""Durations and evidence as people read them."""

from __future__ import annotations

import pytest

from nathb.core.model import Evidence
from nathb.core.text import format_age, format_duration, format_evidence


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1.0, "0 ms"),
        (0.0064, "6 ms"),
        (0.9994, "999 ms"),
        (0.9999, "1.0 s"),
        (3.44, "3.4 s"),
        (9.96, "10 s"),
        (90.0, "90 s"),
        (120.0, "2 min"),
        (720.0, "12 min"),
        (5_400.0, "90 min"),
        (18_600.0, "5 h 10 min"),
        (7_200.0, "2 h"),
        (129_600.0, "36 h"),
        (216_000.0, "2 d 12 h"),
        (10 * 86_400.0, "10 d"),
    ],
)
def test_a_duration_has_the_unit_that_leaves_few_digits(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1.0, "0 s"),
        (0.4, "0 s"),
        (3.44, "3 s"),
        (119.0, "119 s"),
        (300.0, "5 min"),
        (3_600.0, "60 min"),
        (18_600.0, "5 h"),
        (10 * 86_400.0, "10 d"),
    ],
)
def test_an_age_has_one_unit_and_no_fraction(seconds: float, text: str) -> None:
    assert format_age(seconds) == text


def checked(**facts: object) -> Evidence:
    return Evidence(addresses=("8.8.4.4",), needed=3, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("evidence", "text"),
    [
        (Evidence(), "no heartbeat can be pinged"),
        (checked(), "heartbeat 8.8.4.4 has not answered yet"),
        (checked(heard_at=1.0), "heartbeat 8.8.4.4 answers"),
        (checked(heard_at=1.0, missed=2), "heartbeat 8.8.4.4 missed 2 of 3"),
        (
            checked(missed=3),
            "heartbeat 8.8.4.4 has never answered since its checks began (missed 3 of 3)",
        ),
        (
            checked(missed=3, never_answered=True),
            "heartbeat 8.8.4.4 has never answered (missed 3 of 3)",
        ),
    ],
)
def test_evidence_names_the_address_and_how_many_checks_were_missed(
    evidence: Evidence, text: str
) -> None:
    assert format_evidence("heartbeat", evidence) == text
