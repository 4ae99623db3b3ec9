"""Making EC2 match the file: plans, and what is left of them once they were carried out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from nathb.aws.reader import Reader
from nathb.core.errors import CloudError
from nathb.core.model import Failure, Group, Route
from nathb.provision.inventory import survey
from nathb.provision.steps import FILE_TAG, Action, Plan, carry_out, plan
from tests.aws.world import ANYWHERE, World, launch, route, table

DIGEST = "0123456789abcdef"
NONE: frozenset[Route] = frozenset()


def planned(world: World, group: Group | None = None, adopted: frozenset[Route] = NONE) -> Plan:
    return plan(survey(Reader(world.ec2), group or world.group), DIGEST, adopted)


def applied(world: World, group: Group | None = None, adopted: frozenset[Route] = NONE) -> Plan:
    """Carry out what is planned; return what is planned then."""
    for step in planned(world, group, adopted).steps:
        carry_out(world.ec2, step)
    return planned(world, group, adopted)


@pytest.fixture
def set_up(world: World) -> World:
    """The world once its file has been applied."""
    assert applied(world) == Plan()
    return world


def changes(found: Plan) -> list[tuple[Action, str, str]]:
    return [(step.action, step.resource, step.destination) for step in found.steps]


def routes(world: World, of: str) -> dict[str, str]:
    listed = world.ec2.describe_route_tables(RouteTableIds=[of])["RouteTables"][0]["Routes"]
    return {
        one["DestinationCidrBlock"]: one.get("NetworkInterfaceId") or one.get("GatewayId", "")
        for one in listed
    }


def test_what_matches_the_file_needs_nothing(set_up: World) -> None:
    assert planned(set_up) == Plan()


def test_the_checks_go_off_before_anything_is_pointed_at_a_node(world: World) -> None:
    world.ec2.delete_route(RouteTableId=world.private["nat-a"], DestinationCidrBlock=ANYWHERE)
    actions = [step.action for step in planned(world).steps]
    assert actions == [Action.CHECK_OFF, Action.CHECK_OFF, Action.CREATE, Action.TAG, Action.TAG]


def unpin(world: World) -> None:
    world.ec2.delete_route(RouteTableId=world.public["nat-a"], DestinationCidrBlock="8.8.4.4/32")


def mispin(world: World) -> None:
    world.point(world.public["nat-a"], "8.8.4.4/32", NetworkInterfaceId=world.enis["nat-a"])


def unroute(world: World) -> None:
    world.ec2.delete_route(RouteTableId=world.private["nat-c"], DestinationCidrBlock=ANYWHERE)


def check_on(world: World) -> None:
    world.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=world.enis["nat-c"], SourceDestCheck={"Value": True}
    )


def other_file(world: World) -> None:
    world.ec2.create_tags(
        Resources=[world.private["nat-a"]], Tags=[{"Key": FILE_TAG, "Value": "fedcba9876543210"}]
    )


BROKEN: dict[str, tuple[Callable[[World], None], Action]] = {
    "a pin is missing": (unpin, Action.CREATE),
    "a pin leads elsewhere": (mispin, Action.REPLACE),
    "a route is missing": (unroute, Action.CREATE),
    "a check is on": (check_on, Action.CHECK_OFF),
    "another file was applied": (other_file, Action.TAG),
}


@pytest.mark.parametrize("how", BROKEN)
def test_whatever_is_broken_takes_one_step_and_then_none(set_up: World, how: str) -> None:
    world = set_up
    before = {of: routes(world, of) for of in (*world.public.values(), *world.private.values())}
    breaks, action = BROKEN[how]
    breaks(world)
    assert [step.action for step in planned(world).steps] == [action]
    assert applied(world) == Plan()
    assert {of: routes(world, of) for of in before} == before


def test_a_step_may_be_repeated_without_harm(world: World) -> None:
    check_off, *_, tag = planned(world).steps
    for step in (check_off, check_off, tag, tag):
        carry_out(world.ec2, step)
    unpin(world)
    create = next(step for step in planned(world).steps if step.action is Action.CREATE)
    carry_out(world.ec2, create)
    # moto accepts a second one, EC2 says RouteAlreadyExists: then the next plan has no such step
    assert create not in planned(world).steps


def test_a_route_that_another_node_holds_is_left_to_the_daemons(set_up: World) -> None:
    set_up.point(set_up.private["nat-a"], ANYWHERE, NetworkInterfaceId=set_up.enis["nat-c"])
    found = planned(set_up)
    assert found.steps == ()
    (note,) = found.notes
    assert not note.bad
    assert "the daemons return it" in note.fix


def test_a_route_outside_the_group_is_moved_only_when_it_is_adopted(set_up: World) -> None:
    gateway = set_up.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    set_up.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=set_up.vpc)
    set_up.point(set_up.private["nat-a"], ANYWHERE, GatewayId=gateway)
    found = planned(set_up)
    assert found.steps == ()
    assert found.notes[0].bad
    assert found.notes[0].fix.endswith("nathb apply tokyo --adopt")
    assert applied(set_up, adopted=frozenset(set_up.group.routes())) == Plan()
    assert routes(set_up, set_up.private["nat-a"])[ANYWHERE] == set_up.enis["nat-a"]


def test_what_the_file_does_not_name_is_not_touched(set_up: World) -> None:
    stranger = table(set_up.ec2, set_up.vpc)
    route(set_up.ec2, stranger, ANYWHERE, set_up.enis["nat-a"])
    unpin(set_up)
    unroute(set_up)
    resources = {step.resource for step in planned(set_up).steps}
    assert stranger not in resources


def test_two_nodes_in_one_public_subnet_are_told_why_that_cannot_work(set_up: World) -> None:
    listed = set_up.ec2.describe_route_tables(RouteTableIds=[set_up.public["nat-c"]])
    association = listed["RouteTables"][0]["Associations"][0]["RouteTableAssociationId"]
    set_up.ec2.replace_route_table_association(
        AssociationId=association, RouteTableId=set_up.public["nat-a"]
    )
    found = planned(set_up)
    assert found.steps == ()
    assert "is steered by the same table as nat-c" in found.notes[0].text


def test_a_node_that_is_not_there_gets_no_pin_and_no_route_and_is_named(set_up: World) -> None:
    set_up.ec2.terminate_instances(InstanceIds=[set_up.instances["nat-a"]])
    unroute(set_up)
    found = planned(set_up)
    assert [step.node for step in found.steps] == ["nat-c"]
    assert "nat-a" in {note.subject for note in found.notes}


def test_a_dead_node_found_by_tag_is_replaced_by_starting_another_and_applying(
    set_up: World,
) -> None:
    world = set_up
    name = f"by-tag-{world.vpc}"
    old = launch(world.ec2, name, world.subnets["nat-a"])["InstanceId"]
    nodes = (
        replace(world.group.nodes[0], instance="", match=(("tag:Name", name),)),
        world.group.nodes[1],
    )
    group = replace(world.group, nodes=nodes)
    assert applied(world, group, frozenset(group.routes())).steps == ()
    world.ec2.terminate_instances(InstanceIds=[old])
    new = launch(world.ec2, name, world.subnets["nat-a"])
    eni = new["NetworkInterfaces"][0]["NetworkInterfaceId"]
    found = planned(world, group, frozenset(group.routes()))
    assert {step.eni or step.resource for step in found.steps} == {eni}
    assert applied(world, group, frozenset(group.routes())) == Plan()
    assert routes(world, world.public["nat-c"])["8.8.8.8/32"] == eni
    assert routes(world, world.private["nat-a"])[ANYWHERE] == eni


def test_a_refusal_names_the_call_the_thing_and_the_permission(world: World) -> None:
    class Refusing:
        def __getattr__(self, name: str) -> Any:
            def refuse(**_: Any) -> None:
                raise PermissionError("no")

            return refuse

    with pytest.raises(CloudError) as told:
        carry_out(Refusing(), planned(world).steps[0])
    assert "ModifyNetworkInterfaceAttribute of eni-" in str(told.value)
    assert told.value.failure is Failure.NO_REPLY
