"""Each change is told once; steady state is silent."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from nathb.core import events
from nathb.core.change_detector import ChangeDetector
from nathb.core.ec2_state import Intent, Pin, PinState
from nathb.core.events import EventKind
from nathb.core.memory import Contest, RouteMemory
from nathb.core.model import Evidence, Verdict
from nathb.core.rules import decide
from tests.core.build import NOW, ROUTE_C, down, known, up, view


def kinds(events) -> list[EventKind]:  # type: ignore[no-untyped-def]
    return [event.kind for event in events]


def told(teller: ChangeDetector, facts) -> list[EventKind]:  # type: ignore[no-untyped-def]
    """What the teller says of one round."""
    rulings = decide(facts)
    return kinds(teller.rulings(rulings, facts.view, facts.now, dry_run=facts.dry_run))


def test_a_healthy_round_is_silent() -> None:
    assert told(ChangeDetector(), known()) == []


def test_a_foreign_route_is_told_once_per_target_and_again_when_it_is_guarded() -> None:
    teller = ChangeDetector()
    assert told(teller, known(seen=view(c="nat-gateway"))) == [EventKind.FOREIGN]
    assert told(teller, known(seen=view(c="nat-gateway"))) == []
    assert told(teller, known(seen=view(c="igw-1"))) == [EventKind.FOREIGN]
    assert told(teller, known()) == [EventKind.ROUTE_GUARDED]
    assert told(teller, known()) == []


def test_a_missing_route_is_told_as_missing_and_not_as_foreign() -> None:
    assert told(ChangeDetector(), known(seen=view(c=""))) == [EventKind.ROUTE_MISSING]


def test_a_contested_route_is_told_loudly_once_and_its_end_too() -> None:
    teller, peer = ChangeDetector(), down(since=NOW - 5)
    contest = Contest("nat-c", NOW - 5)
    fighting = known(peer=peer, memory={str(ROUTE_C): RouteMemory(contests=(contest,))})
    assert told(teller, fighting) == [EventKind.CONTESTED]
    assert told(teller, fighting) == []
    assert told(teller, known()) == [EventKind.ROUTE_GUARDED]


def test_what_would_be_moved_is_told_once_for_each_verdict() -> None:
    teller = ChangeDetector()
    assert told(teller, known(peer=down(since=1.0), dry_run=True)) == [EventKind.WOULD_MOVE]
    assert told(teller, known(peer=down(since=1.0), dry_run=True)) == []
    assert told(teller, known(peer=down(since=2.0), dry_run=True)) == [EventKind.WOULD_MOVE]


def test_between_a_write_and_its_view_nothing_is_told_and_nothing_forgotten() -> None:
    teller = ChangeDetector()
    told(teller, known(seen=view(c="nat-gateway")))
    assert told(teller, known(seen=view(at=0.0))) == []
    assert told(teller, known(seen=view(c="nat-gateway"))) == []


def test_a_first_up_is_no_change_and_unknown_is_not_told_by_itself() -> None:
    teller = ChangeDetector()
    assert kinds(teller.verdict("nat-c", up())) == []
    assert kinds(teller.verdict("nat-c", down())) == [EventKind.PEER_DOWN]
    assert kinds(teller.verdict("nat-c", Evidence(Verdict.UNKNOWN))) == []
    assert kinds(teller.verdict("nat-c", down())) == []
    assert kinds(teller.verdict("nat-c", up())) == [EventKind.PEER_UP]
    assert kinds(teller.verdict("uplink", down())) == [EventKind.UPLINK_DOWN]


def test_r12_a_pin_is_told_when_it_becomes_void_and_when_it_is_good_again() -> None:
    teller = ChangeDetector()
    states = (
        PinState.GOOD,
        PinState.MISSING,
        PinState.MISSING,
        PinState.ELSEWHERE,
        PinState.GOOD,
        PinState.BLACKHOLE,
        PinState.GOOD,
    )
    events = [list(teller.pins([Pin("nat-c", "8.8.4.4", one, "eni-x", "rtb-1")])) for one in states]
    void, good = [EventKind.PIN_VOID], [EventKind.PIN_GOOD]
    assert [kinds(one) for one in events] == [[], void, [], void, good, [], []]
    assert "create the route 8.8.4.4 to nat-c in that table" in events[1][0].message
    assert "eni-x" in events[3][0].message


def test_intent_is_told_as_it_begins_and_ends() -> None:
    teller = ChangeDetector()
    asked = Intent(frozenset({"nat-a"}), paused=True)
    assert kinds(teller.intent(asked, NOW)) == [EventKind.PAUSED, EventKind.DRAINED]
    assert kinds(teller.intent(asked, NOW)) == []
    assert kinds(teller.intent(Intent(), NOW)) == [EventKind.RESUMED, EventKind.UNDRAINED]


def test_a_pause_says_until_when_and_says_it_again_when_that_has_changed() -> None:
    teller = ChangeDetector()
    (begun,) = teller.intent(Intent(paused=True), NOW)
    assert begun.message == "the group is paused: no moves until `nathb resume`"
    (longer,) = teller.intent(Intent(paused=True, until="until 2026-11-21T14:00:00Z"), NOW)
    assert longer.message.endswith("no moves until 2026-11-21T14:00:00Z, or `nathb resume`")
    assert longer.kind is EventKind.PAUSED


def test_wishes_in_force_are_reminded_of_every_hour_each_by_its_own() -> None:
    teller = ChangeDetector()
    paused = Intent(paused=True, until="until 2026-11-21T14:00:00Z")
    both = replace(paused, drained=frozenset({"nat-a"}))
    list(teller.intent(paused, NOW))
    list(teller.intent(both, NOW + 1800))
    assert list(teller.reminders(NOW + 3599)) == []
    (pause,) = teller.reminders(NOW + 3600)
    assert pause.message == (
        "still paused, for 60 min now: nobody takes over until 2026-11-21T14:00:00Z, "
        "or `nathb resume`"
    )
    (drain,) = teller.reminders(NOW + 5400)
    assert (drain.source, drain.message) == (
        "nat-a",
        "nat-a is still drained, for 60 min now: `nathb undrain` ends it",
    )
    assert kinds(teller.reminders(NOW + 10800)) == [
        EventKind.STILL_PAUSED,
        EventKind.STILL_DRAINED,
    ]


def test_what_has_ended_is_not_reminded_of_and_counts_anew_when_it_begins_again() -> None:
    teller, paused = ChangeDetector(), Intent(paused=True)
    list(teller.intent(paused, NOW))
    list(teller.intent(Intent(), NOW + 3599))
    assert list(teller.reminders(NOW + 3600)) == []
    list(teller.intent(paused, NOW + 3600))
    assert list(teller.reminders(NOW + 7199)) == []
    assert kinds(teller.reminders(NOW + 7200)) == [EventKind.STILL_PAUSED]


def test_a_heartbeat_that_has_never_answered_is_told_once_while_the_pulse_answers() -> None:
    teller = ChangeDetector()
    silent = Evidence(addresses=("8.8.1.8",), missed=3, needed=3, never_answered=True)
    assert list(teller.heartbeats({"nat-c": replace(silent, missed=2)})) == []
    (event,) = teller.heartbeats({"nat-c": silent})
    assert event.kind is EventKind.NEVER_ANSWERED
    assert "heartbeat 8.8.1.8 of nat-c has never answered, its pulse does" in event.message
    assert "nat-c counts as unknown" in event.message
    assert list(teller.heartbeats({"nat-c": replace(silent, missed=0)})) == []  # a stall
    assert list(teller.heartbeats({"nat-c": silent})) == []
    assert list(teller.heartbeats({"nat-c": up()})) == []
    assert kinds(teller.heartbeats({"nat-c": silent})) == [EventKind.NEVER_ANSWERED]  # a reload


def test_a_peer_that_is_down_and_has_never_answered_is_told_as_down_with_that() -> None:
    teller, lost = ChangeDetector(), replace(down(), heard_at=None, never_answered=True)
    assert list(teller.heartbeats({"nat-c": lost})) == []
    (event,) = teller.verdict("nat-c", lost)
    assert event.message == "nat-c is down: heartbeat 8.8.4.4 has never answered (missed 3 of 3)"


def test_a_pulse_that_is_ignored_is_told_once_with_the_mend() -> None:
    teller = ChangeDetector()
    assert list(teller.pulses({"nat-c": "lost"})) == []
    (event,) = teller.pulses({"nat-c": "ignored"})
    assert "allow ICMP echo" in event.message
    assert list(teller.pulses({"nat-c": "ignored"})) == []


def test_r12_a_pin_for_which_there_is_no_table_is_told_without_one() -> None:
    (event,) = ChangeDetector().pins([Pin("nat-c", "192.0.2.1", PinState.MISSING)])
    assert event.message == (
        "heartbeat 192.0.2.1 of nat-c is not pinned: EC2 shows no route table that steers this "
        "node's own subnet: nat-c counts as unknown; associate the subnet with a table"
    )


@pytest.mark.parametrize(
    ("holder", "me", "words"),
    [
        # the home takes its own route back, or the holder has given it back
        ("nat-a", "nat-b", "nat-a; this node did not move it: nat-a or nat-c probably did"),
        ("nat-a", "nat-a", "nat-a; this node did not move it: nat-c probably did"),
        ("nat-a", "nat-c", "nat-a; this node did not move it: nat-a probably did"),
        # no node moves what points outside of the group
        (
            "",
            "nat-a",
            "a target outside of the group; this node did not move it: see CloudTrail for who did",
        ),
    ],
)
def test_a_move_of_another_node_is_told_with_who_is_likely_to_have_made_it(
    holder: str, me: str, words: str
) -> None:
    event = events.moved_by_another(ROUTE_C, holder, "nat-c", me)
    assert event.message == f"{ROUTE_C} now points at nat-c, no longer at {words}"
    assert (event.kind.value, event.source, event.target) == ("moved-by-another", holder, "nat-c")


def test_a_route_that_arrives_here_after_a_restart_is_not_said_to_be_moved_by_another() -> None:
    event = events.moved_before_restart(ROUTE_C, "nat-c", "nat-a")
    assert event.message == (
        f"{ROUTE_C} now points at nat-a, no longer at nat-c; nat-a's daemon probably moved it"
        " before its restart"
    )
    assert (event.kind.value, event.source, event.target) == ("moved-by-another", "nat-c", "nat-a")


def test_r17_a_file_that_is_not_the_one_that_was_applied_is_told_once_and_its_end_too() -> None:
    teller = ChangeDetector()
    assert kinds(teller.files(("aaaa",), "aaaa")) == []
    assert kinds(teller.files(("aaaa", "bbbb"), "aaaa")) == [EventKind.FILE_DIFFERS]
    assert kinds(teller.files(("aaaa", "bbbb"), "aaaa")) == []
    assert kinds(teller.files(("aaaa",), "aaaa")) == [EventKind.FILE_SAME]


def test_r17_where_nothing_was_applied_there_is_nothing_to_compare() -> None:
    assert kinds(ChangeDetector().files((), "aaaa")) == []
    assert kinds(ChangeDetector().files(("aaaa",), "")) == []
