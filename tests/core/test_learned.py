"""Learned routes, pure: what is created, what is withdrawn, and above all what is left alone."""

from __future__ import annotations

import time
from ipaddress import ip_network

from msgspec.structs import replace

from nathb.core.learned import (
    Act,
    Change,
    LearnPlan,
    Prefixes,
    Refusal,
    ShownEntry,
    ShownTables,
    counted_anew,
    homes_of,
    is_learned,
    plan,
    tables_held,
    with_reading,
    without_reading,
)
from nathb.core.model import Group, Learn, Route
from nathb.core.prefixes import MOST_PREFIXES
from tests.core.build import PAIR, ROUTE_A, ROUTE_C, view

VPC = ROUTE_A.table
OTHER = "rtb-0000000e"
GATEWAY = "tgw-rtb-0000000a"
LEARN = Learn(
    into=(VPC, GATEWAY),
    allow=("10.8.0.0/13", "2001:db8::/32"),
    command=("show",),
    attachment="tgw-attach-0000000a",
    at_most=3,
    interval=10.0,
    withdraw_after=300.0,
)
GROUP = replace(PAIR, learn=LEARN)
X, Y, Z = "10.8.0.0/16", "10.9.0.0/16", "10.10.0.0/16"


def read(*prefixes: str, before: Prefixes | None = None, now: float = 0.0) -> Prefixes:
    return with_reading(before or Prefixes(), frozenset(prefixes), now, LEARN)


def read_for(seconds: float, *prefixes: str, before: Prefixes) -> Prefixes:
    """The same reading every ten seconds, for so long."""
    start = before.read_at or 0.0
    for step in range(1, int(seconds / 10) + 1):
        before = read(*prefixes, before=before, now=start + 10 * step)
    return before


def shown(*destinations: str, table: str = VPC, ours: bool = True) -> tuple[ShownEntry, ...]:
    return tuple(ShownEntry(table, one, ours) for one in destinations)


def due(
    prefixes: Prefixes,
    *entries: ShownEntry,
    held: frozenset[str] = frozenset({VPC}),
    group: Group = GROUP,
) -> LearnPlan:
    return plan(group, prefixes, ShownTables(0.0, entries), held)


def creates(*destinations: str, table: str = VPC) -> tuple[Change, ...]:
    return tuple(Change(table, one, Act.CREATE) for one in destinations)


def withdraws(*destinations: str, table: str = VPC) -> tuple[Change, ...]:
    return tuple(Change(table, one, Act.WITHDRAW) for one in destinations)


# --- created ----------------------------------------------------------------------------------


def test_a_known_prefix_is_created_in_each_table_that_this_node_holds_and_in_no_other() -> None:
    assert due(read(X)).changes == creates(X)
    both = due(read(X), held=frozenset({VPC, GATEWAY}))
    assert both.changes == creates(X) + creates(X, table=GATEWAY)
    assert due(read(X), held=frozenset()).changes == ()


def test_what_is_there_is_not_created_again() -> None:
    assert due(read(X, Y), *shown(X)).changes == creates(Y)
    assert due(read(X, Y), *shown(X)).made == 1


def test_ipv6_is_learned_like_ipv4() -> None:
    assert due(read("2001:db8:7::/48")).changes == creates("2001:db8:7::/48")


def test_a_prefix_outside_of_allow_gets_no_route_and_is_named() -> None:
    outside = ("0.0.0.0/0", "10.0.0.0/8", "172.16.0.0/16", "2001:db9::/32")
    found = due(read(X, *outside))
    assert found.changes == creates(X)
    assert found.refused == {Refusal.OUTSIDE: outside}


def test_no_more_than_at_most_are_made_and_those_that_exist_stay() -> None:
    many = [f"10.8.{number}.0/24" for number in range(5)]
    found = due(read(*many))
    assert found.changes == creates(*many[:3])
    assert found.refused == {Refusal.OVER: tuple(many[3:])}
    found = due(read(*many), *shown(many[4], many[3]))
    assert found.changes == creates(many[0])
    assert found.refused == {Refusal.OVER: tuple(many[1:3])}


def test_a_destination_that_someone_else_has_routed_is_left_alone_and_named() -> None:
    found = due(read(X, Y), *shown(X, ours=False))
    assert found.changes == creates(Y)
    assert found.refused == {Refusal.TAKEN: (X,)}


def test_a_listed_route_and_a_pin_are_not_learned_even_where_allow_covers_them() -> None:
    listed = Route(VPC, X)
    nodes = (
        replace(PAIR.nodes[0], routes=(ROUTE_A, listed), heartbeat=("10.9.0.1",)),
        PAIR.nodes[1],
    )
    group = replace(GROUP, nodes=nodes)
    assert due(read(X, "10.9.0.1/32", Z), group=group).changes == creates(Z)
    gone = read_for(400.0, Z, before=read(Z))
    entries = shown(X, "10.9.0.1/32")
    assert due(gone, *entries, group=group).changes == creates(Z)


# --- withdrawn --------------------------------------------------------------------------------


def test_a_prefix_that_has_been_gone_for_withdraw_after_is_withdrawn_and_not_before() -> None:
    seen = read(X, Y)
    assert due(read_for(290.0, X, before=seen), *shown(X, Y)).changes == ()
    assert due(read_for(300.0, X, before=seen), *shown(X, Y)).changes == withdraws(Y)


def test_one_reading_that_has_it_again_starts_the_time_anew() -> None:
    almost = read_for(290.0, X, before=read(X, Y))
    back = read(X, Y, before=almost, now=300.0)
    assert due(read_for(290.0, X, before=back), *shown(X, Y)).changes == ()


def test_after_a_restart_what_was_never_read_is_withdrawn_only_after_the_whole_time() -> None:
    start = read(X)
    assert due(start, *shown(X, Y)).changes == ()
    assert due(read_for(300.0, X, before=start), *shown(X, Y)).changes == withdraws(Y)


def test_a_failed_reading_changes_nothing_and_its_time_does_not_count() -> None:
    almost = read_for(290.0, X, before=read(X, Y))
    blind = without_reading(almost)
    assert due(blind, *shown(X, Y)) == LearnPlan(made=2)
    assert due(blind).changes == ()
    later = read(X, before=blind, now=100_000.0)
    assert due(later, *shown(X, Y)).changes == ()
    assert due(read_for(10.0, X, before=later), *shown(X, Y)).changes == withdraws(Y)


def test_a_gap_between_two_readings_counts_for_no_more_than_two_intervals() -> None:
    after_a_stall = read(X, before=read(X, Y), now=100_000.0)
    assert due(after_a_stall, *shown(X, Y)).changes == ()


def test_a_node_that_begins_to_write_withdraws_nothing_before_its_own_time_is_up() -> None:
    standby = read_for(4000.0, X, before=read(X))
    taken_over = counted_anew(standby)
    assert due(taken_over, *shown(X, Y)).changes == ()
    assert due(read_for(300.0, X, before=taken_over), *shown(X, Y)).changes == withdraws(Y)


def test_nothing_outside_of_allow_is_withdrawn_nor_what_nathb_did_not_make() -> None:
    long = read_for(4000.0, X, before=read(X))
    outside = shown("172.16.0.0/16", "0.0.0.0/0", "pl-0000000a")
    assert due(long, *shown(X), *outside, *shown(Y, ours=False)).changes == ()


def test_what_is_remembered_of_prefixes_does_not_grow() -> None:
    prefixes = Prefixes()
    for number in range(1000):
        one = f"10.8.{number % 256}.{number // 256}/32"
        prefixes = read(one, before=prefixes, now=10.0 * number)
    assert len(prefixes.last_seen) <= 31


def test_a_large_reading_costs_little_for_the_loop_waits_for_it() -> None:
    """Compared with the least that it takes, to parse each prefix once, on the same machine."""
    many = [f"172.{n >> 8}.{n & 255}.0/24" for n in range(MOST_PREFIXES)]
    prefixes, entries = read(*many), shown(*[f"10.8.{n}.0/24" for n in range(256)])
    began = time.process_time()
    due(prefixes, *entries)
    taken = time.process_time() - began
    began = time.process_time()
    for one in many:
        ip_network(one)
    assert taken < 20 * (time.process_time() - began)


# --- who writes -------------------------------------------------------------------------------


def test_a_table_is_written_by_the_holder_of_its_own_route_and_the_gateway_s_by_the_first() -> None:
    learn = replace(LEARN, into=(ROUTE_C.table, VPC, OTHER, GATEWAY))
    group = replace(PAIR, learn=learn)

    def held(me: str, a: str, c: str) -> set[str]:
        return set(tables_held(group, group.routes(), view(a, c), me))

    assert held("nat-a", "nat-a", "nat-c") == {VPC, OTHER, GATEWAY}
    assert held("nat-c", "nat-a", "nat-c") == {ROUTE_C.table}
    assert held("nat-c", "nat-c", "nat-c") == {ROUTE_C.table, VPC, OTHER, GATEWAY}
    assert held("nat-a", "eni-of-someone-else", "nat-c") == set()
    assert held("nat-a", "", "nat-c") == set()


def test_nobody_writes_while_the_leading_route_is_a_blackhole() -> None:
    group = replace(PAIR, learn=LEARN)
    seen = view(blackholes=(ROUTE_A,))
    assert tables_held(group, group.routes(), seen, "nat-a") == frozenset()


def test_a_learned_route_belongs_to_the_home_of_the_route_that_leads_its_table() -> None:
    learn = replace(LEARN, into=(ROUTE_C.table, OTHER))
    group = replace(PAIR, learn=learn)
    there = [Route(ROUTE_C.table, X), Route(OTHER, X), Route(VPC, X), Route(OTHER, "172.16.0.0/16")]
    there = [one for one in there if is_learned(group, one)]
    homes = {route: group.home(route) for route in group.routes()}
    assert dict(homes_of(group, homes, there)) == {
        Route(ROUTE_C.table, X): "nat-c",
        Route(OTHER, X): "nat-a",
    }
