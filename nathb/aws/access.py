"""What may reach an interface, as EC2 lists it: subnets, security groups and network ACLs.

Shapes as in `responses`: only what is asked of them, and hostile until parsed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nathb.aws.reader import named
from nathb.aws.responses import Listing, Response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nathb.aws.reader import Reader

ALL_PROTOCOLS = "-1"
PER_PAGE = 1000
"""The most that EC2 allows as MaxResults."""


class Ipv6Association(Response, frozen=True):
    """An IPv6 range of a subnet."""

    ipv6_cidr_block: str = ""


class Subnet(Response, frozen=True):
    """A subnet and its ranges.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Subnet.html
    """

    subnet_id: str
    vpc_id: str = ""
    cidr_block: str = ""
    ipv6_cidr_block_association_set: tuple[Ipv6Association, ...] = ()

    def cidr(self, *, ipv6: bool) -> str:
        """Return its range of one family; empty when it has none."""
        if not ipv6:
            return self.cidr_block
        return next((one.ipv6_cidr_block for one in self.ipv6_cidr_block_association_set), "")


class IpRange(Response, frozen=True):
    """An IPv4 range that a rule names."""

    cidr_ip: str = ""


class Ipv6Range(Response, frozen=True):
    """An IPv6 range that a rule names."""

    cidr_ipv6: str = ""


class PrefixListId(Response, frozen=True):
    """A prefix list that a rule names."""

    prefix_list_id: str = ""


class UserIdGroupPair(Response, frozen=True):
    """A security group whose members a rule names."""

    group_id: str = ""


class IpPermission(Response, frozen=True):
    """One rule of a security group: a protocol, its ports, and from whom.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html
    """

    ip_protocol: str
    from_port: int = -1
    to_port: int = -1
    ip_ranges: tuple[IpRange, ...] = ()
    ipv6_ranges: tuple[Ipv6Range, ...] = ()
    prefix_list_ids: tuple[PrefixListId, ...] = ()
    user_id_group_pairs: tuple[UserIdGroupPair, ...] = ()


class SecurityGroup(Response, frozen=True):
    """A security group and what it admits.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_SecurityGroup.html
    """

    group_id: str
    ip_permissions: tuple[IpPermission, ...] = ()


class PortRange(Response, frozen=True, rename={"first": "From", "last": "To"}):
    """The ports of a network ACL's rule."""

    first: int = 0
    last: int = 65535


class NetworkAclEntry(Response, frozen=True):
    """One rule of a network ACL. The lowest number that matches decides.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NetworkAclEntry.html
    """

    rule_number: int
    rule_action: str
    egress: bool = False
    protocol: str = ALL_PROTOCOLS
    cidr_block: str = ""
    ipv6_cidr_block: str = ""
    port_range: PortRange | None = None


class NetworkAclAssociation(Response, frozen=True):
    """A subnet that a network ACL guards."""

    subnet_id: str = ""


class NetworkAcl(Response, frozen=True):
    """A network ACL.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NetworkAcl.html
    """

    network_acl_id: str
    entries: tuple[NetworkAclEntry, ...] = ()
    associations: tuple[NetworkAclAssociation, ...] = ()


class DescribeSubnets(Listing, frozen=True, kw_only=True):
    """One page of subnets.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSubnets.html
    """

    subnets: tuple[Subnet, ...]


class DescribeSecurityGroups(Listing, frozen=True, kw_only=True):
    """One page of security groups.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroups.html
    """

    security_groups: tuple[SecurityGroup, ...]


class DescribeNetworkAcls(Listing, frozen=True, kw_only=True):
    """One page of network ACLs.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeNetworkAcls.html
    """

    network_acls: tuple[NetworkAcl, ...]


class Access(Struct, frozen=True):
    """One read of what may reach the interfaces of some VPCs."""

    subnets: tuple[Subnet, ...] = ()
    security_groups: tuple[SecurityGroup, ...] = ()
    network_acls: tuple[NetworkAcl, ...] = ()


def read_access(reader: Reader, vpcs: Iterable[str]) -> Access:
    """Read the subnets, security groups and network ACLs of these VPCs. CloudError on failure."""
    ids = sorted({vpc for vpc in vpcs if vpc})
    if not ids:
        return Access()
    request = {"Filters": named([("vpc-id", ids)]), "MaxResults": PER_PAGE}
    client, read = reader.client, reader.read
    subnets = read(client.describe_subnets, DescribeSubnets, "the subnets", {**request})
    groups = read(
        client.describe_security_groups, DescribeSecurityGroups, "the security groups", {**request}
    )
    acls = read(client.describe_network_acls, DescribeNetworkAcls, "the network ACLs", {**request})
    return Access(
        tuple(one for page in subnets for one in page.subnets),
        tuple(one for page in groups for one in page.security_groups),
        tuple(one for page in acls for one in page.network_acls),
    )
