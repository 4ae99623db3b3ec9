"""What a takeover with real packets leaves in the journal: its history, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.host.journald import Journald
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.pair import Pair
from tests.lab.processes import nathb


@pytest.fixture
def journald() -> Iterator[Journald]:
    with Journald() as running:
        yield running


def test_a_takeover_and_its_return_are_told_by_history_and_explained_by_the_same_rules(
    lab: Lab, journald: Journald
) -> None:
    check = {"interval": "500ms", "fast_interval": "200ms", "timeout": "500ms", "pulse": "200ms"}
    pair = Pair(lab, journal=journald.address, check=check, preempt_delay="1s").settle()
    lab.crash("nat-c")
    pair.wait_holder("c", "nat-a", within=15.0)
    lab.revive("nat-c")
    pair.wait_holder("c", "nat-c", within=30.0)
    wait_until("the return is told", lambda: journald.entries("NATHB_EVENT=returned"), 10.0)
    at = ("--directory", journald.directory)

    done = lab.run("nat-a", nathb("history", "lab", "--json", *at))
    assert done.returncode == 0, done.stderr
    moves = [json.loads(line) for line in done.stdout.splitlines()]
    story = [(one["event"], one["node"], one["from"], one["to"]) for one in moves]
    assert story == [("took", "nat-a", "nat-c", "nat-a"), ("returned", "nat-a", "nat-a", "nat-c")]
    assert moves[0]["api_ms"] is not None
    assert 0 < moves[0]["detect_ms"] < 15_000

    done = lab.run("nat-a", nathb("explain", "lab", "2", "--json", *at))
    assert done.returncode == 0, done.stdout + done.stderr
    explained = json.loads(done.stdout)
    assert explained["same"] is True
    assert explained["recorded"]["move"]["to"] == "nat-a"
    assert [one["rule"] for one in explained["rules"]][-1] == "R3"
    [down] = [one for one in explained["around"] if one["event"] == "peer-down"]
    assert -5.0 < down["seconds"] <= 0.0

    done = lab.run("nat-a", nathb("explain", "lab", "2", *at))
    assert "the same facts lead to the same decision." in done.stdout
