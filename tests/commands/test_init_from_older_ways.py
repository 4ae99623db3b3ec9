"""`nathb init` in VPCs as older ways of failover leave them: a draft that loads, and its plan.

Each shape is what the documents of that way set up.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Struct

from nathb import config
from nathb.aws.reader import Reader
from nathb.cli import main
from nathb.core.model import Group, Route
from nathb.provision.inventory import survey
from nathb.provision.steps import Action, Plan, plan
from tests.aws.conftest import moto_client, world  # noqa: F401  fixtures
from tests.aws.world import ANYWHERE, World, launch, route, table

BRANCHES = ("10.10.10.0/24", "10.10.20.0/24")


class Shape(Struct, frozen=True):
    """Two routers in a VPC, and where their routes are."""

    ec2: Any
    vpc: str
    gateway: str
    subnets: tuple[str, str]
    machines: tuple[dict[str, Any], dict[str, Any]]

    @property
    def ids(self) -> tuple[str, str]:
        first, second = (one["InstanceId"] for one in self.machines)
        return first, second

    @property
    def enis(self) -> tuple[str, str]:
        first, second = (one["NetworkInterfaces"][0]["NetworkInterfaceId"] for one in self.machines)
        return first, second

    def table(self, *subnets: str) -> str:
        made = table(self.ec2, self.vpc)
        for subnet in subnets:
            self.ec2.associate_route_table(RouteTableId=made, SubnetId=subnet)
        return made

    def public_tables(self) -> tuple[str, str]:
        """A table for each router's subnet, with the internet gateway as default."""
        first, second = (self.table(subnet) for subnet in self.subnets)
        for made in (first, second):
            self.to_gateway(made)
        return first, second

    def main_table(self) -> str:
        """The table of the VPC that steers every subnet without one of its own."""
        mine = [{"Name": "vpc-id", "Values": [self.vpc]}]
        (made,) = self.ec2.describe_route_tables(Filters=mine)["RouteTables"]
        return str(made["RouteTableId"])

    def to_gateway(self, table: str) -> None:
        self.ec2.create_route(
            RouteTableId=table, DestinationCidrBlock=ANYWHERE, GatewayId=self.gateway
        )

    def second_interface(self, number: int) -> str:
        """Attach another interface to a router, as eth1."""
        made = self.ec2.create_network_interface(SubnetId=self.subnets[number])
        eni = str(made["NetworkInterface"]["NetworkInterfaceId"])
        self.ec2.attach_network_interface(
            DeviceIndex=1, InstanceId=self.ids[number], NetworkInterfaceId=eni
        )
        return eni

    def switch_checks_off(self, *enis: str) -> None:
        for eni in enis:
            self.ec2.modify_network_interface_attribute(
                NetworkInterfaceId=eni, SourceDestCheck={"Value": False}
            )


@pytest.fixture
def shape(world: World) -> Shape:  # noqa: F811
    """Two routers in a VPC of their own, in two zones, and no route yet but the main table's."""
    ec2 = world.ec2
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    subnets = tuple(
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.7.{number}.0/24")["Subnet"]["SubnetId"]
        for number in range(2)
    )
    machines = tuple(launch(ec2, name, one) for name, one in zip("ab", subnets, strict=True))
    return Shape(ec2, vpc, gateway, (subnets[0], subnets[1]), (machines[0], machines[1]))


Drafted = Callable[[Shape], Group]


@pytest.fixture
def drafted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Drafted:
    """Run `nathb init` for the two routers, and load what it drafts."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")

    def run(shape: Shape) -> Group:
        monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", shape.ec2.meta.endpoint_url)
        monkeypatch.setenv("AWS_REGION", shape.ec2.meta.region_name)
        assert main(["init", *shape.ids]) == 0
        return config.parse(capsys.readouterr().out, "tokyo.yaml")

    return run


def planned(shape: Shape, group: Group) -> Plan:
    return plan(survey(Reader(shape.ec2), group), config.digest(group))


def routes(group: Group) -> list[list[tuple[str, str]]]:
    return [[(one.table, one.destination) for one in node.routes] for node in group.nodes]


def test_chef_vpcnat_leaves_a_pair_that_needs_no_pin_and_no_route(
    shape: Shape, drafted: Drafted
) -> None:
    """A default route for each zone, by instance id, and a host route to the other NAT."""
    public = shape.public_tables()
    private = shape.table(), shape.table()
    for number, target in enumerate(("8.8.8.8/32", "8.8.4.4/32")):
        route(shape.ec2, public[number], target, shape.enis[1 - number])
        shape.ec2.create_route(
            RouteTableId=private[number],
            DestinationCidrBlock=ANYWHERE,
            InstanceId=shape.ids[number],
        )
    shape.switch_checks_off(*shape.enis)
    group = drafted(shape)
    assert routes(group) == [[(private[0], ANYWHERE)], [(private[1], ANYWHERE)]]
    assert [node.heartbeat for node in group.nodes] == [("8.8.4.4",), ("8.8.8.8",)]
    found = planned(shape, group)
    assert {step.action for step in found.steps} == {Action.TAG}
    assert found.notes == ()


def test_vyos_with_vrrp_leaves_routes_at_eth1_and_the_draft_names_it_for_both(
    shape: Shape, drafted: Drafted
) -> None:
    """Active and standby; the routes of a table lead to eth1 of the active one."""
    shape.public_tables()
    inside = shape.second_interface(0), shape.second_interface(1)
    private = shape.table()
    for destination in BRANCHES:
        route(shape.ec2, private, destination, inside[0])
    shape.switch_checks_off(*inside)
    group = drafted(shape)
    first, second = group.nodes
    assert routes(group) == [[(private, one) for one in BRANCHES], []]
    assert (first.eni, second.eni) == inside
    found = planned(shape, group)
    assert {step.action for step in found.steps} == {Action.CREATE, Action.TAG}
    assert not [step for step in found.steps if step.resource == private and step.destination]
    assert found.notes == ()


def test_a_meraki_quick_start_leaves_the_branches_of_both_hubs_in_the_main_table(
    shape: Shape, drafted: Drafted
) -> None:
    """The main table steers both hubs too. Each branch stays with its hub."""
    main_table = shape.main_table()
    shape.to_gateway(main_table)
    for number, branch in enumerate(BRANCHES):
        shape.ec2.create_route(
            RouteTableId=main_table, DestinationCidrBlock=branch, InstanceId=shape.ids[number]
        )
    shape.switch_checks_off(*shape.enis)
    seen = survey(Reader(shape.ec2), drafted(shape))
    assert [seen.group.home(Route(main_table, one)) for one in BRANCHES] == ["a", "b"]
    assert_that_only_the_tables_are_shared(plan(seen, config.digest(seen.group)))


def test_an_eni_swap_in_the_main_table_leaves_its_routes_and_those_of_the_others_at_one_router(
    shape: Shape, drafted: Drafted
) -> None:
    main_table, private = shape.main_table(), shape.table()
    shape.to_gateway(main_table)
    for one in (main_table, private):
        route(shape.ec2, one, "172.16.0.0/12", shape.enis[0])
    shape.switch_checks_off(*shape.enis)
    seen = survey(Reader(shape.ec2), drafted(shape))
    for one in (main_table, private):
        assert seen.group.home(Route(one, "172.16.0.0/12")) == "a"
    assert_that_only_the_tables_are_shared(plan(seen, config.digest(seen.group)))


def assert_that_only_the_tables_are_shared(found: Plan) -> None:
    """What the plan asks a person for is a table for each router, and nothing else."""
    assert len(found.notes) == 2
    assert all("give each public subnet a table of its own" in note.fix for note in found.notes)
    assert {step.action for step in found.steps} == {Action.TAG}


def test_an_eni_swap_leaves_the_routes_of_every_table_at_one_router(
    shape: Shape, drafted: Drafted
) -> None:
    """One router has the routes of all tables of the VPC; the Lambda swaps the two interfaces."""
    shape.public_tables()
    private = sorted((shape.table(), shape.table(), shape.table()))
    for one in private:
        route(shape.ec2, one, "172.16.0.0/12", shape.enis[0])
    shape.switch_checks_off(*shape.enis)
    group = drafted(shape)
    first, second = routes(group)
    assert sorted(first) == [(one, "172.16.0.0/12") for one in private]
    assert second == []
    assert planned(shape, group).notes == ()


def test_an_eni_swap_of_a_virtual_address_is_a_route_and_no_pin(
    shape: Shape, drafted: Drafted
) -> None:
    """The routes are host routes to an address that is nobody's."""
    shape.public_tables()
    private = shape.table()
    route(shape.ec2, private, "192.168.1.1/32", shape.enis[0])
    shape.switch_checks_off(*shape.enis)
    group = drafted(shape)
    assert routes(group) == [[(private, "192.168.1.1/32")], []]
    assert planned(shape, group).notes == ()
