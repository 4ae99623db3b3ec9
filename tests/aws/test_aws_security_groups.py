"""Who may send to the nodes: a peer that admits only its own zone's clients is found."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from msgspec import Struct

from nathb.aws.access import Access, read_access
from nathb.aws.reader import Reader
from nathb.core.errors import Finding, Level
from nathb.provision.inventory import survey
from nathb.provision.security_groups import inspect_access
from tests.aws.world import World

CLIENTS = {"nat-a": "10.0.10.0/24", "nat-c": "10.0.12.0/24"}


class Site(Struct):
    """The pair's VPC with a private subnet in each zone, and a security group of each node."""

    world: World
    groups: dict[str, str] = {}
    subnets: dict[str, str] = {}

    @property
    def ec2(self) -> Any:
        return self.world.ec2

    def admit(self, node: str, *permissions: dict[str, Any]) -> None:
        self.ec2.authorize_security_group_ingress(
            GroupId=self.groups[node], IpPermissions=list(permissions)
        )

    def found(self) -> list[Finding]:
        reader = Reader(self.ec2)
        return list(
            inspect_access(survey(reader, self.world.group), read_access(reader, [self.world.vpc]))
        )

    def wrong(self) -> list[Finding]:
        return [one for one in self.found() if one.level is not Level.GOOD]

    def fix(self, command: str) -> None:
        """Do what the fix says."""
        words = shlex.split(command)
        assert words[:3] == ["aws", "ec2", "authorize-security-group-ingress"]
        group, rule = words[words.index("--group-id") + 1], words[-1]
        fields = dict(one.split("=", 1) for one in rule.split(",") if "Ranges" not in one)
        cidr = rule.rpartition("=")[2].rstrip("}]")
        permission = {
            "IpProtocol": fields["IpProtocol"],
            "IpRanges": [{"CidrIp": cidr}],
            **{key: int(fields[key]) for key in ("FromPort", "ToPort") if key in fields},
        }
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])


def allow(cidr: str, protocol: str = "-1", port: int | None = None) -> dict[str, Any]:
    ports = {} if port is None else {"FromPort": port, "ToPort": port}
    return {"IpProtocol": protocol, "IpRanges": [{"CidrIp": cidr}], **ports}


@pytest.fixture
def site(world: World) -> Site:
    site, ec2 = Site(world), world.ec2
    for node, cidr in CLIENTS.items():
        subnet = ec2.create_subnet(VpcId=world.vpc, CidrBlock=cidr)["Subnet"]["SubnetId"]
        ec2.associate_route_table(RouteTableId=world.private[node], SubnetId=subnet)
        group = ec2.create_security_group(GroupName=node, Description=node, VpcId=world.vpc)
        site.groups[node], site.subnets[node] = group["GroupId"], subnet
        ec2.modify_network_interface_attribute(
            NetworkInterfaceId=world.enis[node], Groups=[group["GroupId"]]
        )
    return site


def test_nodes_that_admit_the_clients_of_all_zones_are_good(site: Site) -> None:
    for node in CLIENTS:
        site.admit(node, allow("10.0.0.0/16"))
    assert [(one.level, one.subject) for one in site.found()] == [
        (Level.GOOD, "nat-a"),
        (Level.GOOD, "nat-c"),
    ]


def test_a_peer_that_admits_only_its_own_zones_clients_is_bad_and_the_fix_makes_it_good(
    site: Site,
) -> None:
    site.admit("nat-a", allow("10.0.0.0/16"))
    site.admit("nat-c", allow(CLIENTS["nat-c"]))
    [found] = site.wrong()
    assert (found.level, found.subject) == (Level.BAD, "nat-c")
    assert found.text == (
        f"its security groups do not admit all protocols from {site.subnets['nat-a']}"
        " (10.0.10.0/24), as those of nat-a do: after a takeover by nat-c these clients are not"
        " served"
    )
    site.fix(found.fix)
    assert site.wrong() == []


def test_a_port_that_only_one_node_admits_is_bad(site: Site) -> None:
    for node in CLIENTS:
        site.admit(node, allow("10.0.0.0/16", "tcp", 443))
    site.admit("nat-a", allow("10.0.0.0/8", "udp", 53))
    [found] = site.wrong()
    assert "do not admit udp 53 from" in found.text
    assert "(10.0.10.0/24)" in found.text
    site.fix(found.fix)
    assert site.wrong() == []


def test_a_node_that_admits_nothing_from_its_own_zone_is_bad(site: Site) -> None:
    site.admit("nat-a", allow("10.0.0.0/16"))
    texts = {one.text for one in site.wrong() if one.subject == "nat-c"}
    assert (
        f"its security groups admit nothing from {site.subnets['nat-c']} (10.0.12.0/24),"
        " whose clients it is to serve"
    ) in texts


def test_clients_that_only_a_membership_admits_are_a_warning(site: Site) -> None:
    other = site.ec2.create_security_group(
        GroupName="clients", Description="clients", VpcId=site.world.vpc
    )["GroupId"]
    for node in CLIENTS:
        site.admit(node, allow("10.0.0.0/16", "tcp", 443))
    members = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": other}]}
    site.admit("nat-a", members)
    [found] = site.wrong()
    assert (found.level, found.subject) == (Level.WARNING, "nat-c")
    assert f"all protocols of members of {other}" in found.text


def test_what_a_node_admits_from_its_own_group_is_not_asked_of_others(site: Site) -> None:
    for node in CLIENTS:
        group = site.groups[node]
        own = {"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1}
        site.admit(node, allow("10.0.0.0/16", "tcp", 443))
        site.admit(node, {**own, "UserIdGroupPairs": [{"GroupId": group}]})
    assert site.wrong() == []


@pytest.mark.parametrize(
    ("egress", "said"), [(False, "what comes from"), (True, "answers to")], ids=["in", "out"]
)
def test_a_network_acl_that_denies_the_other_zones_clients_is_bad(
    site: Site, egress: bool, said: str
) -> None:
    for node in CLIENTS:
        site.admit(node, allow("10.0.0.0/16"))
    made = site.ec2.create_network_acl(VpcId=site.world.vpc)["NetworkAcl"]["NetworkAclId"]
    for number, cidr, action in ((10, CLIENTS["nat-a"], "deny"), (100, "0.0.0.0/0", "allow")):
        for way in (False, True):
            if action == "allow" or way is egress:
                site.ec2.create_network_acl_entry(
                    NetworkAclId=made,
                    RuleNumber=number,
                    Protocol="-1",
                    RuleAction=action,
                    Egress=way,
                    CidrBlock=cidr,
                )
    reader = Reader(site.ec2)
    subnet = site.world.subnets["nat-c"]
    [now] = [
        association["NetworkAclAssociationId"]
        for acl in site.ec2.describe_network_acls()["NetworkAcls"]
        for association in acl["Associations"]
        if association["SubnetId"] == subnet
    ]
    site.ec2.replace_network_acl_association(AssociationId=now, NetworkAclId=made)
    access = read_access(reader, [site.world.vpc])
    [found] = [
        one
        for one in inspect_access(survey(reader, site.world.group), access)
        if one.level is not Level.GOOD
    ]
    assert (found.level, found.subject) == (Level.BAD, "nat-c")
    assert f"denies {said} {site.subnets['nat-a']} (10.0.10.0/24)" in found.text
    assert "rule 10" in found.text


def test_without_a_node_nothing_is_asked(site: Site) -> None:
    assert read_access(Reader(site.ec2), []) == Access()
