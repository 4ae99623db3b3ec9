"""`nathb status`: its screen, --watch, and where no daemon can be read."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from nathb.aws.reader import Reader
from nathb.commands.status import all_is_well
from nathb.core.ec2_state import Holding, Intent, View
from nathb.core.model import Rule, Ruling
from nathb.core.snapshot import Counters, Home, Snapshot, Told
from nathb.provision.inventory import survey
from nathb.ui.status_screen import screen
from nathb.ui.status_without_daemon import bystander
from nathb.ui.terminal import coloured
from tests.aws.world import ANYWHERE, World
from tests.core.build import NOW, ROUTE_A, ROUTE_C, down, up, view

# --- the screen -----------------------------------------------------------------------------------

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


# --- --watch --------------------------------------------------------------------------------------

ROOT = Path(__file__).parents[2]
SCREENS = 2
"""How many screens are read; the process is ended then."""


def watching(stdout: int, **variables: str) -> subprocess.Popen[bytes]:
    """Start `status --watch` of a group that no daemon guards, which is said in every screen."""
    return subprocess.Popen(
        [sys.executable, "-m", "nathb", "status", "no-such-group", "--watch"],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
        stdout=stdout,
    )


def read(fileno: int, word: bytes) -> bytes:
    """Read until a word has come so many times, or for as long as anything comes."""
    text = b""
    while text.count(word) < SCREENS and (more := os.read(fileno, 65536)):
        text += more
    return text


def shown_bytes(process: subprocess.Popen[bytes], fileno: int) -> bytes:
    try:
        return read(fileno, b"there is none")
    finally:
        process.kill()
        process.wait()


def test_into_a_pipe_the_screens_are_plain_text_with_an_empty_line_between_them() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing, "w"):
        text = shown_bytes(watching(writing, TERM="xterm"), reading)
    assert b"\x1b" not in text
    first, second = text.split(b"\n\n")[:SCREENS]
    assert first.startswith(b"/run/nathb/no-such-group/status.json: there is none")
    assert second.startswith(b"/run/nathb/no-such-group/status.json: there is none")


@pytest.mark.parametrize(("term", "clears"), [("xterm", True), ("dumb", False)])
def test_a_terminal_is_cleared_before_each_screen_unless_it_is_dumb(
    term: str, *, clears: bool
) -> None:
    master, slave = pty.openpty()
    with os.fdopen(master, "rb", buffering=0), os.fdopen(slave, "w"):
        text = shown_bytes(watching(slave, TERM=term), master)
    assert (text.count(b"\x1b[H\x1b[2J") == SCREENS) is clears


# --- without a daemon -----------------------------------------------------------------------------

WHY = "status.json: there is no such file; is the daemon running?"


@pytest.fixture
def world(world: World) -> World:
    """Both NATs forward: their source/dest checks are off."""
    for eni in world.enis.values():
        check(world, eni, on=False)
    return world


def check(world: World, eni: str, *, on: bool) -> None:
    world.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=eni, SourceDestCheck={"Value": on}
    )


def lines_of(world: World) -> tuple[str, str, list[str]]:
    """The first line, that of nat-c's own route, and all."""
    lines = list(bystander(survey(Reader(world.ec2), world.group), WHY))
    (route,) = (line for line in lines if line.startswith(world.private["nat-c"]))
    return lines[0], route.removeprefix(f"{world.private['nat-c']} {ANYWHERE}  "), lines


def stop(world: World) -> None:
    world.ec2.stop_instances(InstanceIds=[world.instances["nat-c"]])


def terminate(world: World) -> None:
    world.ec2.terminate_instances(InstanceIds=[world.instances["nat-c"]])


def check_on(world: World) -> None:
    check(world, world.enis["nat-c"], on=True)


def unroute(world: World) -> None:
    world.ec2.delete_route(RouteTableId=world.private["nat-c"], DestinationCidrBlock=ANYWHERE)


def reroute(world: World) -> None:
    world.point(world.private["nat-c"], ANYWHERE, NetworkInterfaceId=world.enis["nat-a"])


def tag(key: str, value: str) -> Callable[[World], None]:
    def put(world: World) -> None:
        tags: list[dict[str, Any]] = [{"Key": key, "Value": value}]
        world.ec2.create_tags(Resources=[world.private["nat-a"]], Tags=tags)

    return put


def nothing(_world: World) -> None:
    pass


SITUATIONS: dict[str, tuple[Callable[[World], None], str, str]] = {
    # what is done; how the first line ends; what is said of nat-c's route
    "all is well": (nothing, "EC2 shows no problem", "held by nat-c (at home)"),
    "stopped": (
        stop,
        "2 problems (nat-c, {route})",
        "points at its home nat-c, but the instance of nat-c is stopped",
    ),
    "source/dest check": (
        check_on,
        "2 problems (nat-c, {route})",
        "points at its home nat-c, but the source/dest check is on at {eni}: EC2 drops what it "
        "forwards",
    ),
    "missing": (unroute, "1 problem ({route})", "the table has no such route"),
    "away": (reroute, "1 route is away from home", "held by nat-a (home is nat-c)"),
    "drained": (tag("nathb:drain", "nat-c"), "DRAINED: nat-c", "held by nat-c (at home)"),
    "paused": (tag("nathb:pause", "on"), "PAUSED", "held by nat-c (at home)"),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_each_situation_is_told_in_plain_words(world: World, name: str) -> None:
    change, summary, said = SITUATIONS[name]
    change(world)
    first, route, lines = lines_of(world)
    names = {"route": f"{world.private['nat-c']} {ANYWHERE}", "eni": world.enis["nat-c"]}
    told = f"tokyo as EC2 shows it: no daemon can be read here, {summary}"
    assert first == told.format(**names)
    assert route == said.format(**names)
    assert f"    {WHY}" in lines


def test_a_home_that_was_terminated_is_never_called_home(world: World) -> None:
    terminate(world)
    first, route, lines = lines_of(world)
    assert "(nat-c" in first, first
    assert any(line.startswith("nat-c  terminated") for line in lines)
    assert "at home" not in route


def test_what_ends_a_drain_is_named(world: World) -> None:
    tag("nathb:drain", "nat-c")(world)
    assert "    to do: nathb undrain tokyo nat-c, when the work on it is done" in lines_of(world)[2]
