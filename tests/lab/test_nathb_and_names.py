"""An uplink of host names, and a resolver that does not answer."""

from __future__ import annotations

import signal
import time

from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.pair import Pair
from tests.lab.scripts import name_server

NAMES = {"one.uplink.example": "1.1.1.1", "nine.uplink.example": "9.9.9.9"}
NODES = ("nat-a", "nat-c")


def test_without_dns_names_resolved_before_stay_in_use_and_a_dead_peer_is_taken_from(
    lab: Lab,
) -> None:
    with name_server(lab, NAMES, *NODES) as server:
        pair = Pair(lab, uplink=list(NAMES)).settle()
        server.freeze()
        for node in NODES:
            pair.daemons[node].signal(signal.SIGHUP)  # for only so are the names looked up early
            for name in NAMES:
                lost = pair.daemons[node].wait_line(f"cannot resolve {name}")
                assert "so its last addresses stay in use" in lost
        before = pair.snapshot("nat-a")
        assert sorted(before["uplink"]["addresses"]) == ["1.1.1.1", "9.9.9.9"]
        lab.crash("nat-c")
        lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
        time.sleep(2.0)
        assert pair.written() == [("nat-a", "nat-a")]
        assert pair.snapshot("nat-a")["counters"]["heard"] > before["counters"]["heard"]
        server.freeze(on=False)
        for name in NAMES:
            pair.daemons["nat-a"].wait_line(f"{name} can be resolved again")
        assert not any("uplink is down" in line for line in pair.daemons["nat-a"].lines())


def test_started_without_dns_it_says_so_and_takes_nothing_until_names_can_be_resolved(
    lab: Lab,
) -> None:
    with name_server(lab, NAMES, *NODES) as server:
        server.freeze()
        pair = Pair(lab, uplink=list(NAMES))
        for node in NODES:
            for name in NAMES:
                lost = pair.daemons[node].wait_line(f"cannot resolve {name}")
                assert "so it is not asked" in lost
        wait_until("nat-a sees nat-c up", lambda: pair.verdict("nat-a", "nat-c") == "up", 10.0)
        lab.crash("nat-c")
        pair.daemons["nat-a"].wait_line("nat-c is down")
        time.sleep(3.0)
        assert pair.written() == []
        assert pair.daemons["nat-a"].running
        assert pair.verdict("nat-a", "uplink") == "unknown"
        server.freeze(on=False)
        lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
        assert pair.written() == [("nat-a", "nat-a")]


def test_one_name_that_cannot_be_resolved_leaves_the_other_uplink_in_force(lab: Lab) -> None:
    with name_server(lab, {}, *NODES):
        pair = Pair(lab, uplink=["1.1.1.1", "gone.uplink.example"]).settle()
        pair.daemons["nat-a"].wait_line("cannot resolve gone.uplink.example, so it is not asked")
        lab.crash("nat-c")
        lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
        assert pair.written() == [("nat-a", "nat-a")]
