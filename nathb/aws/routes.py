"""Which table steers a node, which route of a table carries a destination, and where it leads.

Pure. EC2 spells an address one way and a file another (`::/0`, `0::/0`), so networks are compared
as networks.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

from nathb.core.text import host_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nathb.aws.responses import EC2Instance, RouteEntry, Table
    from nathb.core.ec2_state import Instance
    from nathb.core.model import Group, Node


def find(table: Table | None, destination: str) -> RouteEntry | None:
    """Return the route that carries a destination: the static one, where there are two."""
    return None if table is None else by_destination(table).get(canonical(destination))


def by_destination(table: Table) -> dict[str, RouteEntry]:
    """Return the routes by `canonical` destination: the static one, where there are two."""
    found: dict[str, RouteEntry] = {}
    for entry in table.routes:
        one = found.setdefault(canonical(entry.destination), entry)
        if one.is_propagated and not entry.is_propagated:
            found[canonical(entry.destination)] = entry
    return found


def holder_of(entry: RouteEntry, instances: Iterable[Instance]) -> str:
    """Name the node that holds a route; empty for none of these instances.

    Any interface of an instance counts: the route is its node's to move, also where it is not the
    interface that clients are meant to use (see `leads_to`). A propagated route is nobody's,
    whatever it points at: ReplaceRoute cannot move it.
    """
    shown = {entry.network_interface_id, entry.instance_id} - {""}
    if entry.is_propagated:
        return ""
    owners = (one for one in instances if shown & {one.instance, one.eni, *one.enis})
    return next((one.node for one in owners), "")


def leads_to(entry: RouteEntry, instance: Instance | None) -> bool:
    """Whether the route takes the clients' own way into an instance: the interface they use.

    This is asked of pins, which are evidence of that way, and of routes that are to be as the file
    has them; who holds a route is another question (`holder_of`). Another interface of the same
    instance may pass pings while clients are cut off. The instance id is asked only where no
    interface is shown, or where EC2 does not answer which one the instance has.
    """
    if instance is None or entry.is_propagated:
        return False
    if entry.network_interface_id and (instance.eni or not instance.unread):
        return entry.network_interface_id == instance.eni
    return bool(entry.instance_id) and entry.instance_id == instance.instance


def family(destination: str) -> str:
    """Name the parameter of EC2's that carries a destination of this family.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ReplaceRoute.html
    """
    if destination.startswith("pl-"):
        return "DestinationPrefixListId"
    return "DestinationIpv6CidrBlock" if ":" in destination else "DestinationCidrBlock"


def host_route(heartbeat: str) -> str:
    """Return the destination that covers a heartbeat's address and no other, as a pin has it."""
    return str(ip_network(host_of(heartbeat)))


def canonical(text: str) -> str:
    """Return the one spelling of a network or address; other words stay as they are."""
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        return text


def table_of(machine: EC2Instance, tables: Iterable[Table]) -> Table | None:
    """Return the table that steers what a machine sends: its subnet's own, or its VPC's main one.

    https://docs.aws.amazon.com/vpc/latest/userguide/subnet-route-tables.html
    """
    main = None
    for table in tables:
        if any(one.subnet_id == machine.subnet_id for one in table.associations if one.subnet_id):
            return table
        if table.vpc_id == machine.vpc_id and any(one.main for one in table.associations):
            main = table
    return main


def pointed_at(
    group: Group, node: Node, machines: Sequence[EC2Instance], tables: Iterable[Table]
) -> set[str]:
    """Return the ids of those machines that the group's routes point at.

    The guarded routes say it; where they point at none of these, the pins to the node do. It is
    the same for every node that asks, for it depends on the tables alone.
    """
    listed = {table.route_table_id: table for table in tables}
    guarded = [find(listed.get(route.table), route.destination) for route in group.routes()]
    pins = [
        find(table, host_route(address)) for table in listed.values() for address in node.heartbeat
    ]
    return _targets(machines, guarded) or _targets(machines, pins)


def _targets(machines: Sequence[EC2Instance], entries: Iterable[RouteEntry | None]) -> set[str]:
    shown = {
        an_id
        for entry in entries
        if entry is not None and not entry.is_propagated
        for an_id in (entry.network_interface_id, entry.instance_id)
    }
    return {
        one.instance_id
        for one in machines
        if shown & {one.instance_id, *(nic.network_interface_id for nic in one.network_interfaces)}
    }
