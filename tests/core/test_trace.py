"""A round as one line, both ways."""

from __future__ import annotations

import pytest

from nathb.core.decide import decide
from nathb.core.errors import UsageError
from nathb.core.memory import Contest, RouteMemory, Wrote
from nathb.core.model import Cause, Move, Rule
from nathb.core.trace import parse, render, replay
from nathb.core.view import Intent
from tests.core.build import ROUTE_C, down, known, view

MOVE = Move(
    ROUTE_C, "nat-c", "nat-a", Rule.R3, Cause("nat-c", "down", 1.5), "b\nroken \u2028 words"
)
FULL = RouteMemory(
    holder="nat-a",
    changed_at=3.25,
    in_flight=MOVE,
    wrote=Wrote(MOVE, 4.0),
    unsure=Wrote(MOVE, 5.0),
    contests=(Contest("nat-a", MOVE.cause, 600.0, 2),),
    attempts=3,
    retry_at=7.5,
)


@pytest.mark.parametrize(
    "facts",
    [
        known(),
        known(peer=down()),
        known(seen=view(c="nat-gateway", intent=Intent(frozenset({"nat-a"}), True, True))),
        known(memory={str(ROUTE_C): FULL}, undrained={"nat-c": 12.5}, dry_run=True),
    ],
)
def test_a_round_survives_the_way_to_text_and_back(facts) -> None:  # type: ignore[no-untyped-def]
    rulings = decide(facts)
    line = render(facts, rulings)
    assert "\n" not in line
    assert (parse(line).known, parse(line).rulings) == (facts, rulings)


def test_a_replay_of_a_recorded_round_gives_the_same_rulings() -> None:
    facts = known(peer=down())
    recorded, again = replay(render(facts, decide(facts)))
    assert again == recorded.rulings
    assert any(one.move is not None for one in again)


@pytest.mark.parametrize("line", ["", "no round", "{}", '{"known": 5}', "[" * 100_000])
def test_a_line_that_is_no_round_is_refused_with_a_mend(line: str) -> None:
    with pytest.raises(UsageError, match="NATHB_TRACE"):
        parse(line)
