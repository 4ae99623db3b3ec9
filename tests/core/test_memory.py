"""What is remembered of a route between rounds: moves, damping, and who convicted whom."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from nathb.core import damping
from nathb.core.damping import Penalty, penalty_at, reusable_at, suppressed, taken
from nathb.core.ec2_state import Holding, Intent, RouteState, View
from nathb.core.memory import (
    BACKOFF,
    CONTEST_MEMORY,
    Contest,
    Handover,
    Observer,
    RouteMemory,
    backoff,
    begun,
    believed,
    contest_hold,
    contest_with,
    ended,
    observed,
)
from nathb.core.model import Cause, Done, Failure, Move, Rule, Timers, Undone
from nathb.core.split import Act, Split, follow
from tests.core.build import NOW, PAIR, ROUTE_A, ROUTE_C, down, up

TO_A = Move(ROUTE_C, "nat-c", "nat-a", Rule.R3, Cause("nat-c", "down", 90.0), "because")
HOME = Move(ROUTE_C, "nat-a", "nat-c", Rule.R4, Cause("nat-c", "up", 90.0), "because")
AT_A = Holding(ROUTE_C, "nat-a", "eni-a")
AT_C = Holding(ROUTE_C, "nat-c", "eni-c")
WROTE_AT = 100.0
LOST = Undone(Failure.NO_REPLY, "…")


def sees(
    memory: RouteMemory, holding: Holding | None, at: float, *, up: str = "", drained: str = ""
) -> RouteMemory:
    """nat-a reads a view of nat-c's route."""
    holdings = (holding,) if holding is not None else ()
    view = View(at, holdings, intent=Intent(drained=frozenset(filter(None, [drained]))))
    return observed(memory, ROUTE_C, view, Observer("nat-a", PAIR, frozenset({up})))


def does(memory: RouteMemory, move: Move, result: Done | Undone, at: float) -> RouteMemory:
    return ended(begun(memory, move, at), move, result, at, home="nat-c", jitter=0.0)


def after_take(at: float = WROTE_AT) -> RouteMemory:
    return does(sees(RouteMemory(), AT_C, 0.0), TO_A, Done(0.006), at)


# --- what is believed of the route, and since when


def test_r10_an_accepted_write_is_a_view_of_that_route_as_old_as_the_write() -> None:
    memory = after_take()
    for stale in (WROTE_AT - 0.1, WROTE_AT, WROTE_AT + PAIR.settle - 0.1):
        holding, as_of = believed(memory, AT_C, stale, PAIR.settle)
        assert holding is not None
        assert (holding.node, as_of) == ("nat-a", WROTE_AT)
    assert believed(memory, None, WROTE_AT, PAIR.settle)[1] == WROTE_AT


def test_r10_a_view_that_agrees_makes_it_younger_and_after_settle_the_view_is_believed() -> None:
    memory = after_take()
    assert believed(memory, AT_A, WROTE_AT + 5, PAIR.settle) == (AT_A, WROTE_AT + 5)
    assert believed(memory, AT_A, WROTE_AT - 5, PAIR.settle) == (AT_A, WROTE_AT)
    after = WROTE_AT + PAIR.settle
    assert believed(memory, AT_C, after, PAIR.settle) == (AT_C, after)


def test_r10_a_stale_describe_leaves_no_trace() -> None:
    memory = after_take()
    assert sees(memory, AT_C, WROTE_AT + 5) == memory


def test_while_a_write_is_under_way_views_leave_no_trace() -> None:
    memory = begun(sees(RouteMemory(), AT_C, 0.0), TO_A, 1.0)
    assert memory.under_way == TO_A
    assert sees(memory, AT_A, 2.0) == memory


def test_a_write_that_was_refused_leaves_the_accepted_one_before_it_in_force() -> None:
    memory = does(after_take(), HOME, Undone(Failure.DENIED, "no"), WROTE_AT + 1)
    holding, _ = believed(memory, AT_C, WROTE_AT + 2, PAIR.settle)
    assert holding is not None
    assert holding.node == "nat-a"


def test_a_blackhole_is_remembered_since_the_first_view_that_showed_it() -> None:
    dark = replace(AT_C, state=RouteState.BLACKHOLE)
    memory = sees(sees(RouteMemory(), dark, 5.0), dark, 35.0)
    assert memory.blackhole_since == 5.0
    assert sees(memory, AT_C, 65.0).blackhole_since is None


# --- R7


def undone(memory: RouteMemory, at: float) -> RouteMemory:
    return sees(memory, AT_C, at)


def test_r7_a_take_that_someone_else_undid_is_a_contest_with_its_holder() -> None:
    (contest,) = undone(after_take(), WROTE_AT + 10).contests
    assert contest == Contest("nat-c", WROTE_AT + 10, 1)


def test_r7_the_time_for_which_the_holder_must_be_down_doubles_up_to_contest_hold() -> None:
    memory, now, holds = RouteMemory(), 0.0, []
    for _ in range(8):
        memory = undone(does(memory, TO_A, Done(0.006), now), now + 10)
        (contest,) = memory.contests
        holds.append(contest_hold(memory, now, PAIR))
        now = contest.at + holds[-1]
    assert holds == [15, 30, 60, 120, 240, 480, 600, 600]


def test_r7_a_contest_is_forgotten_after_an_hour_without_one() -> None:
    memory = undone(after_take(), WROTE_AT + 10)
    end = WROTE_AT + 10 + CONTEST_MEMORY
    assert contest_with(memory, "nat-c", end - 1) is not None
    assert contest_with(memory, "nat-c", end) is None
    again = undone(does(memory, TO_A, Done(0.006), end), end + 10)
    assert [contest.times for contest in again.contests] == [1]


def test_r7_only_takes_are_contests_and_not_one_that_had_stood_for_contest_hold() -> None:
    returned = does(sees(RouteMemory(), AT_A, 0.0), HOME, Done(0.006), 50.0)
    assert sees(returned, AT_A, 70.0).contests == ()
    assert undone(after_take(), WROTE_AT + PAIR.contest_hold).contests == ()


def test_a_take_that_failed_is_no_contest() -> None:
    failed = does(RouteMemory(), TO_A, Undone(Failure.UNAVAILABLE, "…"), 100.0)
    assert undone(failed, 200.0).contests == ()


# --- R4, R11


def test_r4_the_time_of_a_routes_last_change_is_kept() -> None:
    memory = sees(RouteMemory(), AT_C, 5.0)
    assert sees(memory, AT_C, 50.0).changed_at == 5.0
    assert sees(memory, AT_A, 50.0).changed_at == 50.0


def test_r4_a_route_that_its_holder_gave_to_this_node_while_up_is_remembered_as_given() -> None:
    before = sees(RouteMemory(), AT_C, 5.0)
    assert sees(before, AT_A, 50.0, up="nat-c").given == Handover("nat-c", 50.0)
    assert sees(before, AT_A, 50.0).given is None
    assert sees(RouteMemory(), AT_A, 50.0, up="nat-c").given is None
    assert after_take().given is None


def test_r4_a_route_that_comes_home_is_not_given_but_returned() -> None:
    onlooker = Observer("nat-c", PAIR, frozenset({"nat-a"}))
    away = observed(RouteMemory(), ROUTE_C, View(5.0, (AT_A,)), onlooker)
    assert observed(away, ROUTE_C, View(50.0, (AT_C,)), onlooker).given is None


def test_r11_each_arrival_away_from_home_adds_penalty_whoever_wrote_it() -> None:
    assert after_take().penalty.value > 0
    seen = sees(sees(RouteMemory(), AT_C, 0.0), AT_A, 30.0)
    assert seen.penalty.value > 0
    assert sees(seen, AT_C, 60.0).penalty == seen.penalty
    released = Move(ROUTE_A, "nat-a", "nat-c", Rule.R5, Cause("uplink", "down", 0.0), "because")
    begun_at = begun(RouteMemory(), released, 0.0)
    left = ended(begun_at, released, Done(0.006), 0.0, home="nat-a", jitter=0.0)
    assert left.penalty.value > 0


def test_r11_drains_and_failures_and_what_was_there_at_the_start_add_none() -> None:
    before = sees(RouteMemory(), AT_C, 0.0)
    assert sees(before, AT_A, 30.0, drained="nat-c").penalty.value == 0
    assert sees(RouteMemory(), AT_A, 30.0).penalty.value == 0
    refused = Undone(Failure.DENIED, "no")
    assert does(RouteMemory(), TO_A, refused, 1.0).penalty.value == 0
    handed_over = replace(TO_A, rule=Rule.R6)
    assert does(RouteMemory(), handed_over, Done(0.006), 1.0).penalty.value == 0


# --- answers that were lost


def test_a_lost_answer_is_settled_by_the_view_that_shows_the_move() -> None:
    lost = does(RouteMemory(), TO_A, LOST, 100.0)
    assert lost.accepted is None
    shown = sees(lost, AT_A, 100.5)
    assert shown.accepted is not None
    assert shown.unanswered is None
    assert shown.retry_at == 0.0
    assert shown.penalty.value > 0


def test_a_lost_answer_is_not_forgotten_when_the_next_try_fails_too() -> None:
    lost = does(RouteMemory(), TO_A, LOST, 100.0)
    failed = does(lost, TO_A, Undone(Failure.THROTTLED, "…"), 102.0)
    assert failed.unanswered is not None
    assert sees(failed, AT_A, 102.5).accepted is not None


def test_r4_after_a_lost_answer_a_return_waits_for_the_route_may_have_gone_there_and_back() -> None:
    before = sees(RouteMemory(), AT_C, 0.0)
    lost = does(before, TO_A, LOST, 100.0)
    assert sees(lost, AT_C, 110.0).changed_at == 100.0


def test_a_lost_answer_that_no_view_confirms_is_forgotten_after_settle() -> None:
    lost = does(RouteMemory(), TO_A, LOST, 100.0)
    assert sees(lost, AT_C, 109.9).unanswered is not None
    assert sees(lost, AT_C, 110.0).unanswered is None


# --- waits


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


# --- damping (R11) --------------------------------------------------------------------------------


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


# --- two nodes that have convicted each other, and one that convicts alone (R7c) ------------------

TIMERS = Timers()
SILENT = down(silent_since=NOW - 3)


def test_a_peer_that_takes_a_route_in_the_silence_that_convicts_it_is_alive() -> None:
    assert follow(None, SILENT, Act(NOW - 2, NOW), TIMERS) == Split(NOW)


def test_not_when_the_view_before_is_older_than_the_silence_and_so_the_act_may_be() -> None:
    assert follow(None, SILENT, Act(NOW - 4, NOW), TIMERS) is None


def test_not_when_it_heard_this_node_for_longer_than_a_detection_and_only_then_acted() -> None:
    # its forwarding is dead, its daemon is not: what it does is no reason to spare it
    long_silent = down(silent_since=NOW - TIMERS.detection - 1)
    assert follow(None, long_silent, Act(NOW - 2, NOW), TIMERS) is None


def test_a_further_act_is_remembered_by_its_time() -> None:
    first = follow(None, SILENT, Act(NOW - 2, NOW), TIMERS)
    assert follow(first, SILENT, Act(NOW - 2, NOW), TIMERS) == first
    assert follow(first, SILENT, Act(NOW + 600, NOW + 603), TIMERS) == Split(NOW + 603)


def test_it_ends_with_an_answer() -> None:
    split = Split(NOW)
    assert follow(split, up(), Act(NOW - 2, NOW), TIMERS) is None
    assert follow(split, down(silent_since=None), None, TIMERS) is None
