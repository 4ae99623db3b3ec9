"""When to look at EC2 again."""

from __future__ import annotations

from nathb.core.model import Failure
from nathb.core.polling import GAP, GIVE_UP, PollSchedule


def looked(now: float) -> PollSchedule:
    schedule = PollSchedule(refresh=30.0, brisk=2.0)
    schedule.begun(now)
    schedule.succeeded()
    return schedule


def test_the_first_look_is_due_at_once_and_the_next_after_refresh() -> None:
    assert PollSchedule(30.0, 2.0).due_at(0.0) <= 0.0
    assert looked(0.0).due_at(0.1) == 30.0


def test_in_a_hurry_the_pace_is_brisk_and_then_as_before() -> None:
    schedule = looked(0.0)
    schedule.hurry(0.5, 10.0)
    assert schedule.due_at(0.5) == 2.0
    assert schedule.due_at(11.0) == 30.0


def test_after_a_write_the_look_is_due_at_once() -> None:
    schedule = looked(0.0)
    schedule.at_once(5.0)
    assert schedule.due_at(5.0) <= 5.0


def test_looks_keep_a_gap_however_much_is_asked_for() -> None:
    schedule = looked(5.0)
    schedule.at_once(5.1)
    assert schedule.due_at(5.1) == 5.0 + GAP


def test_a_look_begun_before_it_was_asked_for_does_not_answer() -> None:
    schedule = looked(0.0)
    schedule.begun(5.0)
    schedule.at_once(5.1)
    schedule.succeeded()
    assert schedule.asked_at == 5.1
    schedule.begun(5.3)
    schedule.succeeded()
    assert schedule.asked_at is None


def test_r10_one_look_runs_at_a_time_until_it_is_given_up() -> None:
    schedule = looked(0.0)
    schedule.begun(30.0)
    schedule.at_once(30.5)
    assert schedule.due_at(31.0) == 30.0 + GIVE_UP
    assert schedule.due_at(30.0 + GIVE_UP) <= 30.0 + GIVE_UP


def test_whoever_asks_shortens_a_long_backoff() -> None:
    schedule = looked(0.0)
    for now in (30.0, 40.0, 60.0):
        schedule.begun(now)
        schedule.failed(Failure.DENIED, now, 1.0)
    assert schedule.due_at(60.0) == 75.0
    schedule.at_once(60.5)
    assert schedule.due_at(60.5) == 62.0


def test_nobody_waits_for_a_look_that_failed() -> None:
    schedule = looked(0.0)
    schedule.at_once(5.0)
    schedule.begun(5.0)
    schedule.failed(Failure.UNAVAILABLE, 5.1, 0.0)
    assert schedule.asked_at is None


def test_a_failed_look_is_repeated_after_its_backoff_and_told_once() -> None:
    schedule = looked(0.0)
    assert schedule.failed(Failure.THROTTLED, 10.0, 1.0)
    assert schedule.due_at(10.0) == 11.0
    assert not schedule.failed(Failure.THROTTLED, 20.0, 1.0)
    assert schedule.succeeded()
    assert not schedule.succeeded()


def test_a_look_that_never_ends_is_begun_anew_when_it_is_given_up_and_not_a_refresh_later() -> None:
    schedule = PollSchedule(refresh=300.0, brisk=2.0)
    schedule.begun(10.0)
    assert schedule.due_at(15.0) == 10.0 + GIVE_UP
    assert schedule.due_at(40.0) == 10.0 + GIVE_UP
