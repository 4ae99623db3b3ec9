"""EC2 made to match the file: plans, what is left once carried out, and who holds a route."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from nathb.aws.ec2 import Cloud
from nathb.aws.reader import Reader
from nathb.aws.tags import wall_clock
from nathb.commands.plan import page
from nathb.core.errors import CloudError, Level
from nathb.core.model import Failure, Group, Node, Route
from nathb.provision.audit import inspect_nodes, inspect_routes
from nathb.provision.inventory import survey
from nathb.provision.steps import FILE_TAG, Action, Plan, carry_out, plan
from nathb.ui.status_without_daemon import bystander
from tests.aws.world import ANYWHERE, DisruptedZone, World, launch, route, table

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


def test_a_heartbeat_may_lie_beyond_a_tunnel_but_not_in_the_vpc_which_ec2_would_refuse(
    set_up: World,
) -> None:
    a, c = set_up.group.nodes
    beyond = replace(set_up.group, nodes=(a, replace(c, heartbeat=("192.168.8.12",))))
    found = planned(set_up, beyond)
    assert [step.destination for step in found.steps if step.action is Action.CREATE] == [
        "192.168.8.12/32"
    ]
    inside = replace(set_up.group, nodes=(a, replace(c, heartbeat=("10.0.200.9",))))
    found = planned(set_up, inside)
    assert Action.CREATE not in {step.action for step in found.steps}
    [note] = found.notes
    assert note.subject == "nat-a's pin 10.0.200.9/32"
    assert "lies in the VPC's own range 10.0.0.0/16" in note.text
    reader = Reader(set_up.ec2)
    findings = inspect_routes(survey(reader, inside), found, wall_clock())
    assert [one.text for one in findings if one.subject == note.subject] == [note.text]


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


@pytest.mark.parametrize(
    ("destination", "parameter"),
    [
        ("64:ff9b::/96", "DestinationIpv6CidrBlock"),
        ("pl-0a1b2c3d", "DestinationPrefixListId"),
        ("10.0.11.0/24", "DestinationCidrBlock"),
    ],
)
def test_a_missing_route_is_created_whatever_its_destination_is(
    set_up: World, destination: str, parameter: str
) -> None:
    home, *others = set_up.group.nodes
    routes = (*home.routes, Route(set_up.private["nat-a"], destination))
    group = replace(set_up.group, nodes=(replace(home, routes=routes), *others))
    (step,) = planned(set_up, group).steps
    asked: list[dict[str, str]] = []
    carry_out(SimpleNamespace(create_route=lambda **request: asked.append(request)), step)
    assert asked == [
        {
            "RouteTableId": set_up.private["nat-a"],
            "NetworkInterfaceId": set_up.enis["nat-a"],
            parameter: destination,
        }
    ]


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


def by_tag(world: World) -> Group:
    """Return the group with nat-c found by its tag, within this world's own VPC."""
    match = (("tag:Name", "nat-c"), ("vpc-id", world.vpc))
    return replace(
        world.group,
        nodes=(world.group.nodes[0], replace(world.group.nodes[1], instance="", match=match)),
    )


def test_apply_shows_id_owner_and_launch_time_before_it_pins_to_a_new_instance(
    set_up: World,
) -> None:
    world, group = set_up, by_tag(set_up)
    assert planned(world, group).notes == (), "what is pinned already is not new"
    world.ec2.terminate_instances(InstanceIds=[world.instances["nat-c"]])
    new = launch(world.ec2, "nat-c", world.subnets["nat-c"])["InstanceId"]
    found = planned(world, group, frozenset(group.routes()))
    note = found.note("nat-c")
    assert note is not None
    assert not note.bad
    assert f"`match` finds {new}, running, owned by 123456789012, launched 20" in note.text
    (shown,) = (line for line in page(group, found) if new in line)
    assert shown.startswith("  - nat-c: its `match` finds ")


def test_what_a_node_was_preferred_to_is_said_and_is_bad_only_while_that_is_in_use(
    set_up: World,
) -> None:
    world, group = set_up, by_tag(set_up)
    stray = launch(world.ec2, "nat-c", world.subnets["nat-c"])["InstanceId"]
    for state, is_bad in (("running", True), ("stopped", False)):
        if state == "stopped":
            world.ec2.stop_instances(InstanceIds=[stray])
        found = planned(world, group)
        note = found.note("nat-c")
        assert found.steps == ()
        assert note is not None
        assert f"it is preferred to {stray}, {state}, " in note.text
        assert note.bad is is_bad
    seen = survey(Reader(world.ec2), group)
    told = [one for one in inspect_nodes(seen, planned(world, group)) if stray in one.text]
    assert [(one.subject, one.level) for one in told] == [("nat-c", Level.WARNING)]


def test_while_a_zone_is_disrupted_its_node_is_left_alone_and_the_rest_is_planned(
    set_up: World,
) -> None:
    world, home = set_up, Route(set_up.private["nat-a"], ANYWHERE)
    unroute(world)
    unpin(world)
    world.ec2.modify_network_interface_attribute(
        NetworkInterfaceId=world.enis["nat-a"], SourceDestCheck={"Value": True}
    )
    world.point(home.table, ANYWHERE, NetworkInterfaceId=world.enis["nat-c"])
    ec2 = DisruptedZone(world.ec2, {world.instances["nat-c"]}, 500, "InternalError")
    seen = survey(Reader(ec2, sleep=lambda _: None), world.group)
    found = plan(seen, DIGEST, frozenset(world.group.routes()))
    assert [(step.action, step.node) for step in found.steps] == [(Action.CHECK_OFF, "nat-a")]
    told = {note.subject: note.text for note in found.notes}
    assert told["nat-c"].startswith("EC2 does not say what stands for it, so it is left alone: ")
    assert told[str(home)].endswith("and EC2 does not say now whether that is nat-c")
    assert any("EC2 does not say what stands for nat-c: " in line for line in bystander(seen, ""))


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


# --- who holds a route has one answer -------------------------------------------------------------


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


# --- three zones and more -------------------------------------------------------------------------


@pytest.mark.parametrize("letters", ["acd", "acde"])
def test_apply_pins_each_node_in_the_table_of_every_other_one(world: World, letters: str) -> None:
    """A VPC with a public and a private subnet in each zone, and no route yet but what EC2 made."""
    ec2, vpc = world.ec2, world.ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    heartbeats = {f"nat-{letter}": f"8.8.{n}.8" for n, letter in enumerate(letters)}
    enis, public, nodes = {}, {}, []
    for number, (name, heartbeat) in enumerate(heartbeats.items()):
        made = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.1.{number}.0/24")
        subnet = made["Subnet"]["SubnetId"]
        machine = launch(ec2, name, subnet)
        enis[name] = machine["NetworkInterfaces"][0]["NetworkInterfaceId"]
        public[name] = table(ec2, vpc)
        ec2.associate_route_table(RouteTableId=public[name], SubnetId=subnet)
        home = (Route(table(ec2, vpc), ANYWHERE),)
        nodes.append(Node(name, (heartbeat,), home, instance=machine["InstanceId"]))
    group = replace(world.group, nodes=tuple(nodes))

    assert applied(world, group) == Plan()

    for name, own in public.items():
        pins = {to: eni for to, eni in routes(world, own).items() if to.endswith("/32")}
        assert pins == {f"{heartbeats[peer]}/32": enis[peer] for peer in enis if peer != name}
    for node in nodes:
        assert routes(world, node.routes[0].table)[ANYWHERE] == enis[node.name]
