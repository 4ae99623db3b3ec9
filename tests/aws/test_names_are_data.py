"""Names and tags in EC2 are other people's text: data in every draft and output, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from nathb import config
from nathb.aws.api_errors import cloud_error
from nathb.aws.ec2 import reduce_view
from nathb.aws.instances import Found
from nathb.aws.reader import Reader
from nathb.aws.responses import (
    Association,
    Attachment,
    EC2Instance,
    Interface,
    RouteEntry,
    State,
    Table,
    Tag,
)
from nathb.aws.tags import DRAIN_TAG, FILE_TAG, PAUSE_TAG, REVERT_TAG
from nathb.core.change_detector import ChangeDetector
from nathb.core.ec2_state import Roster
from nathb.core.model import Group, Node, Route
from nathb.provision.audit import inspect_nodes, inspect_routes
from nathb.provision.draft import draft, text
from nathb.provision.inventory import Inventory
from nathb.provision.steps import plan
from nathb.ui.status_without_daemon import bystander
from tests.aws.world import ANYWHERE

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NODES = {"nat-a": "a", "nat-c": "c"}
HOSTILE = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
NASTY = "private\n  nat-evil:\r\n    instance: i-0\x85\u2028routes: []\x1b[2J\u202e: {[*&!|>#%@`'\""


def an_id(prefix: str, letter: str) -> str:
    return f"{prefix}-{'0' * 16}{letter}"


def machines(name: str) -> dict[str, EC2Instance]:
    """The pair's two instances, both with this Name."""
    return {
        node: EC2Instance(
            an_id("i", letter),
            State("running"),
            subnet_id=an_id("subnet", letter),
            vpc_id="vpc-1",
            network_interfaces=(
                Interface(an_id("eni", letter), f"10.0.{n}.5", Attachment(device_index=0)),
            ),
            tags=(Tag("Name", name),),
        )
        for n, (node, letter) in enumerate(NODES.items())
    }


def tables(tags: tuple[Tag, ...]) -> dict[str, Table]:
    """The tables of their subnets, and those that they serve, tagged so."""
    found = {}
    for letter in NODES.values():
        own = Association(subnet_id=an_id("subnet", letter))
        entry = RouteEntry(ANYWHERE, network_interface_id=an_id("eni", letter), state="active")
        for table in (
            Table(an_id("rtb", letter), (entry,), tags, "vpc-1"),
            Table(an_id("rtb", f"{letter}f"), (), tags, "vpc-1", (own,)),
        ):
            found[table.route_table_id] = table
    return found


GROUP = Group(
    name="tokyo",
    nodes=tuple(
        Node(
            name,
            (f"192.0.2.{n}",),
            routes=(Route(an_id("rtb", letter), ANYWHERE),),
            instance=an_id("i", letter),
        )
        for n, (name, letter) in enumerate(NODES.items(), 1)
    ),
    uplink=("1.1.1.1",),
)


class Listed:
    """What a Reader reads of these tables."""

    def __init__(self, listed: dict[str, Table]) -> None:
        self._listed = listed

    def tables(self, *_: Any, **__: Any) -> list[Table]:
        return list(self._listed.values())


def drafted(name: str) -> str:
    """The draft for the pair where all in EC2 has this name, and no route leads to it yet."""
    listed = {an: replace(one, routes=()) for an, one in tables((Tag("Name", name),)).items()}
    reader = cast(Reader, Listed(listed))
    return text(draft(reader, list(machines(name).values())), "eu-west-1")


def outputs(value: str) -> Iterator[str]:
    """Every line that verbs and the journal have for people where all tags have this value."""
    tags = tuple(Tag(key, value) for key in ("Name", DRAIN_TAG, PAUSE_TAG, REVERT_TAG, FILE_TAG))
    listed = tables(tags)
    found = {node: Found(machine) for node, machine in machines(value).items()}
    seen = Inventory(GROUP, found, listed, "eu-west-1")
    planned = plan(seen, "0123456789abcdef")
    for finding in (*inspect_nodes(seen, planned), *inspect_routes(seen, planned, NOON)):
        yield from (str(finding), finding.text)
    for step in planned.steps:
        yield from (step.fault, step.sentence)
    yield from bystander(seen, "there is none")
    roster = Roster(0.0, "nat-a", tuple(seen.instance(node) for node in NODES))
    view = reduce_view(0.0, GROUP, roster, listed.values(), NOON)
    yield view.intent.until
    for event in ChangeDetector().files(view.digests, "0123456789abcdef"):
        yield event.message
    yield str(cloud_error(OSError(value), "ReplaceRoute", "rtb-1 0.0.0.0/0"))


@given(HOSTILE)
@example(NASTY)
@example("null")
def test_a_draft_has_the_same_meaning_whatever_things_are_called_in_ec2(name: str) -> None:
    page = drafted(name)
    assert all(line.isprintable() for line in page.split("\n"))
    hostile, plain = yaml.safe_load(page), yaml.safe_load(drafted("plain"))
    assert list(hostile.pop("nodes").values()) == list(plain.pop("nodes").values())
    assert hostile == plain
    chosen = page.replace("\n    routes: []", f"\n    routes: [{an_id('rtb', 'a')}]", 1)
    first, second = config.parse(chosen, "tokyo.yaml").nodes
    assert (first.instance, second.instance) == (an_id("i", "a"), an_id("i", "c"))


@given(HOSTILE)
@example(NASTY)
@example(f"until {NASTY}")
@example("nat-a\nnat-c")
def test_what_tags_say_is_one_printable_line_in_every_output(value: str) -> None:
    for line in outputs(value):
        assert line.isprintable(), line


def test_a_control_character_in_a_name_is_shown_as_its_escape() -> None:
    assert f"    #   - {an_id('rtb', 'a')}    # private\\n  nat-evil:\\r\\n" in drafted(NASTY)
    assert "\\x85\\u2028routes: []\\x1b[2J\\u202e: {[*&" in drafted(NASTY)
