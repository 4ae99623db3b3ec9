"""What `nathb status` shows of a snapshot."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from nathb.commands.status import all_is_well
from nathb.core.ec2_state import Holding, Intent, View
from nathb.core.model import Rule, Ruling
from nathb.core.snapshot import Counters, Home, Snapshot, Told
from nathb.ui.status_screen import screen
from nathb.ui.terminal import coloured
from tests.core.build import NOW, ROUTE_A, ROUTE_C, down, up, view

HEALTHY = Snapshot(
    version="0",
    group="pair",
    node="nat-a",
    pid=1,
    at=NOW,
    dry_run=False,
    counters=Counters(),
    suspecting=False,
    uplink=up(since=NOW - 30),
    peers={"nat-c": up(since=NOW - 7200)},
    pulses={"nat-c": "heard"},
    view=view(),
    homes=(Home(ROUTE_A, "nat-a"), Home(ROUTE_C, "nat-c")),
    rulings=(Ruling(ROUTE_A, Rule.R4, "at home"), Ruling(ROUTE_C, Rule.R2, "nat-c is up")),
)
AWAY = replace(
    HEALTHY,
    peers={"nat-c": down(since=NOW - 5)},
    view=view(c="nat-a"),
    rulings=(Ruling(ROUTE_C, Rule.R4, "nat-c is back; returns after a while", due=NOW + 42),),
    told=(Told(NOW - 4, "took", "took rtb-0000000c"),),
)


def test_a_healthy_pair_is_one_screen_that_says_so() -> None:
    lines = screen(HEALTHY)
    assert lines[0] == "pair as seen by nat-a: all is well"
    assert "nat-a  UP       for 30 s     uplink 8.8.4.4 answers" in lines
    assert "nat-c  UP       for 2 h      heartbeat 8.8.4.4 answers, pulse heard" in lines
    assert "EC2    read 0 s ago" in lines
    assert f"{ROUTE_C}  held by nat-c (at home)" in lines
    assert all_is_well(HEALTHY)


def test_a_route_away_from_home_says_where_why_and_when_it_returns() -> None:
    lines = screen(AWAY)
    assert "nat-c  DOWN     for 5 s      heartbeat 8.8.4.4 missed 3 of 3, pulse heard" in lines
    assert f"{ROUTE_C}  held by nat-a (home is nat-c)" in lines
    assert "    next: nat-c is back; returns after a while in 42 s" in lines
    assert lines[-1].endswith("4 s  took rtb-0000000c")


def test_rule_numbers_are_shown_only_where_they_are_asked_for() -> None:
    next_line = "    next: nat-c is back; returns after a while in 42 s"
    assert next_line in screen(AWAY)
    assert f"{next_line} [R4]" in screen(AWAY, why=True)


@pytest.mark.parametrize(
    "snapshot",
    [
        replace(HEALTHY, uplink=down()),
        replace(HEALTHY, peers={"nat-c": down()}),
        replace(HEALTHY, view=view(c="nat-a")),
        replace(HEALTHY, view=None),
        replace(HEALTHY, view=view(at=NOW - 301)),
        replace(HEALTHY, view=view(intent=Intent(paused=True))),
        replace(HEALTHY, view=view(intent=Intent(drained=frozenset({"nat-c"})))),
        replace(HEALTHY, uplink=replace(up(), blind="no route")),
        replace(HEALTHY, view=View(NOW, (Holding(ROUTE_A, "nat-a", "eni-a"),))),
    ],
)
def test_anything_amiss_is_an_exit_code_of_1(snapshot: Snapshot) -> None:
    assert not all_is_well(snapshot)
    assert screen(snapshot)


def test_a_dry_run_is_told_in_the_first_line() -> None:
    lines = screen(replace(HEALTHY, dry_run=True))
    assert lines[0] == "pair as seen by nat-a (dry run): all is well"


def test_what_operators_ask_for_is_shown_with_its_end() -> None:
    asked = Intent(frozenset({"nat-c"}), paused=True, until="until 2026-11-21T14:00:00Z")
    shown = screen(replace(HEALTHY, view=view(intent=asked)))
    assert "PAUSED: no route is moved until 2026-11-21T14:00:00Z" in shown
    assert "DRAINED: nat-c" in shown


def test_doubt_is_shown_before_it_is_a_verdict() -> None:
    doubted = replace(up(), missed=2, needed=3)
    lines = screen(replace(HEALTHY, peers={"nat-c": doubted}, suspecting=True))
    assert lines[0].startswith("pair as seen by nat-a, checking fast: no problem so far")
    assert any("UP" in line and "heartbeat 8.8.4.4 missed 2 of 3" in line for line in lines)


def test_colour_adds_nothing_but_colour() -> None:
    for snapshot in (HEALTHY, AWAY):
        painted = screen(snapshot, coloured)
        assert painted != screen(snapshot)
        assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in painted] == screen(snapshot)
