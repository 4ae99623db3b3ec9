"""Where moto differs from EC2, the lab answers as EC2 does; its faults are as described."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.lab.api_faults import REFUSALS, ApiFault
from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.node_requests import (
    POST,
    PYTHON,
    Reply,
    call_ec2,
    can_ping,
    fetch_imds,
    metadata,
    replace_route,
)
from tests.lab.plan import EVERYWHERE, ZONE_A, ZONE_C
from tests.lab.processes import ENDPOINT

# --- EC2 ------------------------------------------------------------------------------------------


def route(lab: Lab, table: str, destination: str = EVERYWHERE) -> dict[str, Any]:
    """One route as the operator's Describe shows it."""
    answer = lab.ec2.describe_route_tables(RouteTableIds=[lab.tables[table]])
    (found,) = (
        one
        for one in answer["RouteTables"][0]["Routes"]
        if one["DestinationCidrBlock"] == destination
    )
    return dict(found)


def test_a_route_shows_both_ids_whichever_was_written(lab: Lab) -> None:
    ids = lab.instances["nat-c"]
    for target in ({"InstanceId": ids.instance}, {"NetworkInterfaceId": ids.eni}):
        lab.ec2.replace_route(
            RouteTableId=lab.tables["private-a"], DestinationCidrBlock=EVERYWHERE, **target
        )

        shown = route(lab, "private-a")
        assert (shown["InstanceId"], shown["NetworkInterfaceId"]) == (ids.instance, ids.eni)
        assert shown["State"] == "active"


def test_a_dry_run_changes_nothing(lab: Lab) -> None:
    reply = replace_route(lab, "nat-c", "private-a", EVERYWHERE, "nat-c", DryRun="true")

    assert (reply.status, reply.code) == (412, "DryRunOperation")
    assert lab.holder("a") == "nat-a"
    assert lab.writes() == []
    assert lab.clients["app-a"].via() == "nat-a"


def test_replacing_a_route_that_is_not_there_is_refused(lab: Lab) -> None:
    reply = replace_route(lab, "nat-a", "private-a", "10.99.0.0/16", "nat-a")

    assert (reply.status, reply.code) == (400, "InvalidParameterValue")
    (write,) = lab.writes()
    assert (write.status, write.error, write.applied) == (400, reply.code, False)


def test_replacing_a_route_in_no_table_or_to_nobody_is_refused(lab: Lab) -> None:
    assert (
        replace_route(lab, "nat-a", "rtb-0", EVERYWHERE, "nat-a").code
        == "InvalidRouteTableID.NotFound"
    )
    with pytest.raises(ClientError, match=r"InvalidNetworkInterfaceID\.NotFound"):
        lab.ec2.replace_route(
            RouteTableId=lab.tables["private-a"],
            DestinationCidrBlock=EVERYWHERE,
            NetworkInterfaceId="eni-0",
        )
    assert lab.holder("a") == "nat-a"


def test_a_deleted_route_leads_nowhere_and_a_created_one_leads_on(lab: Lab) -> None:
    table = {"RouteTableId": lab.tables["private-a"], "DestinationCidrBlock": EVERYWHERE}
    lab.ec2.delete_route(**table)
    assert not can_ping(lab, "app-a", "1.1.1.1")

    lab.ec2.create_route(**table, InstanceId=lab.instances["nat-c"].instance)
    lab.clients["app-a"].wait_served(via="nat-c")


def test_routes_and_pins_to_a_stopped_instance_are_blackholes_until_it_starts(lab: Lab) -> None:
    pin = f"{ZONE_C.heartbeat}/32"
    lab.stop_instance("nat-c")

    assert route(lab, "private-c")["State"] == "blackhole"
    assert route(lab, "public-a", pin)["State"] == "blackhole"
    assert route(lab, "private-a")["State"] == "active"
    assert not can_ping(lab, "nat-a", ZONE_C.heartbeat)
    assert not can_ping(lab, "nat-a", "10.0.1.10")
    assert not lab.clients["app-c"].served()

    lab.start_instance("nat-c")
    assert route(lab, "private-c")["State"] == "active"
    assert can_ping(lab, "nat-a", ZONE_C.heartbeat)
    lab.clients["app-c"].wait_served(via="nat-c")


def test_a_replaced_instance_has_new_ids_and_its_old_routes_stay_blackholes(lab: Lab) -> None:
    old = lab.instances["nat-c"]
    new = lab.replace_instance("nat-c")

    assert new != old
    gone = route(lab, "private-c")
    assert (gone["State"], gone["NetworkInterfaceId"]) == ("blackhole", old.eni)
    assert metadata(lab, "nat-c", "/latest/meta-data/instance-id") == new.instance
    lab.move("private-c", EVERYWHERE, "nat-c")
    lab.clients["app-c"].wait_served(via="nat-c")


def test_a_source_dest_check_shows_on_the_instance_and_on_its_interface(lab: Lab) -> None:
    ids = lab.instances["nat-a"]

    def shown() -> tuple[bool, bool]:
        about = lab.ec2.describe_instances(InstanceIds=[ids.instance])
        interface = lab.ec2.describe_network_interfaces(NetworkInterfaceIds=[ids.eni])
        return (
            about["Reservations"][0]["Instances"][0]["SourceDestCheck"],
            interface["NetworkInterfaces"][0]["SourceDestCheck"],
        )

    assert shown() == (False, False), "as the operator left it, by the instance"
    for check in (True, False):
        lab.ec2.modify_network_interface_attribute(
            NetworkInterfaceId=ids.eni, SourceDestCheck={"Value": check}
        )
        assert shown() == (check, check)


def test_every_call_is_on_record_with_its_caller(lab: Lab) -> None:
    call_ec2(lab, "app-a", "DescribeRouteTables", RouteTableId_1=lab.tables["public-a"])
    replace_route(lab, "nat-a", "public-a", f"{ZONE_C.heartbeat}/32", "nat-c")

    (read,) = lab.calls(caller="app-a")
    assert (read.action, read.status, read.applied) == ("DescribeRouteTables", 200, False)
    assert read.parameters["RouteTableId.1"] == lab.tables["public-a"]
    (write,) = lab.writes()
    assert write.at > read.at
    assert not [one for one in lab.writes() if one.caller == "operator"]


def test_imds_tells_each_instance_who_it_is(lab: Lab) -> None:
    for zone in (ZONE_A, ZONE_C):
        node = zone.nat.name
        ids = lab.instances[node]
        assert metadata(lab, node, "/latest/meta-data/instance-id") == ids.instance
        place = metadata(lab, node, "/latest/meta-data/placement/availability-zone")
        assert place == f"ap-northeast-1{zone.name}"
        document = metadata(lab, node, "/latest/dynamic/instance-identity/document")
        assert json.loads(document)["privateIp"] == str(zone.nat.address)
    assert metadata(lab, "nat-a", "/latest/meta-data/placement/region") == "ap-northeast-1"
    role = metadata(lab, "nat-a", "/latest/meta-data/iam/security-credentials/")
    credentials = metadata(lab, "nat-a", f"/latest/meta-data/iam/security-credentials/{role}")
    assert json.loads(credentials)["Expiration"] > json.loads(credentials)["LastUpdated"]


def test_imds_wants_a_token_of_its_own(lab: Lab) -> None:
    path = "/latest/meta-data/instance-id"
    assert fetch_imds(lab, "nat-a", path).status == 401
    assert fetch_imds(lab, "nat-a", path, headers={"X-aws-ec2-metadata-token": "x"}).status == 401
    assert fetch_imds(lab, "nat-a", "/latest/api/token", "PUT").status == 400


# --- faults ---------------------------------------------------------------------------------------


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


def test_while_a_zone_is_disrupted_instances_are_described_by_ids_of_other_zones_alone(
    lab: Lab,
) -> None:
    lab.api.fail(ApiFault.DISRUPTED, zone="c")
    a, c = (lab.instances[name].instance for name in ("nat-a", "nat-c"))

    def code(**parameters: str) -> str | None:
        return call_ec2(lab, "nat-a", "DescribeInstances", **parameters).code

    assert code(InstanceId_1=a) is None
    assert code(InstanceId_1=c) == "InternalError"
    assert code(InstanceId_1=a, InstanceId_2=c) == "InternalError"
    assert code() == "InternalError"
    assert code(Filter_1_Name="instance-id", Filter_1_Value_1=a) == "InternalError"
    assert describe(lab).status == 200, "of route tables"
    lab.api.lift()
    assert code(InstanceId_1=c) is None


def test_what_is_described_without_ids_comes_in_pages(lab: Lab) -> None:
    for _ in range(4):
        lab.ec2.create_route_table(VpcId=lab.ec2.describe_vpcs()["Vpcs"][-1]["VpcId"])
    pages = lab.ec2.get_paginator("describe_route_tables").paginate(
        PaginationConfig={"PageSize": 5}
    )
    tables = [[one["RouteTableId"] for one in page["RouteTables"]] for page in pages]
    assert len(tables) > 1
    assert {len(page) for page in tables[:-1]} == {5}
    assert {one for page in tables for one in page} > set(lab.tables.values())

    def code(action: str, **parameters: str) -> str | None:
        return call_ec2(lab, "nat-a", action, **parameters).code

    assert code("DescribeRouteTables", MaxResults="101") == "InvalidParameterValue"
    assert code("DescribeInstances", MaxResults="4") == "InvalidParameterValue"
    both = {"MaxResults": "5", "InstanceId_1": lab.instances["nat-a"].instance}
    assert code("DescribeInstances", **both) == "InvalidParameterCombination"
