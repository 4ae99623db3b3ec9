"""Which instance and interface stand for a node: pure, for what moto never lists."""

from __future__ import annotations

import pytest

from nathb.aws.instances import choose, describe
from nathb.aws.responses import Attachment, EC2Instance, Interface, State
from nathb.core.ec2_state import Instance, InstanceState
from nathb.core.model import Node

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
