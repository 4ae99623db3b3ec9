"""What `nathb status` shows where no daemon can be read: as true as what a daemon would show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nathb.aws.reader import Reader
from nathb.provision.inventory import survey
from nathb.ui.status_without_daemon import bystander
from tests.aws.world import ANYWHERE, World

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


def shown(world: World) -> tuple[str, str, list[str]]:
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
    first, route, lines = shown(world)
    names = {"route": f"{world.private['nat-c']} {ANYWHERE}", "eni": world.enis["nat-c"]}
    told = f"tokyo as EC2 shows it: no daemon can be read here, {summary}"
    assert first == told.format(**names)
    assert route == said.format(**names)
    assert f"    {WHY}" in lines


def test_a_home_that_was_terminated_is_never_called_home(world: World) -> None:
    terminate(world)
    first, route, lines = shown(world)
    assert "(nat-c" in first, first
    assert any(line.startswith("nat-c  terminated") for line in lines)
    assert "at home" not in route


def test_what_ends_a_drain_is_named(world: World) -> None:
    tag("nathb:drain", "nat-c")(world)
    assert "    to do: nathb undrain tokyo nat-c, when the work on it is done" in shown(world)[2]
