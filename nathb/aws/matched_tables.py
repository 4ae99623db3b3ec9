"""The tables that a file does not list: asked for by their tags or their VPC, and what they show.

One DescribeRouteTables for each set of filter names, for EC2 takes several values of one filter and
joins filters by "and". https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Filter.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nathb.aws.reader import named
from nathb.aws.routes import canonical, holder_of
from nathb.core.found_routes import ShownRoute, ShownTable, resolve

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from nathb.aws.reader import Filters, Reader
    from nathb.aws.responses import Table
    from nathb.core.ec2_state import Instance
    from nathb.core.model import Group, Route

VALUES = 200
"""Values of one filter that EC2 takes."""


def read_matched(reader: Reader, group: Group) -> dict[str, Table]:
    """Return the tables that the group's matches name, by id. CloudError when a read fails."""
    found: dict[str, Table] = {}
    for filters in filters_of(group):
        tables = reader.tables(f"the tables that {group.name} matches", Filters=named(filters))
        found |= {table.route_table_id: table for table in tables}
    return found


def find_routes(
    group: Group,
    tables: Iterable[Table],
    instances: Collection[Instance],
    before: Collection[Route] = (),
) -> dict[Route, tuple[str, ...]]:
    """Return what `core.found_routes.resolve` finds in these tables, with these instances."""
    if not group.finds_routes:
        return {}
    return resolve(group, [_show(table, instances) for table in tables], before)


def filters_of(group: Group) -> Iterable[Filters]:
    """Return the filters to ask by, one set for each call: several values of one name are one set.

    Tables that pass all filters of a set match.
    """
    alone: dict[str, dict[str, None]] = {}
    several: dict[frozenset[tuple[str, str]], Filters] = {}
    for match in (one for node in group.nodes for one in node.found):
        if len(match.filters) == 1:
            ((name, value),) = match.filters
            alone.setdefault(name, {})[value] = None
        else:
            several[frozenset(match.filters)] = [(name, [value]) for name, value in match.filters]
    for name, values in alone.items():
        for start in range(0, len(values), VALUES):
            yield [(name, list(values)[start : start + VALUES])]
    yield from several.values()


def properties_of(table: Table) -> frozenset[tuple[str, str]]:
    """Return what a match may name of a table: its VPC and its tags, as filters of EC2's."""
    tags = [(f"tag:{tag.key}", tag.value) for tag in table.tags]
    return frozenset([("vpc-id", table.vpc_id), *tags])


def _show(table: Table, instances: Collection[Instance]) -> ShownTable:
    return ShownTable(
        table.route_table_id,
        properties_of(table),
        tuple(
            ShownRoute(
                canonical(entry.destination),
                holder_of(entry, instances),
                entry.state == "blackhole"
                and bool(entry.network_interface_id or entry.instance_id),
            )
            for entry in table.routes
            if entry.destination and not entry.is_propagated
        ),
    )
