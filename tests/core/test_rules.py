"""The rules, one by one, seen from nat-a unless said otherwise."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from nathb.core.context import Facts
from nathb.core.damping import Penalty, taken
from nathb.core.ec2_state import Intent
from nathb.core.memory import Contest, Handover, RouteMemory, Write, WriteState
from nathb.core.model import Cause, Evidence, Move, Node, Preempt, Route, Rule, Verdict
from nathb.core.rules import decide
from nathb.core.split import Split
from tests.core.build import (
    DOWN,
    NOW,
    PAIR,
    ROUTE_A,
    ROUTE_C,
    UNKNOWN,
    down,
    known,
    moves,
    ruling,
    up,
    view,
)

TAKE_C = (ROUTE_C.table, "nat-a", "R3")
RETURN_C = (ROUTE_C.table, "nat-c", "R4")
RELEASE_C = (ROUTE_C.table, "nat-c", "R5")
DRAIN_A = Intent(drained=frozenset({"nat-a"}))
DRAIN_C = Intent(drained=frozenset({"nat-c"}))


def held_since(changed_at: float, **more: object) -> dict[str, RouteMemory]:
    """nat-a has held nat-c's route since then."""
    return {str(ROUTE_C): RouteMemory(holder="nat-a", changed_at=changed_at, **more)}  # type: ignore[arg-type]


def test_all_well_nothing_moves() -> None:
    assert moves(known()) == []


# --- R1


@pytest.mark.parametrize("verdict", [UNKNOWN])
def test_r1_an_unknown_holder_keeps_its_route(verdict: Verdict) -> None:
    assert moves(known(peer=Evidence(verdict))) == []
    assert ruling(known(peer=Evidence(verdict))).rule is Rule.R1


def test_r1_an_unknown_uplink_takes_nothing_and_releases_nothing() -> None:
    assert moves(known(uplink=Evidence(UNKNOWN), peer=down())) == []
    assert moves(known(uplink=Evidence(UNKNOWN), peer=up())) == []


def test_r1_an_unknown_home_gets_no_route_back() -> None:
    assert moves(known(peer=Evidence(UNKNOWN), seen=view(c="nat-a"))) == []


# --- R2


def test_r2_a_route_is_never_taken_from_a_node_that_is_up() -> None:
    assert moves(known(peer=up(), seen=view(a="nat-c"))) == []
    assert ruling(known(peer=up()), ROUTE_C).rule is Rule.R2


def test_r2_not_even_when_ec2_calls_its_route_a_blackhole() -> None:
    assert moves(known(peer=up(), seen=view(blackholes=(ROUTE_C,)))) == []


# --- R3


def test_r3_the_route_of_a_node_that_is_down_is_taken() -> None:
    assert moves(known(peer=down())) == [TAKE_C]


def test_r3_the_move_says_why_and_since_when() -> None:
    move = ruling(known(peer=down())).move
    assert move is not None
    assert move.reason == "heartbeat 8.8.4.4 missed 3 of 3, uplink up"
    assert move.detected_in == pytest.approx(3.0)
    assert move.holder == "nat-c"


def test_r3_a_home_route_held_by_a_node_that_is_down_comes_home_by_a_take() -> None:
    assert moves(known(peer=down(since=NOW - 30), seen=view(a="nat-c"))) == [
        (ROUTE_A.table, "nat-a", "R3"),
        TAKE_C,
    ]


@pytest.mark.parametrize("verdict", [DOWN, UNKNOWN])
def test_r3_without_an_uplink_nothing_is_taken(verdict: Verdict) -> None:
    uplink = Evidence(verdict, heard_at=NOW)
    assert moves(known(uplink=uplink, peer=down(), seen=view(a="nat-c"))) == []


def test_r3_an_uplink_last_heard_before_the_silence_began_is_no_witness() -> None:
    assert moves(known(uplink=up(heard_at=NOW - 3.1), peer=down(silent_since=NOW - 3))) == []
    assert moves(known(uplink=up(heard_at=NOW - 3.0), peer=down(silent_since=NOW - 3))) == [TAKE_C]


def test_r3_the_whole_present_silence_must_convict_whatever_was_missed_before() -> None:
    assert moves(known(peer=down(silent_since=None))) == []
    answered_since = replace(down(since=NOW - 60), missed=1)
    assert moves(known(peer=answered_since)) == []
    assert "missed 1 of 3" in ruling(known(peer=answered_since)).reason
    assert moves(known(peer=replace(answered_since, missed=3))) == [TAKE_C]


def test_r3_a_blackhole_that_points_at_nobody_of_the_group_is_taken() -> None:
    assert moves(known(peer=up(), seen=view(c="i-old", blackholes=(ROUTE_C,)))) == []
    home = known(peer=up(), seen=view(a="i-old", blackholes=(ROUTE_A,)))
    assert moves(home) == [(ROUTE_A.table, "nat-a", "R3")]


def test_r3_a_blackhole_that_points_at_a_node_not_known_to_be_alive_is_taken() -> None:
    assert moves(known(peer=Evidence(UNKNOWN), seen=view(blackholes=(ROUTE_C,)))) == [TAKE_C]


def test_r3_a_blackhole_asks_for_a_witness_heard_since_it_was_first_seen() -> None:
    memory = {str(ROUTE_C): RouteMemory(holder="nat-c", blackhole_since=NOW - 1)}
    dark = {"peer": Evidence(UNKNOWN), "seen": view(blackholes=(ROUTE_C,)), "memory": memory}
    assert moves(known(uplink=up(heard_at=NOW - 0.5), **dark)) == [TAKE_C]
    stale = known(uplink=up(heard_at=NOW - 1.5), **dark)
    assert moves(stale) == []
    assert ruling(stale).fresh == "nat-a"


def three_nodes(**nodes: Evidence) -> Facts:
    """Seen from nat-a, whose turn for nat-c's route comes after nat-b's."""
    b = Node("nat-b", heartbeat=("8.8.4.5",), instance="i-0000000b")
    three = replace(PAIR, nodes=(PAIR.nodes[0], PAIR.nodes[1], b))
    assert three.order(ROUTE_C) == ("nat-c", "nat-b", "nat-a")
    peers = {f"nat-{name}": one for name, one in nodes.items()}
    return replace(known(group=three), peers=peers)


def test_r3b_the_next_in_line_takes_after_one_detection_and_settle_on_a_view_read_since() -> None:
    wait = PAIR.check.detection + PAIR.settle
    assert wait == 43.0
    early = three_nodes(c=down(since=NOW - wait + 1), b=up())
    assert moves(early) == []
    assert ruling(early).due == NOW + 1
    due = three_nodes(c=down(since=NOW - wait), b=up())
    assert moves(due) == [TAKE_C]
    old_view = replace(due, view=view(at=NOW - 1))
    assert moves(old_view) == []
    assert ruling(old_view).fresh == "nat-b"


def test_r3_only_the_first_living_node_of_the_order_takes() -> None:
    b = Node("nat-b", heartbeat=("8.8.4.5",), instance="i-0000000b")
    three = replace(PAIR, nodes=(PAIR.nodes[0], PAIR.nodes[1], b))
    # nat-c's order is nat-c, nat-b, nat-a: nat-b comes before nat-a
    here = known(group=three, peer=down())
    with_b = replace(here, peers={"nat-c": down(), "nat-b": up()})
    without_b = replace(here, peers={"nat-c": down(), "nat-b": down()})
    assert three.order(ROUTE_C) == ("nat-c", "nat-b", "nat-a")
    assert moves(with_b) == []
    assert moves(without_b) == [TAKE_C]


def test_r3_default_routes_are_ruled_on_first() -> None:
    narrow = Route("rtb-0000000c", "10.8.0.0/16")
    nodes = (PAIR.nodes[0], replace(PAIR.nodes[1], routes=(narrow, ROUTE_C)))
    rulings = decide(known(group=replace(PAIR, nodes=nodes)))
    assert [one.route for one in rulings] == [ROUTE_A, ROUTE_C, narrow]


# --- R4


def test_r4_a_route_goes_home_once_its_home_has_been_up_for_preempt_delay() -> None:
    peer = up(since=NOW - 60.0)
    memory = held_since(NOW - 300)
    assert moves(known(peer=peer, seen=view(c="nat-a"), memory=memory)) == [RETURN_C]


def test_r4_not_before_and_the_ruling_says_when() -> None:
    waiting = known(peer=up(since=NOW - 59.9), seen=view(c="nat-a"), memory=held_since(NOW - 300))
    assert moves(waiting) == []
    assert ruling(waiting).due == pytest.approx(NOW + 0.1)


def test_r4_the_delay_counts_from_the_routes_last_change_too() -> None:
    peer = up(since=NOW - 300)
    assert moves(known(peer=peer, seen=view(c="nat-a"), memory=held_since(NOW - 59))) == []
    assert moves(known(peer=peer, seen=view(c="nat-a"), memory=held_since(NOW - 60))) == [RETURN_C]


def test_r4_preempt_manual_waits_for_revert() -> None:
    manual = replace(PAIR, preempt=Preempt.MANUAL)
    peer, memory = up(since=0.0), held_since(0.0)
    assert moves(known(group=manual, peer=peer, seen=view(c="nat-a"), memory=memory)) == []
    revert = view(c="nat-a", intent=Intent(revert=True))
    assert moves(known(group=manual, peer=peer, seen=revert, memory=memory)) == [RETURN_C]


def test_r4_a_home_that_has_just_missed_a_check_gets_nothing_yet() -> None:
    for doubt in ({"silent_since": NOW - 0.5}, {}):  # a missed check; a lost pulse
        doubtful = replace(up(since=0.0), doubted_since=NOW - 0.5, **doubt)
        assert moves(known(peer=doubtful, seen=view(c="nat-a"), memory=held_since(0.0))) == []


def test_r4_a_return_waits_for_an_answer_and_a_view_from_after_it_was_due() -> None:
    due = {"seen": view(c="nat-a"), "memory": held_since(0.0)}
    assert moves(known(peer=up(since=NOW - 61), **due)) == [RETURN_C]
    old_answer = known(peer=up(since=NOW - 61, heard_at=NOW - 1.1), **due)
    old_view = known(
        peer=up(since=NOW - 61), seen=view(c="nat-a", at=NOW - 1.1), memory=held_since(0.0)
    )
    for stale in (old_answer, old_view):
        assert moves(stale) == []
        assert ruling(stale).fresh == "nat-c"


def test_r4_revert_needs_no_delay_under_preempt_auto_either() -> None:
    reverted = view(c="nat-a", intent=Intent(revert=True))
    for memory in (held_since(0.0), held_since(NOW - 100, penalty=flapping())):
        asked = known(peer=up(since=NOW - 5), seen=reverted, memory=memory)
        assert moves(replace(asked, revert_since=NOW - 1)) == [RETURN_C]


def test_r4_a_revert_that_was_left_standing_is_none_for_what_is_moved_later() -> None:
    reverted = view(c="nat-a", intent=Intent(revert=True))
    asked = known(peer=up(since=NOW - 55), seen=reverted, memory=held_since(NOW - 59))
    assert moves(replace(asked, revert_since=NOW - 60)) == []


def test_r4_what_a_node_gave_away_while_up_returns_after_it_was_down_and_back() -> None:
    given = held_since(NOW - 200, given=Handover("nat-c", NOW - 200))
    still_up = known(peer=up(since=0.0), seen=view(c="nat-a"), memory=given)
    assert moves(still_up) == []
    assert ruling(still_up).due == NOW + 100
    back = known(peer=up(since=NOW - 61), seen=view(c="nat-a"), memory=given)
    assert moves(back) == [RETURN_C]


def test_r4_or_after_five_times_the_delay() -> None:
    given = held_since(NOW - 300, given=Handover("nat-c", NOW - 300))
    assert moves(known(peer=up(since=0.0), seen=view(c="nat-a"), memory=given)) == [RETURN_C]


def test_r4_only_the_holder_returns() -> None:
    # nat-c sees its own route held by nat-a, which is up: nat-a gives it back, nat-c waits
    assert moves(known(me="nat-c", seen=view(c="nat-a"))) == []


# --- R5


def silent_uplink() -> Evidence:
    return replace(down(), addresses=("1.1.1.1",))


def test_r5_without_an_uplink_all_held_routes_are_handed_over_at_once() -> None:
    peer = up(heard_at=NOW - 1)
    assert moves(known(uplink=silent_uplink(), peer=peer, seen=view(c="nat-a"))) == [
        (ROUTE_A.table, "nat-c", "R5"),
        (ROUTE_C.table, "nat-c", "R5"),
    ]


def test_r5_not_to_a_node_that_is_down_or_unknown() -> None:
    assert moves(known(uplink=silent_uplink(), peer=down())) == []
    assert moves(known(uplink=silent_uplink(), peer=Evidence(UNKNOWN))) == []


def test_r5_not_to_a_node_last_heard_before_my_own_silence_began() -> None:
    # both gateways cut at once: the peer only looks alive because it was not asked since
    assert moves(known(uplink=silent_uplink(), peer=up(heard_at=NOW - 4))) == []


def test_r5_an_uplink_that_has_answered_since_releases_nothing_on_one_miss() -> None:
    answered_since = replace(silent_uplink(), missed=1)
    assert moves(known(uplink=answered_since, peer=up(heard_at=NOW))) == []


def test_r5_a_route_is_released_once_in_an_outage_of_the_uplink_and_then_kept() -> None:
    back = {str(ROUTE_A): RouteMemory(holder="nat-a", released_at=NOW)}
    again = known(uplink=silent_uplink(), peer=up(heard_at=NOW), memory=back)
    assert moves(again) == []
    earlier = {str(ROUTE_A): RouteMemory(holder="nat-a", released_at=NOW - 600)}
    assert moves(replace(again, memory=earlier)) == [(ROUTE_A.table, "nat-c", "R5")]


def test_r5_nothing_is_released_to_the_node_that_gave_it_away_itself() -> None:
    given = {str(ROUTE_C): RouteMemory(holder="nat-a", given=Handover("nat-c", NOW - 20))}
    theirs = {"uplink": silent_uplink(), "seen": view(c="nat-a"), "memory": given}
    assert RELEASE_C not in moves(known(peer=up(since=0.0), **theirs))
    assert RELEASE_C in moves(known(peer=up(since=NOW - 10), **theirs))


# --- R6


def test_r6_a_drained_node_hands_over_what_it_holds() -> None:
    assert moves(known(seen=view(intent=DRAIN_A))) == [(ROUTE_A.table, "nat-c", "R6")]


def test_r6_a_drained_node_keeps_its_routes_when_nobody_else_is_alive() -> None:
    drained = known(peer=down(), seen=view(intent=DRAIN_A))
    assert moves(drained) == [TAKE_C]
    assert ruling(drained, ROUTE_A).rule is Rule.R6


def test_r6_nothing_is_handed_over_to_a_node_in_doubt() -> None:
    doubtful = replace(up(), doubted_since=NOW - 0.2)
    assert moves(known(peer=doubtful, seen=view(intent=DRAIN_A))) == []


def test_r6_a_machine_that_shuts_down_hands_over_all_that_it_holds() -> None:
    both = known(seen=view(c="nat-a"), leaving=True)
    assert moves(both) == [(ROUTE_A.table, "nat-c", "R6"), (ROUTE_C.table, "nat-c", "R6")]
    assert ruling(both, ROUTE_A).reason == "nat-a is shutting down"


def test_r6_a_machine_that_shuts_down_takes_nothing_and_keeps_what_nobody_else_can_hold() -> None:
    last = known(peer=down(), leaving=True)
    assert moves(last) == []
    assert ruling(last, ROUTE_A).reason == "shutting down, but no other node can take it: kept"
    assert ruling(last, ROUTE_C).reason == "the holder is lost, but I am shutting down"
    assert not any(one.is_pending for one in decide(last))


def test_a_ruling_is_pending_while_a_wish_an_answer_or_another_try_is_outstanding() -> None:
    leaving = known(leaving=True)
    doubtful = known(peer=replace(up(), doubted_since=NOW - 0.2), leaving=True)
    move = ruling(leaving, ROUTE_A).move
    assert move is not None
    failed = RouteMemory(retry_at=NOW + 1, failed_for=move.cause)
    written = RouteMemory(pending=Write(move, WriteState.SENT, NOW))
    pending = {
        "a wish": leaving,
        "doubt": doubtful,
        "another try": known(leaving=True, memory={str(ROUTE_A): failed}),
        "an answer to come": known(leaving=True, memory={str(ROUTE_A): written}),
    }
    settled = {
        "paused": known(leaving=True, seen=view(intent=Intent(paused=True))),
        "handed over": known(leaving=True, seen=view(a="nat-c")),
    }
    for name, what in (pending | settled).items():
        assert ruling(what, ROUTE_A).is_pending is (name in pending), name


def test_r6_a_drained_node_is_the_last_candidate_and_better_than_a_dark_zone() -> None:
    robbed = down(since=NOW - 30)
    assert moves(known(peer=robbed, seen=view(a="nat-c", intent=DRAIN_A))) == [
        (ROUTE_A.table, "nat-a", "R3"),
        TAKE_C,
    ]
    undrained_first = replace(three_nodes(c=down(), b=up()), view=view(intent=DRAIN_A))
    assert ruling(undrained_first).reason.startswith("nat-b comes first")
    drained_last = replace(
        three_nodes(c=down(), b=up()), view=view(intent=Intent(frozenset({"nat-b"})))
    )
    assert moves(drained_last) == [TAKE_C]


def test_r6_the_last_undrained_node_releases_to_a_drained_one_when_its_uplink_is_lost() -> None:
    seen = view(intent=DRAIN_C)
    assert moves(known(uplink=silent_uplink(), peer=up(heard_at=NOW), seen=seen)) == [
        (ROUTE_A.table, "nat-c", "R5")
    ]


def test_r6_two_drained_nodes_do_not_hand_routes_to_and_fro() -> None:
    assert moves(known(seen=view(intent=Intent(frozenset({"nat-a", "nat-c"}))))) == []


def test_r6_a_machine_that_shuts_down_hands_a_route_over_once_whoever_it_came_from() -> None:
    given = RouteMemory(holder="nat-a", given=Handover("nat-c", NOW - 1))
    came = known(seen=view(c="nat-a"), leaving=True, memory={str(ROUTE_C): given})
    assert (ROUTE_C.table, "nat-c", "R6") in moves(came)
    back = replace(given, handed_over=True)
    assert ruling(replace(came, memory={str(ROUTE_C): back})).move is None


def test_r6_a_drained_home_is_given_nothing() -> None:
    home_drained = view(c="nat-a", intent=DRAIN_C)
    assert moves(known(peer=up(since=0.0), seen=home_drained, memory=held_since(0.0))) == []


def test_r6_after_undrain_the_return_needs_no_delay() -> None:
    memory, peer = held_since(NOW - 10), up(since=0.0)
    undrained = {"nat-c": NOW - 1}
    seen = view(c="nat-a")
    rebooted = known(peer=up(since=NOW), seen=seen, memory=memory, undrained=undrained)
    damped = {str(ROUTE_C): replace(memory[str(ROUTE_C)], penalty=flapping())}
    assert moves(known(peer=peer, seen=seen, memory=damped, undrained=undrained)) == [RETURN_C]
    assert moves(rebooted) == []
    assert moves(known(peer=peer, seen=seen, memory=memory)) == []
    assert moves(known(peer=peer, seen=seen, memory=memory, undrained=undrained)) == [RETURN_C]


# --- R7


def contested(at: float, times: int = 1) -> dict[str, RouteMemory]:
    return {str(ROUTE_C): RouteMemory(contests=(Contest("nat-c", at, times),))}


def test_r7_a_take_that_someone_else_undid_waits_until_the_holder_was_down_for_longer() -> None:
    fighting = known(peer=down(since=NOW - 50), memory=contested(NOW - 14))
    assert moves(fighting) == []
    assert ruling(fighting).rule is Rule.R7
    assert ruling(fighting).due == NOW + 1
    assert moves(known(peer=down(since=NOW - 50), memory=contested(NOW - 15))) == [TAKE_C]


def test_r7_a_new_verdict_does_not_free_a_repeat() -> None:
    memory = contested(NOW - 200, times=2)
    assert moves(known(peer=down(since=NOW - 29), memory=memory)) == []
    assert moves(known(peer=down(since=NOW - 30), memory=memory)) == [TAKE_C]


def test_r7_does_not_hold_when_ec2_says_that_the_node_is_gone() -> None:
    peer = replace(down(since=NOW - 5), gone=True)
    assert moves(known(peer=peer, memory=contested(NOW - 1))) == [TAKE_C]


def test_r7_a_contest_with_another_holder_is_none_with_this_one() -> None:
    memory = {str(ROUTE_C): RouteMemory(contests=(Contest("nat-b", NOW - 1),))}
    assert moves(known(peer=down(), memory=memory)) == [TAKE_C]


def robbed(**evidence: object) -> Facts:
    """nat-a's own route is with nat-c, which is DOWN."""
    return known(peer=replace(down(), **evidence), seen=view(a="nat-c", c="nat-c"))


def home_taken(what: Facts) -> bool:
    return (ROUTE_A.table, "nat-a", "R3") in moves(what)


def test_r7b_a_node_whose_home_route_was_taken_waits_30_s_longer_before_it_takes_it_back() -> None:
    assert not home_taken(robbed(since=NOW - 29))
    assert ruling(robbed(since=NOW - 29), ROUTE_A).due == NOW + 1
    assert home_taken(robbed(since=NOW - 30))
    assert TAKE_C in moves(robbed(since=NOW))


def test_r7b_not_when_ec2_says_gone_nor_when_this_node_gave_the_route_away_itself() -> None:
    assert home_taken(robbed(gone=True))
    release = Move(ROUTE_A, "nat-a", "nat-c", Rule.R5, Cause("uplink", "down", 0.0), "")
    accepted = Write(release, WriteState.ACCEPTED, NOW - 100)
    memory = {str(ROUTE_A): RouteMemory(holder="nat-c", accepted=accepted)}
    assert home_taken(replace(robbed(), memory=memory))


def test_r7b_nor_when_pulses_are_answered_all_the_while() -> None:
    assert home_taken(robbed(pulsing_since=NOW - 4))
    assert not home_taken(robbed(pulsing_since=NOW - 3.9))


def split(acted_at: float, holder_of_a: str = "nat-a") -> Facts:
    facts = known(peer=down(), seen=view(a=holder_of_a))
    return replace(facts, splits={"nat-c": Split(acted_at)})


def test_r7c_a_peer_that_took_a_route_in_its_silence_keeps_its_own() -> None:
    assert moves(split(NOW - 3599)) == []
    assert ruling(split(NOW - 3599)).rule is Rule.R7
    assert moves(split(NOW - 3600)) == [TAKE_C]
    gone = replace(split(NOW), peers={"nat-c": replace(down(), gone=True)})
    assert moves(gone) == [TAKE_C]


def test_r7c_not_for_longer_than_pulses_are_silent() -> None:
    silent = split(NOW - 100)
    pulsing = replace(down(), pulsing_since=NOW - 4)
    assert moves(replace(silent, peers={"nat-c": pulsing})) == [TAKE_C]


def test_r7c_and_this_node_takes_its_own_home_route_back_at_once() -> None:
    assert moves(split(NOW, holder_of_a="nat-c")) == [(ROUTE_A.table, "nat-a", "R3")]


# --- R8


def test_r8_an_active_route_to_a_target_outside_the_group_is_left_alone() -> None:
    operated = known(peer=down(), seen=view(c="nat-gateway"))
    assert moves(operated) == []
    assert ruling(operated).rule is Rule.R8
    assert "eni-nat-gateway" in ruling(operated).reason


def test_r8_a_route_that_does_not_exist_is_not_created() -> None:
    assert moves(known(peer=down(), seen=view(c=""))) == []
    assert ruling(known(peer=down(), seen=view(c=""))).rule is Rule.R8


# --- R9


def test_r9_while_paused_moves_are_decided_but_not_made() -> None:
    paused = known(peer=down(), seen=view(intent=Intent(paused=True)))
    assert moves(paused) == []
    would = ruling(paused)
    assert would.would
    assert would.rule is Rule.R9
    assert would.move is not None
    assert would.move.to == "nat-a"


def test_r9_a_dry_run_decides_alike_and_moves_nothing() -> None:
    dry = ruling(known(peer=down(), dry_run=True))
    assert dry.would
    assert dry.move is not None


# --- R10


def test_r10_without_a_view_there_are_no_moves() -> None:
    blind = replace(known(peer=down()), view=None)
    assert moves(blind) == []
    assert {one.rule for one in decide(blind)} == {Rule.R10}


def test_r10_a_view_stays_usable_for_view_max_age_and_no_longer() -> None:
    assert moves(known(peer=down(), seen=view(at=NOW - 300))) == [TAKE_C]
    assert moves(known(peer=down(), seen=view(at=NOW - 301))) == []


def test_r10_a_take_waits_for_a_view_newer_than_the_silence_while_one_is_on_its_way() -> None:
    older = known(peer=down(silent_since=NOW - 3), seen=view(at=NOW - 4))
    assert moves(older) == [TAKE_C]
    awaited = replace(older, awaited_since=NOW - 0.5)
    assert moves(awaited) == []
    assert ruling(awaited).rule is Rule.R10
    assert moves(replace(awaited, view=view(at=NOW - 2.9))) == [TAKE_C]
    assert moves(replace(awaited, awaited_since=NOW - 1.0)) == [TAKE_C]


def took_c(at: float) -> dict[str, RouteMemory]:
    move = Move(ROUTE_C, "nat-c", "nat-a", Rule.R3, Cause("nat-c", "down", 0.0), "")
    accepted = Write(move, WriteState.ACCEPTED, at)
    return {str(ROUTE_C): RouteMemory(holder="nat-a", changed_at=at, accepted=accepted)}


def test_r10_a_view_older_than_our_own_write_does_not_hide_it() -> None:
    before = view(c="nat-c", at=NOW - 0.5)
    assert ruling(known(peer=down(), seen=before, memory=took_c(NOW))).reason != "nat-c is up"
    assert moves(known(peer=down(), seen=before, memory=took_c(NOW))) == []


def test_r10_a_stale_describe_inside_settle_is_no_news() -> None:
    stale = known(peer=down(), seen=view(c="nat-c", at=NOW), memory=took_c(NOW - 9.9))
    assert moves(stale) == []
    assert moves(known(peer=down(), seen=view(c="nat-c", at=NOW), memory=took_c(NOW - 10)))


def test_r10_a_write_ages_like_a_view_and_a_failing_describe_does_not_strand_the_route() -> None:
    gave = Move(ROUTE_A, "nat-a", "nat-c", Rule.R5, Cause("uplink", "down", 0.0), "")

    def given_away(at: float) -> Facts:
        accepted = Write(gave, WriteState.ACCEPTED, at)
        memory = {str(ROUTE_A): RouteMemory(holder="nat-c", changed_at=at, accepted=accepted)}
        return known(peer=down(), seen=view(at=at - 1), memory=memory)

    assert home_taken(given_away(NOW - 299))
    assert not home_taken(given_away(NOW - 301))


def test_r10_one_move_at_a_time_for_each_route() -> None:
    move = Move(ROUTE_C, "nat-c", "nat-a", Rule.R3, Cause("nat-c", "down", 0.0), "")
    under_way = Write(move, WriteState.SENT, NOW - 1)
    flying = {str(ROUTE_C): RouteMemory(pending=under_way)}
    assert moves(known(peer=down(), memory=flying)) == []


def test_r10_after_a_failure_the_next_try_waits_for_its_backoff() -> None:
    cause = Cause("nat-c", "down", NOW - 5)
    failed = RouteMemory(failed_for=cause, attempts=2, retry_at=NOW + 1)
    failing = {"peer": down(since=NOW - 5), "memory": {str(ROUTE_C): failed}}
    assert moves(known(**failing)) == []
    assert ruling(known(**failing)).due == NOW + 1
    assert moves(known(**failing, now=NOW + 1)) == [TAKE_C]


def test_r10_another_cause_does_not_wait_for_the_backoff_of_the_last() -> None:
    failed = RouteMemory(failed_for=Cause("nat-c", "down", 1.0), attempts=9, retry_at=NOW + 60)
    assert moves(known(peer=down(), memory={str(ROUTE_C): failed})) == [TAKE_C]


# --- R11


def flapping() -> Penalty:
    return taken(taken(taken(Penalty(), NOW - 200), NOW - 150), NOW - 100)


def test_r11_a_route_taken_too_often_stays_on_the_survivor() -> None:
    memory = held_since(NOW - 100, penalty=flapping())
    damped = known(peer=up(since=NOW - 90), seen=view(c="nat-a"), memory=memory)
    assert moves(damped) == []
    assert ruling(damped).rule is Rule.R11
    assert ruling(damped).due is not None


def test_r11_damping_never_delays_a_take() -> None:
    memory = {str(ROUTE_C): RouteMemory(holder="nat-c", penalty=flapping())}
    assert moves(known(peer=down(), memory=memory)) == [TAKE_C]


def test_the_same_facts_give_the_same_rulings() -> None:
    facts: Facts = known(peer=down())
    assert decide(facts) == decide(facts)
