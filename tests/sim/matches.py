"""The same file with matches for routes, and what the tables show of themselves to a match."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from nathb.core.ec2_state import Holding
from nathb.core.found_routes import ShownRoute, ShownTable
from nathb.core.model import ANY_DESTINATION, Group, Node, Route, RouteMatch

VPC = ("vpc-id", "vpc-00000001")
SPARE = Route("rtb-0000000a", "10.9.0.0/16")
"""A route that EC2 has, and that only a changed file guards."""
NAMED, ANY = "named", "any"
"""Whether the matches of a file name a destination."""


def matching(group: Group, how: str) -> Group:
    """Return the file whose matches find just the routes that this one lists; itself for ""."""
    if not how or group.finds_routes:
        return group
    nodes = tuple(
        replace(node, routes=(), found=_matches(group, node, how)) for node in group.nodes
    )
    return replace(group, nodes=nodes)


def _matches(group: Group, node: Node, how: str) -> tuple[RouteMatch, ...]:
    if how == NAMED:
        return tuple(RouteMatch((_tag(route),), route.destination) for route in node.routes)
    return tuple(
        RouteMatch((_tag(route),), ANY_DESTINATION, _others(group, route)) for route in node.routes
    )


def _others(group: Group, route: Route) -> tuple[str, ...]:
    """Return every destination of the world but this route's."""
    routes = {*group.routes(), SPARE}
    return tuple(sorted({one.destination for one in routes} - {route.destination}))


def _tag(route: Route) -> tuple[str, str]:
    return "tag:nathb", str(route)


def show(holdings: Iterable[Holding], node: Callable[[Holding], str]) -> list[ShownTable]:
    """Return the tables of these routes, as a match sees them; `node` says who holds a route."""
    tables: dict[str, list[Holding]] = {}
    for seen in holdings:
        tables.setdefault(seen.route.table, []).append(seen)
    return [
        ShownTable(
            table,
            frozenset([VPC, *[_tag(seen.route) for seen in listed]]),
            tuple(
                ShownRoute(seen.route.destination, node(seen), seen.is_blackhole) for seen in listed
            ),
        )
        for table, listed in tables.items()
    ]
