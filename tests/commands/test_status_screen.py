"""What `nathb status` shows of a snapshot."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from nathb.commands.status import all_is_well, screen
from nathb.core.model import Rule, Ruling
from nathb.core.snapshot import Counters, Home, Snapshot, Told
from nathb.core.view import Holding, Intent, View
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
    assert lines[0] == "pair as seen by nat-a"
    assert "uplink       up       for 30 s: 8.8.4.4" in lines
    assert "nat-c        up       for 2 h: 8.8.4.4, pulse heard" in lines
    assert f"{ROUTE_C}  held by nat-c (at home)" in lines
    assert all_is_well(HEALTHY)


def test_a_route_away_from_home_says_where_why_and_when_it_returns() -> None:
    lines = screen(AWAY)
    assert "nat-c        down     for 5 s: 8.8.4.4, missed 3 of 3, pulse heard" in lines
    assert f"{ROUTE_C}  held by nat-a (home is nat-c)" in lines
    assert "    nat-c is back; returns after a while in 42 s [R4]" in lines
    assert lines[-1].endswith("4 s  took rtb-0000000c")


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


def test_a_foreign_target_is_shown_by_its_id_and_a_dry_run_in_the_first_line() -> None:
    lines = screen(replace(HEALTHY, view=view(c="nat-gateway"), dry_run=True))
    assert lines[0] == "pair as seen by nat-a (dry run)"
    assert f"{ROUTE_C}  held by eni-nat-gateway (home is nat-c)" in lines


def test_what_operators_ask_for_and_how_old_the_view_is_are_shown() -> None:
    asked = Intent(frozenset({"nat-c"}), paused=True)
    shown = screen(replace(HEALTHY, view=view(at=NOW - 400, intent=asked)))
    assert (
        "EC2          read 7 min ago: too old to move anything, PAUSED: nothing is moved, "
        "drained: nat-c" in shown
    )
