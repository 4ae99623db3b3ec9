"""A round taken apart, rule by rule."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from nathb.core.context import Facts
from nathb.core.ec2_state import Intent
from nathb.core.memory import Contest, RouteMemory
from nathb.core.model import Rule
from nathb.core.replay import decides_alike, evaluate
from nathb.core.rules import RULES, decide
from tests.core.build import NOW, ROUTE_A, ROUTE_C, down, known, ruling, up, view

TAKE = known(peer=down())
CAUSE = ruling(TAKE).move.cause  # type: ignore[union-attr]
CONTESTED = RouteMemory(contests=(Contest("nat-c", NOW - 1),))


@pytest.mark.parametrize(
    "facts",
    [
        known(),
        TAKE,
        replace(known(), view=None),
        known(uplink=down()),
        known(seen=view(c="nat-gateway")),
        known(peer=down(), seen=view(intent=Intent(paused=True))),
        known(peer=down(), memory={str(ROUTE_C): CONTESTED}),
        known(seen=view(at=0.0)),
    ],
)
def test_a_hearing_comes_to_what_decide_comes_to(facts: Facts) -> None:
    for route in (ROUTE_A, ROUTE_C):
        assert evaluate(facts, route).ruling == ruling(facts, route)


def test_all_rules_up_to_the_one_that_answers_are_heard_with_their_meaning() -> None:
    heard = evaluate(TAKE, ROUTE_C)
    assert [one.rule for one in heard.answers] == ["R10", "R8", "R5", "R6", "R4", "R2", "R3"]
    assert [one.ruling is not None for one in heard.answers] == [False] * 6 + [True]
    assert heard.answers[-1].meaning.startswith("The holder is DOWN")
    assert heard.held is None


def test_every_rule_is_named_by_a_number_of_the_design_and_has_a_meaning_of_one_line() -> None:
    for rule in RULES:
        assert rule.__name__.partition("_")[0].upper() in {one.value for one in Rule}
        assert rule.__doc__
        assert "\n" not in rule.__doc__


def test_what_holds_a_move_back_is_told_apart_from_the_rule_that_wished_for_it() -> None:
    contested = evaluate(known(peer=down(), memory={str(ROUTE_C): CONTESTED}), ROUTE_C)
    assert contested.answers[-1].rule == "R3"
    assert contested.held is not None
    assert contested.held.rule == "R7"
    failed = RouteMemory(failed_for=CAUSE, attempts=1, retry_at=NOW + 1)
    held = evaluate(known(peer=down(), memory={str(ROUTE_C): failed}), ROUTE_C).held
    assert held is not None
    assert "next try" in held.meaning


def test_rulings_are_alike_by_rule_and_move_and_not_by_their_words() -> None:
    one = ruling(TAKE)
    assert one.move is not None
    assert decides_alike(one, replace(one, reason="in other words"))
    assert not decides_alike(one, replace(one, would=True))
    assert not decides_alike(one, replace(one, move=replace(one.move, to="nat-c")))
    assert not decides_alike(one, ruling(known(peer=up())))
    assert decide(TAKE)
