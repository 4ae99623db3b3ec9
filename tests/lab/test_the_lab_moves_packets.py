"""What makes the lab worth trusting: a ReplaceRoute moves packets, and a heartbeat crosses a NAT."""

from __future__ import annotations

import sys
import time

from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.plan import EVERYWHERE

REPLACE = """
import boto3, sys
ec2 = boto3.client("ec2", "ap-northeast-1")
ec2.replace_route(RouteTableId=sys.argv[1], DestinationCidrBlock=sys.argv[2], InstanceId=sys.argv[3])
"""


def pings(lab: Lab, node: str, address: str, count: int = 1) -> bool:
    """Whether every ping from a node comes back."""
    ping = ["ping", "-q", "-n", "-c", str(count), "-i", "0.05", "-W", "0.5", address]
    return lab.run(node, ping).returncode == 0


def test_clients_leave_through_the_nat_of_their_own_zone(lab: Lab) -> None:
    assert {name: client.via() for name, client in lab.clients.items()} == {
        "app-a": "nat-a",
        "app-c": "nat-c",
    }


def test_a_replace_route_by_an_instance_moves_packets_and_counts_as_one_write(lab: Lab) -> None:
    table, start = lab.tables["private-a"], time.monotonic()

    done = lab.run(
        "nat-c",
        [sys.executable, "-c", REPLACE, table, EVERYWHERE, lab.instances["nat-c"].instance],
    )

    assert done.returncode == 0, done.stderr
    client = lab.clients["app-a"]
    answered = next(call.at for call in lab.writes())
    assert client.wait_served(via="nat-c") - answered < 1.0
    assert client.outage(start) < 0.5
    assert lab.routes()[table, EVERYWHERE] == "nat-c"
    (write,) = lab.writes()
    assert (write.caller, write.action, write.applied) == ("nat-c", "ReplaceRoute", True)
