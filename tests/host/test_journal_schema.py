"""What an event becomes before it is written."""

from __future__ import annotations

import string

import pytest
from msgspec.structs import replace

from nathb import __version__
from nathb.core.events import Event, EventKind
from nathb.host.journal_schema import ENTRIES, LOST, Level, lost_record, one_line, record
from tests.host.samples import TOOK

IDS = [entry.message_id for entry in (*ENTRIES.values(), LOST)]


@pytest.mark.parametrize("kind", EventKind, ids=lambda kind: kind.value)
def test_every_kind_of_event_has_an_entry(kind: EventKind) -> None:
    assert kind in ENTRIES


def test_no_two_kinds_share_an_identifier() -> None:
    assert len(set(IDS)) == len(IDS)


@pytest.mark.parametrize("message_id", IDS)
def test_identifiers_are_128_bits_in_lower_case_hex(message_id: str) -> None:
    assert len(message_id) == 32
    assert set(message_id) <= set(string.digits + "abcdef")


def test_an_event_fills_all_fields() -> None:
    assert dict(record(TOOK, "tokyo", "nat-a").fields) == {
        "MESSAGE": TOOK.message,
        "MESSAGE_ID": "920b5b55184f4dabb7b6c8064bb16a41",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "nathb",
        "NATHB_VERSION": __version__,
        "NATHB_GROUP": "tokyo",
        "NATHB_NODE": "nat-a",
        "NATHB_EVENT": "took",
        "NATHB_ROUTE_TABLE": "rtb-0bee8f2dc00000003",
        "NATHB_DESTINATION": "0.0.0.0/0",
        "NATHB_FROM": "nat-c",
        "NATHB_TO": "nat-a",
        "NATHB_REASON": "heartbeat 8.8.4.4 missed 3 of 3",
        "NATHB_RULE": "R3",
        "NATHB_DETECT_MS": "3400",
        "NATHB_API_MS": "0",
        "NATHB_ERROR": "no reply",
        "AWS_REQUEST_ID": "59dbff89-35bd-4eac-99ed-be587EXAMPLE",
        "NATHB_TRACE": '{"known":{}}',
    }


def test_what_an_event_does_not_say_is_no_field() -> None:
    fields = dict(record(Event(kind=EventKind.STARTED, message="up"), "tokyo", "nat-a").fields)
    assert set(fields) == {
        "MESSAGE", "MESSAGE_ID", "PRIORITY", "SYSLOG_IDENTIFIER", "NATHB_VERSION",
        "NATHB_GROUP", "NATHB_NODE", "NATHB_EVENT",
    }  # fmt: skip


def test_what_ec2_says_stays_on_one_line_of_sentence_and_reason() -> None:
    hostile = "no:\n<3>kernel: panic\r\n\x1b[2J\u2028done"
    fields = dict(record(replace(TOOK, message=hostile, reason=hostile), "tokyo", "nat-a").fields)
    assert fields["MESSAGE"] == fields["NATHB_REASON"] == "no: <3>kernel: panic [2J done"


def test_one_line_leaves_honest_text_alone() -> None:
    honest = "took rtb-1 ::/0 from nat-c: 3 of 3, «東京» (6 ms)"
    assert one_line(honest) == honest


@pytest.mark.parametrize(("lost", "words"), [(1, "1 event was lost"), (20, "20 events were lost")])
def test_lost_events_are_owned_up_to_as_a_number(lost: int, words: str) -> None:
    told = lost_record(lost, "tokyo", "nat-a")
    fields = dict(told.fields)
    assert told.sentence.startswith(words)
    assert fields["NATHB_LOST"] == str(lost)
    assert (fields["MESSAGE_ID"], told.level) == (LOST.message_id, Level.WARNING)
