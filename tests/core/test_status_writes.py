"""Which write of a route `nathb status` still shows as not read back."""

from __future__ import annotations

from nathb.core.memory import Observer, RouteMemory, begun, ended, observed
from nathb.core.model import Cause, Done, Failure, Move, Rule, Undone
from nathb.core.snapshot import Write, WriteState, write_of
from tests.core.build import NOW, PAIR, ROUTE_C, view

MOVE = Move(ROUTE_C, "nat-c", "nat-a", Rule.R6, Cause("nat-c", "drained", 0.0), "drained")


def after(result: Done | Undone) -> RouteMemory:
    sent = begun(RouteMemory(), MOVE, NOW)
    return ended(sent, MOVE, result, NOW, home="nat-c", jitter=0.0)


ACCEPTED = after(Done(0.02))
LOST = after(Undone(Failure.NO_REPLY, "reset"))
DENIED = after(Undone(Failure.DENIED, "no"))


def written(state: WriteState, at: float | None = NOW) -> Write:
    return Write(ROUTE_C, "nat-c", "nat-a", state, at)


def test_a_write_on_its_way_is_shown_as_sent() -> None:
    sent = begun(RouteMemory(), MOVE, NOW)
    assert write_of(ROUTE_C, sent, view()) == written(WriteState.SENT, None)


def test_an_accepted_write_is_shown_until_a_view_begun_after_it_shows_it() -> None:
    for seen in (view(at=NOW - 1), view(at=NOW + 1), view(c="nat-a", at=NOW - 1), view(c="")):
        assert write_of(ROUTE_C, ACCEPTED, seen) == written(WriteState.ACCEPTED)
    assert write_of(ROUTE_C, ACCEPTED, view(c="nat-a", at=NOW + 1)) is None


def test_a_write_that_was_undone_is_no_longer_shown_once_that_is_news() -> None:
    later = view(at=NOW + PAIR.settle + 1)
    memory = observed(ACCEPTED, ROUTE_C, later, Observer("nat-a", PAIR))
    assert write_of(ROUTE_C, memory, later) is None


def test_a_write_whose_answer_was_lost_is_shown_as_unanswered() -> None:
    assert write_of(ROUTE_C, LOST, view()) == written(WriteState.UNANSWERED)


def test_a_write_that_was_refused_or_never_made_is_not_shown() -> None:
    assert write_of(ROUTE_C, DENIED, view()) is None
    assert write_of(ROUTE_C, RouteMemory(), view()) is None
    assert write_of(ROUTE_C, ACCEPTED, None) is None
