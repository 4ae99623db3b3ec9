"""A round as one line, both ways; and taken apart, rule by rule."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from nathb.core.context import Facts
from nathb.core.ec2_state import Intent
from nathb.core.errors import OtherVersionError, UsageError
from nathb.core.memory import Contest, Handover, RouteMemory, Write, WriteState
from nathb.core.model import Cause, Move, Rule
from nathb.core.replay import Round, decides_alike, evaluate, parse, render, replay
from nathb.core.rules import RULES, decide
from tests.core.build import NOW, ROUTE_A, ROUTE_C, down, known, ruling, up, view

# --- one line, both ways --------------------------------------------------------------------------

MOVE = Move(
    ROUTE_C, "nat-c", "nat-a", Rule.R3, Cause("nat-c", "down", 1.5), "b\nroken \u2028 words"
)
FULL = RouteMemory(
    holder="nat-a",
    changed_at=3.25,
    blackhole_since=2.5,
    accepted=Write(MOVE, WriteState.ACCEPTED, 4.0),
    pending=Write(MOVE, WriteState.SENT, 5.0, 4.5),
    given=Handover("nat-c", 1.5),
    contests=(Contest("nat-a", 600.0, 2),),
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


def renamed(line: str, old: str, new: str) -> str:
    assert f'"{old}":' in line
    return line.replace(f'"{old}":', f'"{new}":')


@pytest.mark.parametrize(
    "field",
    ["silent_since", "heard_at", "hastened", "holdings", "intent", "drained", "memory", "retry_at"],
)
def test_a_line_with_a_field_that_this_version_does_not_know_is_refused_by_its_name(
    field: str,
) -> None:
    seen = view(intent=Intent(frozenset({"nat-c"})))
    facts = known(peer=replace(down(), hastened=True), seen=seen, memory={str(ROUTE_C): FULL})
    line = render(facts, decide(facts))
    assert parse(line).known == facts
    with pytest.raises(OtherVersionError, match=f"does not know the field `new_{field}` in "):
        parse(renamed(line, field, f"new_{field}"))


def test_a_line_with_a_rule_that_this_version_does_not_know_is_from_another_version() -> None:
    facts = known()
    line = render(facts, decide(facts)).replace('"rule":"R2"', '"rule":"R99"')
    with pytest.raises(OtherVersionError, match="'R99'"):
        parse(line)


def structs(type_: msgspec.inspect.Type) -> Iterator[msgspec.inspect.StructType]:
    """Yield every struct that a value of this type may hold, itself included."""
    inner: list[Any] = []
    for name in type_.__struct_fields__:
        value = getattr(type_, name)
        inner += value if isinstance(value, tuple) else [value]
    if isinstance(type_, msgspec.inspect.StructType):
        yield type_
        inner = [field.type for field in type_.fields]
    for one in inner:
        if isinstance(one, msgspec.inspect.Type):
            yield from structs(one)


def test_every_struct_of_a_line_refuses_what_it_does_not_know() -> None:
    found = {one.cls for one in structs(msgspec.inspect.type_info(Round))}
    assert len(found) > 15
    assert [cls for cls in found if not cls.__struct_config__.forbid_unknown_fields] == []


def test_a_line_of_an_older_version_without_the_fields_added_since_is_read() -> None:
    group = {"name": "pair", "uplink": ["1.1.1.1"], "nodes": [{"name": "a", "heartbeat": []}]}
    least = {"known": {"now": 1.0, "me": "a", "group": group, "uplink": {}, "peers": {}}}
    assert parse(json.dumps(least)).rulings == ()


# --- rule by rule ---------------------------------------------------------------------------------

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
