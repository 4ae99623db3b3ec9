"""Whether every node is open to the clients of all zones: security groups and network ACLs. Pure.

A node that admits the clients of its own zone alone looks well: its own zone is served, and its
heartbeats are answered. After a takeover the clients of the other zone are in the dark. So what
the home of a route admits from the subnets of its table is what every other node must admit too.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network

from msgspec import Struct

from nathb.aws.access import ALL_PROTOCOLS, Access, NetworkAcl, NetworkAclEntry, Subnet
from nathb.core.errors import Finding, bad, good, warning
from nathb.core.model import Route
from nathb.provision.inventory import Inventory

TCP = "6"
HTTPS = 443
ANSWERS = 49152
"""A port of the range that every client's system takes its own ports from (RFC 6335)."""


class Opening(Struct, frozen=True):
    """What one rule of a security group admits from some clients."""

    protocol: str
    first: int
    last: int
    member_of: str = ""
    """The security group or prefix list that clients must be in; empty when all are admitted."""

    def covers(self, other: Opening) -> bool:
        """Whether all that `other` admits is admitted by this one."""
        if self.member_of not in ("", other.member_of):
            return False
        if self.protocol == ALL_PROTOCOLS:
            return True
        ports = self.first == -1 or self.first <= other.first <= other.last <= self.last
        return self.protocol == other.protocol and ports

    def __str__(self) -> str:
        """Return it as in `tcp 443`, or `all protocols of members of sg-1`."""
        members = f" of members of {self.member_of}" if self.member_of else ""
        if self.protocol == ALL_PROTOCOLS:
            return f"all protocols{members}"
        ports = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return f"{self.protocol} {'all ports' if self.first == -1 else ports}{members}"


class Clients(Struct, frozen=True):
    """The clients of one subnet, which a guarded route steers."""

    home: str
    subnet: str
    cidr: str

    def __str__(self) -> str:
        return f"{self.subnet} ({self.cidr})"


def inspect_access(seen: Inventory, access: Access) -> Iterator[Finding]:
    """Yield for each node whether it admits the clients of all guarded tables."""
    clients = list(dict.fromkeys(_clients(seen, access)))
    for node in seen.group.nodes:
        if node.name not in seen.machines:
            continue
        wrong = [one for of in clients for one in _of_groups(seen, access, node.name, of)]
        wrong += [one for of in clients for one in _of_acls(seen, access, node.name, of)]
        yield from wrong
        if clients and not wrong:
            yield good(node.name, "security groups and network ACLs admit the clients of all zones")


def _clients(seen: Inventory, access: Access) -> Iterator[Clients]:
    for route in seen.group.routes():
        home = seen.group.home(route)
        for subnet in _steered(seen, access, route):
            if cidr := subnet.cidr(ipv6=":" in route.destination):
                yield Clients(home, subnet.subnet_id, cidr)


def _steered(seen: Inventory, access: Access, route: Route) -> list[Subnet]:
    """Return the subnets that a route's table steers; a main table steers those without one."""
    table = seen.tables.get(route.table)
    if table is None:
        return []
    named = {one.subnet_id for one in table.associations if one.subnet_id}
    if any(one.main for one in table.associations):
        others = {one.subnet_id for other in seen.tables.values() for one in other.associations}
        vpc = [one for one in access.subnets if one.vpc_id == table.vpc_id]
        named |= {one.subnet_id for one in vpc if one.subnet_id not in others}
    return [one for one in access.subnets if one.subnet_id in named]


def _of_groups(seen: Inventory, access: Access, node: str, of: Clients) -> Iterator[Finding]:
    admitted, groups = _admitted(seen, access, node, of.cidr), _groups(seen, node)
    if not groups:
        return
    if not admitted and node == of.home:
        text = f"its security groups admit nothing from {of}, whose clients it is to serve"
        yield bad(node, text, _authorize(groups[0], Opening(ALL_PROTOCOLS, -1, -1), of))
    own = _groups(seen, of.home)  # what members of these may send, its clients may not
    for wanted in _admitted(seen, access, of.home, of.cidr) if node != of.home else ():
        if wanted.member_of in own or any(one.covers(wanted) for one in admitted):
            continue
        text = (
            f"its security groups do not admit {wanted} from {of}, as those of {of.home} do:"
            f" after a takeover by {node} these clients are not served"
        )
        yield (warning if wanted.member_of else bad)(node, text, _authorize(groups[0], wanted, of))


def _groups(seen: Inventory, node: str) -> list[str]:
    """Return the ids of the security groups of the interface that routes point at."""
    if node not in seen.machines:
        return []
    eni = seen.instance(node).eni
    return [
        group.group_id
        for interface in seen.machines[node].network_interfaces
        if interface.network_interface_id == eni
        for group in interface.groups
    ]


def _admitted(seen: Inventory, access: Access, node: str, cidr: str) -> list[Opening]:
    """Return what a node's security groups admit from the whole of a range."""
    groups = set(_groups(seen, node))
    return list(
        dict.fromkeys(
            Opening(rule.ip_protocol, rule.from_port, rule.to_port, member_of)
            for group in access.security_groups
            if group.group_id in groups
            for rule in group.ip_permissions
            for member_of in [
                *("" for one in rule.ip_ranges if _within(cidr, one.cidr_ip)),
                *("" for one in rule.ipv6_ranges if _within(cidr, one.cidr_ipv6)),
                *(one.prefix_list_id for one in rule.prefix_list_ids),
                *(one.group_id for one in rule.user_id_group_pairs),
            ]
        )
    )


def _authorize(group: str, opening: Opening, of: Clients) -> str:
    """Return the command that admits this from these clients."""
    if opening.member_of:
        return f"add to {group} the rule that names {opening.member_of}, or a CIDR of the clients"
    ports = ""
    if opening.first != -1 and opening.protocol != ALL_PROTOCOLS:
        ports = f"FromPort={opening.first},ToPort={opening.last},"
    kind = "Ipv6Ranges=[{CidrIpv6=" if ":" in of.cidr else "IpRanges=[{CidrIp="
    return (
        f"aws ec2 authorize-security-group-ingress --group-id {group} --ip-permissions "
        f"'IpProtocol={opening.protocol},{ports}{kind}{of.cidr}}}]'"
    )


def _of_acls(seen: Inventory, access: Access, node: str, of: Clients) -> Iterator[Finding]:
    """Yield where the network ACL of a node's subnet stops clients, or the answers to them.

    Traffic within one subnet does not meet its network ACL.
    """
    subnet = seen.machines[node].subnet_id
    if subnet == of.subnet:
        return
    for acl in access.network_acls:
        if subnet not in {one.subnet_id for one in acl.associations}:
            continue
        for egress, port in ((False, HTTPS), (True, ANSWERS)):
            entry = _decides(acl, of.cidr, egress=egress, port=port)
            if entry is not None and entry.rule_action == "allow":
                continue
            what, way = ("answers to", "outbound") if egress else ("what comes from", "inbound")
            rule = "no rule allows it" if entry is None else f"rule {entry.rule_number}"
            text = (
                f"the network ACL {acl.network_acl_id} of its subnet denies {what} {of},"
                f" TCP port {port} for one: {rule}"
            )
            yield bad(node, text, f"allow {of.cidr} {way} in {acl.network_acl_id}")


def _decides(acl: NetworkAcl, cidr: str, *, egress: bool, port: int) -> NetworkAclEntry | None:
    """Return the rule that decides on TCP to this port; None when none does."""
    for entry in sorted(acl.entries, key=lambda one: one.rule_number):
        block = entry.ipv6_cidr_block if ":" in cidr else entry.cidr_block
        ports = entry.port_range
        if (
            entry.egress == egress
            and entry.protocol in (ALL_PROTOCOLS, TCP)
            and (entry.protocol == ALL_PROTOCOLS or not ports or ports.first <= port <= ports.last)
            and _meets(cidr, block, whole=entry.rule_action == "allow")
        ):
            return entry
    return None


def _meets(cidr: str, block: str, *, whole: bool) -> bool:
    """Whether a rule is about these clients: all of them for an allow, any of them for a deny."""
    clients, named = _network(cidr), _network(block)
    if clients is None or named is None:
        return False
    return _within(cidr, block) if whole else clients.overlaps(named)


def _within(cidr: str, block: str) -> bool:
    inner, outer = _network(cidr), _network(block)
    if isinstance(inner, IPv4Network) and isinstance(outer, IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, IPv6Network) and isinstance(outer, IPv6Network):
        return inner.subnet_of(outer)
    return False


def _network(cidr: str) -> IPv4Network | IPv6Network | None:
    """Return the range; None for what EC2 should not have sent."""
    try:
        return ip_network(cidr, strict=False)
    except ValueError:
        return None
