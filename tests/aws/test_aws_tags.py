"""Operators' wishes as tags, both ways: pure, and never surprised by what somebody typed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nathb.aws.responses import Tag
from nathb.aws.tags import PAUSE_TAG, REVERT_TAG, read_intent, spell, until
from nathb.core.ec2_state import Intent

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def paused(*values: str, at: datetime = NOON) -> Intent:
    return read_intent([Tag(PAUSE_TAG, value) for value in values], ["nat-a", "nat-c"], at)


def test_a_pause_with_an_end_is_over_from_that_moment_on() -> None:
    value = until(NOON)
    assert value == "until 2026-11-21T12:00:00Z"
    assert paused(value, at=NOON - SECOND) == Intent(paused=True, until=value)
    assert paused(value, at=NOON) == Intent()
    assert paused(value, at=NOON + SECOND) == Intent()


def test_a_revert_with_an_end_counts_until_then_and_so_not_for_the_next_failover() -> None:
    tags = [Tag(REVERT_TAG, until(NOON))]
    assert read_intent(tags, [], NOON - SECOND) == Intent(revert=True)
    assert read_intent(tags, [], NOON) == Intent()


@pytest.mark.parametrize(
    "value",
    ["Until 2026-11-21T21:00:00+09:00", "until  2026-11-21T12:00Z", "UNTIL 20261121T120000Z"],
)
def test_an_end_typed_by_hand_may_be_any_time_of_iso_8601_with_its_zone(value: str) -> None:
    assert paused(value, at=NOON - SECOND).until == "until 2026-11-21T12:00:00Z"
    assert paused(value) == Intent()


@pytest.mark.parametrize(
    "value", ["until noon", "until 2026-11-21T11:00:00", "until 9999-12-31T23:59:59-23:59"]
)
def test_an_end_that_nobody_can_read_is_none_and_is_told(value: str) -> None:
    seen = paused(value)
    assert seen.paused
    assert f"{value!r}, which is no time" in seen.until


def test_of_several_pauses_the_longest_holds() -> None:
    soon, late = until(NOON + SECOND), until(NOON + 60 * SECOND)
    assert paused(soon, late).until == late
    assert paused(late, soon, at=NOON + SECOND).until == late
    assert paused(late, "on") == Intent(paused=True)
    assert paused(late, "off", "").until == late


def test_a_wish_without_an_end_is_spelled_as_a_word() -> None:
    assert paused(until(None)) == Intent(paused=True)


def test_a_moment_is_spelled_in_utc() -> None:
    assert spell(datetime.fromisoformat("2026-11-21T21:00:00.5+09:00")) == "2026-11-21T12:00:00Z"


@given(
    st.one_of(st.text(), st.text().map("until {}".format), st.datetimes().map("until {}Z".format))
)
def test_no_value_is_a_surprise(value: str) -> None:
    intent = paused(value)
    assert intent.paused or not intent.until
