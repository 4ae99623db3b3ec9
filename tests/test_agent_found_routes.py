"""Agents whose file has a match instead of routes: what is guarded, told, taken and given back."""

from __future__ import annotations

from msgspec.structs import replace

from nathb.core.model import Failure, Group, Route, RouteMatch
from nathb.core.replay import parse
from nathb.core.rules import decide
from tests.core.build import PAIR, ROUTE_A, ROUTE_C
from tests.sim.matches import VPC
from tests.sim.pair import A, C, failing, started, writes
from tests.sim.stage import Stage

EVERY = RouteMatch((VPC,), "any", ("10.0.0.0/8",))
FOUND = replace(
    PAIR,
    nodes=(replace(PAIR.nodes[0], routes=(), found=(EVERY,)), replace(PAIR.nodes[1], routes=())),
)
"""Every route of the VPC is nat-a's, and nat-c is a standby."""
ADDED, OTHERS = Route("rtb-0000000e", "0.0.0.0/0"), Route("rtb-0000000f", "0.0.0.0/0")


def world(*nodes: str, file: Group = FOUND) -> Stage:
    """A pair with that file, where nat-c's own table points at nat-a already."""
    stage = started(PAIR, *nodes)
    for name in nodes:
        stage.host(name).reload(file)
    stage.ec2.change(ROUTE_C, A)
    return stage.run(70.0)


def guarded(stage: Stage, node: str) -> set[Route]:
    agent = stage.agent(node)
    return {home.route for home in agent.snapshot(agent.ports.clock.monotonic()).homes}


def test_what_is_found_at_first_is_guarded_taken_and_given_back_as_if_it_were_listed() -> None:
    stage = world(C)
    assert guarded(stage, C) == {ROUTE_A, ROUTE_C}
    assert "route-found" not in stage.host(C).journal.kinds()
    stage.network(down=[A])
    stage.run(5.0)
    assert {(table, to) for _, table, to in writes(stage)} == {
        (ROUTE_A.table, C),
        (ROUTE_C.table, C),
    }
    took = next(one for one in stage.host(C).journal.events if one.kind.value == "took")
    recorded = parse(took.trace)
    assert set(recorded.known.group.routes()) == {ROUTE_A, ROUTE_C}
    assert not recorded.known.group.finds_routes
    assert any(one.move is not None for one in decide(recorded.known))
    stage.network()
    stage.run(300.0)
    assert set(stage.ec2.routes.values()) == {A}


def test_a_table_that_is_added_is_told_and_moved_at_the_next_takeover_and_others_stay() -> None:
    stage = world(C)
    stage.ec2.change(OTHERS, "nat-gateway")
    stage.ec2.change(ADDED, A)
    stage.run(60.0)
    (event,) = [one for one in stage.host(C).journal.events if one.kind.value == "route-found"]
    assert (event.route, event.target) == (ADDED, A)
    stage.network(down=[A])
    stage.run(60.0)
    assert stage.ec2.routes[ADDED] == C
    assert stage.ec2.routes[OTHERS] == "nat-gateway"


def test_a_route_that_is_taken_away_is_told_and_no_more_moved_or_shown() -> None:
    stage = world(C)
    stage.ec2.delete(ROUTE_C)
    stage.run(60.0)
    (event,) = [one for one in stage.host(C).journal.events if one.kind.value == "route-unguarded"]
    assert event.route == ROUTE_C
    assert guarded(stage, C) == {ROUTE_A}
    stage.network(down=[A])
    stage.run(60.0)
    assert [(table, to) for _, table, to in writes(stage)] == [(ROUTE_A.table, C)]
    assert str(ROUTE_C) not in stage.agent(C).mover.memory


def test_reads_that_fail_take_no_route_away() -> None:
    stage = world(C)
    stage.ec2.failing = failing(Failure.UNAVAILABLE, "DescribeRouteTables")
    stage.run(120.0)
    assert guarded(stage, C) == {ROUTE_A, ROUTE_C}
    stage.network(down=[A])
    stage.run(30.0)
    assert set(stage.ec2.routes.values()) == {C}


def test_a_table_that_another_daemon_of_the_machine_guards_is_told_once_and_left_to_it() -> None:
    stage = world(C)
    stage.host(C).cloud.taken = {ROUTE_C.table: "the daemon of group paris"}
    stage.run(90.0)
    (event,) = [one for one in stage.host(C).journal.events if one.kind.value == "route-unguarded"]
    assert "the daemon of group paris guards this table" in event.message
    assert guarded(stage, C) == {ROUTE_A}
    stage.network(down=[A])
    stage.run(10.0)
    assert [(table, to) for _, table, to in writes(stage)] == [(ROUTE_A.table, C)]
    stage.host(C).cloud.taken = {}
    stage.run(60.0)
    assert "route-found" in stage.host(C).journal.kinds()


def test_a_reload_forgets_no_route_that_was_found() -> None:
    stage = world(C)
    stage.host(C).reload(replace(FOUND, preempt_delay=90.0))
    assert guarded(stage, C) == {ROUTE_A, ROUTE_C}
    assert stage.agent(C).prober.peers[A].verdict.value == "up"
    stage.run(60.0)
    assert stage.agent(C).group.preempt_delay == 90.0
    assert "route-unguarded" not in stage.host(C).journal.kinds()


def test_a_file_without_matches_keeps_its_one_group_from_the_first_round_to_the_last() -> None:
    stage = started(PAIR, A, settle=70.0)
    assert stage.agent(A).group is PAIR
