"""Routes that are found by a tag and in a whole VPC: on real packets, under the role's policy."""

from __future__ import annotations

import yaml

from tests.lab.lab import Lab
from tests.lab.machine import wait_until
from tests.lab.pair import Pair
from tests.lab.plan import EVERYWHERE
from tests.lab.processes import nathb

ELSEWHERE, OUT = "10.77.0.0/16", "198.51.100.0/24"


def with_matches(lab: Lab) -> dict[str, object]:
    """The file's nodes: nat-a's routes by a tag, and nat-c's whatever else the VPC has."""
    nodes = yaml.safe_load(lab.pair_config())["nodes"]
    vpc = {"vpc-id": lab.account.vpc}
    nodes["nat-a"]["routes"] = [{"match": {"tag:nathb": "nat-a"}, "destination": EVERYWHERE}]
    nodes["nat-c"]["routes"] = [{"match": vpc, "destination": "any", "except": ["10.9.0.0/16"]}]
    del nodes["nat-c"]["instance"]
    nodes["nat-c"]["match"] = {"tag:Name": "nat-c"}
    return dict(nodes)


def add_table(lab: Lab) -> str:
    """Give the subnet of app-c a table of its own, with a default route to nat-c; its id."""
    ec2, before = lab.ec2, lab.tables["private-c"]
    table = str(ec2.create_route_table(VpcId=lab.account.vpc)["RouteTable"]["RouteTableId"])
    ec2.create_route(
        RouteTableId=table,
        DestinationCidrBlock=EVERYWHERE,
        NetworkInterfaceId=lab.instances["nat-c"].eni,
    )
    [shown] = ec2.describe_route_tables(RouteTableIds=[before])["RouteTables"]
    old = shown["Associations"][0]["RouteTableAssociationId"]
    ec2.replace_route_table_association(AssociationId=old, RouteTableId=table)
    lab.account.tables["added"] = table
    return table


def test_a_takeover_and_a_return_of_found_routes_also_in_a_table_that_was_added(lab: Lab) -> None:
    a, c = lab.tables["private-a"], lab.tables["private-c"]
    lab.ec2.create_tags(Resources=[a], Tags=[{"Key": "nathb", "Value": "nat-a"}])
    lab.ec2.create_route(
        RouteTableId=c,
        DestinationCidrBlock=ELSEWHERE,
        NetworkInterfaceId=lab.instances["app-a"].eni,
    )
    lab.ec2.create_route(RouteTableId=c, DestinationCidrBlock=OUT, GatewayId=lab.account.gateway)
    pair = Pair(lab, nodes=with_matches(lab), refresh="1s").settle()
    before = lab.routes()
    homes = {(one["route"]["table"], one["node"]) for one in pair.snapshot("nat-a")["homes"]}
    assert homes == {(a, "nat-a"), (c, "nat-c")}

    added = add_table(lab)
    for node in pair.nodes:
        wait_until("it is found", lambda node=node: pair.told(node, f"{added} {EVERYWHERE}"), 20.0)
    lab.clients["app-c"].wait_served(via="nat-c")

    lab.crash("nat-c")
    wait_until("nat-a has all", lambda: lab.routes()[added, EVERYWHERE] == "nat-a", 20.0)
    wait_until("nat-a has all", lambda: lab.routes()[c, EVERYWHERE] == "nat-a", 20.0)
    lab.clients["app-c"].wait_served(via="nat-a")
    lab.revive("nat-c")
    wait_until(
        "all are home", lambda: lab.routes() == before | {(added, EVERYWHERE): "nat-c"}, 60.0
    )
    lab.clients["app-c"].wait_served(via="nat-c")

    # what operators ask is written on the tables that are found
    path = str(lab.install("nat-a", pair.config))
    for verb in (("apply", path, "--yes"), ("pause", path), ("resume", path)):
        done = lab.run("nat-a", nathb(*verb))
        assert done.returncode == 0, done.stdout + done.stderr
    tagged = {
        name
        for one in lab.calls(caller="nat-a", action="DeleteTags")
        for key, name in one.parameters.items()
        if key.startswith("ResourceId")
    }
    assert tagged == {a, c, added}

    # and no more than the policy of the file allows was needed, or written
    moved = [one for one in lab.writes() if one.action == "ReplaceRoute"]
    assert {one.parameters["RouteTableId"] for one in moved} == {c, added}
    assert {sid for one in moved for sid in one.allowed_by} == {"NathbMoveFound2"}

    # nat-c becomes another instance: its routes are blackholes at an interface that is no node's
    assert lab.run("nat-a", nathb("pause", path)).returncode == 0
    lab.replace_instance("nat-c")

    def owners() -> dict[str, str]:
        held = pair.snapshot("nat-a")["view"].get("holdings", ())
        return {one["route"]["table"]: one["node"] for one in held}

    wait_until("its interface is forgotten", lambda: owners().get(added) == "", 60.0)
    assert lab.run("nat-a", nathb("resume", path)).returncode == 0
    for table in (c, added):
        wait_until("nat-a has it", lambda t=table: lab.routes()[t, EVERYWHERE] == "nat-a", 20.0)
    assert not pair.told("nat-a", "not guarded any more")
