"""EC2 refuses, hangs, loses answers and shows old ones, in the middle of an outage."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.lab.api_faults import ApiFault
from tests.lab.host_faults import WallClock
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.pair import DEFAULT, Pair
from tests.lab.plan import PAIR, Plan
from tests.lab.processes import Daemon


def processor_time(daemon: Daemon) -> float:
    """Seconds of CPU that a process has used: utime and stime of proc(5)."""
    fields = Path(f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_503_for_the_first_6_s_of_an_outage_is_a_take_within_5_s_of_its_return(lab: Lab) -> None:
    pair = Pair(lab, **DEFAULT).settle()
    lab.api.fail(ApiFault.UNAVAILABLE)
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
    assert lab.pace.elapsed(lifted, served) <= 5.0
    # two uplinks and a heartbeat a second, and the pulse: no call has held up a check
    checks = after["counters"]["checks"] - before["counters"]["checks"]
    assert checks >= 3 * (after["at"] - before["at"])
    assert not any("stalled" in line for line in pair.daemons["nat-a"].lines())


def test_an_api_that_hangs_for_11_s_gets_a_try_every_few_seconds_and_the_next_one_after_it_takes(
    lab: Lab,
) -> None:
    pair = Pair(lab, **DEFAULT).settle()
    lab.api.fail(ApiFault.HANG)
    lab.crash("nat-c")
    wait_until("a write hangs", lambda: len(lab.writes()) >= 1, 10.0)
    before = pair.snapshot("nat-a")
    time.sleep(11.0)
    after = pair.snapshot("nat-a")
    checks = after["counters"]["checks"] - before["counters"]["checks"]
    assert checks >= after["at"] - before["at"], "the pulse alone is two a second"
    tries = pair.written()
    assert tries == [("nat-a", "nat-a")] * len(tries)
    assert 3 <= len(tries) <= 4  # each waits for 3 s, then for 0.1 to 1.5 s more
    lab.api.lift()
    lifted = time.monotonic()
    served = lab.clients["app-c"].wait_served(via="nat-a", within=15.0)
    assert lab.pace.elapsed(lifted, served) <= 3.0
    assert [one.applied for one in lab.writes()] == [False] * len(tries) + [True]
    pair.daemons["nat-a"].wait_line(" took ")
    assert len(pair.told("nat-a", "could not take")) == 1
    assert pair.stalls("nat-a", longer_than=2.9) == [], "no call has held up the loop"


@pytest.mark.parametrize(
    "fault",
    [ApiFault.THROTTLE, ApiFault.INTERNAL, ApiFault.RESET, ApiFault.HANG],
    ids=lambda one: one.value,
)
def test_a_write_that_fails_in_whatever_way_is_tried_again_until_it_is_done(
    lab: Lab, fault: ApiFault
) -> None:
    pair = Pair(lab).settle()
    lab.api.fail(fault, actions=["ReplaceRoute"], times=2)
    lab.crash("nat-c")
    lab.clients["app-c"].wait_served(via="nat-a", within=20.0)
    pair.daemons["nat-a"].wait_line(" took ")
    lines = pair.daemons["nat-a"].lines()
    assert len([line for line in lines if "could not take" in line]) == 1
    assert len([line for line in lines if " took " in line]) == 1
    assert [one.applied for one in lab.writes()] == [False, False, True]


@pytest.mark.parametrize(
    "fault", [ApiFault.HANG_AFTER, ApiFault.RESET_AFTER], ids=lambda one: one.value
)
def test_a_write_applied_without_a_reply_is_seen_in_the_table_and_told_once(
    lab: Lab, fault: ApiFault
) -> None:
    pair = Pair(lab).settle()
    lab.api.fail(fault, actions=["ReplaceRoute"], times=1)
    lab.crash("nat-c")
    pair.daemons["nat-a"].wait_line(" took ", within=15.0)
    time.sleep(3.0)
    lines = pair.daemons["nat-a"].lines()
    assert len([line for line in lines if " took " in line]) == 1
    assert lab.holder("c") == "nat-a"
    assert pair.written() in ([("nat-a", "nat-a")], [("nat-a", "nat-a")] * 2)


def test_denied_says_which_permission_is_missing_and_does_not_hammer(lab: Lab) -> None:
    pair = Pair(lab).settle()
    lab.api.fail(ApiFault.DENIED, actions=["ReplaceRoute"])
    lab.crash("nat-c")
    line = pair.daemons["nat-a"].wait_line("could not take", within=10.0)
    assert "ec2:ReplaceRoute" in line
    time.sleep(8.0)
    assert len(pair.written()) <= 4


def test_status_says_that_ec2_cannot_be_read_and_what_it_says_to_a_take(lab: Lab) -> None:
    pair = Pair(lab, refresh="5s").settle()
    assert pair.status("nat-a")[0] == 0
    lab.api.fail(ApiFault.DENIED)
    wait_until(
        "status shows it",
        lambda: "the route tables cannot be read since " in pair.status("nat-a")[1],
        15.0,
    )
    code, text = pair.status("nat-a")
    assert code == 1
    assert "UnauthorizedOperation" in text
    assert "the last view, " in text
    lab.crash("nat-c")
    pair.daemons["nat-a"].wait_line("could not take", within=10.0)
    wait_until(
        "status shows what EC2 says to the take",
        lambda: "the move to nat-a failed " in pair.status("nat-a")[1],
        5.0,
    )
    code, text = pair.status("nat-a")
    assert code == 1
    assert "points at its home nat-c, but nat-c is DOWN" in text
    lab.api.lift()
    pair.wait_holder("c", "nat-a", within=20.0)


def test_credentials_that_ec2_calls_expired_are_told_with_their_fix_and_tried_again_in_peace(
    lab: Lab,
) -> None:
    pair = Pair(lab, **DEFAULT).settle()
    lab.api.fail(ApiFault.EXPIRED)
    lab.crash("nat-c")
    line = pair.daemons["nat-a"].wait_line("could not take")
    assert "RequestExpired" in line
    assert "check this node's instance profile" in line
    refused = time.monotonic()
    time.sleep(10.0)
    assert len(pair.told("nat-a", "could not take")) == 1
    assert len(lab.calls(caller="nat-a", action="ReplaceRoute", since=refused)) <= 5
    assert len(lab.calls(caller="nat-a", since=refused)) <= 20
    lab.api.lift()
    lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
    assert [one.applied for one in lab.writes()].count(True) == 1


def test_credentials_that_run_out_without_imds_are_renewed_and_used_as_soon_as_it_is_back(
    make_lab: Callable[[Plan], Lab],
) -> None:
    """botocore must renew what has less than 10 min left, and prolongs what is new and short of 25.

    EC2 allows a clock to be 15 min off, and so it is set from 14 min behind to 14 min ahead, past
    the end of credentials that seemed good for 27 min.
    """
    lab = make_lab(replace(PAIR, role_lasts=timedelta(minutes=13)))
    clock = WallClock(lab.directory)
    clock.step(-14 * 60)
    pair = Pair(lab, env=clock.env, refresh="1s").settle()
    lab.faults.imds_unreachable("nat-a")
    clock.step(14 * 60)
    lost = pair.daemons["nat-a"].wait_line("cannot read the route tables", within=15.0)
    assert "that its metadata service answers" in lost
    gone = time.monotonic()
    lab.crash("nat-c")
    pair.daemons["nat-a"].wait_line("could not take", within=20.0)
    before, spent = pair.snapshot("nat-a"), processor_time(pair.daemons["nat-a"])
    time.sleep(10.0)
    after = pair.snapshot("nat-a")
    assert lab.calls(caller="nat-a", since=gone) == []
    assert after["counters"]["checks"] > before["counters"]["checks"]
    assert after["counters"]["failed_moves"] - before["counters"]["failed_moves"] <= 8
    assert processor_time(pair.daemons["nat-a"]) - spent <= 5.0
    assert len(pair.told("nat-a", "could not take")) == 1
    assert len(pair.told("nat-a", "cannot read the route tables")) == 1
    lab.faults.imds_unreachable("nat-a", on=False)
    lab.clients["app-c"].wait_served(via="nat-a", within=15.0)
    assert pair.written() == [("nat-a", "nat-a")]


def test_r10_describe_failing_does_not_block_a_takeover(lab: Lab) -> None:
    pair = Pair(lab, refresh="1s").settle()
    lab.api.fail(ApiFault.DENIED, actions=["DescribeRouteTables", "DescribeInstances"])
    pair.daemons["nat-a"].wait_line("cannot read the route tables", within=10.0)
    lab.crash("nat-c")
    lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
    assert len(pair.written()) == 1


def test_r10_a_describe_that_hangs_does_not_hold_up_a_takeover(lab: Lab) -> None:
    pair = Pair(lab, **DEFAULT).settle()
    lab.api.fail(ApiFault.HANG, actions=["DescribeRouteTables", "DescribeInstances"])
    crashed = time.monotonic()
    lab.crash("nat-c")
    lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
    assert lab.clients["app-c"].takeover(since=crashed) <= 4.5
    assert pair.written() == [("nat-a", "nat-a")]


def test_r10_after_a_write_the_return_waits_for_a_describe_and_is_then_made_once(
    lab: Lab,
) -> None:
    pair = Pair(lab, refresh="1s").settle()
    lab.api.fail(ApiFault.UNAVAILABLE, actions=["DescribeRouteTables"])
    lab.crash("nat-c")
    pair.daemons["nat-a"].wait_line(" took ")
    lab.revive("nat-c")
    pair.daemons["nat-a"].wait_line("nat-c is up")
    time.sleep(10.0)  # of which preempt_delay is one
    said = {one["route"]["table"]: one["reason"] for one in pair.snapshot("nat-a")["rulings"]}
    assert said[lab.tables["private-c"]] == "checking nat-c and EC2 once more before the return"
    assert pair.written() == [("nat-a", "nat-a")]
    lab.api.lift()
    pair.wait_holder("c", "nat-c", within=15.0)
    time.sleep(2.0)
    assert pair.written() == [("nat-a", "nat-a"), ("nat-a", "nat-c")]


def test_r10_describe_denied_after_a_write_strands_no_route_when_the_peer_then_dies(
    lab: Lab,
) -> None:
    """nat-a gives its route to nat-c, which no view ever shows, and nat-c dies with both."""
    pair = Pair(lab, preempt_delay="60s").settle()
    lab.api.fail(ApiFault.DENIED, actions=["DescribeRouteTables"])
    lab.faults.gateway_cut("nat-a")
    lab.clients["app-a"].wait_served(via="nat-c", within=15.0)
    pair.daemons["nat-a"].wait_line(" released ")
    lab.faults.gateway_cut("nat-a", on=False)
    pair.daemons["nat-a"].wait_line("my uplink is up")
    died = time.monotonic()
    lab.crash("nat-c")
    for zone in ("a", "c"):
        lab.clients[f"app-{zone}"].wait_served(via="nat-a", within=15.0)
    time.sleep(3.0)
    assert pair.written(since=died) == [("nat-a", "nat-a")] * 2


def test_a_write_whose_answer_never_ends_is_given_up_within_20_s_told_and_made_again(
    lab: Lab,
) -> None:
    pair = Pair(lab, **DEFAULT).settle()
    lab.api.fail(ApiFault.DRIP, actions=["ReplaceRoute"], times=1)
    lab.crash("nat-c")
    wait_until("a write is answered without end", lambda: len(lab.writes()) == 1, 10.0)
    begun = time.monotonic()
    told = pair.daemons["nat-a"].wait_line("could not take", within=45.0)
    assert lab.pace.elapsed(begun) <= 20.0 + 1.0
    assert "may have been applied" in told
    lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
    assert [one.applied for one in lab.writes()] == [False, True]
    assert pair.stalls("nat-a", longer_than=2.9) == [], "no call has held up the loop"


def test_r10_a_stale_describe_after_our_write_is_no_news(lab: Lab) -> None:
    pair = Pair(lab, refresh="1s").settle()
    lab.api.fail(ApiFault.STALE, actions=["DescribeRouteTables"], times=6)
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
    lab.clients["app-c"].wait_served(via="nat-a", within=10.0)
    assert lab.clients["app-c"].takeover(since=stopped) <= 3.0
    line = pair.daemons["nat-a"].wait_line(" took ")
    assert "EC2" in line
    wait_until("one write", lambda: pair.written() == [("nat-a", "nat-a")], 10.0)
