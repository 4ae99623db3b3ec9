"""Which instance and interface stand for a node, and which node this machine is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from nathb.aws.ec2 import Cloud, find_me
from nathb.aws.instances import choose, describe
from nathb.aws.responses import Attachment, EC2Instance, Interface, State
from nathb.core.ec2_state import Instance, InstanceState
from nathb.core.errors import CloudError, IdentityError
from nathb.core.model import Failure, Group, Node
from tests.aws.world import World, launch

# --- pure, for what moto never lists --------------------------------------------------------------

NODE = Node("nat-c", ("8.8.4.4",), match=(("tag:Name", "nat-c"),))
NAMED = Node("nat-c", ("8.8.4.4",), instance="i-c", eni="eni-file")

SECOND = Interface("eni-2", "10.0.2.4", Attachment(1))
PRIMARY = Interface("eni-1", "10.0.1.4", Attachment(0))
OTHER_CARD = Interface("eni-3", "10.0.3.4", Attachment(0, network_card_index=1))


def machine(an_id: str, state: str = "running", *interfaces: Interface) -> EC2Instance:
    return EC2Instance(an_id, State(state), network_interfaces=interfaces)


def test_the_primary_interface_is_chosen_wherever_it_is_listed():
    one = describe(NODE, machine("i-c", "running", SECOND, OTHER_CARD, PRIMARY))
    assert (one.eni, one.address) == ("eni-1", "10.0.1.4")
    assert one.enis == ("eni-1", "eni-2", "eni-3")


def test_an_interface_of_the_file_that_is_not_attached_has_no_address_and_is_still_the_target():
    one = describe(NAMED, machine("i-c", "running", PRIMARY))
    assert (one.eni, one.address, one.enis) == ("eni-file", "", ("eni-file", "eni-1"))


def test_a_machine_without_interfaces_has_none_to_point_at():
    one = describe(NODE, machine("i-c", "terminated"))
    assert (one.eni, one.enis, one.state) == ("", (), InstanceState.TERMINATED)


def test_an_unseen_node_keeps_what_the_file_says():
    assert describe(NAMED, None) == Instance(
        "nat-c", "i-c", "eni-file", ("eni-file",), state=InstanceState.UNSEEN
    )


@pytest.mark.parametrize("state", [one for one in InstanceState if one is not InstanceState.UNSEEN])
def test_every_state_of_ec2s_has_its_name(state: InstanceState):
    assert describe(NODE, machine("i-c", state.value)).state is state


def test_a_state_that_ec2_invents_is_no_evidence():
    assert describe(NODE, machine("i-c", "hibernating")).state is InstanceState.UNSEEN


def test_of_machines_that_are_all_leaving_the_one_still_shutting_down_speaks():
    old, new = machine("i-1", "terminated"), machine("i-2", "shutting-down")
    assert choose(NODE, [old, new]) is choose(NODE, [new, old]) is new


def test_a_stopped_machine_still_stands_for_its_node():
    old, stopped = machine("i-1", "shutting-down"), machine("i-2", "stopped")
    assert choose(NODE, [old, stopped]) is stopped


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


def test_two_instances_in_use_under_one_match_are_refused_by_name(world: World):
    twin = launch(world.ec2, "nat-c", world.subnets["nat-c"])["InstanceId"]
    with pytest.raises(CloudError) as caught:
        Cloud(world.ec2, matching(world, "nat-c")).roster("nat-a")
    assert caught.value.failure is Failure.REFUSED
    both = ", ".join(sorted([twin, world.instances["nat-c"]]))
    assert str(caught.value) == (
        f"nat-c: its `match` finds 2 instances: {both}; narrow it, or name the one with `instance:`"
    )


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
