"""Each fault of the EC2 API behaves as it is described, for those it is meant for."""

from __future__ import annotations

import json
import time

import pytest

from tests.lab.api_faults import REFUSALS, ApiFault
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.node_requests import POST, PYTHON, Reply, call_ec2, replace_route
from tests.lab.plan import EVERYWHERE
from tests.lab.processes import ENDPOINT


def take(lab: Lab, timeout: float = 5.0) -> Reply:
    """nat-c takes private-a's default route."""
    return replace_route(lab, "nat-c", "private-a", EVERYWHERE, "nat-c", timeout=timeout)


def describe(lab: Lab, node: str = "nat-c", timeout: float = 5.0) -> Reply:
    return call_ec2(
        lab,
        node,
        "DescribeRouteTables",
        timeout=timeout,
        RouteTableId_1=lab.tables["private-a"],
    )


def test_a_refusal_is_worded_as_ec2_does_and_nothing_is_applied(lab: Lab) -> None:
    for fault, refusal in REFUSALS.items():
        number = lab.api.fail(fault, actions=["ReplaceRoute"])

        reply = take(lab)

        assert (reply.status, reply.code) == (refusal.status, refusal.code)
        write = lab.writes()[-1]
        assert (write.status, write.error, write.applied) == (reply.status, reply.code, False)
        assert describe(lab).status == 200, "other actions are well"
        lab.api.lift(number)
    assert lab.holder("a") == "nat-a"
    assert take(lab).status == 200


def test_a_fault_lasts_for_so_many_calls_of_so_many_callers(lab: Lab) -> None:
    lab.api.fail(ApiFault.THROTTLE, callers=["nat-c"], times=2)

    assert describe(lab, "nat-a").status == 200
    assert [describe(lab).status for _ in range(3)] == [503, 503, 200]


def test_one_call_fails_by_one_fault(lab: Lab) -> None:
    lab.api.fail(ApiFault.INTERNAL, times=1)
    lab.api.fail(ApiFault.DENIED, times=1)

    assert [describe(lab).status for _ in range(3)] == [500, 403, 200]


def test_the_operator_is_spared_unless_named(lab: Lab) -> None:
    lab.api.fail(ApiFault.DENIED)
    assert lab.holder("a") == "nat-a"

    lab.api.fail(ApiFault.DENIED, callers=["operator"])
    with pytest.raises(Exception, match="UnauthorizedOperation"):
        lab.holder("a")


def test_latency_delays_the_answer_and_nobody_elses(lab: Lab) -> None:
    lab.api.fail(ApiFault.LATENCY, callers=["nat-a"], seconds=0.6)

    start = time.monotonic()
    assert describe(lab, "nat-a").status == 200
    assert time.monotonic() - start > 0.6

    lab.api.fail(ApiFault.LATENCY, callers=["nat-a"], seconds=600.0)
    assert describe(lab, "nat-c").status == 200, "or it would time out"


def test_a_drip_outlasts_a_timeout_that_counts_silence(lab: Lab) -> None:
    lab.api.fail(ApiFault.DRIP, actions=["DescribeRouteTables"], callers=["nat-c"])
    host = ENDPOINT.removeprefix("http://")
    form = {"Action": "DescribeRouteTables", "Version": "2016-11-15"}

    asks = lab.start("nat-c", [*PYTHON, POST, json.dumps([host, form, 2.0])])
    wait_until("it is received", lambda: lab.calls(caller="nat-c"), 10.0)
    time.sleep(5.0)

    assert asks.running
    assert describe(lab, "nat-a").status == 200, "others are answered meanwhile"
    lab.api.lift()
    assert asks.wait(10.0) == 0
    assert "ConnectionResetError" in asks.lines()[-1]


def test_a_hang_answers_nothing_and_applies_nothing(lab: Lab) -> None:
    lab.api.fail(ApiFault.HANG, actions=["ReplaceRoute"])

    assert take(lab, timeout=0.3).text == "TimeoutError"

    assert describe(lab).status == 200, "while the first call still hangs"
    (write,) = lab.writes()
    assert (write.status, write.applied) == (None, False)
    lab.api.lift()
    assert lab.holder("a") == "nat-a"


def test_a_hang_after_applying_has_moved_the_route(lab: Lab) -> None:
    lab.api.fail(ApiFault.HANG_AFTER, actions=["ReplaceRoute"])

    assert take(lab, timeout=0.3).text == "TimeoutError"

    (write,) = lab.writes()
    assert (write.status, write.applied) == (None, True)
    assert lab.holder("a") == "nat-c"
    lab.clients["app-a"].wait_served(via="nat-c")


def test_a_reset_connection_tells_nothing_of_what_was_done(lab: Lab) -> None:
    for fault, holder in ((ApiFault.RESET, "nat-a"), (ApiFault.RESET_AFTER, "nat-c")):
        lab.api.fail(fault, times=1)

        assert take(lab).text == "ConnectionResetError"

        assert lab.holder("a") == holder
        assert lab.writes()[-1].applied is (holder == "nat-c")


def test_a_stale_describe_shows_the_routes_before_the_last_write(lab: Lab) -> None:
    eni_a, eni_c = (lab.instances[name].eni for name in ("nat-a", "nat-c"))
    take(lab)
    lab.api.fail(ApiFault.STALE, times=2)

    assert [eni_a in describe(lab).text for _ in range(3)] == [True, True, False]
    assert eni_c in describe(lab).text
    assert lab.holder("a") == "nat-c"


def test_a_stale_describe_may_be_so_many_seconds_old(lab: Lab) -> None:
    eni_a, built = lab.instances["nat-a"].eni, time.monotonic()
    pause = {"Key": "nathb:pause", "Value": "yes"}
    lab.api.fail(ApiFault.STALE, seconds=1.5)
    wait_until("the lab is older than that", lambda: time.monotonic() - built > 1.5)

    lab.ec2.create_tags(Resources=[lab.tables["private-a"]], Tags=[pause])
    take(lab)

    now = describe(lab).text
    assert eni_a in now
    assert pause["Key"] not in now
    wait_until("the writes are older than that", lambda: eni_a not in describe(lab).text)
    assert pause["Key"] in describe(lab).text


def test_the_first_calls_may_be_spared(lab: Lab) -> None:
    lab.api.fail(ApiFault.INTERNAL, spare=1, times=1)

    assert [describe(lab).status for _ in range(3)] == [200, 500, 200]
