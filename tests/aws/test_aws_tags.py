"""Operators' requests as tags: how they are read, and how the verbs write them to EC2 (moto's)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from nathb.aws.ec2 import Cloud
from nathb.aws.responses import Tag
from nathb.aws.tag_writer import TagWriter
from nathb.aws.tags import PAUSE_TAG, REVERT_TAG, read_intent, spell, until
from nathb.core.ec2_state import Intent
from nathb.core.errors import CloudError
from nathb.core.model import Failure, Route
from tests.aws.scripted import Server, answer, error, reset, tables
from tests.aws.world import ANYWHERE, World

# --- read and written, pure -----------------------------------------------------------------------

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def paused(*values: str, at: datetime = NOON) -> Intent:
    return read_intent([Tag(PAUSE_TAG, value) for value in values], ["nat-a", "nat-c"], at)


def test_a_pause_with_an_end_is_over_from_that_moment_on() -> None:
    value = until(NOON)
    assert value == "until 2026-11-21T12:00:00Z"
    assert paused(value, at=NOON - SECOND) == Intent(paused=True, until=value)
    assert paused(value, at=NOON) == Intent()
    assert paused(value, at=NOON + SECOND) == Intent()


def test_a_revert_with_an_end_counts_until_then_and_so_not_for_the_next_failover() -> None:
    tags = [Tag(REVERT_TAG, until(NOON))]
    assert read_intent(tags, [], NOON - SECOND) == Intent(revert=True)
    assert read_intent(tags, [], NOON) == Intent()


@pytest.mark.parametrize(
    "value",
    ["Until 2026-11-21T21:00:00+09:00", "until  2026-11-21T12:00Z", "UNTIL 20261121T120000Z"],
)
def test_an_end_typed_by_hand_may_be_any_time_of_iso_8601_with_its_zone(value: str) -> None:
    assert paused(value, at=NOON - SECOND).until == "until 2026-11-21T12:00:00Z"
    assert paused(value) == Intent()


@pytest.mark.parametrize(
    "value", ["until noon", "until 2026-11-21T11:00:00", "until 9999-12-31T23:59:59-23:59"]
)
def test_an_end_that_nobody_can_read_is_none_and_is_told(value: str) -> None:
    seen = paused(value)
    assert seen.paused
    assert f"{value!r}, which is no time" in seen.until


def test_of_several_pauses_the_longest_holds() -> None:
    soon, late = until(NOON + SECOND), until(NOON + 60 * SECOND)
    assert paused(soon, late).until == late
    assert paused(late, soon, at=NOON + SECOND).until == late
    assert paused(late, "on") == Intent(paused=True)
    assert paused(late, "off", "").until == late


def test_an_intent_without_an_end_is_spelled_as_a_word() -> None:
    assert paused(until(None)) == Intent(paused=True)


def test_a_moment_is_spelled_in_utc() -> None:
    assert spell(datetime.fromisoformat("2026-11-21T21:00:00.5+09:00")) == "2026-11-21T12:00:00Z"


@given(
    st.one_of(st.text(), st.text().map("until {}".format), st.datetimes().map("until {}Z".format))
)
def test_no_value_is_a_surprise(value: str) -> None:
    intent = paused(value)
    assert intent.paused or not intent.until


# --- written to moto's EC2 ------------------------------------------------------------------------


@pytest.fixture
def tag_writer(world: World) -> TagWriter:
    return TagWriter(world.ec2, world.group, lambda: NOON)


def tags(world: World) -> dict[str, list[tuple[str, str]]]:
    """Return the tags of each node's private table."""
    listed = world.ec2.describe_route_tables(RouteTableIds=list(world.private.values()))
    by_id = {one["RouteTableId"]: one["Tags"] for one in listed["RouteTables"]}
    return {
        name: sorted((tag["Key"], tag["Value"]) for tag in by_id[table])
        for name, table in world.private.items()
    }


def on_all(world: World, *tags: tuple[str, str]) -> dict[str, list[tuple[str, str]]]:
    return {name: list(tags) for name in world.private}


def test_an_intent_is_on_every_guarded_table_after_one_write(
    world: World, tag_writer: TagWriter, calls: list[str]
) -> None:
    tag_writer.drain({"nat-c", "nat-a"})
    assert calls == ["DescribeRouteTables", "CreateTags"]
    assert tags(world) == on_all(world, ("nathb:drain", "nat-a nat-c"))
    assert tag_writer.view().intent == Intent(drained=frozenset({"nat-a", "nat-c"}))


def test_a_drain_of_nobody_leaves_no_tag_and_can_be_repeated(
    world: World, tag_writer: TagWriter
) -> None:
    tag_writer.drain({"nat-a"})
    for _ in range(2):
        tag_writer.drain(())
        assert tags(world) == on_all(world)


def test_a_pause_carries_its_end_and_a_daemon_reads_it_so(
    world: World, tag_writer: TagWriter, cloud: Cloud
) -> None:
    assert tag_writer.pause(7200.0) == "until 2026-11-21T14:00:00Z"
    assert tag_writer.view().intent == Intent(paused=True, until="until 2026-11-21T14:00:00Z")
    late = TagWriter(world.ec2, world.group, lambda: NOON + timedelta(hours=2))
    assert late.view().intent == Intent()
    tag_writer.pause(None)
    assert cloud.view(cloud.roster("nat-a")).intent == Intent(paused=True)
    tag_writer.resume()
    tag_writer.resume()
    assert tags(world) == on_all(world)


def test_a_revert_ends_by_itself_or_when_it_is_taken_back(
    world: World, tag_writer: TagWriter
) -> None:
    tag_writer.revert(600.0)
    assert tag_writer.view().intent == Intent(revert=True)
    late = TagWriter(world.ec2, world.group, lambda: NOON + timedelta(minutes=10))
    assert late.view().intent == Intent()
    tag_writer.reverted()
    assert tags(world) == on_all(world)


def test_tags_of_others_stay(world: World, tag_writer: TagWriter) -> None:
    name = [{"Key": "Name", "Value": "private"}]
    world.ec2.create_tags(Resources=[world.private["nat-a"]], Tags=name)
    tag_writer.pause(None)
    tag_writer.resume()
    assert tags(world) == {"nat-a": [("Name", "private")], "nat-c": []}


def test_a_view_needs_no_node_to_look_from_and_shows_who_holds_what(
    world: World, tag_writer: TagWriter
) -> None:
    world.point(world.private["nat-a"], ANYWHERE, NetworkInterfaceId=world.enis["nat-c"])
    assert [one.node for one in tag_writer.view().holdings] == ["nat-c", "nat-c"]


def test_a_table_that_is_gone_does_not_keep_intent_from_the_others(world: World) -> None:
    first, *others = world.group.nodes
    gone = Route("rtb-00000000000000000", ANYWHERE)
    group = replace(world.group, nodes=(replace(first, routes=(*first.routes, gone)), *others))
    TagWriter(world.ec2, group).drain({"nat-a"})
    assert tags(world) == on_all(world, ("nathb:drain", "nat-a"))


def test_without_any_guarded_table_there_is_nowhere_to_keep_an_intent(world: World) -> None:
    first, *_ = world.group.nodes
    gone = replace(first, routes=(Route("rtb-00000000000000000", ANYWHERE),))
    group = replace(world.group, nodes=(gone,), region="eu-west-1")
    with pytest.raises(CloudError) as caught:
        TagWriter(world.ec2, group).drain({"nat-a"})
    assert caught.value.failure is Failure.MISSING
    assert str(caught.value) == (
        "the guarded tables of tokyo: EC2 shows none of rtb-00000000000000000 in eu-west-1 (from"
        " `region:` in the file); correct the tables, or the region, in the file"
    )


@pytest.mark.parametrize("act", [TagWriter.resume, lambda tag_writer: tag_writer.drain({"nat-a"})])
@pytest.mark.parametrize(
    ("reply", "failure", "says"),
    [
        (error(403, "UnauthorizedOperation"), Failure.DENIED, "Tags on rtb-1, rtb-2 in this"),
        (error(503, "RequestLimitExceeded"), Failure.THROTTLED, "request limit"),
        (reset, Failure.NO_REPLY, "may have been applied"),
    ],
)
def test_a_write_that_fails_says_why_and_is_not_repeated(
    world: World, script: Server, script_client: Any,
    act: Callable[[TagWriter], None], reply: Any, failure: Failure, says: str,
) -> None:  # fmt: skip
    listed = [f"<routeTableId>rtb-{number}</routeTableId>" for number in (1, 2)]
    script.will(tables(*listed), reply, answer("CreateTags"))
    with pytest.raises(CloudError, match=says) as caught:
        act(TagWriter(script_client, world.group))
    assert caught.value.failure is failure
    assert len(script.asked) == 2
