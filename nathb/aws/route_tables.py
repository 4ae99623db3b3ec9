"""From route tables, as EC2 lists them, to holdings, pins and intent. Pure.

Routes keep the file's spelling, whatever EC2's is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nathb.aws.routes import find, holder_of, leads_to
from nathb.aws.tags import FILE_TAG, read_intent
from nathb.core.ec2_state import Holding, Pin, PinState, RouteState, View

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from nathb.aws.responses import RouteEntry, Table
    from nathb.core.ec2_state import Roster
    from nathb.core.model import Group, Route


def tables_of(group: Group, roster: Roster) -> tuple[str, ...]:
    """Return the ids of the tables that a view is made from: the guarded ones, and this node's."""
    wanted = [*guarded(group), roster.own_table]
    return tuple(dict.fromkeys(table for table in wanted if table))


def reduce_view(
    at: float, group: Group, roster: Roster, tables: Iterable[Table], utc: datetime
) -> View:
    """Reduce the tables to what matters. A route that is nowhere in them has no holding.

    `at` is monotonic; `utc` is the wall clock's idea of now, for wishes that carry their end.
    """
    listed = {table.route_table_id: table for table in tables}
    tags = [tag for one in guarded(group) if one in listed for tag in listed[one].tags]
    return View(
        at=at,
        holdings=tuple(
            _holding(route, entry, roster)
            for route in group.routes()
            if (entry := find(listed.get(route.table), route.destination))
        ),
        pins=_pins(group, roster, listed.get(roster.own_table)),
        intent=read_intent(tags, (node.name for node in group.nodes), utc),
        digests=tuple(sorted({tag.value for tag in tags if tag.key == FILE_TAG})),
    )


def guarded(group: Group) -> tuple[str, ...]:
    """Return the ids of the tables whose routes are guarded."""
    return tuple(dict.fromkeys(route.table for route in group.routes()))


def _holding(route: Route, entry: RouteEntry, roster: Roster) -> Holding:
    return Holding(route, holder_of(entry, roster.instances), entry.target, _state(entry))


def _pins(group: Group, roster: Roster, own: Table | None) -> tuple[Pin, ...]:
    """Say how each heartbeat of every *other* node is routed from here."""
    return tuple(
        _pin(node.name, address, roster, find(own, address))
        for node in group.nodes
        if node.name != roster.me
        for address in node.heartbeat
    )


def _pin(node: str, address: str, roster: Roster, entry: RouteEntry | None) -> Pin:
    if entry is None:
        return Pin(node, address, PinState.MISSING, table=roster.own_table)
    if not leads_to(entry, roster.instance(node)):
        state = PinState.ELSEWHERE
    elif _state(entry) is RouteState.BLACKHOLE:
        state = PinState.BLACKHOLE
    else:
        state = PinState.GOOD
    return Pin(node, address, state, entry.target, roster.own_table)


def _state(entry: RouteEntry) -> RouteState:
    """Only the word `blackhole` is evidence that a route leads nowhere."""
    return RouteState.BLACKHOLE if entry.state == "blackhole" else RouteState.ACTIVE
