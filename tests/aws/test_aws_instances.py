"""Which instance and interface stand for a node, and which node this machine is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from nathb.aws.ec2 import Cloud, find_me
from nathb.aws.instances import Found, choose, describe, machines_of
from nathb.aws.reader import Reader, named
from nathb.aws.responses import Attachment, EC2Instance, Interface, State
from nathb.core.ec2_state import Instance, InstanceState
from nathb.core.errors import CloudError, IdentityError
from nathb.core.model import Failure, Group, Node
from tests.aws.scripted import Server, tables
from tests.aws.world import ANYWHERE, HEARTBEATS, DisruptedZone, World, launch

# --- pure, for what moto never lists --------------------------------------------------------------

NODE = Node("nat-c", ("8.8.4.4",), match=(("tag:Name", "nat-c"),))
NAMED = Node("nat-c", ("8.8.4.4",), instance="i-c", eni="eni-file")

SECOND = Interface("eni-2", "10.0.2.4", Attachment(1))
PRIMARY = Interface("eni-1", "10.0.1.4", Attachment(0))
OTHER_CARD = Interface("eni-3", "10.0.3.4", Attachment(0, network_card_index=1))


def machine(an_id: str, state: str = "running", *interfaces: Interface) -> EC2Instance:
    return EC2Instance(an_id, State(state), network_interfaces=interfaces)


def test_the_primary_interface_is_chosen_wherever_it_is_listed():
    one = describe(NODE, Found(machine("i-c", "running", SECOND, OTHER_CARD, PRIMARY)))
    assert (one.eni, one.address) == ("eni-1", "10.0.1.4")
    assert one.enis == ("eni-1", "eni-2", "eni-3")


def test_an_interface_of_the_file_that_is_not_attached_has_no_address_and_is_still_the_target():
    one = describe(NAMED, Found(machine("i-c", "running", PRIMARY)))
    assert (one.eni, one.address, one.enis) == ("eni-file", "", ("eni-file", "eni-1"))


def test_a_machine_without_interfaces_has_none_to_point_at():
    one = describe(NODE, Found(machine("i-c", "terminated")))
    assert (one.eni, one.enis, one.state) == ("", (), InstanceState.TERMINATED)


def test_an_unseen_node_keeps_what_the_file_says():
    assert describe(NAMED, Found()) == Instance(
        "nat-c", "i-c", "eni-file", ("eni-file",), state=InstanceState.UNSEEN
    )


@pytest.mark.parametrize("state", [one for one in InstanceState if one is not InstanceState.UNSEEN])
def test_every_state_of_ec2s_has_its_name(state: InstanceState):
    assert describe(NODE, Found(machine("i-c", state.value))).state is state


def test_a_state_that_ec2_invents_is_no_evidence():
    assert describe(NODE, Found(machine("i-c", "hibernating"))).state is InstanceState.UNSEEN


def chosen(*listed: EC2Instance, pointed: str = "") -> Found:
    """Return the choice among these in any order; routes point at the machine with this id."""
    one, other = (choose(NODE, seen, lambda _: {pointed}) for seen in (listed, listed[::-1]))
    assert (one.machine, one.unread, set(one.others)) == (
        other.machine,
        other.unread,
        set(other.others),
    )
    return one


def test_of_machines_that_are_all_leaving_the_one_still_shutting_down_speaks():
    old, new = machine("i-1", "terminated"), machine("i-2", "shutting-down")
    assert chosen(old, new) == Found(new)


def test_a_stopped_machine_still_stands_for_its_node():
    old, stopped = machine("i-1", "shutting-down"), machine("i-2", "stopped")
    assert chosen(old, stopped) == Found(stopped)


def test_a_running_machine_is_preferred_to_a_stopped_predecessor_whatever_routes_point_at():
    old, new = machine("i-1", "stopped"), machine("i-2")
    assert chosen(old, new, pointed="i-1") == Found(new, others=(old,))


@pytest.mark.parametrize("state", ["running", "pending"])
def test_of_two_in_use_the_one_that_routes_point_at_is_preferred(state: str):
    old, new = machine("i-1", state), machine("i-2")
    assert chosen(old, new, pointed="i-1") == Found(old, others=(new,))


def test_of_two_that_no_route_points_at_the_one_that_runs_is_preferred_to_one_that_starts():
    starts, runs = machine("i-1", "pending"), machine("i-2")
    assert chosen(starts, runs) == Found(runs, others=(starts,))


def test_of_two_alike_neither_stands_for_the_node_and_each_is_described():
    launched = datetime(2026, 11, 21, 17, 40, tzinfo=UTC)
    one = EC2Instance("i-1", State("running"), launch_time=launched, owner_id="111122223333")
    found = chosen(one, machine("i-2"), machine("i-3", "stopped"))
    assert found.machine is None
    assert found.unread == (
        "nat-c: its `match` finds 2 instances, and the routes do not say which one is meant: "
        "i-1, running, owned by 111122223333, launched 2026-11-21 17:40:00 UTC; i-2, running; "
        "narrow it, or name the one with `instance:`"
    )


# --- in moto's EC2 --------------------------------------------------------------------------------


def with_node(group: Group, name: str, **changes: Any) -> Group:
    """Return the group with one node described otherwise."""
    nodes = [
        msgspec.structs.replace(node, **changes) if node.name == name else node
        for node in group.nodes
    ]
    return msgspec.structs.replace(group, nodes=tuple(nodes))


def matching(world: World, name: str) -> Group:
    """Return the group with one node found by its tag, within this world's own VPC."""
    match = (("tag:Name", name), ("vpc-id", world.vpc))
    return with_node(world.group, name, instance="", match=match)


def test_a_roster_names_instance_interface_and_address_of_every_node(world: World, cloud: Cloud):
    roster = cloud.roster("nat-a")
    assert [one.node for one in roster.instances] == ["nat-a", "nat-c"]
    for one in roster.instances:
        assert one.instance == world.instances[one.node]
        assert one.eni == world.enis[one.node]
        assert one.address.startswith("10.0.")
        assert one.state is InstanceState.RUNNING
    assert (roster.me, roster.at) == ("nat-a", 1000.0)


def test_one_call_finds_all_instances_and_one_more_the_table(cloud: Cloud, calls: list[str]):
    cloud.roster("nat-a")
    assert calls == ["DescribeInstances", "DescribeRouteTables"]


def test_own_table_is_the_one_associated_with_the_subnet(world: World, cloud: Cloud):
    assert cloud.roster("nat-a").own_table == world.public["nat-a"]
    assert cloud.roster("nat-c").own_table == world.public["nat-c"]


def test_own_table_is_the_vpcs_main_one_where_the_subnet_has_none(world: World, cloud: Cloud):
    tables = world.ec2.describe_route_tables(RouteTableIds=[world.public["nat-a"]])
    association = tables["RouteTables"][0]["Associations"][0]["RouteTableAssociationId"]
    world.ec2.disassociate_route_table(AssociationId=association)
    main = world.ec2.describe_route_tables(
        Filters=[
            {"Name": "vpc-id", "Values": [world.vpc]},
            {"Name": "association.main", "Values": ["true"]},
        ]
    )["RouteTables"][0]["RouteTableId"]
    assert cloud.roster("nat-a").own_table == main


def test_an_instance_that_ec2_does_not_know_is_unseen_and_no_error(world: World):
    group = with_node(world.group, "nat-c", instance="i-0123456789abcdef0")
    roster = Cloud(world.ec2, group).roster("nat-a")
    gone = roster.instance("nat-c")
    assert gone is not None
    assert (gone.state, gone.eni, gone.address) == (InstanceState.UNSEEN, "", "")
    seen = roster.instance("nat-a")
    assert seen is not None
    assert seen.state is InstanceState.RUNNING


def test_where_ec2_does_not_show_this_node_the_region_is_named_and_where_it_comes_from(
    world: World,
):
    group = with_node(world.group, "nat-a", instance="i-0123456789abcdef0")
    group = msgspec.structs.replace(group, region="eu-west-1")
    with pytest.raises(CloudError) as caught:
        Cloud(world.ec2, group).roster("nat-a")
    assert caught.value.failure is Failure.MISSING
    assert str(caught.value) == (
        "DescribeInstances of tokyo: EC2 shows no instance i-0123456789abcdef0 of this node, nat-a,"
        " in eu-west-1 (from `region:` in the file); correct the region, or what the file says of"
        " nat-a"
    )


def test_a_node_is_found_by_its_tags(world: World):
    found = Cloud(world.ec2, matching(world, "nat-c")).roster("nat-a").instance("nat-c")
    assert found is not None
    assert (found.instance, found.eni) == (world.instances["nat-c"], world.enis["nat-c"])


def test_tags_that_nothing_bears_leave_the_node_unseen(world: World):
    match = (("tag:Name", "nat-z"), ("vpc-id", world.vpc))
    group = with_node(world.group, "nat-c", instance="", match=match)
    found = Cloud(world.ec2, group).roster("nat-a").instance("nat-c")
    assert found is not None
    assert (found.instance, found.state) == ("", InstanceState.UNSEEN)


@pytest.fixture
def twin(world: World) -> Any:
    """A second running instance with the tags of nat-c: its id and its interface's."""
    made = launch(world.ec2, "nat-c", world.subnets["nat-c"])
    return made["InstanceId"], made["NetworkInterfaces"][0]["NetworkInterfaceId"]


def test_of_two_instances_under_one_match_the_one_that_guarded_routes_point_at_is_chosen(
    world: World, twin: tuple[str, str]
):
    cloud = Cloud(world.ec2, matching(world, "nat-c"))
    for instance, eni in ((world.instances["nat-c"], world.enis["nat-c"]), twin):
        world.point(world.private["nat-c"], ANYWHERE, NetworkInterfaceId=eni)
        found = cloud.roster("nat-a").instance("nat-c")
        assert found is not None
        assert (found.instance, found.eni, found.unread) == (instance, eni, "")


def test_after_a_takeover_the_pin_says_which_of_two_instances_is_meant(
    world: World, twin: tuple[str, str]
):
    world.point(world.private["nat-c"], ANYWHERE, NetworkInterfaceId=world.enis["nat-a"])
    cloud = Cloud(world.ec2, matching(world, "nat-c"))
    for instance, eni in ((world.instances["nat-c"], world.enis["nat-c"]), twin):
        world.point(world.public["nat-a"], "8.8.4.4/32", NetworkInterfaceId=eni)
        assert cloud.roster("nat-a").instances[1].instance == instance


def test_two_instances_that_no_route_tells_apart_leave_that_node_alone_unseen(
    world: World, twin: tuple[str, str]
):
    world.point(world.private["nat-c"], ANYWHERE, NetworkInterfaceId=world.enis["nat-a"])
    world.point(world.public["nat-a"], "8.8.4.4/32", NetworkInterfaceId=world.enis["nat-a"])
    group = with_node(matching(world, "nat-c"), "nat-c", eni="eni-0123456789abcdef0")
    roster = Cloud(world.ec2, group).roster("nat-a")
    seen, unseen = roster.instances
    assert (seen.instance, seen.state) == (world.instances["nat-a"], InstanceState.RUNNING)
    assert roster.own_table == world.public["nat-a"]
    assert (unseen.eni, unseen.state) == ("eni-0123456789abcdef0", InstanceState.UNSEEN)
    for instance in (world.instances["nat-c"], twin[0]):
        assert f"{instance}, running, owned by 123456789012, launched 20" in unseen.unread
    with pytest.raises(CloudError, match="finds 2 instances") as caught:
        Cloud(world.ec2, group).roster("nat-c")
    assert caught.value.failure is Failure.REFUSED


def test_each_of_two_instances_under_one_match_knows_its_node_and_only_the_preferred_one_acts(
    world: World, twin: tuple[str, str]
):
    group, old = matching(world, "nat-c"), world.instances["nat-c"]
    clouds = {here: Cloud(world.ec2, group, here=here) for here in (old, twin[0])}
    assert {find_me(group, cloud, here) for here, cloud in clouds.items()} == {"nat-c"}
    assert clouds[old].roster("nat-c").instances[1].instance == old
    with pytest.raises(CloudError) as caught:
        clouds[twin[0]].roster("nat-c")
    assert caught.value.failure is Failure.REFUSED
    assert str(caught.value).startswith(f"nat-c is {old}, running, owned by ")
    world.ec2.terminate_instances(InstanceIds=[old])
    assert clouds[twin[0]].roster("nat-c").instances[1].instance == twin[0]


def test_a_terminated_instance_gives_way_to_its_successor(world: World):
    heir = launch(world.ec2, "nat-c", world.subnets["nat-c"])["InstanceId"]
    world.ec2.terminate_instances(InstanceIds=[world.instances["nat-c"]])
    found = Cloud(world.ec2, matching(world, "nat-c")).roster("nat-a").instance("nat-c")
    assert found is not None
    assert (found.instance, found.state) == (heir, InstanceState.RUNNING)


def test_a_terminated_instance_without_a_successor_is_evidence_that_the_node_is_gone(
    world: World,
):
    world.ec2.terminate_instances(InstanceIds=[world.instances["nat-c"]])
    found = Cloud(world.ec2, matching(world, "nat-c")).roster("nat-a").instance("nat-c")
    assert found is not None
    assert found.state.is_gone


def test_a_stopped_instance_is_said_to_be_stopped(world: World, cloud: Cloud):
    world.ec2.stop_instances(InstanceIds=[world.instances["nat-c"]])
    stopped = cloud.roster("nat-a").instance("nat-c")
    assert stopped is not None
    assert stopped.state is InstanceState.STOPPED


def test_the_interface_that_the_file_names_wins_over_the_primary_one(world: World):
    inside = world.ec2.create_network_interface(SubnetId=world.subnets["nat-c"])
    eni = inside["NetworkInterface"]["NetworkInterfaceId"]
    world.ec2.attach_network_interface(
        NetworkInterfaceId=eni, InstanceId=world.instances["nat-c"], DeviceIndex=1
    )
    plain = Cloud(world.ec2, world.group).roster("nat-a").instance("nat-c")
    named = Cloud(world.ec2, with_node(world.group, "nat-c", eni=eni))
    chosen = named.roster("nat-a").instance("nat-c")
    assert plain is not None
    assert chosen is not None
    assert plain.eni == world.enis["nat-c"]
    assert chosen.eni == eni
    assert set(plain.enis) == set(chosen.enis) == {eni, world.enis["nat-c"]}
    assert chosen.address == inside["NetworkInterface"]["PrivateIpAddress"]


# --- while a zone is disrupted --------------------------------------------------------------------


def disrupted(world: World, *nodes: str, status: int = 500, code: str = "InternalError") -> Any:
    """EC2 while the zones of these nodes are disrupted."""
    return DisruptedZone(world.ec2, {world.instances[name] for name in nodes}, status, code)


def test_instances_are_asked_for_by_id_and_without_a_page_size_which_ec2_refuses(world: World):
    ec2 = disrupted(world)
    Cloud(ec2, world.group).roster("nat-a")
    assert ec2.asked == [{"InstanceIds": list(world.instances.values())}]


def test_what_a_match_finds_is_read_in_pages_of_bounded_size(world: World):
    ec2 = disrupted(world)
    Cloud(ec2, matching(world, "nat-c")).roster("nat-a")
    assert [request.get("MaxResults") for request in ec2.asked] == [None, 1000]


def test_route_tables_are_read_in_pages_of_bounded_size_but_by_id(
    script: Server, script_client: Any
):
    script.will(tables(token="more"), tables(), tables())
    reader = Reader(script_client)
    reader.tables("the tables of vpc-1", Filters=named([("vpc-id", ["vpc-1"])]))
    reader.tables("the tables of tokyo", RouteTableIds=["rtb-1"])
    asked = [(one.form.get("MaxResults"), one.form.get("NextToken")) for one in script.asked]
    assert asked == [("100", None), ("100", "more"), (None, None)]


@pytest.mark.parametrize(
    ("status", "code"),
    [(500, "InternalError"), (503, "Unavailable"), (400, "Unsupported")],
)
def test_while_a_zone_is_disrupted_its_node_alone_is_unseen_and_keeps_the_eni_of_the_file(
    world: World, status: int, code: str
):
    group = with_node(world.group, "nat-c", eni="eni-0123456789abcdef0")
    ec2 = disrupted(world, "nat-c", status=status, code=code)
    roster = Cloud(ec2, group, sleep=lambda _: None).roster("nat-a")
    seen, unseen = roster.instances
    assert (seen.eni, seen.state, seen.unread) == (
        world.enis["nat-a"],
        InstanceState.RUNNING,
        "",
    )
    assert roster.own_table == world.public["nat-a"]
    assert (unseen.instance, unseen.eni) == (world.instances["nat-c"], "eni-0123456789abcdef0")
    assert unseen.state is InstanceState.UNSEEN
    assert code in unseen.unread


def test_in_its_own_disrupted_zone_a_node_sees_its_peers_and_says_nothing_of_pins(world: World):
    cloud = Cloud(disrupted(world, "nat-a"), world.group, sleep=lambda _: None)
    roster = cloud.roster("nat-a")
    assert roster.own_table == ""
    assert [one.state for one in roster.instances] == [InstanceState.UNSEEN, InstanceState.RUNNING]
    view = cloud.view(roster)
    assert view.pins == ()
    assert [one.node for one in view.holdings] == ["", "nat-c"]  # moto shows no instance id


def test_in_its_own_disrupted_zone_a_node_is_what_its_own_metadata_show(world: World):
    (me,) = Reader(world.ec2).instances("tokyo", ids=[world.instances["nat-a"]])
    ec2 = disrupted(world, "nat-a")
    cloud = Cloud(ec2, world.group, sleep=lambda _: None, here=me.instance_id, own=lambda: me)
    seen, usual = cloud.roster("nat-a"), Cloud(world.ec2, world.group).roster("nat-a")
    assert (seen.instances, seen.own_table) == (usual.instances, usual.own_table)

    def silent() -> EC2Instance:
        raise IdentityError("the metadata service does not answer")

    cloud = Cloud(ec2, world.group, sleep=lambda _: None, here=me.instance_id, own=silent)
    assert cloud.roster("nat-a").own_table == ""


def test_the_node_of_this_machine_is_found_by_its_tags_while_another_zone_is_disrupted(
    world: World,
):
    match = (("tag:Name", "nat-a"), ("vpc-id", world.vpc))
    group = with_node(matching(world, "nat-c"), "nat-a", instance="", match=match)
    here = world.instances["nat-a"]
    cloud = Cloud(disrupted(world, "nat-c"), group, sleep=lambda _: None, here=here)
    assert find_me(group, cloud, here) == "nat-a"
    seen, unseen = cloud.roster("nat-a").instances
    assert (seen.instance, seen.state) == (here, InstanceState.RUNNING)
    assert (unseen.state, unseen.unread != "") == (InstanceState.UNSEEN, True)


def test_where_no_node_has_an_answer_the_read_has_failed(world: World):
    with pytest.raises(CloudError) as caught:
        Cloud(disrupted(world, *HEARTBEATS), world.group, sleep=lambda _: None).roster("nat-a")
    assert caught.value.failure is Failure.UNAVAILABLE


@pytest.mark.parametrize("code", ["RequestLimitExceeded", "UnauthorizedOperation"])
def test_what_would_fail_for_each_node_alike_is_not_repeated_for_each(world: World, code: str):
    ec2 = disrupted(world, "nat-c", status=400, code=code)
    with pytest.raises(CloudError):
        Cloud(ec2, world.group, sleep=lambda _: None).roster("nat-a")
    assert {len(request["InstanceIds"]) for request in ec2.asked} == {2}


def test_no_further_node_is_asked_for_after_ten_seconds(world: World):
    ticks = iter([0.0, 10.0, 10.1, 99.0])
    reader = Reader(disrupted(world, "nat-a"), sleep=lambda _: None, clock=lambda: next(ticks))
    with pytest.raises(CloudError):
        machines_of(world.group, reader)


# --- which node this machine is -------------------------------------------------------------------


def test_an_id_in_the_file_is_found_without_asking_ec2(
    world: World, cloud: Cloud, calls: list[str]
):
    assert find_me(world.group, cloud, world.instances["nat-c"]) == "nat-c"
    assert calls == []


def test_a_node_that_is_matched_by_tags_is_found_through_ec2(world: World):
    group = matching(world, "nat-c")
    assert find_me(group, Cloud(world.ec2, group), world.instances["nat-c"]) == "nat-c"


def test_a_stranger_is_told_whom_the_group_consists_of(world: World, cloud: Cloud):
    with pytest.raises(IdentityError) as caught:
        find_me(world.group, cloud, "i-stranger")
    assert str(caught.value) == (
        f"this machine, i-stranger, is none of the nodes of tokyo"
        f" (nat-a {world.instances['nat-a']}, nat-c {world.instances['nat-c']}):"
        " give one of them this id in the file, or pass --node NAME"
    )


def test_a_stranger_is_told_which_match_found_nothing(world: World):
    group = with_node(world.group, "nat-c", instance="", match=(("tag:Name", "nobody"),))
    where = r"eu-west-1 \(from .*\)"
    with pytest.raises(IdentityError, match=rf"nat-c not found in {where}\)"):
        find_me(group, Cloud(world.ec2, group), "i-stranger")
