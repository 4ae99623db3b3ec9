"""Who held which route when, from what was told."""

from __future__ import annotations

from nathb.core.events import Event, EventKind
from nathb.core.model import Route
from nathb.core.replay import render
from nathb.core.rules import decide
from nathb.core.timeline import CHANGES, DECIDED, Occurrence, Span, spans, without_echoes
from tests.core.build import ROUTE_A, ROUTE_C, known

A, C = "nat-a", "nat-c"


def told(
    at: float,
    kind: EventKind,
    source: str = "",
    target: str = "",
    *,
    route: Route = ROUTE_C,
    node: str = A,
    trace: str = "",
) -> Occurrence:
    event = Event(
        kind=kind, message="words", route=route, source=source, target=target, trace=trace
    )
    return Occurrence(at=at, monotonic=at, boot="boot", node=node, event=event)


TOOK = told(100.0, EventKind.TOOK, C, A)
BACK = told(200.0, EventKind.RETURNED, A, C)


def test_each_move_ends_one_span_and_begins_the_next() -> None:
    assert spans([BACK, TOOK], 0.0, 300.0) == (
        Span(ROUTE_C, C, 0.0, 100.0),
        Span(ROUTE_C, A, 100.0, 200.0),
        Span(ROUTE_C, C, 200.0, 300.0),
    )


def test_a_span_whose_end_names_another_holder_is_not_certain() -> None:
    again = told(400.0, EventKind.TOOK, C, A)
    found = spans([TOOK, again], 0.0, 500.0)
    assert [(one.holder, one.certain) for one in found] == [(C, True), (A, False), (A, True)]


def test_a_move_by_another_hand_makes_it_certain() -> None:
    seen = told(250.0, EventKind.MOVED_BY_ANOTHER, A, C)
    again = told(400.0, EventKind.TOOK, C, A)
    assert all(one.certain for one in spans([TOOK, seen, again], 0.0, 500.0))


def test_failed_and_wished_for_moves_change_nothing() -> None:
    failed = told(150.0, EventKind.MOVE_FAILED, A, C)
    would = told(160.0, EventKind.WOULD_MOVE, A, C)
    assert spans([TOOK, failed, would], 0.0, 300.0) == spans([TOOK], 0.0, 300.0)


def test_a_foreign_target_or_a_missing_route_is_held_by_nobody() -> None:
    for kind in (EventKind.FOREIGN, EventKind.ROUTE_MISSING):
        *_, last = spans([TOOK, told(150.0, kind)], 0.0, 300.0)
        assert (last.holder, last.since, last.until) == ("", 150.0, 300.0)


def test_a_route_that_never_moved_is_known_from_the_rounds_of_others() -> None:
    facts = known()
    took = told(100.0, EventKind.TOOK, C, A, trace=render(facts, decide(facts)))
    assert Span(ROUTE_A, A, 0.0, 300.0) in spans([took], 0.0, 300.0)


def test_the_round_of_another_version_shows_nothing_and_breaks_nothing() -> None:
    odd = told(100.0, EventKind.TOOK, C, A, trace='{"from": "the future"}')
    assert {one.route for one in spans([odd], 0.0, 300.0)} == {ROUTE_C}


def test_with_both_journals_at_hand_what_merely_saw_a_move_is_left_out() -> None:
    echo = told(130.0, EventKind.MOVED_BY_ANOTHER, C, A, node=C)
    assert without_echoes([TOOK, echo]) == (TOOK,)


def test_what_saw_a_move_that_nobody_has_a_record_of_stays() -> None:
    other_way = told(130.0, EventKind.MOVED_BY_ANOTHER, A, C, node=C)
    other_route = told(130.0, EventKind.MOVED_BY_ANOTHER, C, A, route=ROUTE_A, node=C)
    before = told(90.0, EventKind.MOVED_BY_ANOTHER, C, A, node=C)
    long_after = told(500.0, EventKind.MOVED_BY_ANOTHER, C, A, node=C)
    everything = (TOOK, other_way, other_route, before, long_after)
    assert without_echoes(everything) == everything


def test_every_move_is_a_change_and_a_gap_is_one_too() -> None:
    assert DECIDED < CHANGES
    gap = Occurrence(at=1.0, monotonic=1.0, boot="boot", node=A, lost=3)
    assert gap.is_change
    assert not gap.is_decided
