"""A takeover by a booted instance, as a real journald has it and a real journalctl shows it."""

from __future__ import annotations

import re

import pytest

from nathb.core.events import EventKind
from nathb.host.journal_schema import ENTRIES
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.service import UNIT, Service

TOOK = re.compile(
    r"took rtb-\w+ 0\.0\.0\.0/0 from nat-c: heartbeat [\d.]+ missed \d+ of \d+, uplink up"
    r" \(detected in [\d.]+ m?s, moved in [\d.]+ m?s\)"
)


@pytest.fixture
def taken(lab: Lab, service: Service) -> Service:
    """The service, when it has just taken nat-c's route."""
    lab.crash("nat-c")
    wait_until("it takes", lambda: lab.holder("c") == "nat-a", within=10.0)
    service.wait_sentence("took")
    return service


def test_journalctl_of_the_unit_tells_the_takeover_in_sentences(taken: Service) -> None:
    sentences = taken.sentences()
    order = [
        next(number for number, one in enumerate(sentences) if re.match(pattern, one))
        for pattern in (r"nathb \S+ guards pair as nat-a, with nat-c", "nat-c is down", TOOK)
    ]
    assert order == sorted(order)


def test_journalctl_x_explains_the_takeover_and_says_what_to_do(taken: Service) -> None:
    shown = taken.machine.journal("--catalog", "--unit", UNIT, "NATHB_EVENT=took")
    assert re.search(r"Subject: nat-a took rtb-\w+ 0\.0\.0\.0/0$", shown, re.MULTILINE), shown
    assert "Defined-By: nathb" in shown
    assert "nathb status pair" in shown


def test_a_takeover_is_found_by_its_message_id_with_all_its_fields(
    lab: Lab, taken: Service
) -> None:
    (entry,) = taken.entries(f"MESSAGE_ID={ENTRIES[EventKind.TOOK].message_id}")
    (write,) = lab.writes(caller="nat-a")
    expected = {
        "_SYSTEMD_UNIT": "nathb@pair.service",
        "_HOSTNAME": "nat-a",
        "_TRANSPORT": "journal",
        "SYSLOG_IDENTIFIER": "nathb",
        "PRIORITY": "4",
        "NATHB_GROUP": "pair",
        "NATHB_NODE": "nat-a",
        "NATHB_EVENT": "took",
        "NATHB_ROUTE_TABLE": lab.tables["private-c"],
        "NATHB_DESTINATION": "0.0.0.0/0",
        "NATHB_FROM": "nat-c",
        "NATHB_TO": "nat-a",
        "NATHB_RULE": "R3",
    }
    assert {key: entry.get(key) for key in expected} == expected
    assert entry["_PID"] == str(taken.pid)
    assert 0 < int(entry["NATHB_DETECT_MS"]) < 10_000
    assert 0 <= int(entry["NATHB_API_MS"]) < 10_000
    assert entry["AWS_REQUEST_ID"]
    assert TOOK.fullmatch(entry["MESSAGE"])
    assert write.parameters["RouteTableId"] == entry["NATHB_ROUTE_TABLE"]


def test_the_journal_still_has_the_takeover_after_a_reboot(taken: Service) -> None:
    taken.machine.reboot(off=0.5)
    (entry,) = taken.entries("NATHB_EVENT=took", "--boot=-1")
    assert entry["NATHB_NODE"] == "nat-a"
