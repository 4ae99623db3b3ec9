"""Whole agents in the simulated world, led by a script: what one does, and what it says."""

from __future__ import annotations

from itertools import pairwise

import pytest
from msgspec.structs import replace

from nathb.core.damping import PER_TAKE
from nathb.core.ec2_state import InstanceState, Intent, PinState
from nathb.core.model import Failure, Node, Route, Timers, Verdict
from nathb.core.replay import replay
from nathb.core.snapshot import FailedRead, Write, WriteState
from tests.core.build import PAIR, ROUTE_A, ROUTE_C
from tests.sim.net import TARGET_NAME
from tests.sim.pair import HEARTBEAT, UPLINK, A, C, failing, pair, started, writes
from tests.sim.stage import Stage

ROUTE_D = Route("rtb-0000000d", "0.0.0.0/0")


def heartbeats(world: Stage) -> int:
    """How many heartbeats of nat-c nat-a has sent until now."""
    return len([one for one in world.net.sent if one[1:] == (A, HEARTBEAT[C])])


def test_while_all_is_well_nothing_is_written_nothing_is_told_and_little_is_asked() -> None:
    world = pair()
    asked = heartbeats(world)
    world.run(3600.0)
    assert writes(world) == []
    assert world.host(A).journal.events == []
    assert heartbeats(world) - asked == 120


def test_a_dead_peers_route_is_taken_and_given_back_and_each_is_told_once() -> None:
    world = pair(A)
    world.network(down=[C])
    world.run(5.0)
    assert writes(world) == [(A, ROUTE_C.table, A)]
    world.run(300.0)
    world.network()
    world.run(300.0)
    assert writes(world) == [(A, ROUTE_C.table, A), (A, ROUTE_C.table, C)]
    assert world.host(A).journal.kinds() == ["peer-down", "took", "peer-up", "returned"]


def test_the_snapshot_keeps_the_last_write_that_ec2_accepted_and_when() -> None:
    world = pair(A)
    agent = world.agent(A)
    world.network(down=[C])
    world.run(5.0)
    now = agent.ports.clock.monotonic()
    (took,) = agent.snapshot(now).accepted
    assert (took.route, took.holder, took.to) == (ROUTE_C, C, A)
    assert took.at is not None
    assert now - 5.0 < took.at < now
    world.network()
    world.run(300.0)
    (returned,) = agent.snapshot(agent.ports.clock.monotonic()).accepted
    assert (returned.holder, returned.to) == (A, C)


def story(uptime: float) -> tuple[list[tuple[str, str]], list[tuple[str, str, str]]]:
    """What a node does and tells that was started so many seconds after its machine's boot."""
    world = started(PAIR, A, uptime=uptime)
    world.network(down=[C])
    world.run(60.0)
    world.network()
    world.run(120.0)
    world.ec2.failing = failing(Failure.THROTTLED, "DescribeRouteTables")
    world.run(400.0)
    world.ec2.failing = {}
    world.ec2.intent = Intent(drained=frozenset({A}))
    world.run(60.0)
    journal = world.host(A).journal
    return list(zip(journal.kinds(), journal.sentences(), strict=True)), writes(world)


@pytest.mark.parametrize("uptime", [0.0, 0.9, 3 * 365 * 86400.0])
def test_what_a_node_does_and_tells_does_not_depend_on_how_long_its_machine_has_been_up(
    uptime: float,
) -> None:
    told, written = story(uptime)
    assert written == [
        (A, ROUTE_C.table, A), (A, ROUTE_C.table, C), (A, ROUTE_A.table, C)
    ]  # fmt: skip
    assert (told, written) == story(3600.0)


def test_the_sentence_of_a_take_says_what_why_and_how_long() -> None:
    world = pair(A)
    world.network(down=[C])
    world.run(5.0)
    took = world.host(A).journal.events[-1]
    assert took.message == (
        "took rtb-0000000c 0.0.0.0/0 from nat-c: heartbeat 8.8.4.4 missed 3 of 3, uplink up "
        f"(detected in {took.detect_ms / 1000:.1f} s, moved in 6 ms)"
    )
    assert 3000 <= took.detect_ms <= 3800
    assert (took.source, took.target, took.rule, took.request_id) == (C, A, "R3", "request-1")


def test_the_round_of_a_take_can_be_replayed_from_the_journal() -> None:
    world = pair(A)
    world.network(down=[C])
    world.run(5.0)
    recorded, again = replay(world.host(A).journal.events[-1].trace)
    assert recorded.rulings[0] in again
    assert recorded.rulings[0].move is not None


def test_a_failed_move_and_every_new_verdict_carry_the_round_too() -> None:
    world = pair(A)
    world.ec2.failing = failing(Failure.DENIED, "ReplaceRoute")
    world.network(down=[C])
    world.run(5.0)
    down, failed = world.host(A).journal.events
    assert (down.kind.value, failed.kind.value) == ("peer-down", "move-failed")
    assert failed.error == "as the faults have it"
    for event, routes in ((down, {ROUTE_A, ROUTE_C}), (failed, {ROUTE_C})):
        recorded, again = replay(event.trace)
        assert {one.route for one in recorded.rulings} == routes
        assert set(recorded.rulings) <= set(again)
        assert recorded.known.peers[C].verdict is Verdict.DOWN


def test_a_move_by_another_hand_is_told_once_and_ones_own_is_not() -> None:
    world = pair()
    world.network(targets_lost=[C])
    world.run(60.0)
    assert writes(world) == [(C, ROUTE_C.table, A)]
    [seen] = world.host(A).journal.events
    assert (seen.kind.value, seen.route, seen.source, seen.target) == (
        "moved-by-another", ROUTE_C, C, A,
    )  # fmt: skip
    assert "moved-by-another" not in world.host(C).journal.kinds()


def three_routes() -> tuple[Stage, list[str]]:
    """nat-c has three routes, its default route not the first; their destinations as written."""
    narrow = [Route(ROUTE_C.table, f"10.{number}.0.0/16") for number in (8, 9)]
    nodes = (PAIR.nodes[0], replace(PAIR.nodes[1], routes=(narrow[0], ROUTE_C, narrow[1])))
    world = started(replace(PAIR, nodes=nodes), A).run(70.0)
    world.network(down=[C])
    return world, [route.destination for route in (ROUTE_C, *narrow)]


def test_default_routes_move_first_and_the_others_then_in_parallel() -> None:
    world, expected = three_routes()
    world.run(5.0)
    written = [(write.route.destination, write.at) for write in world.ec2.wrote]
    assert [destination for destination, _ in written] == expected
    assert written[1][1] == written[2][1] > written[0][1]


def test_a_default_route_whose_move_hangs_holds_up_the_others_for_a_moment_only() -> None:
    world, expected = three_routes()
    world.run(3.0)
    world.ec2.takes = 2.0
    world.run(10.0)
    at = {write.route.destination: write.at for write in world.ec2.wrote}
    assert set(at) == set(expected)
    assert at[expected[1]] - at[expected[0]] <= 1.1


def test_a_machine_that_shuts_down_may_go_once_a_view_shows_its_routes_elsewhere() -> None:
    world = pair(A)
    agent = world.agent(A)
    assert agent.may_leave
    world.shut_down(A)
    agent.step()
    assert not agent.may_leave
    world.run(1.0)
    assert writes(world) == [(A, ROUTE_A.table, C)]
    assert agent.may_leave
    assert (
        world.host(A)
        .journal.sentences()[-1]
        .startswith(f"handed {ROUTE_A} over to nat-c: nat-a is shutting down (moved in")
    )


def test_a_machine_that_shuts_down_tries_again_while_ec2_refuses() -> None:
    world = pair(A)
    world.ec2.failing = failing(Failure.UNAVAILABLE, "ReplaceRoute")
    agent = world.agent(A)
    world.shut_down(agent.me)
    world.run(2.0)
    assert not agent.may_leave
    world.ec2.failing = failing(Failure.UNAVAILABLE)
    world.run(6.0)
    assert writes(world) == [(A, ROUTE_A.table, C)]
    assert agent.may_leave


def test_a_machine_that_shuts_down_while_its_peer_is_dead_goes_at_once_and_writes_nothing() -> None:
    world = pair(C)
    world.network(down=[A])
    world.run(60.0)
    written = writes(world)
    agent = world.agent(C)
    world.shut_down(agent.me)
    world.run(0.1)
    assert agent.may_leave
    assert writes(world.run(60.0)) == written


def test_two_machines_that_shut_down_together_write_at_most_twice_a_route() -> None:
    world = pair()
    world.shut_down(A)
    world.shut_down(C)
    world.run(60.0)
    assert len(writes(world)) <= 4


def test_own_gateway_cut_hands_over_and_takes_nothing() -> None:
    world = pair()
    world.network(cut=[A])
    world.run(60.0)
    assert {to for _, _, to in writes(world)} == {C}
    assert world.ec2.routes == {ROUTE_A: C, ROUTE_C: C}


@pytest.mark.parametrize("phase", [0.0, 7.3, 14.9, 22.2, 29.6])
def test_both_gateways_cut_at_once_is_not_one_write(phase: float) -> None:
    world = pair().run(phase)
    world.network(cut=[A, C])
    world.run(300.0)
    assert writes(world) == []


@pytest.mark.parametrize("phase", [0.0, 0.2, 0.31, 0.44])
def test_r7c_two_healthy_nodes_that_cannot_hear_each_other_come_to_rest_at_home(
    phase: float,
) -> None:
    world = pair().run(phase)
    world.network(severed=[(A, C), (C, A)])
    world.run(10.0)
    assert world.ec2.routes == {ROUTE_A: A, ROUTE_C: C}
    world.run(500.0)
    assert len(writes(world)) <= 4
    assert world.ec2.routes == {ROUTE_A: A, ROUTE_C: C}
    assert "contested" in world.host(A).journal.kinds()


def test_r7c_in_a_cut_of_two_hours_homes_are_taken_back_and_never_swapped_for_long() -> None:
    world = pair()
    world.network(severed=[(A, C), (C, A)])
    away = 0
    for _ in range(2 * 360):
        world.run(10.0)
        away += world.ec2.routes != {ROUTE_A: A, ROUTE_C: C}
    assert len(writes(world)) <= 2 * 4
    assert away <= 2


def test_r7_three_nodes_that_cease_to_hear_one_another_one_by_one_come_to_rest() -> None:
    d = Node("nat-d", heartbeat=("208.67.222.222",), routes=(ROUTE_D,), instance="i-0000000d")
    three = replace(PAIR, nodes=(*PAIR.nodes, d), check=Timers(pulse=0.0))
    world = started(three, A, C, "nat-d").run(70.0)
    pairs = [(asker, node) for asker in world.names for node in world.names]
    for number, lost in enumerate(pairs):
        lose = lambda lost=lost: world.net.heartbeats_lost.update([lost])  # noqa: E731
        world.world.clock.later(4.1 * number, lose)
    world.run(900.0)
    assert len(writes(world)) <= 60
    settled = len(writes(world))
    world.run(240.0)
    assert len(writes(world)) - settled <= 12


def test_r7_another_hand_is_noticed_as_soon_as_a_write_has_settled() -> None:
    world = pair(A)
    world.network(down=[C])
    world.run(5.0)
    wrote_at = world.ec2.wrote[-1].at
    world.run(wrote_at + 9.0 - world.now)
    world.ec2.change(ROUTE_C, C)
    world.run(4.0)
    assert "contested" in world.host(A).journal.kinds()


def test_both_uplink_targets_lost_is_a_release_each_and_quiet() -> None:
    world = pair()
    world.network(targets_lost=[A, C])
    world.run(500.0)
    assert len(writes(world)) <= 2


def test_r8_a_foreign_target_is_told_once_and_left_alone() -> None:
    world = pair(A)
    world.ec2.change(ROUTE_C, "nat-gateway")
    world.run(60.0)
    world.network(down=[C])
    world.run(600.0)
    assert writes(world) == []
    assert world.host(A).journal.kinds().count("foreign") == 1
    world.ec2.change(ROUTE_C, C)
    world.run(60.0)
    assert "route-guarded" in world.host(A).journal.kinds()


def test_r9_a_paused_group_says_what_it_would_do_and_does_it_when_resumed() -> None:
    world = pair(A)
    world.ec2.intent = Intent(paused=True)
    world.run(60.0)
    world.network(down=[C])
    world.run(60.0)
    assert writes(world) == []
    assert world.host(A).journal.kinds().count("would-move") == 1
    world.ec2.intent = Intent()
    world.run(60.0)
    assert writes(world) == [(A, ROUTE_C.table, A)]


def test_a_pause_is_reminded_of_after_an_hour_by_one_line() -> None:
    world = pair(A)
    world.ec2.intent = Intent(paused=True)
    world.run(3600.0 + 60.0)
    assert world.host(A).journal.kinds() == ["paused", "still-paused"]
    assert "still paused, for 60 min now: " in world.host(A).journal.sentences()[-1]


def test_told_to_look_now_a_node_knows_of_a_drain_within_half_a_second() -> None:
    world = pair().run(10.0)
    world.ec2.intent = Intent(drained=frozenset({A}))
    world.run(0.5)
    assert writes(world) == []
    world.look_now()
    world.run(0.5)
    assert writes(world) == [(A, ROUTE_A.table, C)]


def test_a_dry_run_says_what_it_would_do_and_writes_nothing() -> None:
    world = pair(A, dry_run=True)
    world.network(down=[C])
    world.run(600.0)
    assert writes(world) == []
    assert world.host(A).journal.kinds().count("would-move") == 1


def test_r6_a_drain_moves_at_once_and_its_end_brings_the_route_home_at_once() -> None:
    world = pair()
    world.ec2.intent = Intent(drained=frozenset({C}))
    world.run(31.0)
    assert writes(world) == [(C, ROUTE_C.table, A)]
    world.run(100.0)
    world.ec2.intent = Intent()
    world.run(31.0)
    assert writes(world)[1:] == [(A, ROUTE_C.table, C)]


def test_r10_a_describe_that_fails_does_not_block_a_takeover() -> None:
    world = pair(A)
    world.ec2.failing = failing(Failure.UNAVAILABLE, "DescribeRouteTables", "DescribeInstances")
    world.run(100.0)
    world.network(down=[C])
    world.run(5.0)
    assert writes(world) == [(A, ROUTE_C.table, A)]
    world.run(200.0)
    assert len(writes(world)) == 1
    kinds = world.host(A).journal.kinds()
    assert kinds.count("view-lost") == 3  # the tables, the instances; at last, too old to act on


def test_r10_but_a_view_older_than_view_max_age_does() -> None:
    world = pair(A)
    world.ec2.failing = failing(Failure.UNAVAILABLE, "DescribeRouteTables")
    world.run(400.0)
    world.network(down=[C])
    world.run(60.0)
    assert writes(world) == []


def test_ec2_unavailable_for_six_seconds_is_a_take_within_five_of_its_return() -> None:
    world = pair(A)
    world.network(down=[C])
    every = ("DescribeRouteTables", "DescribeInstances", "ReplaceRoute")
    world.ec2.failing = failing(Failure.UNAVAILABLE, *every)
    asked = len(world.net.sent)
    world.run(6.0)
    assert writes(world) == []
    assert len(world.net.sent) - asked >= 12
    world.ec2.failing = {}
    world.run(5.0)
    assert writes(world) == [(A, ROUTE_C.table, A)]
    assert world.host(A).journal.kinds().count("move-failed") == 1


def test_a_write_applied_without_a_reply_is_told_once_as_done() -> None:
    world = pair(A)
    with world.api_fault(applied_without_reply=1):
        world.network(down=[C])
        world.run(60.0)
    assert writes(world) == [(A, ROUTE_C.table, A)]
    assert world.host(A).journal.kinds().count("took") == 1


def test_no_api_call_however_slow_delays_a_check() -> None:
    world = pair(A)
    world.ec2.takes = 9.0
    world.network(down=[C])
    since = world.now
    world.run(8.0)
    asked = [at for at, _, address in world.net.sent if address == HEARTBEAT[C] and at > since]
    gaps = [after - before for before, after in pairwise(asked)]
    assert len(asked) >= 3
    assert max(gaps[:2]) <= 1.01


@pytest.mark.parametrize("state", [InstanceState.STOPPED, InstanceState.TERMINATED])
def test_r13_a_peer_that_ec2_has_stopped_is_replaced_after_one_missed_check(
    state: InstanceState,
) -> None:
    world = pair(A)
    world.ec2.states[C] = state
    world.network(down=[C])
    since = world.now
    world.run(10.0)
    assert world.ec2.wrote[0].at - since <= 1.8


def test_r12_a_void_pin_is_told_and_its_peer_is_neither_taken_from_nor_returned_to() -> None:
    world = pair(A)
    world.ec2.pins[A, C, HEARTBEAT[C]] = PinState.MISSING
    world.run(60.0)
    assert world.host(A).journal.kinds() == ["pin-void"]
    assert world.agent(A).evidence[C].verdict is Verdict.UNKNOWN
    world.network(down=[C])
    world.run(600.0)
    assert writes(world) == []
    world.ec2.pins[A, C, HEARTBEAT[C]] = PinState.GOOD
    world.run(60.0)
    assert writes(world) == [(A, ROUTE_C.table, A)]


def test_r12_a_pin_that_is_moved_is_seen_before_its_silence_is_held_against_the_peer() -> None:
    quick = Timers(interval=0.2, fast_interval=0.05, timeout=0.2, fall=4, pulse=0.1)
    world = started(replace(PAIR, check=quick), A).run(70.0)
    world.ec2.takes = 0.6  # longer than it takes to miss four checks
    for phase in range(10):
        world.run(1.0 + phase / 10)
        world.ec2.pins[A, C, HEARTBEAT[C]] = PinState.ELSEWHERE
        world.network(heartbeats_lost=[(A, C)])
        world.run(3.0)
        world.ec2.pins[A, C, HEARTBEAT[C]] = PinState.GOOD
        world.network()
        world.run(31.0)
    assert writes(world) == []


@pytest.mark.parametrize("seconds", [3.0, 12.0, 60.0])
def test_r14_a_frozen_process_writes_nothing_when_it_goes_on(seconds: float) -> None:
    world = pair()
    world.host(A).frozen += 1
    world.run(seconds)
    world.host(A).frozen -= 1
    world.host(A).wake()
    world.run(120.0)
    assert writes(world) == []
    assert world.host(A).journal.kinds() == ["stalled"]


def test_r14_a_suspended_machine_distrusts_what_it_knew() -> None:
    world = pair()
    world.host(A).suspend()
    world.run(30.0)
    world.host(A).resume()
    world.ec2.failing = failing(Failure.UNAVAILABLE, "DescribeRouteTables")
    world.run(0.6)
    assert world.host(A).journal.kinds()[0] == "stalled"
    assert world.agent(A).ec2_watcher.view is None
    assert writes(world.run(60.0)) == []


def test_a_decision_made_before_a_freeze_is_not_carried_out_after_it() -> None:
    world = pair(A)
    world.ec2.connect_takes = (5.0, 5.0)  # longer than a decision may take to leave
    with world.api_fault(connecting=1):
        world.network(down=[C])
        world.run(12.0)
    assert writes(world) == []


def test_a_restart_while_holding_brings_the_route_home_and_writes_nothing_else() -> None:
    world = started(PAIR, A, C)
    world.ec2.change(ROUTE_C, A)
    world.run(300.0)
    assert writes(world) == [(A, ROUTE_C.table, C)]


def test_r1_a_send_that_fails_is_told_once_and_convicts_nobody() -> None:
    world = pair(A)
    world.network(unable=[(A, C)])
    world.run(120.0)
    assert writes(world) == []
    assert world.host(A).journal.kinds() == ["blind"]
    world.network()
    world.run(60.0)
    assert world.host(A).journal.kinds() == ["blind", "sighted"]


def test_uplink_names_are_resolved_in_the_background_and_stay_when_dns_dies() -> None:
    world = started(replace(PAIR, uplink=(TARGET_NAME,)), A).network(nameless=[A])
    world.run(10.0)
    assert world.agent(A).evidence["uplink"].verdict is Verdict.UNKNOWN
    assert world.host(A).journal.kinds() == ["name-lost"]
    world.network()
    world.run(90.0)
    assert world.agent(A).evidence["uplink"].verdict is Verdict.UP
    world.network(nameless=[A])
    world.run(900.0)
    assert world.agent(A).evidence["uplink"].verdict is Verdict.UP


def test_a_reload_makes_everything_unknown_until_asked_anew_and_moves_nothing() -> None:
    world = pair()
    host = world.host(A)
    changed = replace(PAIR, uplink=("9.9.9.9",))
    host.reload(changed)
    assert world.agent(A).prober.peers[C].verdict is Verdict.UNKNOWN
    world.run(60.0)
    assert world.agent(A).evidence[C].verdict is Verdict.UP
    assert writes(world) == []
    assert host.journal.kinds() == ["reloaded"]


def test_a_reload_goes_on_asking_the_addresses_that_a_name_stood_for() -> None:
    group = replace(PAIR, uplink=(TARGET_NAME,))
    world = started(group, A)
    host = world.host(A)
    world.run(10.0)
    world.ec2.takes = 1000.0  # nothing comes back from the background any more
    reloaded = world.now
    host.reload(replace(group, check=Timers(timeout=0.9)))
    world.run(5.0)
    asked = [address for at, _, address in world.net.sent if at >= reloaded]
    assert "1.1.1.1" in asked


def holding() -> Stage:
    """nat-a holds nat-c's route, nat-c has been up for 40 s, and the return is due in 20."""
    world = started(PAIR, A)
    world.ec2.change(ROUTE_C, A)
    return world.run(42.0)


@pytest.mark.parametrize("before", [0.05, 0.4, 0.9, 1.7, 2.4, 3.2])
def test_r4_a_home_that_crashes_just_before_its_route_is_due_gets_nothing(before: float) -> None:
    due = next(one.due for one in holding().agent(A).rulings if one.route == ROUTE_C)
    world = holding()
    world.run(due - world.now - before)
    world.network(down=[C])
    world.run(120.0)
    assert writes(world) == []


@pytest.mark.parametrize("before", [1.0, 9.0, 17.0])
def test_r4_nor_does_one_whose_path_broke_since_its_last_heartbeat(before: float) -> None:
    world = holding()
    world.run(20.0 - before)
    world.network(heartbeats_lost=[(A, C)])
    world.run(120.0)
    assert writes(world) == []


def test_r4_an_operator_who_was_there_before_the_return_is_not_overwritten() -> None:
    world = holding()
    world.run(15.0)
    world.ec2.change(ROUTE_C, "nat-gateway")
    world.run(120.0)
    assert writes(world) == []


NEVER = "2606:4700::1111"


def with_an_uplink_that_cannot_be_asked() -> Stage:
    world = started(replace(PAIR, uplink=(UPLINK, NEVER)), A)
    world.network(unable=[(A, NEVER)])
    return world.run(70.0)


def test_r12_lasting_doubt_about_something_else_does_not_keep_the_view_from_being_read() -> None:
    for phase in range(8):
        world = with_an_uplink_that_cannot_be_asked()
        world.run(phase * 3.7)
        world.ec2.pins[A, C, HEARTBEAT[C]] = PinState.MISSING
        world.network(heartbeats_lost=[(A, C)])
        world.run(60.0)
        assert writes(world) == []


def test_r5_an_uplink_address_that_could_never_be_asked_does_not_hinder_a_release() -> None:
    world = with_an_uplink_that_cannot_be_asked()
    world.network(targets_lost=[A])
    world.run(60.0)
    assert writes(world) == [(A, ROUTE_A.table, C)]


def test_r13_a_node_that_was_heard_since_ec2_called_it_gone_is_not_gone() -> None:
    world = pair(A)
    world.ec2.states[C] = InstanceState.STOPPED
    world.network(down=[C])
    world.run(20.0)
    world.ec2.states[C] = InstanceState.RUNNING
    world.ec2.failing = failing(Failure.DENIED, "DescribeInstances")
    world.network()
    world.run(300.0)
    evidence = world.agent(A).evidence[C]
    assert (evidence.gone, evidence.needed) == (False, 3)


def test_a_failure_in_a_second_outage_is_told_again() -> None:
    world = pair(A)
    world.ec2.failing = failing(Failure.DENIED, "ReplaceRoute")
    for _ in range(2):
        world.network(down=[C])
        world.run(60.0)
        world.network()
        world.run(600.0)
    assert world.host(A).journal.kinds().count("move-failed") == 2


def test_a_reload_forgets_no_view_and_leaves_no_check_open_that_nobody_waits_for() -> None:
    world = pair(A)
    host = world.host(A)
    world.network(down=[C])
    world.ec2.failing = failing(Failure.UNAVAILABLE, "DescribeRouteTables", "DescribeInstances")
    for second in range(5):
        changed = replace(PAIR, check=Timers(timeout=1.0 + second / 100))
        host.reload(changed)
        world.run(0.7)
    assert host.wire.open <= set(world.agent(A).prober.tickets)
    world.run(5.0)
    assert writes(world) == [(A, ROUTE_C.table, A)]


def test_a_reload_that_changes_no_target_keeps_what_is_known() -> None:
    world = pair(A)
    host = world.host(A)
    host.reload(replace(PAIR, preempt_delay=5.0))
    assert world.agent(A).evidence[C].verdict is Verdict.UP
    assert world.agent(A).ec2_watcher.view is not None
    world.network(down=[C])
    world.run(5.0)
    assert writes(world) == [(A, ROUTE_C.table, A)]


def test_an_agent_that_is_stopping_begins_no_move() -> None:
    world = pair(A)
    world.agent(A).stopping = True
    world.network(down=[C])
    world.run(60.0)
    assert writes(world) == []
    assert world.agent(A).idle


def test_the_watchdog_is_fed_as_long_as_the_loop_goes_round_and_not_when_it_does_not() -> None:
    world = pair(A)
    before = world.host(A).manager.watchdogs
    world.run(30.0)
    assert 25 <= world.host(A).manager.watchdogs - before <= 40
    world.host(A).frozen += 1
    fed = world.host(A).manager.watchdogs
    assert world.run(30.0).host(A).manager.watchdogs == fed


def test_the_status_line_and_the_snapshot_say_how_things_stand() -> None:
    world = pair(A)
    assert world.host(A).manager.status_line == ("nat-a: uplink up, nat-c up; holds 1 of 2 routes")
    snapshot = world.host(A).snapshot
    assert snapshot.pulses == {C: "heard"}
    assert {(home.route, home.node) for home in snapshot.homes} == {(ROUTE_A, A), (ROUTE_C, C)}
    assert snapshot.counters.checks > 0


def test_the_snapshot_shows_a_write_until_a_view_has_shown_it() -> None:
    world = pair()
    world.ec2.intent = Intent(drained=frozenset({C}))
    while not writes(world):
        world.run(0.1)
    world.ec2.failing = failing(Failure.THROTTLED, "DescribeRouteTables")
    world.run(5.0)
    (write,) = world.host(C).snapshot.writes
    assert replace(write, at=None) == Write(ROUTE_C, C, A, WriteState.ACCEPTED)
    world.ec2.failing = {}
    world.run(10.0)
    assert world.host(C).snapshot.writes == ()


def test_the_snapshot_shows_what_ec2_says_of_each_instance_and_when_it_was_read() -> None:
    world = pair(A)
    world.ec2.states[C] = InstanceState.STOPPED
    world.network(down=[C])
    world.run(5.0)
    snapshot = world.host(A).snapshot
    assert snapshot.instances == {A: InstanceState.RUNNING, C: InstanceState.STOPPED}
    assert snapshot.instances_at is not None
    assert 0.0 <= snapshot.at - snapshot.instances_at <= 5.0


def test_the_snapshot_shows_since_when_ec2_cannot_be_read_also_after_a_reload() -> None:
    world = pair(A)
    world.ec2.failing = failing(Failure.DENIED, "DescribeRouteTables")
    since = world.now
    world.run(100.0)
    (failed,) = world.host(A).snapshot.failed_reads
    assert failed == FailedRead("route tables", failed.since, "as the faults have it")
    assert since <= failed.since <= since + 31.0
    agent = world.agent(A)
    world.host(A).reload()
    assert agent.snapshot(world.now).failed_reads == (failed,)
    world.ec2.failing = {}
    world.run(40.0)
    assert world.host(A).snapshot.failed_reads == ()


def test_the_snapshot_shows_what_ec2_said_to_a_move_until_it_is_made() -> None:
    world = pair(A)
    world.ec2.failing = failing(Failure.DENIED, "ReplaceRoute")
    world.network(down=[C])
    world.run(10.0)
    (failed,) = world.host(A).snapshot.failed_moves
    assert (failed.route, failed.to, failed.error) == (ROUTE_C, A, "as the faults have it")
    world.ec2.failing = {}
    world.run(20.0)
    assert writes(world) == [(A, ROUTE_C.table, A)]
    assert world.host(A).snapshot.failed_moves == ()


def test_the_snapshot_counts_moves_by_their_rules_and_shows_the_penalty_of_a_take() -> None:
    world = pair(A)
    world.network(down=[C])
    world.run(10.0)
    world.network()
    world.run(120.0)
    counters = world.host(A).snapshot.counters
    assert counters.moves_by_rule == {"R3": 1, "R4": 1}
    assert counters.moves == 2
    assert {route: one.value for route, one in counters.penalties.items()} == {
        str(ROUTE_C): PER_TAKE
    }


def test_a_status_file_that_cannot_be_written_is_told_once_and_stops_nothing() -> None:
    world = started(PAIR, A)
    host = world.host(A)
    host.disk_full += 1
    world.run(70.0)
    assert host.journal.kinds() == ["status-lost"]
    world.network(down=[C])
    world.run(5.0)
    assert writes(world) == [(A, ROUTE_C.table, A)]


# --- a check of this machine ----------------------------------------------------------------------

CHECKED = replace(PAIR, check_command=("bgp-is-up",))


def checked(*nodes: str) -> Stage:
    """The pair with a check of each machine, running well for a while."""
    return started(CHECKED, *(nodes or (A, C)), settle=70.0)


def test_a_node_whose_check_fails_hands_over_what_it_holds_within_interval_and_3_5_seconds() -> (
    None
):
    world = checked()
    world.net.ailing[A] += 1
    world.run(33.5)
    assert writes(world) == [(A, ROUTE_A.table, C)]
    assert (
        "my uplink check_command bgp-is-up missed 3 of 3" in world.host(A).journal.sentences()[-1]
    )


def test_a_node_whose_check_fails_takes_nothing_and_if_all_fail_nothing_is_written() -> None:
    world = checked()
    for node in (A, C):
        world.net.ailing[node] += 1
    world.run(60.0)
    assert [write for write in writes(world) if write[0] == write[2]] == []


def test_a_check_that_cannot_be_run_is_told_once_and_once_when_it_can_be_again() -> None:
    world = checked()
    host = world.host(A)
    host.journal.events.clear()
    world.net.unrunnable[A] += 1
    world.run(100.0)
    world.net.unrunnable[A] -= 1
    world.run(100.0)
    assert host.journal.sentences() == [
        "cannot run check_command bgp-is-up: no such program",
        "check_command bgp-is-up can be run again",
    ]
    assert writes(world) == []


def test_what_comes_back_as_a_return_to_a_node_that_is_still_unfit_is_released_again() -> None:
    """The others see its heartbeat alone, and return its route after five preempt_delays.

    More and more seldom (R11), and each time its clients wait for the next view at most.
    """
    world = checked()
    world.net.ailing[A] += 1
    world.run(40.0).mark()
    world.run(1800.0)
    there, home = (A, ROUTE_A.table, C), (C, ROUTE_A.table, A)
    assert writes(world)[:5] == [there, home, there, home, there]
    assert len(writes(world)) <= 9
    assert world.on(A, A) < 0.08 * 1800.0
    assert world.holder(A) == C


def test_while_the_targets_of_all_are_gone_a_released_route_that_comes_back_is_kept() -> None:
    world = checked()
    world.network(targets_lost=[A, C])
    world.run(1200.0)
    assert len(writes(world)) <= 4
