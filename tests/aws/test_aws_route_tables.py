"""From route tables to holdings, pins and intent: pure, with entries as EC2 spells them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from nathb.aws.ec2 import reduce_view, tables_of
from nathb.aws.responses import RouteEntry, Table, Tag
from nathb.core.ec2_state import (
    Holding,
    Instance,
    Intent,
    Pin,
    PinState,
    Roster,
    RouteState,
    View,
)
from nathb.core.model import Group, Node, Route

DEFAULT, DEFAULT6, OFFICE = (
    Route("rtb-a", "0.0.0.0/0"),
    Route("rtb-a", "0:0::/0"),
    Route("rtb-c", "10.8.0.0/16"),
)
GROUP = Group(
    name="tokyo",
    nodes=(
        Node("nat-a", ("8.8.8.8",), (DEFAULT, DEFAULT6), instance="i-a"),
        Node("nat-c", ("8.8.4.4", "2001:4860:4860::8844"), (OFFICE,), instance="i-c"),
    ),
    uplink=("1.1.1.1",),
)
ROSTER = Roster(
    at=0.0,
    me="nat-a",
    instances=(
        Instance("nat-a", "i-a", "eni-a", ("eni-a",)),
        Instance("nat-c", "i-c", "eni-c", ("eni-c", "eni-c2")),
    ),
    own_table="rtb-own",
)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def view(*tables: Table) -> View:
    return reduce_view(7.0, GROUP, ROSTER, tables, NOON)


def v4(destination: str, state: str = "active", **rest: str) -> RouteEntry:
    return RouteEntry(destination_cidr_block=destination, state=state, **rest)


def held(*entries: RouteEntry) -> Holding | None:
    return view(Table("rtb-a", entries)).holding(DEFAULT)


def pins(*entries: RouteEntry) -> tuple[Pin, ...]:
    return view(Table("rtb-own", entries)).pins


def pin(*entries: RouteEntry) -> Pin:
    return pins(*entries)[0]


def test_a_view_reads_every_guarded_table_once_and_this_nodes_own():
    assert tables_of(GROUP, ROSTER) == ("rtb-a", "rtb-c", "rtb-own")


def test_a_route_to_a_nodes_interface_is_held_by_that_node():
    entry = v4("0.0.0.0/0", network_interface_id="eni-c", instance_id="i-c")
    assert held(entry) == Holding(DEFAULT, "nat-c", "eni-c", RouteState.ACTIVE)


def test_a_route_that_shows_only_an_instance_is_held_by_its_node():
    assert held(v4("0.0.0.0/0", instance_id="i-c")) == Holding(DEFAULT, "nat-c", "i-c")


def test_a_route_to_any_interface_of_a_node_is_held_by_it():
    assert held(v4("0.0.0.0/0", network_interface_id="eni-c2")) == Holding(
        DEFAULT, "nat-c", "eni-c2"
    )


@pytest.mark.parametrize(
    ("field", "target"),
    [
        ("network_interface_id", "eni-elsewhere"),
        ("instance_id", "i-elsewhere"),
        ("nat_gateway_id", "nat-0123"),
        ("gateway_id", "igw-0123"),
        ("gateway_id", "local"),
        ("transit_gateway_id", "tgw-0123"),
        ("vpc_peering_connection_id", "pcx-0123"),
        ("egress_only_internet_gateway_id", "eigw-0123"),
        ("local_gateway_id", "lgw-0123"),
        ("carrier_gateway_id", "cagw-0123"),
        ("core_network_arn", "arn:aws:networkmanager::1:core-network/core-1"),
    ],
)
def test_any_other_target_is_foreign_and_named(field: str, target: str):
    assert held(v4("0.0.0.0/0", **{field: target})) == Holding(DEFAULT, "", target)


def test_a_kind_of_target_that_we_do_not_know_is_foreign():
    assert held(v4("0.0.0.0/0")) == Holding(DEFAULT, "", "")


def test_a_blackhole_is_told_from_an_active_route():
    entry = v4("0.0.0.0/0", "blackhole", network_interface_id="eni-c")
    assert held(entry) == Holding(DEFAULT, "nat-c", "eni-c", RouteState.BLACKHOLE)


@pytest.mark.parametrize("word", ["active", "filtered", "", "something new"])
def test_no_word_but_blackhole_is_evidence_of_one(word: str):
    holding = held(v4("0.0.0.0/0", word, network_interface_id="eni-c"))
    assert holding is not None
    assert holding.state is RouteState.ACTIVE


@pytest.mark.parametrize("origin", ["EnableVgwRoutePropagation", "Advertisement"])
def test_a_propagated_route_is_foreign_for_it_cannot_be_replaced(origin: str):
    assert held(v4("0.0.0.0/0", origin=origin, network_interface_id="eni-c")) == Holding(
        DEFAULT, "", "eni-c"
    )


def test_a_static_route_counts_before_a_propagated_one_of_the_same_destination():
    propagated = v4("0.0.0.0/0", origin="EnableVgwRoutePropagation", gateway_id="vgw-1")
    static = v4("0.0.0.0/0", origin="CreateRoute", network_interface_id="eni-a")
    assert (
        held(propagated, static) == held(static, propagated) == Holding(DEFAULT, "nat-a", "eni-a")
    )


def test_an_ipv6_route_is_found_however_the_file_spells_it():
    entry = RouteEntry(
        destination_ipv6_cidr_block="::/0", network_interface_id="eni-a", state="active"
    )
    assert view(Table("rtb-a", (entry,))).holding(DEFAULT6) == Holding(DEFAULT6, "nat-a", "eni-a")


def test_a_route_or_table_that_is_not_there_has_no_holding():
    seen = view(Table("rtb-a", (v4("10.8.0.0/16", network_interface_id="eni-c"),)))
    assert seen.holdings == ()


def test_a_view_is_as_old_as_its_request():
    assert view().at == 7.0


def test_a_pin_on_the_interface_that_clients_use_is_good():
    entry = v4("8.8.4.4/32", network_interface_id="eni-c", instance_id="i-c")
    assert pin(entry) == Pin("nat-c", "8.8.4.4", PinState.GOOD, "eni-c", "rtb-own")


def test_a_pin_that_shows_only_the_instance_is_good():
    assert pin(v4("8.8.4.4/32", instance_id="i-c")).state is PinState.GOOD


def test_an_ipv6_heartbeat_is_pinned_by_its_128():
    entry = RouteEntry(
        destination_ipv6_cidr_block="2001:4860:4860:0::8844/128",
        network_interface_id="eni-c",
        state="active",
    )
    assert pins(entry)[1] == Pin("nat-c", "2001:4860:4860::8844", PinState.GOOD, "eni-c", "rtb-own")


def test_a_missing_pin_is_missing_even_where_a_wider_route_covers_it():
    entry = v4("8.8.4.0/24", network_interface_id="eni-c")
    assert pin(entry) == Pin("nat-c", "8.8.4.4", PinState.MISSING, "", "rtb-own")


def test_a_blackhole_on_the_peers_own_interface_is_evidence():
    entry = v4("8.8.4.4/32", "blackhole", network_interface_id="eni-c")
    assert pin(entry).state is PinState.BLACKHOLE


@pytest.mark.parametrize("target", ["eni-a", "eni-c2", "eni-old"])
@pytest.mark.parametrize("state", ["active", "blackhole"])
def test_a_pin_on_any_other_interface_leads_elsewhere_and_says_where(target: str, state: str):
    entry = v4("8.8.4.4/32", state, network_interface_id=target)
    assert pin(entry) == Pin("nat-c", "8.8.4.4", PinState.ELSEWHERE, target, "rtb-own")


def test_a_propagated_route_is_no_pin_of_ours():
    entry = v4("8.8.4.4/32", origin="EnableVgwRoutePropagation", network_interface_id="eni-c")
    assert pin(entry).state is PinState.ELSEWHERE


def test_a_pin_cannot_lead_to_a_peer_that_nobody_has_seen():
    roster = Roster(0.0, "nat-a", (Instance("nat-c", ""),), "rtb-own")
    table = Table("rtb-own", (v4("8.8.4.4/32"),))
    assert reduce_view(0.0, GROUP, roster, [table], NOON).pins[0].state is PinState.ELSEWHERE


def test_only_other_nodes_heartbeats_are_pinned_here():
    assert {one.node for one in pins()} == {"nat-c"}


def intent(**tags: str) -> Intent:
    listed = tuple(Tag(f"nathb:{key}", value) for key, value in tags.items())
    return view(Table("rtb-c", tags=listed)).intent


@pytest.mark.parametrize("value", ["nat-a nat-c", "nat-a,nat-c", " nat-c ,  nat-a nat-z"])
def test_drained_nodes_are_names_between_spaces_or_commas(value: str):
    assert intent(drain=value) == Intent(drained=frozenset({"nat-a", "nat-c"}))


@pytest.mark.parametrize(
    ("value", "asked"),
    [("on", True), ("maintenance till noon", True), ("off", False), (" OFF ", False), ("", False)],
)
def test_pause_and_revert_are_asked_for_by_any_value_but_off(value: str, asked: bool):
    assert intent(pause=value) == Intent(paused=asked)
    assert intent(revert=value) == Intent(revert=asked)


def test_what_one_guarded_table_says_holds_for_the_group():
    seen = view(
        Table("rtb-a", tags=(Tag("nathb:drain", "nat-a"), Tag("nathb:pause", "off"))),
        Table("rtb-c", tags=(Tag("nathb:drain", "nat-c"), Tag("nathb:pause", "on"))),
    )
    assert seen.intent == Intent(drained=frozenset({"nat-a", "nat-c"}), paused=True)


def test_tags_of_a_table_that_is_not_guarded_say_nothing():
    assert view(Table("rtb-own", tags=(Tag("nathb:pause", "on"),))).intent == Intent()


def test_r17_the_digests_of_applied_files_are_read_from_the_guarded_tables() -> None:
    tables = [
        Table("rtb-a", tags=(Tag("nathb:file", "bbbb"),)),
        Table("rtb-c", tags=(Tag("nathb:file", "aaaa"),)),
        Table("rtb-own", tags=(Tag("nathb:file", "cccc"),)),
    ]
    assert view(*tables).digests == ("aaaa", "bbbb")
    assert view(Table("rtb-a")).digests == ()
