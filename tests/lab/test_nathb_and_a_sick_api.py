"""EC2 refuses, hangs, loses answers and shows old ones, in the middle of an outage."""

from __future__ import annotations

import time

import pytest

from tests.lab.ailments import Ailment
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.pair import DEFAULT, Pair


def test_503_for_the_first_6_s_of_an_outage_is_a_take_within_5_s_of_its_return(lab: Lab) -> None:
    pair = Pair(lab, **DEFAULT).settle()
    lab.api.fail(Ailment.UNAVAILABLE)
    lab.crash("nat-c")
    time.sleep(1.5)
    before = pair.snapshot("nat-a")
    time.sleep(4.5)
    after = pair.snapshot("nat-a")
    assert pair.written() != []
    assert not any(one.applied for one in lab.writes())
    lab.api.lift()
    lifted = time.monotonic()
    served = lab.clients["app-c"].wait_served(via="nat-a", within=15.0)
    assert served - lifted <= 5.0
    # two uplinks and a heartbeat a second, and the pulse: no call has held up a check
    checks = after["counters"]["checks"] - before["counters"]["checks"]
    assert checks >= 3 * (after["at"] - before["at"])
    assert not any("stalled" in line for line in pair.daemons["nat-a"].lines())


@pytest.mark.parametrize(
    "ailment",
    [Ailment.THROTTLE, Ailment.INTERNAL, Ailment.RESET, Ailment.HANG],
    ids=lambda one: one.value,
)
def test_a_write_that_fails_in_whatever_way_is_tried_again_until_it_is_done(
    lab: Lab, ailment: Ailment
) -> None:
    pair = Pair(lab).settle()
    lab.api.fail(ailment, actions=["ReplaceRoute"], times=2)
    lab.crash("nat-c")
    lab.clients["app-c"].wait_served(via="nat-a", within=20.0)
    pair.daemons["nat-a"].wait_line(" took ")
    lines = pair.daemons["nat-a"].lines()
    assert any("could not take" in line for line in lines)
    assert len([line for line in lines if " took " in line]) == 1


@pytest.mark.parametrize(
    "ailment", [Ailment.HANG_AFTER, Ailment.RESET_AFTER], ids=lambda one: one.value
)
def test_a_write_applied_without_a_reply_is_seen_in_the_table_and_told_once(
    lab: Lab, ailment: Ailment
) -> None:
    pair = Pair(lab).settle()
    lab.api.fail(ailment, actions=["ReplaceRoute"], times=1)
    lab.crash("nat-c")
    pair.daemons["nat-a"].wait_line(" took ", within=15.0)
    time.sleep(3.0)
    lines = pair.daemons["nat-a"].lines()
    assert len([line for line in lines if " took " in line]) == 1
    assert lab.holder("c") == "nat-a"


def test_denied_says_which_permission_is_missing_and_does_not_hammer(lab: Lab) -> None:
    pair = Pair(lab).settle()
    lab.api.fail(Ailment.DENIED, actions=["ReplaceRoute"])
    lab.crash("nat-c")
    line = pair.daemons["nat-a"].wait_line("could not take", within=10.0)
    assert "ec2:ReplaceRoute" in line
    time.sleep(8.0)
    assert len(pair.written()) <= 4


def test_r10_describe_failing_does_not_block_a_takeover(lab: Lab) -> None:
    pair = Pair(lab, refresh="1s").settle()
    lab.api.fail(Ailment.DENIED, actions=["DescribeRouteTables", "DescribeInstances"])
    pair.daemons["nat-a"].wait_line("cannot read the route tables", within=10.0)
    lab.crash("nat-c")
    lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
    assert len(pair.written()) == 1


def test_r10_a_stale_describe_after_our_write_is_no_news(lab: Lab) -> None:
    pair = Pair(lab, refresh="1s").settle()
    lab.api.fail(Ailment.STALE, actions=["DescribeRouteTables"], times=6)
    lab.crash("nat-c")
    lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
    time.sleep(6.0)
    assert pair.written() == [("nat-a", "nat-a")]


def test_r13_a_peer_that_ec2_stops_is_a_blackhole_and_one_missed_check_is_enough(
    lab: Lab,
) -> None:
    pair = Pair(lab, **DEFAULT).settle()
    stopped = time.monotonic()
    lab.stop_instance("nat-c")
    served = lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
    assert served - stopped <= 3.0
    line = pair.daemons["nat-a"].wait_line(" took ")
    assert "EC2" in line
    wait_until("one write", lambda: pair.written() == [("nat-a", "nat-a")], 2.0)
