"""Where moto differs from EC2, the lab answers as EC2 does; and IMDS tells each its own story."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.lab.lab import Lab
from tests.lab.node_requests import call_ec2, can_ping, fetch_imds, metadata, replace_route
from tests.lab.plan import EVERYWHERE, ZONE_A, ZONE_C


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
