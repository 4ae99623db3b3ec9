"""Whatever is said to be an answer of EC2's gives a value or a CloudError, and nothing else."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nathb.aws.deadline import Deadline
from nathb.aws.ec2 import Cloud
from nathb.aws.responses import DescribeInstances, DescribeRouteTables, parse
from nathb.core.ec2_state import Roster, View
from nathb.core.errors import CloudError
from nathb.core.model import Cause, Done, Failure, Group, Move, Node, Route, Rule

ROUTE = Route("rtb-1", "0.0.0.0/0")
GROUP = Group(
    name="tokyo",
    nodes=(
        Node("nat-a", ("8.8.8.8",), (ROUTE,), instance="i-a"),
        Node("nat-c", ("8.8.4.4",), match=(("tag:Name", "nat-c"),), eni="eni-c"),
    ),
    uplink=("1.1.1.1",),
)

MOVE = Move(ROUTE, "nat-a", "nat-c", Rule.R3, Cause("nat-a", "down", 0.0), "")

WORDS = """
    rtb-1 pl-1 i-a eni-c 0.0.0.0/0 ::/0 8.8.8.8/32 0.0.0.0/-1 active blackhole local
    running terminated nathb:drain nathb:pause nat-a off
"""
KEYS = """
    RouteTables Reservations Instances Routes Tags Key Value State Name Origin RouteTableId
    InstanceId DestinationCidrBlock NetworkInterfaceId NetworkInterfaces Attachment DeviceIndex
    SubnetId VpcId PrivateIpAddress NextToken ResponseMetadata RequestId DestinationPrefixListId
"""
words = st.sampled_from(["", *WORDS.split()])
keys = st.sampled_from(KEYS.split())
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    words,
    st.just(datetime(2024, 1, 1, tzinfo=UTC)),
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=25,
)


def some(*required: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Build an answer's part that is nearly right: now and then a field is odd, or missing."""
    nearly = {name: st.one_of(value, value, value, scalars) for name, value in fields.items()}
    optional = {name: nearly.pop(name) for name in list(nearly) if name not in required}
    return st.fixed_dictionaries(nearly, optional=optional)


tag = some(Key=words, Value=words)
entry = some(
    DestinationCidrBlock=words,
    DestinationIpv6CidrBlock=words,
    DestinationPrefixListId=words,
    NetworkInterfaceId=words,
    InstanceId=words,
    GatewayId=words,
    Origin=words,
    State=words,
)
table = some(
    "RouteTableId",
    RouteTableId=words,
    Routes=st.lists(entry, max_size=3),
    Tags=st.lists(tag, max_size=2),
)
tables = some("RouteTables", RouteTables=st.lists(table, max_size=3), NextToken=st.just(""))
interface = some(
    "NetworkInterfaceId",
    NetworkInterfaceId=words,
    PrivateIpAddress=words,
    Attachment=some(DeviceIndex=st.integers(0, 1)),
)
machine = some(
    "InstanceId",
    "State",
    InstanceId=words,
    State=some("Name", Name=words),
    SubnetId=words,
    NetworkInterfaces=st.lists(interface, max_size=2),
)
reservation = some(Instances=st.lists(machine, max_size=2))
instances = some("Reservations", Reservations=st.lists(reservation, max_size=2))


class Parrot:
    """A client that says one thing to each question, whatever it is."""

    def __init__(self, tables: Any, instances: Any = None) -> None:
        self.describe_route_tables = lambda **_: tables
        self.replace_route = lambda **_: tables
        self.generate_presigned_url = lambda *_, **__: ""
        self.describe_instances = lambda **_: instances
        self.meta = SimpleNamespace(region_name="ap-northeast-1")
        self.deadline = Deadline(15.0, 3.0)


@given(said=anything | tables)
def test_any_answer_gives_a_view_or_a_cloud_error(said: Any):
    roster = Roster(0.0, "nat-a", (), own_table="rtb-1")
    with contextlib.suppress(CloudError):
        assert isinstance(Cloud(Parrot(said), GROUP).view(roster), View)


@given(tables=anything | tables, instances=anything | instances)
def test_any_answers_give_a_roster_or_a_cloud_error(tables: Any, instances: Any):
    with contextlib.suppress(CloudError):
        roster = Cloud(Parrot(tables, instances), GROUP).roster("nat-a")
        assert [one.node for one in roster.instances] == ["nat-a", "nat-c"]


@given(said=anything)
def test_any_answer_to_a_move_is_done_or_a_cloud_error(said: Any):
    with contextlib.suppress(CloudError):
        done = Cloud(Parrot(said), GROUP).move(MOVE, "eni-c", float("inf"))
        assert done == Done(done.took, said["ResponseMetadata"]["RequestId"])


def test_an_answer_to_a_move_that_bears_no_request_id_may_yet_mean_that_it_was_applied():
    with pytest.raises(CloudError, match="no request id") as caught:
        Cloud(Parrot({}), GROUP).move(MOVE, "eni-c", float("inf"))
    assert caught.value.failure is Failure.NO_REPLY


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ({}, "RouteTables"),
        (None, "null"),
        ({"RouteTables": [{}]}, "RouteTableId"),
        ({"RouteTables": [{"RouteTableId": 7}]}, r"\$.RouteTables\[0\].RouteTableId"),
        ({"RouteTables": [{"RouteTableId": "rtb-1", "Routes": [None]}]}, r"Routes\[0\]"),
    ],
)
def test_what_is_missing_or_odd_is_named(said: Any, where: str):
    with pytest.raises(CloudError, match=where) as caught:
        parse(said, DescribeRouteTables)
    assert caught.value.failure is Failure.REFUSED


def test_what_ec2_may_add_tomorrow_is_passed_over():
    said = {"Reservations": [{"Instances": [], "Colour": "blue"}], "ResponseMetadata": {"A": 1}}
    assert parse(said, DescribeInstances).reservations[0].instances == ()
