"""Who holds a route has one answer: the daemon, `plan`, `check` and `status` name the same node."""

from __future__ import annotations

import pytest

from nathb.aws.ec2 import Cloud
from nathb.aws.reader import Reader
from nathb.aws.tags import wall_clock
from nathb.core.errors import Level
from nathb.core.model import Route
from nathb.provision.audit import inspect_routes
from nathb.provision.inventory import survey
from nathb.provision.steps import Action, Plan, carry_out, plan
from nathb.ui.status_without_daemon import bystander
from tests.aws.test_aws_steps import DIGEST, applied, planned, routes
from tests.aws.world import ANYWHERE, World


@pytest.fixture
def second(world: World) -> dict[str, str]:
    """A second interface for each node, by its name; all else is as the file has it."""
    enis = {}
    for name, instance in world.instances.items():
        made = world.ec2.create_network_interface(SubnetId=world.subnets[name])
        enis[name] = made["NetworkInterface"]["NetworkInterfaceId"]
        world.ec2.attach_network_interface(
            NetworkInterfaceId=enis[name], InstanceId=instance, DeviceIndex=1
        )
    assert applied(world) == Plan()
    return enis


def holders(world: World, route: Route) -> set[str]:
    """Return who holds a route, as each that is asked names it."""
    cloud = Cloud(world.ec2, world.group)
    holding = cloud.view(cloud.roster("nat-a")).holding(route)
    seen = survey(Reader(world.ec2), world.group)
    entry = seen.entry(route.table, route.destination)
    assert holding is not None
    assert entry is not None
    return {holding.node, seen.holder_of(entry)}


@pytest.mark.parametrize("holder", ["nat-a", "nat-c"])
def test_any_interface_of_an_instance_counts_as_held_by_its_node(
    world: World, second: dict[str, str], holder: str
) -> None:
    route = Route(world.private["nat-a"], ANYWHERE)
    for target in (
        {"NetworkInterfaceId": world.enis[holder]},
        {"NetworkInterfaceId": second[holder]},
        {"InstanceId": world.instances[holder]},
    ):
        world.point(route.table, route.destination, **target)
        assert holders(world, route) == {holder}


def test_an_interface_of_nobody_in_the_group_is_held_by_nobody(
    world: World,
    second: dict[str, str],  # noqa: ARG001
) -> None:
    route = Route(world.private["nat-a"], ANYWHERE)
    stray = world.ec2.create_network_interface(SubnetId=world.subnets["nat-a"])
    eni = stray["NetworkInterface"]["NetworkInterfaceId"]
    world.point(route.table, route.destination, NetworkInterfaceId=eni)
    assert holders(world, route) == {""}
    (note,) = planned(world).notes
    assert note.text == f"points at {eni}, outside the group"


def test_a_home_route_on_the_wrong_interface_is_put_right_by_apply(
    world: World, second: dict[str, str]
) -> None:
    table = world.private["nat-a"]
    world.point(table, ANYWHERE, NetworkInterfaceId=second["nat-a"])
    found = planned(world)
    (step,) = found.steps
    assert found.notes == ()
    assert (step.action, step.resource, step.eni) == (Action.REPLACE, table, world.enis["nat-a"])
    assert step.fault == (
        f"the route points at {second['nat-a']}, the wrong interface of nat-a; it should be "
        f"{world.enis['nat-a']}, unless the file is to name {second['nat-a']} as `eni:`"
    )
    carry_out(world.ec2, step)
    assert planned(world) == Plan()
    assert routes(world, table)[ANYWHERE] == world.enis["nat-a"]


def test_a_wrong_interface_of_another_holder_is_said_and_left_to_a_person(
    world: World, second: dict[str, str]
) -> None:
    table = world.private["nat-a"]
    world.point(table, ANYWHERE, NetworkInterfaceId=second["nat-c"])
    found = planned(world)
    assert found.steps == ()
    (note,) = found.notes
    assert note.bad
    assert note.text == (
        f"nat-c holds it on {second['nat-c']}, the wrong interface; it should be "
        f"{world.enis['nat-c']}"
    )
    assert note.fix == (
        f"aws ec2 replace-route --route-table-id {table} --destination-cidr-block 0.0.0.0/0 "
        f"--network-interface-id {world.enis['nat-c']}"
    )


def test_check_and_status_do_not_say_that_a_wrong_interface_is_outside_the_group(
    world: World, second: dict[str, str]
) -> None:
    route = Route(world.private["nat-a"], ANYWHERE)
    world.point(route.table, route.destination, NetworkInterfaceId=second["nat-a"])
    seen = survey(Reader(world.ec2), world.group)
    told = {one.subject: one for one in inspect_routes(seen, plan(seen, DIGEST), wall_clock())}
    assert told[str(route)].level is Level.BAD
    assert "the wrong interface of nat-a" in told[str(route)].text
    shown = [line for line in bystander(seen, "no daemon") if str(route) in line]
    assert shown != []
    assert all("outside" not in line for line in shown)


def test_a_pin_on_another_interface_of_its_peer_is_still_wrong(
    world: World, second: dict[str, str]
) -> None:
    """A pin is evidence of the way that clients take, not a question of who holds it."""
    table = world.public["nat-a"]
    world.point(table, "8.8.4.4/32", NetworkInterfaceId=second["nat-c"])
    (step,) = planned(world).steps
    assert (step.destination, step.eni) == ("8.8.4.4/32", world.enis["nat-c"])
    seen = survey(Reader(world.ec2), world.group)
    told = {one.subject: one for one in inspect_routes(seen, Plan(), wall_clock())}
    assert told["nat-a's pin 8.8.4.4/32"].level is Level.BAD
