"""A first file for a group, drafted from what EC2 shows of its instances. Pure but for `find`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from ipaddress import ip_network

from msgspec import Struct

from nathb.aws.instances import Found, describe
from nathb.aws.reader import Reader
from nathb.aws.responses import EC2Instance, Interface, RouteEntry, Table
from nathb.aws.routes import leads_to, table_of
from nathb.core.ec2_state import Instance
from nathb.core.errors import CloudError, UsageError
from nathb.core.model import ANY_DESTINATION, Failure, Node, Route, RouteMatch
from nathb.core.text import visible
from nathb.provision.inventory import tables_of_vpc

GONE = {"shutting-down", "terminated"}
HEARTBEATS = ("199.7.83.42", "193.0.14.129", "192.5.5.241", "192.33.4.12", "192.36.148.17")
"""Root name servers (L, K, F, C, I), for a start: they answer pings from anywhere, and only full
resolvers ask them, which have twelve others. A person should choose addresses of their own.
https://www.iana.org/domains/root/servers
"""
UPLINKS = ("1.1.1.1", "9.9.9.9")
NOT_A_NAME = re.compile(r"[^a-z0-9.-]+")
LONGEST_NAME = 63


class Draft(Struct, frozen=True, omit_defaults=True):
    """One node as it would stand in the file, and what is worth a remark."""

    name: str
    instance: Instance
    heartbeat: str
    routes: tuple[Route, ...]
    is_pinned: bool
    """Whether the heartbeat is pinned to it already, somewhere in its VPC."""
    candidates: tuple[str, ...]
    """Tables of its VPC that steer none of the nodes, for a node to which no route leads yet."""
    eni: str = ""
    """The interface that routes point at, where that is not the primary one."""
    found: tuple[RouteMatch, ...] = ()
    """Finds its routes, where a table that steers several of the nodes has some."""


def find(reader: Reader, called: Sequence[str], region: str) -> list[EC2Instance]:
    """Return the instances called so, by id or by Name tag, in that order. `region` is the one that
    is asked, and where it comes from, for messages.

    UsageError when one is not there, or a name is that of several; CloudError when EC2 fails.
    """
    return [_one(reader, name, region) for name in called]


def _one(reader: Reader, called: str, region: str) -> EC2Instance:
    by_id = called.startswith("i-")
    try:
        listed = (
            reader.instances(called, ids=[called])
            if by_id
            else reader.instances(called, [("tag:Name", [called])])
        )
    except CloudError as error:
        if error.failure is not Failure.MISSING:
            raise
        listed = []
    found = [one for one in listed if one.state.name not in GONE]
    if not found:
        what = "id" if by_id else "Name tag"
        raise UsageError(
            f"{called}: EC2 shows no instance with this {what} in {region}; correct it, or give "
            "its region with --region"
        )
    if len(found) > 1:
        ids = ", ".join(sorted(one.instance_id for one in found))
        raise UsageError(f"{called}: is the name of {len(found)} instances; give one's id: {ids}")
    return found[0]


def draft(reader: Reader, machines: Sequence[EC2Instance]) -> list[Draft]:
    """Return one node for each machine: its name, interface, routes, and a heartbeat of its own."""
    vpcs = dict.fromkeys(machine.vpc_id for machine in machines)
    tables = [table for vpc in vpcs for table in tables_of_vpc(reader, vpc)]
    own = [table for one in machines if (table := table_of(one, tables)) is not None]
    names = _names(machines)
    interfaces = _interfaces(machines, [table for table in tables if table not in own])
    shared = [table for at, table in enumerate(own) if table in own[:at]]
    pinning = [table for table in own if table not in shared]
    pins = {one.destination for table in pinning for one in table.routes if _is_pin(one)}
    taken: set[str] = set()
    drafts: list[Draft] = []
    for name, machine, interface in zip(names, machines, interfaces, strict=True):
        eni = "" if interface is None or interface.is_primary else interface.network_interface_id
        instance = describe(Node(name, (), instance=machine.instance_id, eni=eni), Found(machine))
        pinned = next((a for a in _pinned(pinning, instance) if a not in taken), "")
        heartbeat = pinned or next(one for one in HEARTBEATS if one not in taken)
        taken.add(heartbeat)
        routes = tuple(one for one in _routes(tables, own, instance) if one.destination not in pins)
        found: tuple[RouteMatch, ...] = ()
        if any(one.found for one in drafts):
            routes = tuple(dict.fromkeys((*_routes(shared, (), instance), *routes)))
        elif any(_routes(shared, (), instance)):
            # One node is the home of all that the others do not list.
            routes, found = (), (RouteMatch((("vpc-id", machine.vpc_id),), ANY_DESTINATION),)
        others = (one for one in tables if one.vpc_id == machine.vpc_id and one not in own)
        candidates = tuple(_called(table) for table in others)
        drafts.append(
            Draft(name, instance, heartbeat, routes, bool(pinned), candidates, eni, found)
        )
    return drafts


def _interfaces(machines: Sequence[EC2Instance], tables: Sequence[Table]) -> list[Interface | None]:
    """Return the interface of each machine that most routes point at; None for the primary one.

    Of a machine at which none points, a standby, it is the one at the same place as the others'.
    """
    targets = [
        entry.network_interface_id
        for table in tables
        for entry in table.routes
        if not _is_pin(entry) and not entry.is_propagated
    ]
    found = []
    for machine in machines:
        pointed_at = [one for one in machine.network_interfaces if _count(targets, one)]
        found.append(max(pointed_at, key=lambda one: _count(targets, one), default=None))
    places = {one.attachment.device_index for one in found if one is not None}
    for number, machine in enumerate(machines):
        if found[number] is None and len(places) == 1:
            alike = (i for i in machine.network_interfaces if i.attachment.device_index in places)
            found[number] = next(alike, None)
    return found


def _count(targets: Sequence[str], interface: Interface) -> int:
    return targets.count(interface.network_interface_id)


def text(drafts: Sequence[Draft], region: str) -> str:
    """Return the file: what was found, and in comments what it means and what to check."""
    lines = [
        "# Drafted from what EC2 shows. Read it, then: nathb check NAME, nathb plan NAME.",
        "# The same file belongs on every node; every other key is in example.yaml.",
        "",
        f"region: {region}",
        "",
        '# "Is it me?": pinged through a node\'s own internet gateway; up if any answers.',
        f"uplink: [{', '.join(UPLINKS)}]",
        "",
        "nodes:",
    ]
    finder = next((one.name for one in drafts if one.found), "")
    for one in drafts:
        lines += [*_node(one, finder), ""]
    return "\n".join(lines)


def _node(one: Draft, finder: str) -> Iterator[str]:
    """Yield the lines of a node; `finder` is the node whose match finds routes, if there is one."""
    yield f"  {one.name}:"
    yield f"    instance: {one.instance.instance}    # {one.instance.eni}, {one.instance.address}"
    if one.eni:
        yield "    # The routes of this group lead to this interface, not to the primary one."
        yield f"    eni: {one.eni}"
    if one.is_pinned:
        yield f"    heartbeat: {one.heartbeat}    # is pinned to it already"
    else:
        yield "    # A root name server, for a start. Better: an address of your own outside of the"
        yield "    # VPC. It has to answer pings, and no client may need it, for the pin catches"
        yield "    # clients' traffic to it too."
        yield f"    heartbeat: {one.heartbeat}"
    if one.found:
        yield "    # The nodes share a route table, so its routes have no zone. All routes of the"
        yield "    # VPC that point at a node are found, also in tables that are added later. Their"
        yield "    # home is this node, except for those that another node lists."
        yield "    routes:"
        for match in one.found:
            ((name, value),) = match.filters
            yield f'      - {{match: {{"{name}": {value}}}, destination: {match.destination}}}'
        return
    if not one.routes and finder:
        yield f"    routes: []    # a standby for what the match of {finder} finds"
        return
    if not one.routes:
        yield "    # No route leads to it yet. List the private subnets' tables, of:"
        yield from (f"    #   - {table}" for table in one.candidates)
        yield "    routes: []"
        return
    yield "    routes:"
    for route in one.routes:
        short, to = route.table, route.destination
        quoted = f'"{to}"' if ":" in to else to  # in braces, YAML takes a colon for a key's end
        full = f"{{table: {route.table}, destination: {quoted}}}"
        yield f"      - {short if to == '0.0.0.0/0' else full}"


def _names(machines: Sequence[EC2Instance]) -> list[str]:
    """Name each node after its machine, as far as a file's names go, and each differently."""
    names: list[str] = []
    for machine in machines:
        tags = {tag.key: tag.value for tag in machine.tags}
        name = NOT_A_NAME.sub("-", tags.get("Name", "").lower()).strip("-.")[:LONGEST_NAME]
        names.append(name if name and name not in names else machine.instance_id)
    return names


def _pinned(own: Sequence[Table], instance: Instance) -> Iterator[str]:
    """Yield the addresses that the nodes' own tables pin to this instance."""
    for table in own:
        for entry in table.routes:
            if _is_pin(entry) and leads_to(entry, instance):
                yield entry.destination.split("/")[0]


def _routes(tables: Sequence[Table], own: Sequence[Table], instance: Instance) -> Iterator[Route]:
    """Yield the routes that lead to this instance, the nodes' own tables left out."""
    for table in tables:
        for entry in table.routes:
            if table not in own and leads_to(entry, instance):
                yield Route(table.route_table_id, entry.destination)


def _called(table: Table) -> str:
    name = next((tag.value for tag in table.tags if tag.key == "Name"), "")
    return f"{table.route_table_id}    # {visible(name)}" if name else table.route_table_id


def _is_pin(entry: RouteEntry) -> bool:
    """Whether a route covers one public address, as a heartbeat's does."""
    try:
        network = ip_network(entry.destination)
    except ValueError:
        return False
    return network.num_addresses == 1 and network.is_global
