"""Learned routes: which to create and which to withdraw, by what the router knows. Pure.

No route of EC2's carries a tag, so that nathb made a route is told from the route itself: static,
within `allow`, in a table of `into`, at a node of the group or at the attachment, neither listed in
the file nor a pin. Whoever writes such routes by hand must keep them outside of `allow`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_network

from msgspec import Struct, field
from msgspec.structs import replace

from nathb.core.ec2_state import View
from nathb.core.model import Group, Learn, Route
from nathb.core.text import host_of

# --- what the router knows --------------------------------------------------------------------


class Prefixes(Struct, frozen=True):
    """What the router knows, by all of its readings so far. Seconds.

    `counted` is a clock that only good readings move, and `last_seen` is by that clock: time in
    which the router could not be read, or was not, counts towards no withdrawal.
    """

    read_at: float | None = None
    """When the last reading was taken in; None when that one failed, or there was none."""
    present: frozenset[str] = frozenset()
    counted: float = 0.0
    last_seen: dict[str, float] = field(default_factory=dict)

    def gone_for(self, prefix: str) -> float:
        """For how long good readings have shown that the router does not know a prefix."""
        return self.counted - self.last_seen.get(prefix, 0.0)


def with_reading(before: Prefixes, present: frozenset[str], now: float, learn: Learn) -> Prefixes:
    """Take in a good reading. What lies between two of them counts, but for longer gaps."""
    since = now if before.read_at is None else before.read_at
    counted = before.counted + min(now - since, 2 * learn.interval)
    # What is forgotten has been gone for longer than anybody asks.
    still = counted - learn.withdraw_after
    kept = {prefix: at for prefix, at in before.last_seen.items() if at > still}
    return Prefixes(now, present, counted, kept | dict.fromkeys(present, counted))


def without_reading(before: Prefixes) -> Prefixes:
    """Take in that a reading failed: it changes nothing, and counts for nothing."""
    return replace(before, read_at=None)


def counted_anew(before: Prefixes) -> Prefixes:
    """Count from now on only: this node has just become the one that writes."""
    return Prefixes(before.read_at, before.present, 0.0, dict.fromkeys(before.present, 0.0))


# --- what tables show -------------------------------------------------------------------------


class ShownEntry(Struct, frozen=True):
    """A route in a table of `into`. `ours` says that it is static, and at a node of the group or
    at the attachment."""

    table: str
    destination: str
    ours: bool

    @property
    def route(self) -> Route:
        """The route as routes are named."""
        return Route(self.table, self.destination)


class ShownTables(Struct, frozen=True):
    """What tables of `into` show, as old as the request for it: `at`, monotonic seconds."""

    at: float
    entries: tuple[ShownEntry, ...]


Network = IPv4Network | IPv6Network


def is_allowed(learn: Learn, prefix: Network) -> bool:
    """Whether a prefix lies within `allow`."""
    return any(is_within(prefix, block) for block in learn.allowed)


def is_within(inner: Network, outer: Network) -> bool:
    """Whether one network lies within another."""
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)


def is_learned(group: Group, route: Route) -> bool:
    """Whether a route, static and at a target of ours, counts as made by nathb.

    `group` is as the file has it, with its listed routes alone.
    """
    learn = group.learn
    if learn is None or route.table not in learn.into or group.guards(route):
        return False
    if route.destination.startswith("pl-"):
        return False
    prefix = ip_network(route.destination)
    return is_allowed(learn, prefix) and not _is_pin(group, prefix)


def _is_pin(group: Group, prefix: Network) -> bool:
    """Whether a heartbeat's pin has this destination."""
    if prefix.prefixlen < prefix.max_prefixlen:
        return False
    address = str(prefix.network_address)
    return any(host_of(one) == address for node in group.nodes for one in node.heartbeat)


# --- who writes -------------------------------------------------------------------------------


def leading_route(group: Group, routes: Iterable[Route], table: str) -> Route | None:
    """Return the route whose holder writes the learned routes of a table; None when there is none.

    It is the first guarded route of the table, and where it has none, or is a transit gateway's,
    the first of the group. `routes` are all that are guarded now, those that were found too.
    """
    guarded = [one for one in routes if not is_learned(group, one)]
    return next((one for one in guarded if one.table == table), next(iter(guarded), None))


def tables_held(group: Group, routes: Collection[Route], view: View, me: str) -> frozenset[str]:
    """Return the tables of `into` whose learned routes node `me` writes, by this view."""
    learn = group.learn
    if learn is None:
        return frozenset()
    leading = {table: leading_route(group, routes, table) for table in learn.into}
    held = {table: view.holding(route) for table, route in leading.items() if route is not None}
    return frozenset(
        table
        for table, seen in held.items()
        if seen is not None and seen.node == me and not seen.is_blackhole
    )


# --- what is to be done -----------------------------------------------------------------------


class Act(Enum):
    """What is written of a learned route."""

    CREATE = "create"
    WITHDRAW = "withdraw"


class Change(Struct, frozen=True, order=True):
    """One write: create this route, or delete it."""

    table: str
    destination: str
    act: Act

    @property
    def route(self) -> Route:
        """The route that is created or deleted."""
        return Route(self.table, self.destination)


class Refusal(Enum):
    """Why a prefix gets no route."""

    OUTSIDE = "outside"
    """Of `allow`."""
    OVER = "over"
    """`at_most`."""
    TAKEN = "taken"
    """The table has a route for it that nathb did not make."""


class LearnPlan(Struct, frozen=True):
    """What is to be written, in this order, and which prefixes get no route, by the reason."""

    changes: tuple[Change, ...] = ()
    refused: dict[Refusal, tuple[str, ...]] = field(default_factory=dict)
    made: int = 0
    """How many routes of nathb's the tables show."""
    waits: bool = False
    """Whether one of them is for a prefix that the router does not know at present."""


def plan(group: Group, prefixes: Prefixes, shown: ShownTables, held: Collection[str]) -> LearnPlan:
    """Return what a node that holds these tables has to write.

    Nothing is due while the last reading failed. A prefix that is known has its route created at
    once; one that readings have shown to be gone for `withdraw_after` has it deleted.
    """
    learn = group.learn
    assert learn is not None
    there: dict[str, dict[str, bool]] = {table: {} for table in sorted(held)}
    for entry in shown.entries:
        if entry.table in there:
            made = entry.ours and is_learned(group, entry.route)
            there[entry.table][entry.destination] = made
    count = sum(sum(routes.values()) for routes in there.values())
    if prefixes.read_at is None:
        return LearnPlan(made=count)
    known = {prefix: ip_network(prefix) for prefix in prefixes.present}
    allowed = {prefix for prefix, network in known.items() if is_allowed(learn, network)}
    changes: list[Change] = []
    refused: dict[Refusal, set[str]] = {why: set() for why in Refusal}
    refused[Refusal.OUTSIDE] = known.keys() - allowed
    for table, routes in there.items():
        ours = {one for one, made in routes.items() if made}
        gone = {one for one in ours if prefixes.gone_for(one) >= learn.withdraw_after}
        absent = (one for one in allowed - ours if is_learned(group, Route(table, one)))
        new = sorted(absent, key=_by_network)
        refused[Refusal.TAKEN].update(one for one in new if one in routes)
        new = [one for one in new if one not in routes]
        room = max(0, learn.at_most - len(ours - gone))
        refused[Refusal.OVER].update(new[room:])
        changes += [Change(table, one, Act.WITHDRAW) for one in sorted(gone, key=_by_network)]
        changes += [Change(table, one, Act.CREATE) for one in new[:room]]
    return LearnPlan(
        tuple(changes),
        {why: tuple(sorted(few, key=_by_network)) for why, few in refused.items() if few},
        count,
        waits=any(
            made and one not in known for routes in there.values() for one, made in routes.items()
        ),
    )


def _by_network(prefix: str) -> tuple[int, int, int]:
    network = ip_network(prefix)
    return network.version, int(network.network_address), network.prefixlen


def homes_of(
    group: Group, homes: Mapping[Route, str], learned: Iterable[Route]
) -> Iterator[tuple[Route, str]]:
    """Yield each of the learned routes with the node that is its home.

    It is the home of the route that leads its table, so that both move together. `homes` are those
    of all other guarded routes; what is among them is not yielded.
    """
    guarded = sorted(homes, key=lambda route: (not route.is_default, route))
    for route in learned:
        leading = leading_route(group, guarded, route.table)
        if leading is not None and route not in homes:
            yield route, homes[leading]


class LearnStatus(Struct, frozen=True):
    """How learning stands, for `nathb status`; times in monotonic seconds."""

    known: int
    """Prefixes in the last good reading."""
    made: int | None = None
    """Routes of nathb's that the tables show; None on a node that does not write them."""
    read_at: float | None = None
    """When the router was last read well; None if never."""
    failing_since: float | None = None
    error: str = ""
    refused: int = 0
    """Prefixes that get no route: outside of `allow`, over `at_most`, or taken."""
