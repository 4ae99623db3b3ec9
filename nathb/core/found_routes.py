"""Routes that a file does not list: found in the tables that its matches name, after each view.

What comes out is a group with plain routes. Rules, memory, status and recorded rounds know no other
kind.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from ipaddress import ip_network

from msgspec import Struct, field
from msgspec.structs import replace

from nathb.core.ec2_state import View
from nathb.core.learned import homes_of, is_learned
from nathb.core.model import ANY_DESTINATION, Group, Node, Route, RouteMatch
from nathb.core.text import host_of


class ShownRoute(Struct, frozen=True):
    """A static route as EC2 shows it. `node` holds it; empty when none of the group does."""

    destination: str
    node: str
    leads_nowhere: bool = False
    """Whether it is a blackhole at an interface or instance."""


class ShownTable(Struct, frozen=True):
    """A route table with its static routes; `properties` are what a match may name of it."""

    table: str
    properties: frozenset[tuple[str, str]]
    routes: tuple[ShownRoute, ...]


class Resolved(Struct, frozen=True):
    """A group with plain routes, and the view of them."""

    group: Group
    view: View
    claims: dict[Route, tuple[str, ...]] = field(default_factory=dict)
    """For each route that was found, the nodes whose matches find it: the first is its home."""
    refused: dict[Route, str] = field(default_factory=dict)
    """The routes that were found in tables of another group's daemon on this machine: whose."""


def plain(group: Group) -> Group:
    """Return the group with its listed routes only: what is guarded before the first view."""
    return with_found(group, {})


def with_found(group: Group, claims: dict[Route, tuple[str, ...]]) -> Group:
    """Return the group with plain routes: the listed ones, and those that were found."""
    if not group.finds_routes:
        return group
    return replace(
        group,
        nodes=tuple(
            replace(
                node,
                routes=(*node.routes, *[one for one in claims if claims[one][0] == node.name]),
                found=(),
            )
            for node in group.nodes
        ),
    )


def resolve(
    group: Group, tables: Iterable[ShownTable], before: Collection[Route] = ()
) -> dict[Route, tuple[str, ...]]:
    """Return the routes that the group's matches find, each with the nodes whose matches find it.

    Those are static routes that point at a node. A route that was found `before` stays found while
    its table matches: EC2 may have forgotten the interface that a blackhole points at. Without that
    memory, after a restart, such a blackhole is found where its match names the destination. Routes
    at gateways and at interfaces of others are not found. A listed route is its own node's, and a
    pin is nobody's. Routes that were learned are found too (`core.learned`).
    """
    listed = set(group.routes())
    pins = {str(ip_network(host_of(one))) for node in group.nodes for one in node.heartbeat}
    found: dict[Route, tuple[str, ...]] = {}
    learned: list[Route] = []
    for table in tables:
        if group.learn is not None and table.table in group.learn.into:
            learned += [route for route in _ours(table, before) if is_learned(group, route)]
        matches = [(node, one) for node in group.nodes for one in _matching(node, table)]
        if not matches:
            continue
        for shown in table.routes:
            route = Route(table.table, shown.destination)
            names = dict.fromkeys(
                node.name
                for node, match in matches
                if _finds(match, shown, pins) and (_is_known(match, shown) or route in before)
            )
            if names and route not in listed:
                found[route] = tuple(names)
    homes = {route: group.home(route) for route in listed}
    homes |= {route: names[0] for route, names in found.items()}
    found |= {route: (home,) for route, home in homes_of(group, homes, learned)}
    return {route: found[route] for route in sorted(found)}  # however EC2 lists the tables


def _ours(table: ShownTable, before: Collection[Route]) -> Iterator[Route]:
    """Yield the routes that point at a node, or did, or at an interface that is gone."""
    for shown in table.routes:
        route = Route(table.table, shown.destination)
        if shown.node or shown.leads_nowhere or route in before:
            yield route


def _matching(node: Node, table: ShownTable) -> Iterator[RouteMatch]:
    for match in node.found:
        if table.properties.issuperset(match.filters) and table.table not in match.excluded:
            yield match


def _finds(match: RouteMatch, shown: ShownRoute, pins: Collection[str]) -> bool:
    if shown.destination in match.excluded:
        return False
    if match.destination == ANY_DESTINATION:
        return shown.destination not in pins
    return shown.destination == match.destination


def _is_known(match: RouteMatch, shown: ShownRoute) -> bool:
    return bool(shown.node) or (shown.leads_nowhere and match.destination != ANY_DESTINATION)
