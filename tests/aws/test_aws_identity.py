"""Which node of the group this machine is."""

from __future__ import annotations

import pytest

from nathb.aws.ec2 import Cloud, find_me
from nathb.core.errors import IdentityError
from tests.aws.test_aws_roster import matching, with_node
from tests.aws.world import World


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
