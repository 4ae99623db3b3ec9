"""All that EC2 shows around a group: its machines, and every route table of their VPCs.

A daemon reads only what it acts upon (see `ec2.Cloud`). Who sets up, checks or repairs a group
looks further: at source/dest checks, at tables that the file does not name, at pins as seen from
every node. Reading costs one DescribeInstances and one DescribeRouteTables per VPC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from nathb.aws.instances import Found, describe, machines_of
from nathb.aws.matched_tables import find_routes, read_matched
from nathb.aws.reader import named
from nathb.aws.responses import EC2Instance, RouteEntry, Table
from nathb.aws.routes import find, holder_of, table_of
from nathb.core.ec2_state import Instance
from nathb.core.found_routes import with_found
from nathb.core.model import Group, Route

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nathb.aws.reader import Reader


class Inventory(Struct, frozen=True):
    """One read of EC2 around a group. Pure: all questions are answered from what was read."""

    group: Group
    found: dict[str, Found]
    """What EC2 shows for each node, by its name."""
    tables: dict[str, Table]
    """Every route table of the machines' VPCs, and every one that the file names, by its id."""
    region: str
    """The region that was asked, and where it comes from, in words."""
    file: Group | None = None
    """The group as its file has it, where it has matches; `group` has what they find."""
    claims: dict[Route, tuple[str, ...]] = {}
    """For each route that was found, the nodes whose matches find it: the first is its home."""

    @property
    def machines(self) -> dict[str, EC2Instance]:
        """What stands for each node, by its name; a node that EC2 shows nothing of is not there."""
        shown = ((name, one.machine) for name, one in self.found.items())
        return {name: machine for name, machine in shown if machine is not None}

    def instance(self, node: str) -> Instance:
        """Return what the core would get of a node now; UNSEEN when EC2 shows nothing."""
        return describe(self.group.node(node), self.found.get(node, Found()))

    def table_of(self, node: str) -> Table | None:
        """Return the table that steers what a node sends itself: its public subnet's, or the main.

        None when EC2 shows no such node, or no such table.
        """
        machine = self.machines.get(node)
        return None if machine is None else table_of(machine, self.tables.values())

    def entry(self, table: str, destination: str) -> RouteEntry | None:
        """Return the route with this destination in a table; None when there is none."""
        return find(self.tables.get(table), destination)

    def holder_of(self, entry: RouteEntry) -> str:
        """Name the node that holds a route, on any of its interfaces; empty for none of them."""
        return holder_of(entry, (self.instance(node.name) for node in self.group.nodes))


def survey(reader: Reader, group: Group) -> Inventory:
    """Read EC2 around a group. CloudError when a read fails; nodes may be unread all the same."""
    found = machines_of(group, reader)
    machines = [one.machine for one in found.values() if one.machine is not None]
    tables = [table for vpc in _vpcs(machines) for table in tables_of_vpc(reader, vpc)]
    listed = {table.route_table_id: table for table in tables}
    named_ids = {route.table for route in group.routes()} - listed.keys()
    if group.learn is not None:
        named_ids |= {*group.learn.vpc_tables} - listed.keys()
    if named_ids:  # by filter: by id, one that is gone would fail the call for all
        filters = named([("route-table-id", sorted(named_ids))])
        others = reader.tables(f"the tables of {group.name}", Filters=filters)
        listed |= {table.route_table_id: table for table in others}
    region = reader.region(group.region)
    if not group.finds_routes:
        return Inventory(group, found, listed, region)
    listed |= read_matched(reader, group)
    instances = [describe(node, found[node.name]) for node in group.nodes]
    claims = find_routes(group, listed.values(), instances)
    return Inventory(with_found(group, claims), found, listed, region, group, claims)


def tables_of_vpc(reader: Reader, vpc: str) -> list[Table]:
    """Return every route table of a VPC."""
    return reader.tables(f"the tables of {vpc}", Filters=named([("vpc-id", [vpc])]))


def _vpcs(machines: Iterable[EC2Instance]) -> list[str]:
    return list(dict.fromkeys(machine.vpc_id for machine in machines if machine.vpc_id))
