"""`nathb explain`: a move taken apart, and the same facts put to today's rules."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from nathb import __version__
from nathb.cli import main
from nathb.commands.explain import as_json, explain, screen
from nathb.core.events import Event, EventKind
from nathb.core.model import Failure
from nathb.core.replay import parse, render
from nathb.core.timeline import Occurrence
from tests.commands.told import nathb, tell
from tests.host.journald import Journald
from tests.sim.pair import A, C, failing, pair

NOW = 1795186860.0
HEAD = """\
pair, move 1: took rtb-0000000c 0.0.0.0/0  nat-c → nat-a
Sat 2026-11-21 00:00:00 JST, 60 s ago, by nat-a, nathb 1.2.3
  heartbeat 8.8.4.4 missed 3 of 3, uplink up
"""


def happened(events: list[Event]) -> tuple[Occurrence, ...]:
    """Lay events out as the journal has them, a minute before NOW."""
    return tuple(
        Occurrence(
            at=NOW - 60, monotonic=5.0 + number, boot="boot", node=A, event=event, version="1.2.3"
        )
        for number, event in enumerate(events)
    )


def takeover() -> tuple[Occurrence, ...]:
    world = pair(A)
    world.network(down=[C])
    world.run(5.0)
    return happened(world.host(A).journal.events)


def test_a_takeover_is_told_from_the_last_answer_to_the_reply_of_ec2(tokyo_time: None) -> None:  # noqa: ARG001
    told = takeover()
    lines = screen(explain(told, 1, 1), "pair", NOW)
    assert lines[:3] == HEAD.splitlines()
    assert max(map(len, lines)) <= 100
    text = "\n".join(lines)
    story = (
        "nat-c: sent the last heartbeat that was answered",
        "nat-c: first sign of doubt, a heartbeat or pulse was not answered",
        "nat-c: sent the first of the heartbeats missed in a row",
        "nat-c is down: heartbeat 8.8.4.4 missed 3 of 3; the rules then said (R3): heartbeat",
        "DECIDED: took rtb-0000000c 0.0.0.0/0",
        "+6 ms  EC2 has carried it out",
        "What was known",
        "nat-c   down",
        "it points at nat-c (eni-nat-c, active). Its order: nat-c,",
        "R10  One move at a time for each route, and none on a view that is too old.",
        "R2   Never take a route from a node that I believe UP; nor from oneself.",
        "→ moves to nat-a: heartbeat 8.8.4.4 missed 3 of 3, uplink up",
        "the same facts lead to the same decision.",
    )
    places = [text.index(words) for words in story]
    assert places == sorted(places), text


def test_moments_are_those_of_the_round_however_late_the_entry_was_written() -> None:
    [(at, down)] = explain(takeover(), 1, 1).around
    assert down.event is not None
    assert down.event.kind is EventKind.PEER_DOWN
    assert at == 0.0


def test_entries_without_a_round_are_placed_by_the_monotonic_clock_or_by_the_wall_clock() -> None:
    told = takeover()
    stalled = Event(kind=EventKind.STALLED, message="was stalled")
    same_boot = replace(told[0], event=stalled, monotonic=told[1].monotonic - 9.0)
    elsewhere = replace(same_boot, boot="other", at=told[1].at - 4.0, node=C)
    around = explain((same_boot, elsewhere, *told), 3, 1).around
    places = {one.boot: at for at, one in around if one.event == stalled}
    assert places == {"boot": pytest.approx(-8.994), "other": pytest.approx(-3.994)}


def test_the_entry_of_a_lost_answer_is_late_and_what_is_told_around_it_stays_in_place() -> None:
    _, took = takeover()
    assert took.event is not None
    now = parse(took.event.trace).known.now
    late = replace(took, event=replace(took.event, api_ms=None), monotonic=now + 7.0)
    stalled = Event(kind=EventKind.STALLED, message="was stalled")
    before = replace(took, event=stalled, monotonic=now - 2.0)
    elsewhere = replace(before, boot="other", at=took.at - 8.0)
    around = explain((before, elsewhere, late), 2, 1).around
    assert [at for at, _ in around] == [pytest.approx(-2.0), pytest.approx(-1.0)]


def test_a_failed_move_says_what_ec2_said_and_what_the_rules_wanted() -> None:
    world = pair(A)
    world.ec2.failing = failing(Failure.DENIED, "ReplaceRoute")
    world.network(down=[C])
    world.run(5.0)
    text = "\n".join(screen(explain(happened(world.host(A).journal.events), 1, 1), "pair", NOW))
    assert "pair, move 1: take FAILED rtb-0000000c 0.0.0.0/0  nat-c → nat-a" in text
    assert "as the faults have it; wanted because heartbeat 8.8.4.4 missed 3 of 3" in text
    assert "the same decision" in text
    assert "EC2 has carried it out" not in text


def test_a_program_that_decides_otherwise_says_so_with_both_decisions() -> None:
    down, took = takeover()
    assert took.event is not None
    recorded = parse(took.event.trace)
    [ruling] = recorded.rulings
    assert ruling.move is not None
    other = replace(ruling, move=replace(ruling.move, to=C), reason="in its youth")
    event = replace(took.event, trace=render(recorded.known, (other,)))
    explained = explain((down, replace(took, event=event)), 1, 1)
    assert not explained.same
    text = "\n".join(screen(explained, "pair", NOW))
    assert "TODAY'S PROGRAM DECIDES OTHERWISE." in text
    assert "then (nathb 1.2.3): R3, moves to nat-c: in its youth" in text
    assert "today (" in text


@pytest.mark.parametrize("trace", ["", "{}", "no round"])
def test_a_move_without_a_round_of_this_version_is_shown_and_not_replayed(trace: str) -> None:
    down, took = takeover()
    assert took.event is not None
    explained = explain((down, replace(took, event=replace(took.event, trace=trace))), 1, 1)
    assert not explained.same
    text = "\n".join(screen(explained, "pair", NOW))
    assert "It cannot be replayed: " in text
    assert "nat-c is down" in text


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("silent_since", "quiet_since", "does not know the field `quiet_since` in known.peers"),
        ("peers", "others", "does not know the field `others` in known"),
    ],
)
def test_a_round_of_another_version_is_not_put_to_todays_rules(
    old: str, new: str, words: str
) -> None:
    down, took = takeover()
    assert took.event is not None
    trace = took.event.trace.replace(f'"{old}":', f'"{new}":')
    assert trace != took.event.trace
    explained = explain((down, replace(took, event=replace(took.event, trace=trace))), 1, 1)
    assert not explained.same
    text = " ".join(" ".join(screen(explained, "pair", NOW)).split())
    assert "DECIDES OTHERWISE" not in text
    assert f"nathb 1.2.3 recorded this round, and nathb {__version__} cannot read it" in text
    assert words in text
    assert "explain this move with nathb 1.2.3." in text
    whole = json.loads(as_json(explained))
    assert whole["today"] is None
    assert words in whole["obstacle"]


def test_a_field_whose_name_would_move_the_cursor_is_shown_as_plain_text() -> None:
    down, took = takeover()
    assert took.event is not None
    trace = took.event.trace.replace('"known":{', r'"known":{"\u001b[2J\n":1,')
    explained = explain((down, replace(took, event=replace(took.event, trace=trace))), 1, 1)
    assert "does not know the field" in explained.obstacle
    assert explained.obstacle.isprintable()


@pytest.mark.lab
@pytest.mark.clock
def test_a_takeover_is_explained_from_a_real_journal(
    journald: Journald, capsys: pytest.CaptureFixture[str]
) -> None:
    world = pair(A)
    world.network(down=[C])
    world.run(5.0)
    at = ("--directory", tell(world, A, journald))
    done = nathb("explain", "pair", *at)
    assert (done.returncode, done.stderr) == (0, "")
    assert "the same facts lead to the same decision." in done.stdout
    assert main(["explain", "pair", "1", "--json", *at]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert whole["same"] is True
    assert whole["recorded"] == whole["today"]
    assert [one["rule"] for one in whole["rules"]][-1] == "R3"
    assert whole["move"]["event"] == "took"
    assert whole["around"][0]["event"] == "peer-down"
    for number, code, words in (("2", 1, "has 1 move of pair"), ("0", 2, "counted from 1")):
        assert main(["explain", "pair", number, *at]) == code
        assert words in capsys.readouterr().err
