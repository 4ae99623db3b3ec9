"""What is remembered of a route between rounds."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from nathb.core.memory import (
    BACKOFF,
    CONTEST_HOLD_MAX,
    RouteMemory,
    backoff,
    begun,
    ended,
    is_news,
    observed,
)
from nathb.core.model import Cause, Done, Failure, Move, Rule, Undone
from nathb.core.view import Holding
from tests.core.build import PAIR, ROUTE_C

TO_A = Move(ROUTE_C, "nat-c", "nat-a", Rule.R3, Cause("nat-c", "down", 90.0), "because")
AT_A = Holding(ROUTE_C, "nat-a", "eni-a")
AT_C = Holding(ROUTE_C, "nat-c", "eni-c")
WROTE_AT = 100.0


def after_take(at: float = WROTE_AT) -> RouteMemory:
    fresh = observed(RouteMemory(), AT_C, 0.0, PAIR)
    return ended(begun(fresh, TO_A), TO_A, Done(0.006), at, 0.0)


def undone_at(memory: RouteMemory, at: float) -> RouteMemory:
    return observed(memory, AT_C, at, PAIR)


def test_r10_a_view_is_news_when_it_is_newer_than_our_write_and_agrees_with_it() -> None:
    memory = after_take()
    assert not is_news(memory, AT_A, WROTE_AT - 0.1, PAIR.settle)
    assert is_news(memory, AT_A, WROTE_AT, PAIR.settle)


def test_r10_a_view_that_contradicts_our_write_is_news_only_after_settle() -> None:
    memory = after_take()
    assert not is_news(memory, AT_C, WROTE_AT + PAIR.settle - 0.1, PAIR.settle)
    assert not is_news(memory, None, WROTE_AT + PAIR.settle - 0.1, PAIR.settle)
    assert is_news(memory, AT_C, WROTE_AT + PAIR.settle, PAIR.settle)


def test_r10_a_stale_describe_leaves_no_trace() -> None:
    memory = after_take()
    assert undone_at(memory, WROTE_AT + 5) == memory


def test_r7_a_move_that_another_hand_undid_becomes_a_contest() -> None:
    (contest,) = undone_at(after_take(), WROTE_AT + 10).contests
    assert contest.to == "nat-a"
    assert contest.cause == TO_A.cause
    assert contest.until == WROTE_AT + 10 + PAIR.contest_hold


def test_r7_the_hold_doubles_with_each_undoing_up_to_two_hours() -> None:
    memory, now, holds = RouteMemory(), 0.0, []
    for _ in range(6):
        memory = ended(begun(memory, TO_A), TO_A, Done(0.006), now, 0.0)
        memory = undone_at(memory, now + 10)
        (contest,) = memory.contests
        holds.append(contest.until - now - 10)
        now = contest.until
    assert holds == [600, 1200, 2400, 4800, CONTEST_HOLD_MAX, CONTEST_HOLD_MAX]


def test_r7_another_cause_is_counted_for_itself_and_the_first_is_not_forgotten() -> None:
    memory = undone_at(after_take(), WROTE_AT + 10)
    again = replace(TO_A, cause=Cause("nat-c", "down", 500.0))
    memory = undone_at(ended(memory, again, Done(0.006), 600.0, 0.0), 610.0)
    assert [(one.cause, one.times) for one in memory.contests] == [
        (TO_A.cause, 1),
        (again.cause, 1),
    ]


def test_r7_a_move_that_had_stood_for_contest_hold_is_made_anew_instead() -> None:
    # two nodes that cannot hear each other: whoever is home must not leave its home to the other
    assert undone_at(after_take(), WROTE_AT + PAIR.contest_hold).contests == ()


def test_r4_the_time_of_a_routes_last_change_is_kept() -> None:
    memory = observed(RouteMemory(), AT_C, 5.0, PAIR)
    assert observed(memory, AT_C, 50.0, PAIR).changed_at == 5.0
    assert observed(memory, AT_A, 50.0, PAIR).changed_at == 50.0


def test_r11_only_a_take_that_was_carried_out_adds_penalty() -> None:
    assert after_take().penalty.value > 0
    returned = replace(TO_A, rule=Rule.R4)
    assert ended(RouteMemory(), returned, Done(0.006), 1.0, 0.0).penalty.value == 0
    refused = Undone(Failure.DENIED, "no")
    assert ended(RouteMemory(), TO_A, refused, 1.0, 0.0).penalty.value == 0


def test_a_lost_answer_is_settled_by_the_view_that_shows_the_move() -> None:
    lost = ended(begun(RouteMemory(), TO_A), TO_A, Undone(Failure.NO_REPLY, "…"), 100.0, 0.0)
    assert lost.wrote is None
    shown = observed(lost, AT_A, 100.5, PAIR)
    assert shown.wrote is not None
    assert shown.unsure is None
    assert shown.retry_at == 0.0
    assert shown.penalty.value > 0


def test_r4_after_a_lost_answer_a_return_waits_for_the_route_may_have_gone_there_and_back() -> None:
    before = observed(RouteMemory(), AT_C, 0.0, PAIR)
    lost = ended(begun(before, TO_A), TO_A, Undone(Failure.NO_REPLY, "…"), 100.0, 0.0)
    assert observed(lost, AT_C, 110.0, PAIR).changed_at == 100.0


def test_a_lost_answer_that_no_view_confirms_is_forgotten_after_settle() -> None:
    lost = ended(begun(RouteMemory(), TO_A), TO_A, Undone(Failure.NO_REPLY, "…"), 100.0, 0.0)
    assert observed(lost, AT_C, 109.9, PAIR).unsure is not None
    assert observed(lost, AT_C, 110.0, PAIR).unsure is None


def test_a_move_that_failed_is_no_contest() -> None:
    failed = ended(begun(RouteMemory(), TO_A), TO_A, Undone(Failure.UNAVAILABLE, "…"), 100.0, 0.0)
    assert undone_at(failed, 200.0).contests == ()


@pytest.mark.parametrize("failure", list(Failure))
def test_waits_grow_from_first_to_longest_and_jitter_only_shortens_by_half(
    failure: Failure,
) -> None:
    first, longest = BACKOFF[failure]
    assert backoff(failure, 1, 1.0) == first
    assert backoff(failure, 50, 1.0) == longest
    assert backoff(failure, 1, 0.0) == first / 2
    waits = [backoff(failure, attempts, 0.5) for attempts in range(1, 20)]
    assert waits == sorted(waits)


def test_an_api_that_comes_back_is_asked_again_within_five_seconds() -> None:
    # clients wait for it: 5xx, lost answers and lost credentials must not be waited for long
    for failure in (Failure.UNAVAILABLE, Failure.NO_REPLY):
        assert backoff(failure, 99, 1.0) < 5.0
