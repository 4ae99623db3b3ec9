"""Matches to plain routes: what is found, whose it is, and for how long."""

from __future__ import annotations

from msgspec.structs import replace

from nathb.core.found_routes import ShownRoute, ShownTable, plain, resolve, with_found
from nathb.core.model import Group, Learn, Node, Route, RouteMatch
from tests.core.build import PAIR

ANYWHERE = "0.0.0.0/0"
VPC = ("vpc-id", "vpc-1")
TAGGED = RouteMatch((("tag:nathb", "nat-a"),), ANYWHERE)
EVERYTHING = RouteMatch((VPC,), "any", ("10.0.0.0/8", "rtb-left-out"))


def group(*, a: tuple[RouteMatch, ...] = (), c: tuple[RouteMatch, ...] = ()) -> Group:
    nodes = (
        Node("nat-a", ("8.8.8.8",), (Route("rtb-listed", ANYWHERE),), "i-a", found=a),
        Node("nat-c", ("tcp://8.8.4.4:53", "2001:db8::1"), (), "i-c", found=c),
    )
    return Group("pair", nodes, ("1.1.1.1",))


def learning() -> Group:
    learn = Learn(into=("rtb-listed", "rtb-a"), allow=("10.8.0.0/13",), file="/run/prefixes")
    return replace(group(), learn=learn)


def table(name: str, *routes: ShownRoute, tag: str = "") -> ShownTable:
    tags = [("tag:nathb", tag)] if tag else []
    return ShownTable(name, frozenset([VPC, *tags]), routes)


def default(node: str = "nat-c", *, leads_nowhere: bool = False) -> ShownRoute:
    return ShownRoute(ANYWHERE, node, leads_nowhere)


A, C = Route("rtb-a", ANYWHERE), Route("rtb-c", ANYWHERE)


def test_a_tag_finds_the_named_destination_in_the_tables_that_have_it_and_no_other_route() -> None:
    tables = [
        table("rtb-a", default(), ShownRoute("10.8.0.0/16", "nat-a"), tag="nat-a"),
        table("rtb-c", default(), tag="nat-c"),
        table("rtb-d", default()),
    ]
    assert resolve(group(a=(TAGGED,)), tables) == {A: ("nat-a",)}


def test_all_that_a_match_names_must_hold() -> None:
    both = RouteMatch((("tag:nathb", "nat-a"), ("vpc-id", "vpc-2")), ANYWHERE)
    assert resolve(group(a=(both,)), [table("rtb-a", default(), tag="nat-a")]) == {}


def test_any_finds_what_points_at_a_node_but_no_pins_no_exceptions_and_nothing_of_others() -> None:
    shown = [
        default(),
        ShownRoute("10.8.0.0/16", "nat-a"),
        ShownRoute("10.0.0.0/8", "nat-a"),  # an exception
        ShownRoute("8.8.8.8/32", "nat-a"),  # pins
        ShownRoute("8.8.4.4/32", "nat-c"),
        ShownRoute("2001:db8::1/128", "nat-c"),
        ShownRoute("192.168.0.0/16", ""),  # a gateway, or an interface of others
        ShownRoute("192.168.1.0/24", "", leads_nowhere=True),
    ]
    tables = [table("rtb-a", *shown), table("rtb-left-out", default())]
    office = Route("rtb-a", "10.8.0.0/16")
    assert resolve(group(c=(EVERYTHING,)), tables) == {A: ("nat-c",), office: ("nat-c",)}


def test_a_named_destination_at_a_gateway_or_at_an_interface_of_others_is_not_found() -> None:
    assert resolve(group(a=(TAGGED,)), [table("rtb-a", default(""), tag="nat-a")]) == {}


def test_a_route_found_before_stays_found_when_its_interface_is_forgotten() -> None:
    lost = table("rtb-a", default("", leads_nowhere=True))
    assert resolve(group(a=(EVERYTHING,)), [lost], {A}) == {A: ("nat-a",)}
    assert resolve(group(a=(EVERYTHING,)), [lost]) == {}


def test_a_blackhole_at_a_forgotten_interface_is_found_where_the_destination_is_named() -> None:
    lost = table("rtb-a", default("", leads_nowhere=True), tag="nat-a")
    assert resolve(group(a=(TAGGED,)), [lost]) == {A: ("nat-a",)}


def test_a_route_found_before_is_dropped_with_its_table_its_tag_or_itself() -> None:
    wanted = group(a=(TAGGED,))
    for gone in ([], [table("rtb-a", default())], [table("rtb-a", tag="nat-a")]):
        assert resolve(wanted, gone, {A}) == {}


def test_a_listed_route_goes_before_a_found_one_and_a_first_node_before_a_later() -> None:
    tables = [table("rtb-listed", default()), table("rtb-c", default(), tag="nat-a")]
    both = group(a=(TAGGED,), c=(EVERYTHING,))
    assert resolve(both, tables) == {C: ("nat-a", "nat-c")}
    found = with_found(both, resolve(both, tables))
    assert [node.routes for node in found.nodes] == [(Route("rtb-listed", ANYWHERE), C), ()]
    assert found.home(C) == "nat-a"


def test_the_order_in_which_ec2_lists_tables_changes_nothing() -> None:
    tables = [table("rtb-c", default()), table("rtb-a", default())]
    wanted = group(a=(EVERYTHING,))
    found = with_found(wanted, resolve(wanted, tables))
    assert found == with_found(wanted, resolve(wanted, reversed(tables)))
    assert found.nodes[0].routes == (Route("rtb-listed", ANYWHERE), A, C)


def test_what_comes_out_has_plain_routes_only_and_a_group_without_matches_stays_itself() -> None:
    assert not plain(group(a=(TAGGED,))).finds_routes
    assert plain(PAIR) is PAIR
    assert with_found(PAIR, {}) is PAIR


def test_learned_routes_are_found_and_have_the_home_of_what_leads_their_table() -> None:
    dead = ShownRoute("10.9.0.0/16", "", leads_nowhere=True)
    others = (ShownRoute("10.10.0.0/16", ""), ShownRoute("172.16.0.0/16", "nat-c"), default())
    known = ShownRoute("10.8.0.0/16", "nat-c")
    tables = [
        table("rtb-listed", known, dead, *others),
        table("rtb-a", known),
        table("rtb-b", known),
    ]
    found = {
        Route("rtb-a", "10.8.0.0/16"): ("nat-a",),
        Route("rtb-listed", "10.8.0.0/16"): ("nat-a",),
        Route("rtb-listed", "10.9.0.0/16"): ("nat-a",),
    }
    assert resolve(learning(), tables) == found
    guarded = with_found(learning(), found)
    assert set(found) < set(guarded.routes())
    assert guarded.learn == learning().learn
