"""The journal against a real journald."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from nathb.host.journal import Journal
from nathb.host.journal_schema import LOST
from tests.host.journald import PATIENCE, Journald
from tests.host.samples import TOOK, numbered

pytestmark = [pytest.mark.lab, pytest.mark.clock]


def test_a_takeover_is_found_by_its_identifier_with_every_field(
    journald: Journald, journal_for: Callable[[Journald], Journal]
) -> None:
    journal = journal_for(journald)
    journal.emit(numbered(1))
    journal.emit(TOOK)
    assert journal.close(PATIENCE)
    [entry] = journald.entries("MESSAGE_ID=920b5b55184f4dabb7b6c8064bb16a41")
    assert entry["MESSAGE"] == TOOK.message
    assert entry["PRIORITY"] == "4"
    assert entry["NATHB_ROUTE_TABLE"] == "rtb-0bee8f2dc00000003"
    assert entry["NATHB_DETECT_MS"] == "3400"
    assert entry["_TRANSPORT"] == "journal"


def test_a_round_too_large_for_a_datagram_arrives_whole(
    journald: Journald, journal_for: Callable[[Journald], Journal]
) -> None:
    journal = journal_for(journald)
    trace = "0123456789" * 50_000
    journal.emit(replace(TOOK, trace=trace))
    assert journal.close(PATIENCE)
    [entry] = journald.entries()
    assert entry["NATHB_TRACE"] == trace


@pytest.mark.timeout(120)
def test_a_frozen_journald_holds_nobody_up_and_gets_the_count_when_it_thaws(
    journald: Journald, journal_for: Callable[[Journald], Journal]
) -> None:
    journal = journal_for(journald)
    journald.freeze()
    for number in range(5000):
        journal.emit(numbered(number))
    journald.thaw()
    assert journal.close(PATIENCE)
    *told, last = journald.entries()
    assert last["MESSAGE_ID"] == LOST.message_id
    assert len(told) + int(last["NATHB_LOST"]) == 5000
